"""Drafts a contract from a baseline: what it keeps already, shared out over the critical path."""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

import numpy as np
import pandas as pd

from analysis import access, compliance, draft_text, path_budgets, samples, stats, timeouts, words
from analysis.contract_file import parse
from analysis.contracts import DEFAULT_QUANTILE, ContractError, Contracts, sides
from analysis.draft_text import Terms, Timeout
from analysis.engine import Model
from analysis.path_budgets import Paths
from analysis.scope import Scope

# All calls but models may take this share of the SLA on the critical path.
DOWNSTREAM_SHARE = 0.30
# Good calls that a drafted time-out may give up.
GIVEN_UP = timeouts.LOSS_RATIO
DOWNSTREAM_GATE = 0.95
# Quantiles that a drafted rule may speak of, the highest first; p* is p99 at most.
LEVELS = tuple(per_cent / 100 for per_cent in range(98, 49, -1))
# A promise on the path is left out where it would lower the quantile of the budget by more.
JOINT = 0.10
_LEAST_MS, _MOST_MS = 0.001, 999_999_999.0


@dataclass(frozen=True)
class Wish:
    """What the draft is to promise a request; None is taken from the baseline."""

    sla_ms: float | None = None
    quantile: float = DEFAULT_QUANTILE
    success_ratio: float | None = None
    downstream_share_ratio: float = DOWNSTREAM_SHARE
    given_up_ratio: float = GIVEN_UP


@dataclass(frozen=True)
class Draft:
    """A contract that its baseline keeps: the text, what it reads as, and its figures.

    `downstream_ms` and `whole_ms` are what the budgets on the critical path add up to for the share
    of requests that the SLA's quantile names; `..._at` are the quantiles of these budgets.
    """

    text: str
    contracts: Contracts
    cohort: str
    requests: int
    sla_ms: float
    sla_reason: str
    downstream_limit_ms: float
    downstream_ms: float
    downstream_at: str
    whole_ms: float
    whole_at: str
    terms: tuple[Terms, ...]


def draft(
    model: Model, scope: Scope, wish: Wish | None = None, *, earlier: Contracts | None = None
) -> Draft:
    """Return a contract drafted from a baseline, which keeps it.

    Budgets are equal-exceedance quantiles over the critical path, so that their sum keeps the SLA
    and the downstream share for the requests that the SLA speaks of. A promise is written only
    where the upper 95 % bound of what was measured is within it.

    Args:
        model: The lake's model.
        scope: Its cohort, else the contract's baseline, else a lone cohort, is the baseline.
        wish: What is to be promised.
        earlier: A contract of which is kept what no traffic tells (`draft_text.render`).

    Raises:
        ContractError: There is no baseline, it has too few requests, or it breaks what was wished.
    """
    wish = wish or Wish()
    cohort = _baseline(model, scope, earlier)
    scope = replace(scope, cohort=cohort, boundary=None, agent=None, service=None)
    requests = model.ask("request_latencies", scope)
    if requests.empty:
        raise ContractError(f"No user request in cohort `{cohort}`: nothing to draft from.")
    requests = requests.assign(downstream_ms=compliance.downstream_ms(model, scope, requests))
    sla_ms, sla_reason = _sla(requests, wish)
    told = path_budgets.paths(model, scope)
    limit_ms = wish.downstream_share_ratio * sla_ms
    none = np.zeros(len(told.names))
    is_down = told.is_downstream
    # Where all share the SLA at a lower quantile than the downstream its part, that one counts.
    downstream = is_down * np.minimum(
        path_budgets.allot(told, limit_ms, wish.quantile, of=is_down, beside=none),
        path_budgets.allot(told, sla_ms, wish.quantile, of=none + 1, beside=none),
    )
    down = is_down * _floors(path_budgets.at(told, downstream))
    others = path_budgets.allot(told, sla_ms, wish.quantile, of=1 - is_down, beside=down)
    reached = downstream + others
    whole = down + (1 - is_down) * _floors(path_budgets.at(told, others))
    least_ms = path_budgets.MATERIAL * np.where(is_down > 0, limit_ms, sla_ms)
    facts = model.ask("boundaries", scope)
    levels = dict(zip(told.names, reached.tolist(), strict=True))
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
            model, scope, loss_ratio=wish.given_up_ratio, is_loss_accepted=True
        ).to_dict("records")
    }
    places = {name: place for place, name in enumerate(told.names)}
    terms = [
        _terms(
            *(fact, held[cohort, fact["boundary_id"]], told, places, whole, least_ms, levels),
            waits.get(fact["boundary_id"]),
            sla_ms,
        )
        for fact in facts.sort_values(["caller", "callee", "boundary_id"]).to_dict("records")
    ]
    if earlier is not None:
        spoken = compliance.rules_of(model, earlier, scope)
        terms = [replace(each, earlier=spoken.get(each.boundary_id)) for each in terms]
    uses = access.use(model, scope)
    success = _success(requests, wish)
    blocked: frozenset[str] = frozenset()
    while True:
        shown = tuple(_without(each) if each.boundary_id in blocked else each for each in terms)
        written = draft_text.Written(
            cohort=cohort,
            pilot=sides(model.cohorts(), earlier).pilot,
            requests=len(requests),
            quantile=wish.quantile,
            sla_ms=sla_ms,
            sla_reason=sla_reason,
            success_ratio=success,
            share_ratio=wish.downstream_share_ratio,
            downstream_ms=path_budgets.most_ms(told, whole * told.is_downstream, wish.quantile),
            downstream_at=_range(reached[is_down > 0]),
            whole_ms=path_budgets.most_ms(told, whole, wish.quantile),
            whole_at=_range(reached),
            given_up_ratio=wish.given_up_ratio,
            least_successes=timeouts.least_successes(wish.given_up_ratio),
        )
        text = draft_text.render(written, shown, uses[uses["calls"] > 0], earlier)
        contracts = parse(text.encode(), "draft")
        more = _foreign(model, contracts, scope, shown)
        if more <= blocked:
            break
        blocked |= more
    return Draft(
        text,
        contracts,
        cohort,
        len(requests),
        sla_ms,
        sla_reason,
        limit_ms,
        written.downstream_ms,
        written.downstream_at,
        written.whole_ms,
        written.whole_at,
        shown,
    )


