"""Measured against promised: latency budgets of boundaries, the SLA of requests."""

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from analysis import coverage, means, samples, stats, timeshare, words
from analysis.contracts import DEFAULT_QUANTILE, Contracts, Rule, host_of, sides
from analysis.engine import Model
from analysis.scope import Scope
from analysis.tails import columns

# The model is judged apart from what is downstream, and a page only waits for the whole.
NOT_DOWNSTREAM = ("model", "ui")
# Share of requests within the downstream budget where the contract's gates say nothing.
DOWNSTREAM_RATIO = 0.95


class Label(StrEnum):
    """What may be said of a budget."""

    KEPT = "kept"
    BROKEN = "broken"
    NOT_ENOUGH = "not enough evidence"
    NO_BUDGET = "no budget"


_UNSEEN: Mapping[str, Any] = MappingProxyType(
    {"passed": (Label.KEPT,), "unknown": str(Label.NOT_ENOUGH)}
)
_WORST_FIRST = (Label.BROKEN, Label.NOT_ENOUGH, Label.KEPT, Label.NO_BUDGET)
_COLUMNS = [
    *("cohort", "boundary_id", "boundary", "caller", "kind", "callee", "rule", "line"),
    *("budget_ms", "quantile", "calls", "over"),
    *columns("kept_ratio", stats.NOTHING),
    *columns("tail_ms", stats.NOTHING),
    *("of_budget_ratio", "label", "reason"),
]
_REQUEST_COLUMNS = [
    *("cohort", "requests", "sla_ms"),
    *columns("within_sla_ratio", stats.NOTHING),
    *("sla_target_ratio", "sla_label"),
    *columns("time_within_sla_ratio", stats.NOTHING),
    "downstream_budget_ms",
    *columns("within_downstream_ratio", stats.NOTHING),
    *("downstream_target_ratio", "downstream_label"),
    *columns("downstream_ms", stats.NOTHING),
    *columns("downstream_share_ratio", stats.NOTHING),
]


def by_boundary(
    model: Model, contracts: Contracts | None, scope: Scope, *, level: float = stats.LEVEL
) -> pd.DataFrame:
    """Return every boundary of the judged cohort against its budget.

    The judged cohort is the scope's, else the contract's pilot. Broken ones come first. `level` is
    the two-sided confidence that kept and broken are said with.
    """
    scope = judged(model, contracts, scope)
    facts = model.ask("boundaries", scope)
    rules = rules_of(model, contracts, scope)
    held = samples.each(
        model,
        scope,
        ["client_ms"],
        lambda key, calls: _against(calls, rules.get(key[1]), contracts, level),
    )
    names = ["cohort", "boundary_id", "boundary", "caller", "kind", "callee"]
    rows = [
        fact | held[fact["cohort"], fact["boundary_id"]] for fact in facts[names].to_dict("records")
    ]
    frame = pd.DataFrame(rows, columns=_COLUMNS)
    left = coverage.caps("budgets", frame, model, scope)
    frame = coverage.without_blind(
        coverage.capped(frame, left), left, figure="tail_ms", label="label", **_UNSEEN
    )
    order = frame["label"].map({str(label): place for place, label in enumerate(_WORST_FIRST)})
    return (
        frame.assign(order=order)
        .sort_values(["order", "of_budget_ratio"], ascending=[True, False], kind="stable")
        .drop(columns="order")
        .reset_index(drop=True)
    )


