"""Judges fault tests: was the fault seen where it was made, and what became of the requests."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np
import pandas as pd

from analysis import coverage, fault_fates, fault_trials, recovery, stats, words
from analysis.contracts import Contracts
from analysis.engine import Model
from analysis.fault_fates import Counts
from analysis.fault_schedule import Marks, Planned
from analysis.fault_trials import Trial
from analysis.scope import Scope
from analysis.tails import columns

# Share of exposed requests that has to end well, where the contract's gates say nothing.
CONTAINED_RATIO = 0.90
# Of a false label, one-sided.
RISK = 0.05
# Tries a request that make a fault of one boundary a load of three.
AMPLIFIED_RATIO = 3.0


class Label(StrEnum):
    """What may be said of a fault test; only the first two are a pass."""

    CONTAINED = "contained"
    GRACEFUL = "degraded gracefully"
    NOT_CONTAINED = "not contained"
    SILENT = "silently wrong"
    AMPLIFIED = "amplified"
    NOT_OBSERVED = "not observed"
    NOT_ENOUGH = "not enough evidence"


PASSED = (Label.CONTAINED, Label.GRACEFUL)
FAILED = (Label.NOT_CONTAINED, Label.SILENT, Label.AMPLIFIED)


@dataclass(frozen=True)
class Judged:
    """Fault tests, one row a test, and the boundaries that none of them touched.

    `unplaced` counts marked spans that are part of no call: nobody knows whom they hit.
    """

    tests: pd.DataFrame
    untested: pd.DataFrame
    unplaced: int


def judge(
    model: Model,
    contracts: Contracts | None,
    scope: Scope,
    *,
    planned: Sequence[Planned] = (),
    marks: Marks | None = None,
    risk: float = RISK,
) -> Judged:
    """Return every fault test of a scope and what it shows (METHODS.md, fault tests).

    The question is about whole requests: a boundary or an agent in the scope is ignored. Each test
    is labelled at a risk of its own; `is_proven` tells of those that fail whether that also holds
    at the risk that all tests share.

    Args:
        model: The lake's model.
        contracts: Whose SLA exposed requests are held against, and `gates.containment`.
        scope: Which calls and requests.
        planned: Windows of a schedule; those of one id are one test.
        marks: What spans tell beside an id, else as the lake's do (`fault_schedule.marks`).
        risk: The risk of one false failure among all tests.
    """
    scope = replace(scope, boundary=None, agent=None)
    trials, unplaced = fault_trials.made(model, scope, planned, marks)
    requests = model.ask("request_latencies", scope)
    requests["start_ns"] = requests["started_at"].astype("datetime64[ns]").astype("int64")
    facts = model.ask("boundaries", scope)
    touched = {name for trial in trials for name in trial.boundaries}
    calls = {name: _calls(model, scope, name) for name in sorted(touched)}
    names = dict(zip(facts["boundary_id"], facts["boundary"], strict=True))
    rows = [
        _judged(trial, trials, calls, requests, contracts, names, risk / len(trials))
        for trial in trials
    ]
    hit = {
        (trial.cohort, name)
        for trial, row in zip(trials, rows, strict=True)
        if row["label"] != Label.NOT_OBSERVED
        for name in trial.boundaries
    }
    keys = zip(facts["cohort"], facts["boundary_id"], strict=True)
    is_untested = [key not in hit for key in keys]
    kept = ["cohort", "boundary_id", "boundary", "kind", "calls"]
    frame = pd.DataFrame(rows, columns=_COLUMNS)
    left = coverage.caps("fault_tests", frame, model, scope)
    frame = coverage.without_blind(
        coverage.capped(frame, left),
        left,
        figure="usable_ratio",
        label="label",
        passed=PASSED,
        unknown=str(Label.NOT_ENOUGH),
    )
    return Judged(
        frame.sort_values(["cohort", "id", "from_at"], ignore_index=True),
        facts.loc[is_untested, kept].reset_index(drop=True),
        unplaced,
    )


def of_spans(model: Model, scope: Scope) -> pd.DataFrame:
    """Return the fault tests that spans tell by an id, without a contract's SLA."""
    return judge(model, None, scope).tests


