"""How much of a request's critical path each boundary may take, and whether the sum keeps."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from analysis import coverage, stats, words
from analysis.ancestry import Flags
from analysis.compliance import NOT_DOWNSTREAM, Label, callees, judge, rules_of
from analysis.contracts import Contracts, Rule
from analysis.engine import Model
from analysis.scope import Scope
from analysis.tails import columns

# A request's own work, outside any handoff, stands among the boundaries under this name.
OWN = ""
# Beyond p99 a quantile is a matter of the few slowest requests: no budget is set there.
MOST = 0.99
# A boundary that takes less of what a request may is no matter of budgets: 2 ms that become 3 ms
# would break a promise, and no user would see it.
MATERIAL = 0.01
_ROUNDS = 25
_LEAPS = 8


@dataclass(frozen=True)
class Paths:
    """Critical paths of requests as arrays: a row a request and boundary that it waited for.

    `place` and `request` number the boundaries of `names` and the requests; `weights` has one entry
    a request. `samples` holds what each boundary took in the requests that waited for it, in ms.
    """

    names: tuple[str, ...]
    is_downstream: stats.Floats  # 1 or 0 a boundary
    place: stats.Ints
    request: stats.Ints
    weights: stats.Floats
    samples: tuple[stats.Sample, ...]


def paths(model: Model, scope: Scope) -> Paths:
    """Return the critical paths of the requests of a scope."""
    scope = replace(scope, boundary=None, agent=None)
    requests = model.ask("request_latencies", scope)[["request_id", "weight"]]
    rows = model.ask("blame", scope).merge(requests, on="request_id")
    rows["boundary_id"] = rows["boundary_id"].astype(object).where(rows["boundary_id"].notna(), OWN)
    place, names = pd.factorize(rows["boundary_id"], sort=True)
    request, ids = pd.factorize(rows["request_id"], sort=True)
    weights = requests.set_index("request_id")["weight"].reindex(ids).to_numpy(np.float64)
    kinds = rows.groupby("boundary_id")["kind"].first().reindex(names)
    is_downstream = (~kinds.isin(NOT_DOWNSTREAM) & (np.asarray(names) != OWN)).to_numpy()
    samples = tuple(
        stats.sample(some["self_ms"], stats.codes(some["unit_id"]), some["weight"])
        for _, some in rows.groupby(place, sort=True)
    )
    return Paths(
        tuple(str(name) for name in names),
        is_downstream.astype(np.float64),
        np.asarray(place, dtype=np.intp),
        np.asarray(request, dtype=np.intp),
        weights,
        samples,
    )


def sums(told: Paths, budgets_ms: stats.Floats) -> stats.Floats:
    """Return what the boundaries on each request's path may take together, given what each may."""
    return np.bincount(
        told.request, weights=budgets_ms[told.place], minlength=len(told.weights)
    ).astype(np.float64)


def most_ms(told: Paths, budgets_ms: stats.Floats, quantile: float) -> float:
    """Return what that share of the requests stays within, were each boundary to take its budget.

    Requests differ in what they wait for; the rarest combinations, one minus the quantile of all
    requests, are left out.
    """
    total = sums(told, budgets_ms)
    is_weighted = np.ptp(told.weights) > 0
    order = np.argsort(total, kind="stable") if is_weighted else np.arange(len(total))
    mass = np.cumsum(told.weights[order])
    at = min(int(np.searchsorted(mass, quantile * mass[-1] * (1 - 1e-12))), len(order) - 1)
    # Where all count alike the one at the rank needs no full order.
    return float(total[order[at]] if is_weighted else np.partition(total, at)[at])


def allot(
    told: Paths, limit_ms: float, quantile: float, *, of: stats.Floats, beside: stats.Floats
) -> stats.Floats:
    """Return equal-exceedance budgets, as each boundary's own quantile.

    It is the same for all, the highest at which the sum over the boundaries of a request's path
    keeps the limit for the given share of requests (`most_ms`), and p99 at most. A boundary whose
    own tail leaps beyond what is left stays where it is, and the others go on. Their least seen
    values must keep the limit.

    Args:
        told: The critical paths.
        limit_ms: What a request may take.
        quantile: The share of requests.
        of: 1 for the boundaries that share the limit, else 0; 0 is returned for those.
        beside: What the other boundaries take of it already, in ms.
    """
    levels = np.zeros(len(told.names))
    rising = of.astype(np.bool_)
    for _ in range(_LEAPS):
        if not rising.any():
            break

        def most(p: float, levels: stats.Floats = levels, rising: Flags = rising) -> float:
            budgets = of * at(told, np.where(rising, p, levels)) + beside
            return most_ms(told, budgets, quantile)

        low, high = 0.0, MOST
        if most(MOST) <= limit_ms:
            low = MOST
        for _ in range(_ROUNDS if low < MOST else 0):
            middle = (low + high) / 2
            if most(middle) <= limit_ms:
                low = middle
            else:
                high = middle
        levels = np.where(rising, low, levels)
        leap = at(told, np.where(rising, high, levels)) - at(told, levels)
        is_stuck = rising & (leap > limit_ms - most(low))
        if low == MOST or not is_stuck.any():
            break
        rising = rising & ~is_stuck
    return levels


