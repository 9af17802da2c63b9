"""Tells whether budgets can hold together: what their sum promises, and the room each leaves."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from analysis import compliance, path_budgets, stats, words
from analysis.compliance import Label
from analysis.contracts import Contracts
from analysis.engine import Model
from analysis.scope import Scope

_COLUMNS = [
    *("cohort", "boundary_id", "boundary", "rule", "line", "quantile", "calls", "budget_ms"),
    *("tail_ms", "tail_ms_lower", "tail_ms_upper", "tail_ms_grade"),
    *("headroom_ms", "headroom_ms_lower", "headroom_ms_upper", "headroom_ratio"),
    *("on_path_ms", "equal_ms", "equal_quantile", "label"),
]


@dataclass(frozen=True)
class Feasibility:
    """Whether an SLA leaves room for all budgets at once.

    `promised_ms` is, at the SLA's quantile over requests, what they would take were each call with
    a budget on their critical path to use the whole of it; `label` holds it against the SLA as a
    budget is held. `equal_quantile` is the one quantile at which every boundary below may stand so
    that the downstream budget keeps (`equal_ms` of `by_boundary`); of the requests a share
    `within_sum_ratio` keeps the sum of these, and `within_each_ratio` every single one.
    """

    label: Label
    reason: str
    sla_ms: float
    promised_ms: stats.Estimate
    equal_quantile: float
    within_sum_ratio: float
    within_each_ratio: float
    by_boundary: pd.DataFrame


NOTHING = Feasibility(
    Label.NO_BUDGET,
    "No contract, no SLA or no cohort to judge.",
    *(np.nan, stats.NOTHING, np.nan, np.nan, np.nan),
    pd.DataFrame(columns=_COLUMNS),
)


def of_budgets(
    model: Model, contracts: Contracts | None, scope: Scope, *, held: pd.DataFrame | None = None
) -> Feasibility:
    """Return whether the budgets of the judged cohort fit into its SLA, and their headroom.

    by_boundary has one row a boundary with a budget or a place on the downstream path, least
    headroom first: headroom_ms is the budget less the measured quantile, its bounds those of the
    quantile; headroom_ratio is over the budget; on_path_ms is what a request waited for the
    boundary at the SLA's quantile, among those that did. The question is about whole requests: a
    boundary or an agent in the scope is ignored.

    Args:
        model: The lake's model.
        contracts: The budgets and the SLA.
        scope: What is judged.
        held: All boundaries against their budgets (`compliance.by_boundary`), where known already.
    """
    if contracts is None or contracts.sla.limit_ms is None:
        return NOTHING
    scope = replace(compliance.judged(model, contracts, scope), boundary=None, agent=None)
    if scope.cohort is None:
        return NOTHING
    requests = model.ask("request_latencies", scope)
    if requests.empty:
        return replace(NOTHING, reason="There is no request in this scope.")
    rules = compliance.rules_of(model, contracts, scope)
    budgets = {key: rule.budget_ms for key, rule in rules.items() if rule.budget_ms is not None}
    frame = compliance.by_boundary(model, contracts, scope) if held is None else held
    quantile, sla_ms = contracts.sla.quantile, contracts.sla.limit_ms
    promised_ms = promised(requests, model.ask("path_calls", scope), budgets)
    measured = stats.percentile(
        stats.sample(promised_ms, stats.codes(requests["unit_id"]), requests["weight"]), quantile
    )
    label = compliance.judge(measured, sla_ms) if budgets else Label.NO_BUDGET
    told = path_budgets.paths(model, scope)
    is_below = told.is_downstream > 0
    levels = equal = np.full(len(told.names), np.nan)
    sum_ratio = each_ratio = np.nan
    if contracts.downstream_budget_ms is not None and is_below.any():
        levels = path_budgets.allot(
            told,
            contracts.downstream_budget_ms,
            quantile,
            of=told.is_downstream,
            beside=np.zeros(len(told.names)),
        )
        equal = np.where(is_below, path_budgets.at(told, levels), np.nan)
        sum_ratio, each_ratio = _kept(model, scope, requests, told, equal)
    tails = [path_budgets.value_at(some, quantile) for some in told.samples]
    frame = frame.merge(
        pd.DataFrame(
            {
                "boundary_id": told.names,
                "on_path_ms": tails,
                "equal_ms": equal,
                "equal_quantile": np.where(is_below, levels, np.nan),
            }
        ),
        on="boundary_id",
        how="left",
    )
    frame = frame.assign(
        headroom_ms=frame["budget_ms"] - frame["tail_ms"],
        headroom_ms_lower=frame["budget_ms"] - frame["tail_ms_upper"],
        headroom_ms_upper=frame["budget_ms"] - frame["tail_ms_lower"],
        headroom_ratio=1 - frame["tail_ms"] / frame["budget_ms"],
    )
    frame = frame[frame["budget_ms"].notna() | frame["equal_ms"].notna()]
    return Feasibility(
        label,
        _reason(label, measured, quantile, sla_ms, len(budgets)),
        sla_ms,
        measured,
        float(levels[is_below].min()) if is_below.any() else np.nan,
        sum_ratio,
        each_ratio,
        frame.sort_values(["headroom_ratio", "boundary_id"], ignore_index=True)[_COLUMNS],
    )


def promised(
    requests: pd.DataFrame, calls: pd.DataFrame, budgets_ms: dict[str, float]
) -> stats.Floats:
    """Return what each request would take were its calls with a budget to use the whole of it.

    Only the outermost such calls of a path count: what a call takes holds what it calls.

    Args:
        requests: request_id, duration_ms.
        calls: request_id, call_id, boundary_id, start_ns, end_ns, path_ms of calls on the path.
        budgets_ms: The budget of one call, by boundary.
    """
    held = calls[calls["boundary_id"].isin(list(budgets_ms))].sort_values(
        ["request_id", "start_ns", "end_ns", "call_id"], ascending=[True, True, False, True]
    )
    ends = held["end_ns"].astype("int64").groupby(held["request_id"]).cummax()
    before = ends.groupby(held["request_id"]).shift()
    outer = held[~(before >= held["end_ns"])]
    more_ms = outer["boundary_id"].map(budgets_ms).astype(float) - outer["path_ms"].astype(float)
    added = requests["request_id"].map(more_ms.groupby(outer["request_id"]).sum())
    return (requests["duration_ms"] + added.fillna(0.0)).to_numpy(np.float64)


def _kept(
    model: Model,
    scope: Scope,
    requests: pd.DataFrame,
    told: path_budgets.Paths,
    budgets_ms: stats.Floats,
) -> tuple[float, float]:
    """Return the shares of requests that keep the sum of path budgets, and every single one."""
    path = model.ask("blame", scope)
    allowed = dict(zip(told.names, budgets_ms, strict=True))
    is_counted = dict(zip(told.names, told.is_downstream > 0, strict=True))
    path = path[path["boundary_id"].map(is_counted).fillna(False).astype(bool)]
    path = path.assign(budget_ms=path["boundary_id"].map(allowed))
    path = path.assign(over=path["self_ms"] > path["budget_ms"] * (1 + 1e-9))
    sums = path.groupby("request_id")[["self_ms", "budget_ms"]].sum()
    broke = path.groupby("request_id")["over"].any()
    weight = requests.set_index("request_id")["weight"]
    over = (sums["self_ms"] > sums["budget_ms"] * (1 + 1e-9)).reindex(weight.index).fillna(False)
    each = broke.reindex(weight.index).fillna(False)
    total = float(weight.sum())
    return (
        1 - float(weight[over.astype(bool)].sum()) / total,
        1 - float(weight[each.astype(bool)].sum()) / total,
    )


def _reason(
    label: Label, promised_ms: stats.Estimate, quantile: float, sla_ms: float, budgets: int
) -> str:
    if label is Label.NO_BUDGET:
        return "No boundary of these traces has a budget for one call."
    name = words.quantile(quantile)
    measured = words.time(promised_ms.value)
    bounds = words.time_interval(promised_ms.lower, promised_ms.upper, like_ms=promised_ms.value)
    said = (
        f"Were every call to use its whole budget, {name} of the requests would be {measured} "
        f"{bounds}; the SLA is {words.time(sla_ms)}"
    )
    if label is Label.KEPT:
        return f"{said}: {words.counted(budgets, 'budget')} leave room."
    if label is Label.BROKEN:
        return f"{said}: budgets may all be kept and the SLA be broken."
    return f"{said}: {words.counted(promised_ms.n, 'request')} cannot tell."