def verdict(labels: Iterable[str]) -> Label:
    """Return what several tests come to: one that failed fails all, and none is no pass."""
    said = [Label(label) for label in labels]
    for label in (*FAILED, Label.NOT_OBSERVED, Label.NOT_ENOUGH):
        if label in said:
            return label
    if not said:
        return Label.NOT_ENOUGH
    return Label.GRACEFUL if Label.GRACEFUL in said else Label.CONTAINED


def contained(
    counts: Counts, required: float, *, risk: float = RISK
) -> tuple[Label, stats.Estimate, stats.Estimate]:
    """Return what the fates of exposed requests say alone, the share contained, the share usable.

    Bounds are exact and one-sided at a risk each (Clopper and Pearson). Contained is what did not
    fail; usable what did not, and shows why: retried, replaced, degraded, or never failed.
    """
    n = counts.exposed
    kept, usable = (
        _exact(n - lost, n, risk) for lost in (counts.failed, counts.failed + counts.silent)
    )
    if kept.upper < required:
        return Label.NOT_CONTAINED, kept, usable
    if usable.upper < required:
        return Label.SILENT, kept, usable
    if usable.lower < required:
        return Label.NOT_ENOUGH, kept, usable
    return Label.GRACEFUL if counts.degraded else Label.CONTAINED, kept, usable


def _exact(good: int, n: int, risk: float) -> stats.Estimate:
    if n == 0:
        return stats.NOTHING
    lower, upper = stats.binomial_bounds(good, n, level=1 - 2 * risk)
    graded = stats.Grade.SOLID if n >= _least(CONTAINED_RATIO) else stats.Grade.INSUFFICIENT
    return stats.Estimate(good / n, lower, upper, n, float(n), n, graded)


def _least(required: float) -> int:
    """Return the exposed requests that prove a share without one failure."""
    return math.ceil(math.log(RISK) / math.log(required)) if 0 < required < 1 else 1


def _calls(model: Model, scope: Scope, boundary: str) -> pd.DataFrame:
    return model.ask("call_outcomes", replace(scope, boundary=boundary))


def _inside(at_ns: pd.Series, windows: Iterable[tuple[int, int]]) -> np.ndarray[Any, Any]:
    at = at_ns.to_numpy(np.int64)
    inside = np.zeros(len(at), dtype=np.bool_)
    for start, end in windows:
        inside |= (at >= start) & (at < end)
    return inside


