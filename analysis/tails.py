"""Tail latency and failure of every boundary and of whole requests, with intervals."""

import numpy as np
import pandas as pd

from analysis import samples, stats
from analysis.engine import Model
from analysis.scope import Scope

QUANTILES = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99}


def by_boundary(model: Model, scope: Scope) -> pd.DataFrame:
    """Return calls, failures and percentiles of every boundary, one row a cohort and boundary.

    Percentiles are of the time the caller waited, in ms, failed calls included; the unit is the
    conversation, else the trace.
    """
    facts = model.ask("boundaries", scope)
    figures = samples.each(
        model,
        scope,
        ["client_ms", "is_error"],
        lambda _, calls: _figures(calls, "client_ms", "is_error", "error_ratio"),
    )
    rows = [figures[key] for key in zip(facts["cohort"], facts["boundary_id"], strict=True)]
    return pd.concat([facts, pd.DataFrame(rows, columns=_columns("error_ratio", "units"))], axis=1)


def end_to_end(model: Model, scope: Scope) -> pd.DataFrame:
    """Return requests, failures and percentiles of user requests, one row a cohort."""
    told = samples.each(
        model,
        scope,
        ["duration_ms", "is_failed", "started_at"],
        _of_requests,
        metric="request_latencies",
        by={"cohort": "cohort"},
    )
    first = ["cohort", "requests", "units", "failed"]
    return pd.DataFrame(
        list(told.values()), columns=[*first, *_columns("failed_ratio"), "first_at", "last_at"]
    )


def _of_requests(key: samples.Key, requests: pd.DataFrame) -> dict[str, object]:
    return {
        "cohort": key[0],
        "requests": len(requests),
        "failed": int(requests["is_failed"].sum()),
        **_figures(requests, "duration_ms", "is_failed", "failed_ratio"),
        "first_at": requests["started_at"].min(),
        "last_at": requests["started_at"].max(),
    }


def columns(name: str, estimate: stats.Estimate) -> dict[str, object]:
    """Return an estimate as the columns every frame has: value, bounds, grade, effective size."""
    return {
        name: estimate.value,
        f"{name}_lower": estimate.lower,
        f"{name}_upper": estimate.upper,
        f"{name}_grade": str(estimate.grade),
        f"{name}_n_eff": estimate.n_eff,
    }


def _columns(share: str, *others: str) -> list[str]:
    figures = [name for figure in (share, *QUANTILES) for name in columns(figure, stats.NOTHING)]
    return [*others, *figures]


def _figures(frame: pd.DataFrame, value: str, failed: str, share: str) -> dict[str, object]:
    units = stats.apart(frame["unit_id"])
    weights = frame["weight"].to_numpy(dtype=np.float64)
    values = stats.sample(
        frame[value].to_numpy(dtype=np.float64), units, weights, bucket=frame["bucket"].to_numpy()
    )
    share_failed = stats.proportion(frame[failed], units, weights)
    figures: dict[str, object] = {"units": share_failed.units, **columns(share, share_failed)}
    for name, found in zip(
        QUANTILES, stats.percentiles(values, [*QUANTILES.values()]), strict=True
    ):
        figures |= columns(name, found)
    return figures