def _floors(values_ms: stats.Floats) -> stats.Floats:
    return np.array([_rounded(value, up=False) for value in values_ms], dtype=np.float64)


def _range(levels: stats.Floats) -> str:
    """Return the least and the highest of some quantiles in words."""
    if not len(levels):
        return "none"
    least, most = (f"p{100 * value:.1f}" for value in (levels.min(), levels.max()))
    return least if least == most else f"{least} to {most}"


def _baseline(model: Model, scope: Scope, earlier: Contracts | None) -> str:
    known = model.cohorts()
    cohort = scope.cohort or sides(known, earlier).baseline
    if cohort is None and len(known) == 1:
        cohort = known[0]
    if cohort is None:
        raise ContractError(
            f"No cohort is the baseline. Name one with --cohort: {', '.join(known) or 'none'}."
        )
    return cohort


def _sla(requests: pd.DataFrame, wish: Wish) -> tuple[float, str]:
    """Return the latency to promise and why, kept by the requests whole and downstream."""
    whole = _least(requests, "duration_ms", wish.quantile)
    down = _least(requests, "downstream_ms", max(DOWNSTREAM_GATE, wish.quantile))
    share = wish.downstream_share_ratio
    n, name = words.counted(len(requests), "request"), words.quantile(wish.quantile)
    if whole is None or down is None:
        units = requests["unit_id"].nunique()
        least = stats.least_n(max(wish.quantile, DOWNSTREAM_GATE))
        raise ContractError(
            f"{n} in {words.counted(units, 'unit')} prove no {name} and no share of "
            f"{words.percent(DOWNSTREAM_GATE)}: too few; {least} independent units are the least."
        )
    # A hair more, so that the share of the rounded product does not fall below.
    needed = down / share * (1 + 1e-9) if share > 0 else math.inf
    if wish.sla_ms is None:
        if share <= 0:
            raise ContractError("A downstream share of 0 % is kept by no system with handoffs.")
        if needed <= whole:
            return _rounded(whole, up=True), f"what {n} kept"
        fits = math.ceil(100 * down / whole)
        return _rounded(needed, up=True), (
            f"what a downstream share of {words.percent(share)} needs; "
            f"the requests alone kept {words.time(whole)}"
            + (f", with a share of {fits}\u202f%" if fits <= 100 else "")
        )
    if whole > wish.sla_ms:
        raise ContractError(
            f"The baseline does not keep {name} within {words.time(wish.sla_ms)}: "
            f"{n} prove {words.time(whole)}."
        )
    if down > share * wish.sla_ms:
        fits = math.ceil(100 * down / wish.sla_ms)
        raise ContractError(
            f"The baseline does not keep a downstream share of {words.percent(share)} of "
            f"{words.time(wish.sla_ms)}: it takes {words.time(down)} on the critical path. "
            + (
                f"A share of {fits}\u202f% would hold: --downstream-share {fits}%."
                if fits <= 100
                else "No share would hold."
            )
        )
    return wish.sla_ms, "as wished"