def by_request(model: Model, contracts: Contracts | None, scope: Scope) -> pd.DataFrame:
    """Return the share of requests within the SLA and within the downstream budget, by cohort.

    The downstream budget is a share of the SLA for the critical-path time of all calls but models
    together; a request is within it as a whole, never boundary by boundary. downstream_ms is that
    time a request, on average, and downstream_share_ratio its sum over the sum of the durations.
    time_within_sla_ratio is the share of the time, not of the requests (`timeshare.kept`). A label
    is "kept" where the whole interval reaches the target share, "broken" where none of it does.
    """
    requests = model.ask("request_latencies", scope)
    sla_ms = contracts.sla.limit_ms if contracts else None
    budget_ms = contracts.downstream_budget_ms if contracts else None
    requests = requests.assign(downstream_ms=downstream_ms(model, scope, requests))
    limits = contracts.gates if contracts else {}
    sla_target = limits.get("within_sla", contracts.sla.quantile if contracts else math.nan)
    below_target = limits.get("downstream", DOWNSTREAM_RATIO)
    rows = []
    for cohort, frame in requests.groupby("cohort", sort=True, observed=True):
        row: dict[str, object] = {"cohort": cohort, "requests": len(frame)}
        row |= {"sla_ms": math.nan if sla_ms is None else sla_ms}
        in_sla = within(frame, "duration_ms", sla_ms)
        row |= columns("within_sla_ratio", in_sla)
        row |= {
            "sla_target_ratio": sla_target,
            "sla_label": str(_reached(in_sla, sla_ms, sla_target)),
        }
        row |= columns("time_within_sla_ratio", _in_time(frame, sla_ms))
        row |= {"downstream_budget_ms": math.nan if budget_ms is None else budget_ms}
        in_budget = within(frame, "downstream_ms", budget_ms)
        row |= columns("within_downstream_ratio", in_budget)
        row |= {
            "downstream_target_ratio": below_target,
            "downstream_label": str(_reached(in_budget, budget_ms, below_target)),
        }
        row |= columns("downstream_ms", _mean(frame, "downstream_ms", None))
        row |= columns("downstream_share_ratio", _mean(frame, "downstream_ms", "duration_ms"))
        rows.append(row)
    frame = pd.DataFrame(rows, columns=_REQUEST_COLUMNS)
    left = coverage.caps("promises", frame, model, scope)
    frame = coverage.capped(frame, left)
    for figure, label in (("within_sla", "sla_label"), ("within_downstream", "downstream_label")):
        frame = coverage.without_blind(
            frame, left, figure=f"{figure}_ratio", label=label, **_UNSEEN
        )
    return frame


def verdict(labels: Iterable[str]) -> Label:
    """Return what the labels of several promises come to: one broken breaks all."""
    said = {Label(label) for label in labels} - {Label.NO_BUDGET}
    if not said:
        return Label.NO_BUDGET
    return next(label for label in _WORST_FIRST if label in said)


def _reached(share: stats.Estimate, limit_ms: float | None, target: float) -> Label:
    if limit_ms is None:
        return Label.NO_BUDGET
    if share.lower >= target:
        return Label.KEPT
    return Label.BROKEN if share.upper < target else Label.NOT_ENOUGH


def _in_time(frame: pd.DataFrame, limit_ms: float | None) -> stats.Estimate:
    if limit_ms is None:
        return stats.NOTHING
    begun = frame["started_at"].astype("datetime64[ns]").astype("int64")
    return timeshare.kept(begun, frame["duration_ms"], limit_ms, frame["weight"])


def _mean(frame: pd.DataFrame, part: str, whole: str | None) -> stats.Estimate:
    """Return the sum of a column over that of another, or over the requests."""
    bucket = frame["bucket"].to_numpy(np.intp)
    over = frame["weight"] if whole is None else frame["weight"] * frame[whole]
    return means.mean(
        stats.bucket_sums((frame["weight"] * frame[part]).to_numpy(np.float64), bucket),
        stats.bucket_sums(over.to_numpy(np.float64), bucket),
        len(frame),
        frame["unit_id"].nunique(),
    )


def within(
    frame: pd.DataFrame, column: str, limit_ms: float | None, *, level: float = stats.LEVEL
) -> stats.Estimate:
    """Return the share of rows within a limit, or nothing without one."""
    if limit_ms is None or column not in frame:
        return stats.NOTHING
    return stats.proportion(
        frame[column] <= limit_ms, frame["unit_id"], frame["weight"], level=level
    )


def downstream_ms(model: Model, scope: Scope, requests: pd.DataFrame) -> pd.Series:
    """Return the critical-path time of all calls but models, for each of the requests."""
    path = model.ask("blame", replace(scope, boundary=None, agent=None))
    path = path[path["boundary_id"].notna() & ~path["kind"].isin(NOT_DOWNSTREAM)]
    return requests["request_id"].map(path.groupby("request_id")["self_ms"].sum()).fillna(0.0)


def unmatched(model: Model, contracts: Contracts | None, scope: Scope) -> list[str]:
    """Return a warning for every alias and rule of the contract that no boundary answers to."""
    if contracts is None:
        return []
    met = {rule.line for rule in rules_of(model, contracts, scope).values()}
    return _idle_aliases(model, contracts, scope) + [
        f"{contracts.path}:{rule.line}: `{rule.match}` matches no boundary of these traces."
        for rule in contracts.boundaries
        if rule.line not in met
    ]