def _judged(
    test: Trial,
    tests: Sequence[Trial],
    calls: Mapping[str, pd.DataFrame],
    requests: pd.DataFrame,
    contracts: Contracts | None,
    names: Mapping[str, str],
    risk: float,
) -> dict[str, object]:
    required = (contracts.gates if contracts else {}).get("containment", CONTAINED_RATIO)
    sla_ms = contracts.sla.limit_ms if contracts else None
    every = [calls[name] for name in test.boundaries]
    mine = pd.concat(every, ignore_index=True) if every else pd.DataFrame(columns=_CALL)
    mine = mine[mine["cohort"] == test.cohort]
    asked = requests[requests["cohort"] == test.cohort]
    during = _inside(mine["start_ns"], test.windows)
    is_hit = during if test.call_ids is None else mine["call_id"].isin(test.call_ids).to_numpy()
    # Whatever else was tested meanwhile is no baseline.
    others = [window for each in tests if each.cohort == test.cohort for window in each.windows]
    is_usual = ~_inside(mine["start_ns"], others) & ~is_hit & mine["fault_id"].isna().to_numpy()
    hit, usual = mine[is_hit], mine[is_usual]
    row: dict[str, object] = {
        "cohort": test.cohort,
        "id": test.id,
        "source": test.source,
        "fault": test.kind,
        "boundary_ids": list(test.boundaries),
        "boundary": ", ".join(names[name] for name in test.boundaries) or test.asked,
        "from_at": pd.Timestamp(test.windows[0][0]),
        "until_at": pd.Timestamp(max(end for _, end in test.windows)),
        "calls": len(hit),
    }
    if hit.empty:
        why = (
            "No call of this scope fell into it."
            if test.boundaries
            else "No boundary of this scope is called that."
        )
        return row | {"label": str(Label.NOT_OBSERVED), "reason": why, "is_proven": False}
    signs, usual_p95_ms = fault_fates.signs(hit, usual)
    seen = [name for name, change in signs.items() if change[1] > 0]
    met = hit[fault_fates.is_affected(hit, usual_p95_ms)] if test.call_ids is None else hit
    exposed, counts = fault_fates.fates(test, met, asked)
    in_window = _inside(asked["start_ns"], test.windows)
    beside = asked[in_window & ~asked["request_id"].isin(exposed["request_id"]).to_numpy()]
    before = asked[~_inside(asked["start_ns"], others)]
    before = before[~before["request_id"].isin(exposed["request_id"])]
    waits = stats.sample(exposed["duration_ms"], stats.codes(exposed["unit_id"]), exposed["weight"])

    def evidence(risk: float) -> _Evidence:
        level = 1 - risk
        label, kept, usable = contained(counts, required, risk=risk)
        tail = stats.percentile(waits, 0.95, level=1 - 2 * risk)
        spill = fault_fates.spill(before, beside, sla_ms, level=level)
        sides = (fault_fates.tries(some, level=level) for some in (usual, hit))
        after = recovery.minutes(mine, usual, test.windows, usual_p95_ms, level=level)
        ratio = stats.ratio(*sides)
        return _Evidence(label, counts, kept, usable, required, tail, sla_ms, spill, ratio, after)

    told = evidence(RISK)
    most = max(change[0] for change in signs.values())
    label, reason = _concluded(told, seen, most)
    is_proven = label in FAILED and _concluded(evidence(risk), seen, most)[0] in FAILED
    return row | {
        "label": str(label),
        "reason": reason,
        "is_proven": is_proven,
        "exposed_requests": counts.exposed,
        "failed_requests": counts.failed,
        "silent_requests": counts.silent,
        "degraded_requests": counts.degraded,
        **columns("contained_ratio", told.kept),
        **columns("usable_ratio", told.usable),
        "seen_as": seen,
        **{f"{name}_change": change[0] for name, change in signs.items()},
        **columns("p95_ms", told.tail),
        "sla_ms": math.nan if sla_ms is None else sla_ms,
        "success_ratio": told.kept.value,
        "spill_ratio": told.spill[0],
        "spill_ratio_lower": told.spill[1],
        "spill_ratio_upper": told.spill[2],
        "tries_ratio": told.tries[0],
        "tries_ratio_lower": told.tries[1],
        "tries_ratio_upper": told.tries[2],
        "recovery_minutes": told.after.by_minutes,
        "worse_later_ratio": told.after.worse_ratio,
    }


@dataclass(frozen=True)
class _Evidence:
    label: Label  # by the fates of requests alone
    counts: Counts
    kept: stats.Estimate
    usable: stats.Estimate
    required: float
    tail: stats.Estimate
    sla_ms: float | None
    spill: tuple[float, float, float]
    tries: tuple[float, float, float]
    after: recovery.Recovery


