"""Drafts a contract from a baseline: what it keeps already, shared out over the critical path."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from analysis import (
    access,
    compliance,
    draft_terms,
    draft_text,
    path_budgets,
    stats,
    timeouts,
    words,
)
from analysis.contract_file import parse
from analysis.contracts import DEFAULT_QUANTILE, ContractError, Contracts, sides
from analysis.draft_terms import LEAST_MS, Shares, rounded
from analysis.draft_text import Terms
from analysis.engine import Model
from analysis.path_budgets import Paths
from analysis.scope import Scope

# All calls but models may take this share of the SLA on the critical path.
DOWNSTREAM_SHARE = 0.30
# Good calls that a drafted time-out may give up.
GIVEN_UP = timeouts.LOSS_RATIO
DOWNSTREAM_GATE = 0.95


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
    shares = _shares(told, wish, sla_ms)
    terms = draft_terms.of_boundaries(
        model, scope, shares, sla_ms=sla_ms, given_up_ratio=wish.given_up_ratio
    )
    if earlier is not None:
        spoken = compliance.rules_of(model, earlier, scope)
        terms = [replace(each, earlier=spoken.get(each.boundary_id)) for each in terms]
    uses = access.use(model, scope)
    success = _success(requests, wish)
    blocked: frozenset[str] = frozenset()
    while True:
        shown = tuple(
            draft_terms.without(each) if each.boundary_id in blocked else each for each in terms
        )
        written = draft_text.Written(
            cohort=cohort,
            pilot=sides(model.cohorts(), earlier).pilot,
            requests=len(requests),
            quantile=wish.quantile,
            sla_ms=sla_ms,
            sla_reason=sla_reason,
            success_ratio=success,
            share_ratio=wish.downstream_share_ratio,
            downstream_ms=path_budgets.most_ms(
                told, shares.allotted_ms * told.is_downstream, wish.quantile
            ),
            downstream_at=_range(shares.levels[told.is_downstream > 0]),
            whole_ms=path_budgets.most_ms(told, shares.allotted_ms, wish.quantile),
            whole_at=_range(shares.levels),
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


def _shares(told: Paths, wish: Wish, sla_ms: float) -> Shares:
    """Return the shares of the path: downstream its part of the SLA, all others what is left."""
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
    return Shares(
        told,
        levels=downstream + others,
        allotted_ms=down + (1 - is_down) * _floors(path_budgets.at(told, others)),
        least_ms=path_budgets.MATERIAL * np.where(is_down > 0, limit_ms, sla_ms),
    )


def _floors(values_ms: stats.Floats) -> stats.Floats:
    return np.array([rounded(value, up=False) for value in values_ms], dtype=np.float64)


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
            return rounded(whole, up=True), f"what {n} kept"
        fits = math.ceil(100 * down / whole)
        return rounded(needed, up=True), (
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
    return max(float(values[high]), LEAST_MS)


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