def _idle_aliases(model: Model, contracts: Contracts, scope: Scope) -> list[str]:
    frame = model.ask("callees", scope)
    hosts = set(frame.loc[frame["callee_service"].isna(), "callee"].map(host_of).dropna())
    return [
        f"{contracts.path}:{alias.line}: `{alias.host}` is no host whose service these traces leave"
        f" open. {_nearest(alias.host, hosts)}"
        for alias in contracts.aliases
        if alias.host not in hosts
    ]


def _nearest(host: str, hosts: set[str]) -> str:
    near = difflib.get_close_matches(host, sorted(hosts), n=1, cutoff=0)
    return f"The nearest that is: `{near[0]}`." if near else "There is none."


def callees(model: Model, contracts: Contracts | None, scope: Scope) -> pd.DataFrame:
    """Return boundary_id, caller, callee and callee_service of every boundary.

    The service is what the traces tell, else the contract's alias of the host, else None.
    """
    frame = model.ask("callees", scope)
    aliases = {alias.host: alias.service for alias in contracts.aliases} if contracts else {}
    behind = frame["callee"].map(host_of).map(aliases)
    service = frame["callee_service"].astype(object).where(frame["callee_service"].notna(), behind)
    return frame.assign(callee_service=service.where(service.notna(), None))


def rules_of(model: Model, contracts: Contracts | None, scope: Scope) -> dict[str, Rule]:
    """Return the rule of every boundary that has one."""
    if contracts is None:
        return {}
    rules = {}
    for row in callees(model, contracts, scope).to_dict("records"):
        rule = contracts.rule_for(row["caller"], row["callee"], row["callee_service"])
        if rule:
            rules[row["boundary_id"]] = rule
    return rules


def _against(
    calls: pd.DataFrame, rule: Rule | None, contracts: Contracts | None, level: float
) -> dict[str, object]:
    """Return the measured tail of one boundary's calls, and what that says of its budget."""
    p = rule.quantile if rule else contracts.sla.quantile if contracts else DEFAULT_QUANTILE
    budget_ms = rule.budget_ms if rule else None
    sample = stats.sample(calls["client_ms"], stats.codes(calls["unit_id"]), calls["weight"])
    tail = stats.percentile(sample, p, level=level)
    kept = within(calls, "client_ms", budget_ms, level=level)
    label = judge(tail, budget_ms)
    return {
        "rule": rule.match if rule else None,
        "line": rule.line if rule else None,
        "budget_ms": math.nan if budget_ms is None else budget_ms,
        "quantile": p,
        "calls": len(calls),
        "over": math.nan if budget_ms is None else int((calls["client_ms"] > budget_ms).sum()),
        **columns("kept_ratio", kept),
        **columns("tail_ms", tail),
        "of_budget_ratio": math.nan if budget_ms is None else tail.value / budget_ms,
        "label": str(label),
        "reason": _reason(label, tail, kept, p, budget_ms),
    }


def judge(tail: stats.Estimate, budget_ms: float | None) -> Label:
    """Return what an interval says of a budget: wholly inside, wholly outside, or neither."""
    if budget_ms is None:
        return Label.NO_BUDGET
    if tail.upper <= budget_ms:
        return Label.KEPT
    return Label.BROKEN if tail.lower > budget_ms else Label.NOT_ENOUGH


def _reason(
    label: Label, tail: stats.Estimate, kept: stats.Estimate, p: float, budget_ms: float | None
) -> str:
    name = words.quantile(p)
    if budget_ms is None:
        return "No rule of the contract sets a budget for this boundary."
    measured = f"{name} is {words.time(tail.value)} {words.time_interval(tail.lower, tail.upper)}"
    promised = f"the budget of {words.time(budget_ms)}"
    if label is Label.KEPT:
        return f"{measured}, within {promised}."
    if label is Label.BROKEN:
        over = words.percent(1 - kept.value)
        return f"{measured}, above {promised}; {over} of {words.count(tail.n)} calls were over."
    if tail.is_bounded:
        needed = stats.n_to_decide(kept, p, level=stats.LEVEL)
        more = (
            f"about {words.count(needed)} calls would settle it"
            if math.isfinite(needed)
            else "it sits on the limit"
        )
        return f"{measured} holds {promised}; {more}."
    return (
        f"{name} has no interval from {words.count(tail.n)} calls in {tail.units} units; "
        f"{stats.least_n(p)} independent ones are the least."
    )


def judged(model: Model, contracts: Contracts | None, scope: Scope) -> Scope:
    """Return the scope narrowed to the cohort that promises are held against."""
    if scope.cohort is not None:
        return scope
    return replace(scope, cohort=sides(model.cohorts(), contracts).pilot)
