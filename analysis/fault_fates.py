"""What a fault did: its signs at the boundary, the fates of requests that met it, what spilled."""

import math
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis import means, stats
from analysis.fault_trials import Trial

# One risk of five per cent for the three signs of a fault: failures, slowness, tries.
_SIGNS = 3
_SIGN_LEVEL = 1 - 0.05 / _SIGNS
# Faults that falsify an answer without failing the call.
_FALSIFYING = re.compile(r"corrupt|wrong|garbage|stale|empty|malform|truncat|poison", re.IGNORECASE)


@dataclass(frozen=True)
class Counts:
    """What became of the exposed requests; each is counted once, by the worst that it met."""

    exposed: int
    failed: int
    silent: int
    degraded: int


def signs(
    hit: pd.DataFrame, usual: pd.DataFrame
) -> tuple[dict[str, tuple[float, float, float]], float]:
    """Return by how much more calls failed, were slow and were tried again, and the usual p95."""
    p95_ms = math.nan
    if len(usual):
        sample = stats.sample(usual["client_ms"], stats.codes(usual["unit_id"]), usual["weight"])
        p95_ms = stats.percentile(sample, 0.95).value

    def change(of: Any) -> tuple[float, float, float]:
        sides = [
            stats.proportion(of(some), some["unit_id"], some["weight"], level=_SIGN_LEVEL)
            for some in (usual, hit)
        ]
        return stats.difference(*sides)

    return {
        "failed": change(lambda some: some["is_error"].fillna(False).astype(bool)),
        "slow": change(lambda some: some["client_ms"] > p95_ms),
        "tried_again": change(_is_tried_again),
    }, p95_ms


def is_affected(calls: pd.DataFrame, usual_p95_ms: float) -> pd.Series:
    """Return which calls of a scheduled window show that they met the fault."""
    return (
        calls["is_error"].fillna(False).astype(bool)
        | (calls["client_ms"] > usual_p95_ms)
        | _is_tried_again(calls)
    )


def _is_tried_again(calls: pd.DataFrame) -> pd.Series:
    return (calls["attempts"] > 1) | calls["outcome"].eq("retried_ok").fillna(False)


def fates(test: Trial, hit: pd.DataFrame, asked: pd.DataFrame) -> tuple[pd.DataFrame, Counts]:
    """Return the exposed requests, and what became of them."""
    by_trace = asked.drop_duplicates("trace_id").set_index("trace_id")["request_id"]
    is_whole = hit["request_id"].isin(asked["request_id"])
    met = hit["request_id"].where(is_whole, hit["trace_id"].map(by_trace))
    outcome = hit["outcome"].astype(object).where(hit["outcome"].notna(), "")
    is_lost = hit["is_error"].fillna(False).astype(bool) & outcome.isin(["handled", "async"])
    is_helped = outcome.isin(["degraded", "fallback_ok"])
    falsifies = bool(test.kind and _FALSIFYING.search(test.kind))
    told = pd.DataFrame({"request_id": met, "lost": is_lost, "helped": is_helped})
    told = told[met.notna()].groupby("request_id").any()
    exposed = asked[asked["request_id"].isin(told.index)]
    of = told.reindex(exposed["request_id"])
    failed = exposed["is_failed"].astype(bool).to_numpy()
    helped = of["helped"].to_numpy(np.bool_)
    lost = of["lost"].to_numpy(np.bool_) | (~helped if falsifies else False)
    return exposed, Counts(
        len(exposed),
        int(failed.sum()),
        int((~failed & lost).sum()),
        int((~failed & ~lost & helped).sum()),
    )


def spill(
    before: pd.DataFrame, beside: pd.DataFrame, sla_ms: float | None, *, level: float = stats.LEVEL
) -> tuple[float, float, float]:
    """Return by how much more often requests failed or were late that never met the fault."""
    limit_ms = math.inf if sla_ms is None else sla_ms
    sides = [
        stats.proportion(
            some["is_failed"].astype(bool) | (some["duration_ms"] > limit_ms),
            some["unit_id"],
            some["weight"],
            level=level,
        )
        for some in (before, beside)
    ]
    return stats.difference(*sides)


def tries(calls: pd.DataFrame, *, level: float = stats.LEVEL) -> stats.Estimate:
    """Return tries of the boundary a request that calls it."""
    if calls.empty:
        return stats.NOTHING
    made = calls["attempts"].fillna(1).to_numpy(np.float64)
    bucket = stats.buckets(calls["trace_id"])
    firsts = (~calls["trace_id"].duplicated()).to_numpy(np.float64)
    return means.mean(
        stats.bucket_sums(made, bucket),
        stats.bucket_sums(firsts, bucket),
        len(calls),
        calls["trace_id"].nunique(),
        level=level,
    )