def _concluded(told: _Evidence, seen: list[str], most: float) -> tuple[Label, str]:
    """Return the label and the sentence behind it, the worst that is proven first."""
    counts, required = told.counts, words.percent(told.required)
    if told.label is Label.NOT_CONTAINED:
        return told.label, (
            f"{counts.failed} of {words.counted(counts.exposed, 'exposed request')} failed: "
            f"{_share(told.kept)} contained, at least {required} required."
        )
    if not seen:
        if most > 0 or not math.isfinite(most):
            return Label.NOT_ENOUGH, (
                "Its boundary neither surely failed more, nor was surely slower, nor surely tried "
                "more often than without it: the fault may not have worked."
            )
        return Label.NOT_OBSERVED, (
            "Its boundary failed no more, was no slower and tried no more often than without it: "
            "nothing was tested."
        )
    if counts.exposed == 0:
        return Label.NOT_ENOUGH, "Its calls are part of no user request."
    if told.label is Label.SILENT:
        return told.label, (
            f"{counts.silent} of {words.counted(counts.exposed, 'exposed request')} were answered "
            "though nothing shows a retry, a fallback or a degraded answer: "
            f"{_share(told.usable)} usable, at least {required} required."
        )
    if told.sla_ms is not None and told.tail.lower > told.sla_ms:
        return Label.NOT_CONTAINED, (
            f"Exposed requests were late: p95 {words.time(told.tail.value)} "
            f"{words.time_interval(told.tail.lower, told.tail.upper, like_ms=told.tail.value)}, "
            f"the SLA is {words.time(told.sla_ms)}."
        )
    if told.after.is_late:
        return Label.NOT_CONTAINED, (
            f"{recovery.ALLOWED_MINUTES:g} min after it ended its boundary was still worse than "
            "before."
        )
    if told.spill[1] > 0:
        return Label.AMPLIFIED, (
            "Requests that never met the fault fared worse meanwhile: failed or late "
            f"{words.percent(told.spill[0])} more often, surely {words.percent(told.spill[1])}."
        )
    if told.tries[1] >= AMPLIFIED_RATIO:
        return Label.AMPLIFIED, (
            f"A request tried {words.digits(told.tries[0])} times as often as without the fault, "
            f"surely {words.digits(told.tries[1])} times."
        )
    missing = _missing(told)
    if missing:
        return Label.NOT_ENOUGH, missing
    how = (
        f", {counts.degraded} of them with a fallback or a degraded answer"
        if counts.degraded
        else ""
    )
    within = "" if told.sla_ms is None else ", within the SLA"
    unknown = math.isnan(told.after.by_minutes)
    later = " How soon it recovered is not seen: too few calls a minute." if unknown else ""
    return told.label, (
        f"{_share(told.usable)} of {words.counted(counts.exposed, 'exposed request')} were "
        f"answered{within}{how}.{later}"
    )


def _missing(told: _Evidence) -> str:
    parts = []
    if told.label is Label.NOT_ENOUGH:
        least = max(_least(told.required), told.counts.exposed + 1)
        parts.append(
            f"{_share(told.usable)} of {words.counted(told.counts.exposed, 'exposed request')} "
            f"were answered; {least} or more, with as few failures, would settle it."
        )
    if told.sla_ms is not None and not told.tail.upper <= told.sla_ms:
        bounds = words.time_interval(told.tail.lower, told.tail.upper, like_ms=told.tail.value)
        parts.append(
            f"p95 of {words.counted(told.counts.exposed, 'exposed request')} in "
            f"{words.counted(told.tail.units, 'conversation')} or traces is "
            f"{words.time(told.tail.value)} {bounds}, not proven within the SLA of "
            f"{words.time(told.sla_ms)}; {stats.least_n(0.95, level=stats.ONE_SIDED)} independent "
            "ones are the least."
        )
    if told.after.by_minutes > recovery.ALLOWED_MINUTES:
        parts.append(
            f"Its boundary was as before after {told.after.by_minutes:g} min only; "
            f"{recovery.ALLOWED_MINUTES:g} are allowed."
        )
    return " ".join(parts)


def _share(estimate: stats.Estimate) -> str:
    return words.share(estimate.value, estimate.lower, estimate.upper)


_CALL = [
    *("call_id", "cohort", "boundary_id", "trace_id", "request_id", "unit_id", "start_ns"),
    *("end_ns", "client_ms", "is_error", "attempts", "fault_id", "weight", "outcome"),
]
_COLUMNS = [
    *(
        "cohort",
        "id",
        "label",
        "is_proven",
        "reason",
        "source",
        "fault",
        "boundary_ids",
        "boundary",
    ),
    *("from_at", "until_at", "calls", "exposed_requests", "failed_requests", "silent_requests"),
    "degraded_requests",
    *columns("contained_ratio", stats.NOTHING),
    *columns("usable_ratio", stats.NOTHING),
    *("seen_as", "failed_change", "slow_change", "tried_again_change"),
    *columns("p95_ms", stats.NOTHING),
    *("sla_ms", "success_ratio", "spill_ratio", "spill_ratio_lower", "spill_ratio_upper"),
    *("tries_ratio", "tries_ratio_lower", "tries_ratio_upper"),
    *("recovery_minutes", "worse_later_ratio"),
]