def _least(requests: pd.DataFrame, column: str, quantile: float) -> float | None:
    """Return the least limit of which the requests prove that this share keeps it."""
    sample = stats.sample(requests[column], stats.codes(requests["unit_id"]), requests["weight"])
    tail = stats.percentile(sample, quantile)
    values = np.unique(sample.ordered)

    def is_proven(limit: float) -> bool:
        kept = compliance.within(requests, column, float(limit), level=stats.ONE_SIDED)
        return bool(kept.lower >= quantile and tail.upper <= limit)

    if not is_proven(float(values[-1])):
        return None
    low, high = -1, len(values) - 1
    while high - low > 1:
        middle = (low + high) // 2
        if is_proven(float(values[middle])):
            high = middle
        else:
            low = middle
    return max(float(values[high]), _LEAST_MS)


def _success(requests: pd.DataFrame, wish: Wish) -> float | None:
    """Return the share of successes to promise: what is proven, in tenths of a per cent."""
    went = stats.proportion(
        ~requests["is_failed"].astype(bool),
        requests["unit_id"],
        requests["weight"],
        level=stats.ONE_SIDED,
    )
    if wish.success_ratio is None:
        proven = math.floor(went.lower * 1000) / 1000
        return proven if proven > 0 else None
    if went.lower < wish.success_ratio:
        raise ContractError(
            f"The baseline does not prove {words.percent(wish.success_ratio)} success: at least "
            f"{words.percent(went.lower)} of {words.counted(len(requests), 'request')}."
        )
    return wish.success_ratio


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
        max(_rounded(path_budgets.value_at(sample, p), up=True), _LEAST_MS),
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
        limit_ms = _rounded(found["suggested_ms"], up=True)
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
    told: Paths,
    places: Mapping[str, int],
    allotted: stats.Floats,
    least_ms: stats.Floats,
    levels: Mapping[str, float],
    found: Mapping[Hashable, Any] | None,
    sla_ms: float,
) -> Terms:
    """Return the promises of a boundary: the highest quantile at which both budgets are proven."""
    boundary = str(fact["boundary_id"])
    place = places.get(boundary)
    on_path_ms = float(allotted[place]) if place is not None else 0.0
    path = told.samples[place] if place is not None else None
    is_slight = place is not None and on_path_ms < least_ms[place]
    has_path = path is not None and not is_slight and on_path_ms >= _LEAST_MS
    limits = [(calls.sample, calls.budget_ms)]
    highest = levels.get(boundary, path_budgets.MOST)
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
    is_written = chosen is not None and calls.budget_ms <= _MOST_MS
    return Terms(
        boundary_id=boundary,
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


def _without(terms: Terms) -> Terms:
    return replace(
        terms,
        quantile=None,
        budget_ms=None,
        on_path_ms=None,
        timeout=Timeout(None),
        earlier=None,
        why_not="its rule would also match another boundary: set it by hand",
    )


def _foreign(
    model: Model, contracts: Contracts, scope: Scope, terms: Sequence[Terms]
) -> frozenset[str]:
    """Return the boundaries whose rule is also met by another, which it was not made for."""
    rules = compliance.rules_of(model, contracts, scope)
    lines: dict[int, list[str]] = {}
    for boundary, rule in rules.items():
        lines.setdefault(rule.line, []).append(boundary)
    return frozenset(
        boundary for boundaries in lines.values() if len(boundaries) > 1 for boundary in boundaries
    ) & frozenset(each.boundary_id for each in terms)


def _rounded(value_ms: float, *, up: bool) -> float:
    """Return a duration with three significant digits, rounded away from what it must not cross."""
    if not math.isfinite(value_ms) or value_ms <= 0:
        return 0.0
    number = Decimal(repr(float(value_ms)))
    step = Decimal(1).scaleb(number.adjusted() - 2)
    return float(number.quantize(step, rounding=ROUND_CEILING if up else ROUND_FLOOR))
