"""Is the pilot ready for production, and which boundary holds it back."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd

from analysis import compliance, pilot, samples, stats, tails, words
from analysis.attribution import attribute, per_1000
from analysis.comparability import days
from analysis.contracts import DEFAULT_QUANTILE, Contracts, sides
from analysis.engine import Model
from analysis.fault_schedule import Planned
from analysis.gates import Gate, judge, verdict
from analysis.scope import Scope


@dataclass(frozen=True)
class Figure:
    """One figure of the head row, with what it was and its days."""

    name: str
    value: float
    unit: str
    lower: float
    upper: float
    n: int
    was: float
    was_lower: float
    was_upper: float
    grade: str
    trend: list[float]
    better: str


@dataclass(frozen=True)
class Readiness:
    """The verdict on a pilot: a word, its reason, the gates, the figures, the ranked boundaries."""

    label: str
    reason: str
    cohort: str | None
    gates: list[Gate]
    figures: list[Figure]
    ranking: pd.DataFrame
    unattributed_per_1000: float
    total_per_1000: float
    requests: int


def readiness(
    model: Model,
    contracts: Contracts | None,
    scope: Scope,
    *,
    comparison: pilot.Comparison | None = None,
    planned: Sequence[Planned] = (),
) -> Readiness:
    """Return whether the pilot is ready, and the boundaries by bad requests per 1,000.

    Ready needs every gate's one-sided 95 % bound on the good side; not ready needs one gate's
    bound on the bad side at a risk of 5 % shared by all gates; anything else is not enough
    evidence. A gate without data never passes.

    Args:
        model: The lake's model.
        contracts: What was promised; without it most gates lack their limit.
        scope: Narrows the question; its cohort, else the contract's pilot, is judged.
        comparison: Before against after in the same scope, where it is known already.
        planned: Fault tests of a schedule, beside those that spans tell.
    """
    judged = compliance.judged(model, contracts, scope)
    model = model.once()
    # Parts that do not rest on each other, so that one computes while another asks.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        of_boundaries = pool.submit(
            attribute, model, judged, contracts.sla.limit_ms if contracts else None
        )
        of_figures = pool.submit(_figures, model, contracts, judged)
        of_tails = pool.submit(tails.by_boundary, model, judged)
        compared = comparison or pilot.compare(model, contracts, scope)
        gates = judge(model, contracts, judged, compared, planned=planned)
        label, reason = verdict(gates)
        shares = of_boundaries.result()
        shown = _shown(model, judged, shares.by_boundary)
        measured = of_tails.result()
        ranking = _ranking(model, contracts, judged, measured, shown, shares.units, compared)
        figures = of_figures.result()
    return Readiness(
        label=str(label),
        reason=reason,
        cohort=judged.cohort,
        gates=gates,
        figures=figures,
        ranking=ranking,
        unattributed_per_1000=shares.unattributed_per_1000,
        total_per_1000=shares.total_per_1000,
        requests=shares.requests,
    )


def _shown(model: Model, scope: Scope, bad: pd.DataFrame) -> pd.DataFrame:
    """Return the boundaries with the traces of the requests that show most of what they did."""
    if bad.empty:
        return bad.assign(**dict.fromkeys(_SHOWN, pd.Series(dtype=object)))
    requests = model.ask("request_latencies", replace(scope, boundary=None, agent=None))
    ids = pd.concat([bad[name.replace("trace_ids", "request_ids")].explode() for name in _SHOWN])
    requests = requests[requests["request_id"].isin(ids.dropna().astype("int64"))]
    trace = dict(zip(requests["request_id"], requests["trace_id"], strict=True))
    return bad.assign(
        **{
            name: bad[name.replace("trace_ids", "request_ids")].map(
                lambda ids: tuple(trace[each] for each in ids)
            )
            for name in _SHOWN
        }
    )


def _ranking(
    model: Model,
    contracts: Contracts | None,
    scope: Scope,
    measured: pd.DataFrame,
    bad: pd.DataFrame,
    units: int,
    compared: pilot.Comparison,
) -> pd.DataFrame:
    """Return every boundary, the one that answers for most bad requests first."""
    budgets = pd.DataFrame(columns=_BUDGETS)
    if any(r.budget_ms is not None for r in compliance.rules_of(model, contracts, scope).values()):
        budgets = compliance.by_boundary(model, contracts, scope)[_BUDGETS]
    moved = compared.boundaries[["boundary_id", "ratio"]].rename(
        columns={"ratio": "p95_change_ratio"}
    )
    frame = (
        measured[[*_NAMES, *_P95]]
        .merge(bad, on="boundary_id", how="left")
        .merge(budgets, on="boundary_id", how="left")
        .merge(moved, on="boundary_id", how="left")
    )
    parts = [
        *("bad_per_1000", "failed_per_1000", "late_per_1000"),
        *("failed_with_per_1000", "late_with_per_1000"),
    ]
    frame[parts] = frame[parts].fillna(0.0)
    for name in _SHOWN:
        is_shown = frame[name].map(lambda ids: isinstance(ids, tuple))
        frame[name] = frame[name].astype(object).where(is_shown, [()] * len(frame))
    # None among the units seen bounds the share of bad requests from above.
    frame["bad_per_1000_lower"] = frame["bad_per_1000_lower"].fillna(0.0)
    none_seen = 1000 * stats.wilson(0.0, max(units, 1))[1]
    frame["bad_per_1000_upper"] = frame["bad_per_1000_upper"].fillna(none_seen)
    return frame.sort_values(
        ["bad_per_1000", "p95_ms", "boundary_id"], ascending=[False, False, True], ignore_index=True
    )[_RANKING]


def _figures(model: Model, contracts: Contracts | None, scope: Scope) -> list[Figure]:
    """Return the five figures of the head row: tail, over budget, failures, coverage, cost."""
    baseline = sides(model.cohorts(), contracts).baseline
    before = replace(scope, cohort=baseline)
    has_before = baseline is not None and baseline != scope.cohort
    pairs = [
        (
            _requests(model, side),
            _over_budget(model, contracts, side),
            model.ask("trace_coverage", side),
            model.ask("cost_sums", side),
        )
        for side in ((scope, before) if has_before else (scope,))
    ]
    now, was = pairs[0], pairs[-1] if has_before else None
    p = contracts.sla.quantile if contracts else DEFAULT_QUANTILE

    def figure(
        name: str,
        place: int,
        measure: Callable[[pd.DataFrame], stats.Estimate],
        unit: str,
        better: str = "lower",
    ) -> Figure:
        value = measure(now[place])
        old = measure(was[place]) if was else stats.NOTHING
        return Figure(
            name,
            value.value,
            unit,
            value.lower,
            value.upper,
            value.n,
            old.value,
            old.lower,
            old.upper,
            str(value.grade),
            _trend(now[place], measure),
            better,
        )

    return [
        figure(f"End-to-end {words.quantile(p)}", 0, partial(_tail, p=p), "ms"),
        figure("Calls over budget", 1, _share_over, "ratio"),
        figure("Requests that failed", 0, _share_failed, "ratio"),
        figure("Complete traces", 2, _share_complete, "ratio", "higher"),
        figure("Cost per 1,000 requests", 3, _cost, "usd"),
    ]


def _requests(model: Model, scope: Scope) -> pd.DataFrame:
    """Return what figures need of the requests of one side."""
    return model.ask("request_latencies", scope)[
        ["started_at", "duration_ms", "is_failed", "unit_id", "bucket", "weight"]
    ]


def _tail(requests: pd.DataFrame, p: float) -> stats.Estimate:
    duration_ms, unit, weight, bucket = (
        requests[name].to_numpy() for name in ("duration_ms", "unit_id", "weight", "bucket")
    )
    return stats.percentile(stats.sample(duration_ms, unit, weight, bucket=bucket), p)


def _share_failed(requests: pd.DataFrame) -> stats.Estimate:
    return stats.proportion(requests["is_failed"], requests["unit_id"], requests["weight"])


def _over_budget(model: Model, contracts: Contracts | None, scope: Scope) -> pd.DataFrame:
    """Return the calls of boundaries with a budget, and whether each was over it."""
    rules = compliance.rules_of(model, contracts, scope)
    limit_ms = {key: rule.budget_ms for key, rule in rules.items() if rule.budget_ms is not None}
    nothing = pd.DataFrame(columns=["unit_id", "started_at", "weight", "is_over"])
    if not limit_ms:
        return nothing

    def judged(key: samples.Key, calls: pd.DataFrame) -> pd.DataFrame:
        if key[0] not in limit_ms:
            return nothing
        return calls.assign(is_over=calls["client_ms"] > limit_ms[key[0]]).drop(columns="client_ms")

    told = samples.each(
        model, scope, ["client_ms", "started_at"], judged, by={"boundary_id": "boundary_id"}
    )
    frames = [calls for calls in told.values() if len(calls)]
    return pd.concat(frames, ignore_index=True) if frames else nothing


def _share_over(calls: pd.DataFrame) -> stats.Estimate:
    return stats.proportion(calls["is_over"], calls["unit_id"], calls["weight"])


def _share_complete(coverage: pd.DataFrame) -> stats.Estimate:
    return stats.independent(int(coverage["complete_traces"].sum()), int(coverage["traces"].sum()))


def _cost(sums: pd.DataFrame) -> stats.Estimate:
    """Return the cost of 1,000 requests over the traces that name a cost."""
    if sums.empty:
        return stats.NOTHING
    bucket = sums["bucket"].to_numpy(np.intp)
    cost_usd, requests = (sums[column].to_numpy(np.float64) for column in ("cost_usd", "requests"))
    lower, upper = stats.bootstrap(
        per_1000,
        np.column_stack([stats.bucket_sums(each, bucket) for each in (cost_usd, requests)]),
    )
    count, units = int(requests.sum()), int(sums["units"].sum())
    value = 1000 * float(cost_usd.sum()) / count
    return stats.Estimate(value, lower, upper, count, float(units), units, stats.grade(units, 0.5))


def _trend(frame: pd.DataFrame, measure: Callable[[pd.DataFrame], stats.Estimate]) -> list[float]:
    """Return a figure by UTC day, in the order of days."""
    if frame.empty or "started_at" not in frame:
        return []
    return [measure(day).value for _, day in frame.groupby(days(frame))]


_NAMES = ["boundary_id", "boundary", "caller", "kind", "callee"]
_SHOWN = ("trace_ids", "failed_trace_ids", "late_trace_ids")
_BUDGETS = ["boundary_id", "budget_ms", "of_budget_ratio"]
_P95 = list(tails.columns("p95_ms", stats.NOTHING))
_RANKING = [
    *_NAMES,
    *("bad_per_1000", "bad_per_1000_lower", "bad_per_1000_upper"),
    *("failed_per_1000", "late_per_1000", "failed_with_per_1000"),
    *("late_with_per_1000", *_SHOWN),
    *("failed_per_1000_lower", "failed_per_1000_upper"),
    *("late_per_1000_lower", "late_per_1000_upper"),
    *_P95,
    *("budget_ms", "of_budget_ratio", "p95_change_ratio"),
]