def at(told: Paths, levels: stats.Floats) -> stats.Floats:
    """Return each boundary's own quantile over the requests that waited for it, in ms."""
    pairs = zip(told.samples, levels, strict=True)
    return np.array([value_at(sample, p) for sample, p in pairs], dtype=np.float64)


def value_at(sample: stats.Sample, p: float) -> float:
    """Return the value at a quantile, weighted, as `stats.percentile` counts ranks."""
    if not sample.n:
        return 0.0
    rank = np.ceil(sample.n * p - 1e-9)
    place = np.searchsorted(sample.mass, rank - 1e-9 * sample.n)
    return float(sample.ordered[min(place, sample.n - 1)])


def by_boundary(
    model: Model,
    contracts: Contracts | None,
    scope: Scope,
    *,
    level: float = stats.LEVEL,
    told: Paths | None = None,
) -> pd.DataFrame:
    """Return every boundary with a promise `on_path` against the traces, in the order of its line.

    on_path_ms is the quantile, over the requests that waited for it, of what its calls took on the
    critical path; kept and broken are said as of budgets, with the two-sided confidence `level`.
    `told` are the critical paths of the scope, where they are known already.
    """
    rules = {
        boundary: rule
        for boundary, rule in rules_of(model, contracts, scope).items()
        if rule.on_path_ms is not None
    }
    if not rules:
        return pd.DataFrame(columns=_COLUMNS)
    told = told or paths(model, scope)
    named = {
        row["boundary_id"]: f"{row['caller']} → {row['callee']}"
        for row in callees(model, contracts, scope).to_dict("records")
    }
    rows = []
    for boundary, rule in sorted(rules.items(), key=lambda each: (each[1].line, each[0])):
        if boundary not in told.names:
            continue
        measured = stats.percentile(
            told.samples[told.names.index(boundary)], rule.quantile, level=level
        )
        label = judge(measured, rule.on_path_ms)
        rows.append(
            {
                "boundary_id": boundary,
                "boundary": named[boundary],
                "rule": rule.match,
                "line": rule.line,
                "promised_ms": rule.on_path_ms,
                "quantile": rule.quantile,
                "requests": measured.n,
                **columns("on_path_ms", measured),
                "label": str(label),
                "reason": _reason(label, measured, rule),
            }
        )
    frame = pd.DataFrame(rows, columns=_COLUMNS)
    left = coverage.caps("on_path", frame, model, scope)
    return coverage.without_blind(
        coverage.capped(frame, left),
        left,
        figure="on_path_ms",
        label="label",
        passed=(Label.KEPT,),
        unknown=str(Label.NOT_ENOUGH),
    )


def _reason(label: Label, measured: stats.Estimate, rule: Rule) -> str:
    name = words.quantile(rule.quantile)
    waited = words.counted(measured.n, "request")
    if not measured.is_bounded:
        return (
            f"{name} on the critical path has no interval from {waited} in {measured.units} units; "
            f"{stats.least_n(rule.quantile)} independent ones are the least."
        )
    side = {Label.KEPT: "within", Label.BROKEN: "above"}.get(label, "around")
    return (
        f"{name} on the critical path of {waited} is {words.time(measured.value)} "
        f"{words.time_interval(measured.lower, measured.upper)}, {side} the "
        f"{words.time(rule.on_path_ms)} promised."
    )


def promised(told: Paths, on_path_ms: Mapping[str, float]) -> tuple[stats.Floats, stats.Floats]:
    """Return what the promises allow each boundary on the path, of all and of those downstream."""
    allowed = np.array([on_path_ms.get(name, 0.0) for name in told.names], dtype=np.float64)
    return allowed, allowed * told.is_downstream


_COLUMNS = [
    *("boundary_id", "boundary", "rule", "line", "promised_ms", "quantile", "requests"),
    *columns("on_path_ms", stats.NOTHING),
    *("label", "reason"),
]
