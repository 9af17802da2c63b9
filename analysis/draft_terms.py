"""What a draft promises of each boundary: budgets that its calls prove, a time-out above them."""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

import pandas as pd

from analysis import path_budgets, samples, stats, timeouts, words
from analysis.contracts import DEFAULT_QUANTILE
from analysis.draft_text import Terms, Timeout
from analysis.engine import Model
from analysis.path_budgets import Paths
from analysis.scope import Scope

# Quantiles that a drafted rule may speak of, the highest first; p* is p99 at most.
LEVELS = tuple(per_cent / 100 for per_cent in range(98, 49, -1))
# A promise on the path is left out where it would lower the quantile of the budget by more.
JOINT = 0.10
LEAST_MS, MOST_MS = 0.001, 999_999_999.0


@dataclass(frozen=True)
class Shares:
    """What a request may take of each boundary on its path; arrays in the order of `told.names`."""

    told: Paths
    levels: stats.Floats  # quantiles of the boundaries' own time on the path
    allotted_ms: stats.Floats  # their time there at these quantiles
    least_ms: stats.Floats  # less needs no promise


def of_boundaries(
    model: Model, scope: Scope, shares: Shares, *, sla_ms: float, given_up_ratio: float
) -> list[Terms]:
    """Return the promises of every boundary of the cohort of a scope, by caller and callee.

    Args:
        model: The lake's model.
        scope: One cohort.
        shares: What its requests may take on the path.
        sla_ms: What a request may take; no time-out is longer.
        given_up_ratio: Good calls that a time-out may give up.
    """
    levels = dict(zip(shares.told.names, shares.levels.tolist(), strict=True))
    facts = model.ask("boundaries", scope)
    held = samples.each(
        model,
        scope,
        ["client_ms", "timeout_ms", "is_idempotent"],
        lambda key, calls: _of_calls(calls, levels.get(key[1], path_budgets.MOST)),
        metric="call_terms",
    )
    waits = {
        row["boundary_id"]: row
        for row in timeouts.suggested(
            model, scope, loss_ratio=given_up_ratio, is_loss_accepted=True
        ).to_dict("records")
    }
    places = {name: place for place, name in enumerate(shares.told.names)}
    return [
        _terms(
            fact,
            held[fact["cohort"], fact["boundary_id"]],
            shares,
            places.get(fact["boundary_id"]),
            waits.get(fact["boundary_id"]),
            sla_ms,
        )
        for fact in facts.sort_values(["caller", "callee", "boundary_id"]).to_dict("records")
    ]


def without(terms: Terms) -> Terms:
    """Return the boundary without any promise, since its rule would speak of another, too."""
    return replace(
        terms,
        quantile=None,
        budget_ms=None,
        on_path_ms=None,
        timeout=Timeout(None),
        earlier=None,
        why_not="its rule would also match another boundary: set it by hand",
    )


def rounded(value_ms: float, *, up: bool) -> float:
    """Return a duration with three significant digits, rounded away from what it must not cross."""
    if not math.isfinite(value_ms) or value_ms <= 0:
        return 0.0
    number = Decimal(repr(float(value_ms)))
    step = Decimal(1).scaleb(number.adjusted() - 2)
    return float(number.quantize(step, rounding=ROUND_CEILING if up else ROUND_FLOOR))


@dataclass(frozen=True)
class _Calls:
    """What single calls of a boundary tell."""

    sample: stats.Sample
    budget_ms: float
    told_timeout_ms: float | None
    is_idempotent: bool | None


def _of_calls(calls: pd.DataFrame, p: float) -> _Calls:
    sample = stats.sample(calls["client_ms"], stats.codes(calls["unit_id"]), calls["weight"])
    methods = calls["is_idempotent"]
    return _Calls(
        sample,
        max(rounded(path_budgets.value_at(sample, p), up=True), LEAST_MS),
        _told_timeout(calls),
        # One call without a method leaves it open whether all may be repeated.
        None if methods.isna().any() else bool(methods.astype(bool).all()),
    )


def _told_timeout(calls: pd.DataFrame) -> float | None:
    """Return the time-out that every call tells, where it is one and the same."""
    told = calls["timeout_ms"]
    is_one = bool((told == told.iloc[0]).all()) and told.iloc[0] > 0
    return float(told.iloc[0]) if is_one else None


def _timeout(
    calls: _Calls, found: Mapping[Hashable, Any] | None, least_ms: float, most_ms: float
) -> Timeout:
    """Return the time-out to write, above the budget and within the SLA, or why there is none."""
    limit_ms = calls.told_timeout_ms
    if limit_ms is None:
        if found is None or found["label"] != timeouts.Label.SUGGESTED:
            is_too_few = found is not None and found["label"] == timeouts.Label.NOT_ENOUGH
            why_not = found["reason"] if found else "no call went well"
            return Timeout(None, "" if is_too_few else why_not, is_too_few)
        limit_ms = rounded(found["suggested_ms"], up=True)
    if limit_ms > most_ms:
        return Timeout(None, f"{words.time(limit_ms)} is longer than the SLA")
    if limit_ms < least_ms:
        return Timeout(None, f"{words.time(limit_ms)} would lie below the budget")
    if calls.told_timeout_ms is not None or found is None:
        return Timeout(limit_ms, is_told=True)
    return Timeout(
        limit_ms,
        given_up_ratio=found["given_up_ratio"],
        if_running_ratio=found["if_running_ratio"],
        saved_ms=found["saved_ms"],
    )


def _terms(
    fact: Mapping[Hashable, Any],
    calls: _Calls,
    shares: Shares,
    place: int | None,
    found: Mapping[Hashable, Any] | None,
    sla_ms: float,
) -> Terms:
    """Return the promises of a boundary: the highest quantile at which both budgets are proven."""
    on_path_ms, highest, path, is_slight = 0.0, path_budgets.MOST, None, False
    if place is not None:
        on_path_ms, highest = float(shares.allotted_ms[place]), float(shares.levels[place])
        path = shares.told.samples[place]
        is_slight = on_path_ms < shares.least_ms[place]
    has_path = path is not None and not is_slight and on_path_ms >= LEAST_MS
    limits = [(calls.sample, calls.budget_ms)]
    chosen = _proven(limits, highest)
    joint = _proven([*limits, (path, on_path_ms)], highest) if has_path and path else None
    # What few requests waited for must not loosen what many calls prove.
    has_path = joint is not None and chosen is not None and joint >= chosen - JOINT
    chosen = joint if has_path else chosen
    tail = stats.percentile(calls.sample, DEFAULT_QUANTILE if chosen is None else chosen)
    share = (
        stats.percentile(path, chosen)
        if has_path and path is not None and chosen is not None
        else stats.NOTHING
    )
    is_written = chosen is not None and calls.budget_ms <= MOST_MS
    return Terms(
        boundary_id=str(fact["boundary_id"]),
        caller=str(fact["caller"]),
        kind=str(fact["kind"]),
        callee=str(fact["callee"]),
        calls=calls.sample.n,
        units=calls.sample.unit_count,
        tail=tail,
        path=share,
        quantile=chosen if is_written else None,
        budget_ms=calls.budget_ms if is_written else None,
        on_path_ms=on_path_ms if is_written and share.n else None,
        timeout=_timeout(calls, found, calls.budget_ms if is_written else 0.0, sla_ms),
        is_idempotent=calls.is_idempotent,
        slight_ms=on_path_ms if is_slight else None,
        why_not="" if is_written else "too few calls to prove any budget",
    )


def _proven(limits: Sequence[tuple[stats.Sample, float]], highest: float) -> float | None:
    """Return the highest quantile at which every sample is proven to be within its limit."""
    for p in (p for p in LEVELS if p <= highest):
        measured = [(stats.percentile(sample, p), limit) for sample, limit in limits]
        if all(
            each.grade is not stats.Grade.INSUFFICIENT and each.upper <= limit
            for each, limit in measured
        ):
            return p
    return None
