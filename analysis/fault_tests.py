"""Judges fault tests: was the fault seen where it was made, and what became of the requests."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import pandas as pd

from analysis import means, recovery, stats, words
from analysis.contracts import Contracts
from analysis.engine import Model
from analysis.fault_schedule import Mark, Planned, Span
from analysis.scope import Scope
from analysis.tails import columns

# Share of exposed requests that has to end well, where the contract's gates say nothing.
CONTAINED_RATIO = 0.90
# Tries a request that make a fault of one boundary a load of three.
AMPLIFIED_RATIO = 3.0
# One risk of five per cent for the three signs of a fault: failures, slowness, tries.
_SIGNS = 3
_SIGN_LEVEL = 1 - 0.05 / _SIGNS
# Envoy tells no id: what lies further apart is another test.
_APART_NS = 30 * 60 * 10**9
# Faults that falsify an answer without failing the call.
_FALSIFYING = re.compile(r"corrupt|wrong|garbage|stale|empty|malform|truncat|poison", re.IGNORECASE)


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


@dataclass(frozen=True)
class _Test:
    id: str
    source: str  # spans, proxy, schedule
    cohort: str
    kind: str | None
    boundaries: tuple[str, ...]
    windows: tuple[tuple[int, int], ...]
    call_ids: frozenset[int] | None  # of marked calls; None: all calls of the windows
    asked: str | None = None  # what a schedule wrote


@dataclass(frozen=True)
class Counts:
    """What became of the exposed requests; each is counted once, by the worst that it met."""

    exposed: int
    failed: int
    silent: int
    degraded: int


def judge(
    model: Model,
    contracts: Contracts | None,
    scope: Scope,
    *,
    planned: Sequence[Planned] = (),
    marks: tuple[Mapping[Span, Mark], Mapping[str, Mark]] = ({}, {}),
) -> Judged:
    """Return every fault test of a scope and what it shows (METHODS.md, fault tests).

    The question is about whole requests: a boundary or an agent in the scope is ignored.

    Args:
        model: The lake's model.
        contracts: Whose SLA exposed requests are held against, and `gates.containment`.
        scope: Which calls and requests.
        planned: Windows of a schedule; those of one id are one test.
        marks: What spans of the lake tell beside an id (`fault_schedule.marks`).
    """
    scope = replace(scope, boundary=None, agent=None)
    facts = model.ask("boundaries", scope)
    nameless, named = marks
    proxied, unplaced = _of_proxies(model, scope, nameless)
    tests = [*_of_spans(model, scope, named), *proxied, *_of_schedule(facts, planned)]
    requests = model.ask("request_latencies", scope)
    requests["start_ns"] = requests["started_at"].astype("datetime64[ns]").astype("int64")
    touched = {name for test in tests for name in test.boundaries}
    calls = {name: _calls(model, scope, name) for name in sorted(touched)}
    names = dict(zip(facts["boundary_id"], facts["boundary"], strict=True))
    rows = [_judged(test, tests, calls, requests, contracts, names) for test in tests]
    frame = pd.DataFrame(rows, columns=_COLUMNS)
    hit = {
        (test.cohort, name)
        for test, row in zip(tests, rows, strict=True)
        if row["label"] != Label.NOT_OBSERVED
        for name in test.boundaries
    }
    keys = zip(facts["cohort"], facts["boundary_id"], strict=True)
    is_untested = [key not in hit for key in keys]
    kept = ["cohort", "boundary_id", "boundary", "kind", "calls"]
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


def contained(counts: Counts, required: float) -> tuple[Label, stats.Estimate, stats.Estimate]:
    """Return what the fates of exposed requests say alone, the share contained, the share usable.

    Bounds are exact and one-sided at 95 % each (Clopper and Pearson). Contained is what did not
    fail; usable what did not, and shows why: retried, replaced, degraded, or never failed.
    """
    n = counts.exposed
    kept, usable = (_exact(n - lost, n) for lost in (counts.failed, counts.failed + counts.silent))
    if kept.upper < required:
        return Label.NOT_CONTAINED, kept, usable
    if usable.upper < required:
        return Label.SILENT, kept, usable
    if usable.lower < required:
        return Label.NOT_ENOUGH, kept, usable
    return Label.GRACEFUL if counts.degraded else Label.CONTAINED, kept, usable


def _exact(good: int, n: int) -> stats.Estimate:
    if n == 0:
        return stats.NOTHING
    lower, upper = stats.binomial_bounds(good, n)
    graded = stats.Grade.SOLID if n >= _least(CONTAINED_RATIO) else stats.Grade.INSUFFICIENT
    return stats.Estimate(good / n, lower, upper, n, float(n), n, graded)


def _least(required: float) -> int:
    """Return the exposed requests that prove a share without one failure."""
    return math.ceil(math.log(0.05) / math.log(required)) if 0 < required < 1 else 1


def _of_spans(model: Model, scope: Scope, named: Mapping[str, Mark]) -> list[_Test]:
    marked = model.ask("fault_marks", scope)
    if marked.empty:
        return []
    # A mark in baggage stands on all calls around the one that was hit.
    later = marked.iloc[::-1].groupby(["cohort", "trace_id", "fault_id"])["end_ns"].cummin()
    later = later.groupby([marked[key] for key in ("cohort", "trace_id", "fault_id")]).shift()
    is_inner = ~(later.reindex(marked.index) <= marked["end_ns"])
    tests = []
    for (cohort, fault), some in marked.groupby(["cohort", "fault_id"], sort=True):
        mark = named.get(str(fault), Mark(None, None))
        aimed = some[[_is_aimed(row, mark.target) for row in some.itertuples()]]
        hit = aimed if len(aimed) else some[is_inner[some.index]]
        tests.append(_marked(str(fault), "spans", str(cohort), mark.kind, hit))
    return tests


def _is_aimed(row: Any, target: str | None) -> bool:
    if not target:
        return False
    rest = str(row.callee).partition(":")[2]
    return target in (row.callee_service, row.callee, rest, rest.partition("/")[0])


def _marked(name: str, source: str, cohort: str, kind: str | None, hit: pd.DataFrame) -> _Test:
    return _Test(
        name,
        source,
        cohort,
        kind,
        tuple(sorted(set(hit["boundary_id"]))),
        ((int(hit["start_ns"].min()), int(hit["end_ns"].max())),),
        frozenset(int(call) for call in hit["call_id"]),
    )


def _of_proxies(
    model: Model, scope: Scope, nameless: Mapping[Span, Mark]
) -> tuple[list[_Test], int]:
    """Return the tests that proxies tell without an id, and how many spans hang in no call."""
    if not nameless:
        return [], 0
    told = pd.DataFrame(
        [(*span, mark.kind) for span, mark in nameless.items()],
        columns=["cohort", "trace_id", "span_id", "fault_kind"],
    )
    with model.relations(scope) as cursor:
        cursor.register("told", told)
        found = (
            cursor.sql(
                """
            SELECT DISTINCT
                told.fault_kind,
                nodes.node_id,
                calls.cohort,
                calls.call_id,
                calls.boundary_id,
                calls.start_ns,
                calls.end_ns
            FROM told
            INNER JOIN nodes
                ON nodes.cohort = told.cohort
                AND nodes.trace_id = told.trace_id
                AND nodes.span_id = told.span_id
            LEFT JOIN groups
                ON groups.node_id = nodes.node_id
            LEFT JOIN calls
                ON calls.call_id = groups.group_id
            ORDER BY
                calls.start_ns,
                nodes.node_id
            """
            )
            .to_arrow_table()
            .to_pandas()
        )
    placed = found[found["call_id"].notna()]
    tests = []
    for (cohort, kind, boundary), some in placed.groupby(
        ["cohort", "fault_kind", "boundary_id"], sort=True
    ):
        run = (some["start_ns"].diff() > _APART_NS).cumsum()
        for _, hit in some.groupby(run):
            at = pd.Timestamp(int(hit["start_ns"].min())).strftime("%Y-%m-%dT%H:%M")
            name = f"{kind} {str(boundary)[:8]} {at}"
            tests.append(_marked(name, "proxy", str(cohort), str(kind), hit))
    return tests, int(found["call_id"].isna().sum())


def _of_schedule(facts: pd.DataFrame, planned: Sequence[Planned]) -> list[_Test]:
    tests = []
    for name in dict.fromkeys(each.id for each in planned):
        mine = [each for each in planned if each.id == name]
        wanted = {each.boundary.replace(" -> ", " → ") for each in mine}
        meant = [any(fnmatchcase(row, glob) for glob in wanted) for row in facts["boundary"]]
        for cohort in sorted(set(facts["cohort"])):
            hit = facts[np.array(meant, dtype=bool) & (facts["cohort"] == cohort)]
            windows = tuple(sorted((each.from_ns, each.until_ns) for each in mine))
            tests.append(
                _Test(
                    name,
                    "schedule",
                    cohort,
                    mine[0].kind,
                    tuple(sorted(set(hit["boundary_id"]))),
                    windows,
                    None,
                    mine[0].boundary,
                )
            )
    return tests


def _calls(model: Model, scope: Scope, boundary: str) -> pd.DataFrame:
    return model.ask("call_outcomes", replace(scope, boundary=boundary))


def _inside(at_ns: pd.Series, windows: Iterable[tuple[int, int]]) -> np.ndarray[Any, Any]:
    at = at_ns.to_numpy(np.int64)
    inside = np.zeros(len(at), dtype=np.bool_)
    for start, end in windows:
        inside |= (at >= start) & (at < end)
    return inside


def _judged(
    test: _Test,
    tests: Sequence[_Test],
    calls: Mapping[str, pd.DataFrame],
    requests: pd.DataFrame,
    contracts: Contracts | None,
    names: Mapping[str, str],
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
        return row | {"label": str(Label.NOT_OBSERVED), "reason": why}
    signs, usual_p95_ms = _signs(hit, usual)
    seen = [name for name, change in signs.items() if change[1] > 0]
    met = hit[_is_affected(hit, usual_p95_ms)] if test.call_ids is None else hit
    exposed, counts = _fates(test, met, asked)
    label, kept, usable = contained(counts, required)
    in_window = _inside(asked["start_ns"], test.windows)
    beside = asked[in_window & ~asked["request_id"].isin(exposed["request_id"]).to_numpy()]
    before = asked[~_inside(asked["start_ns"], others)]
    before = before[~before["request_id"].isin(exposed["request_id"])]
    spill = _spill(before, beside, sla_ms)
    tail = stats.percentile(
        stats.sample(exposed["duration_ms"], stats.codes(exposed["unit_id"]), exposed["weight"]),
        0.95,
        level=stats.ONE_SIDED,
    )
    tries = stats.ratio(_tries(usual), _tries(hit))
    after = recovery.minutes(mine, usual, test.windows, usual_p95_ms)
    row |= {
        "exposed_requests": counts.exposed,
        "failed_requests": counts.failed,
        "silent_requests": counts.silent,
        "degraded_requests": counts.degraded,
        **columns("contained_ratio", kept),
        **columns("usable_ratio", usable),
        "seen_as": seen,
        **{f"{name}_change": change[0] for name, change in signs.items()},
        **columns("p95_ms", tail),
        "sla_ms": math.nan if sla_ms is None else sla_ms,
        "success_ratio": kept.value,
        "spill_ratio": spill[0],
        "spill_ratio_lower": spill[1],
        "spill_ratio_upper": spill[2],
        "tries_ratio": tries[0],
        "tries_ratio_lower": tries[1],
        "tries_ratio_upper": tries[2],
        "recovery_minutes": after.by_minutes,
        "worse_later_ratio": after.worse_ratio,
    }
    told = _Evidence(label, counts, kept, usable, required, tail, sla_ms, spill, tries, after)
    label, reason = _concluded(told, seen, max(change[0] for change in signs.values()))
    return row | {"label": str(label), "reason": reason}


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


def _signs(
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


def _is_affected(calls: pd.DataFrame, usual_p95_ms: float) -> pd.Series:
    """Return which calls of a scheduled window show that they met the fault."""
    return (
        calls["is_error"].fillna(False).astype(bool)
        | (calls["client_ms"] > usual_p95_ms)
        | _is_tried_again(calls)
    )


def _is_tried_again(calls: pd.DataFrame) -> pd.Series:
    return (calls["attempts"] > 1) | calls["outcome"].eq("retried_ok").fillna(False)


def _fates(test: _Test, hit: pd.DataFrame, asked: pd.DataFrame) -> tuple[pd.DataFrame, Counts]:
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


def _spill(
    before: pd.DataFrame, beside: pd.DataFrame, sla_ms: float | None
) -> tuple[float, float, float]:
    """Return by how much more often requests failed or were late that never met the fault."""
    limit_ms = math.inf if sla_ms is None else sla_ms
    sides = [
        stats.proportion(
            some["is_failed"].astype(bool) | (some["duration_ms"] > limit_ms),
            some["unit_id"],
            some["weight"],
        )
        for some in (before, beside)
    ]
    return stats.difference(*sides)


def _tries(calls: pd.DataFrame) -> stats.Estimate:
    """Return tries of the boundary a request that calls it."""
    if calls.empty:
        return stats.NOTHING
    tries = calls["attempts"].fillna(1).to_numpy(np.float64)
    bucket = stats.buckets(calls["trace_id"])
    firsts = (~calls["trace_id"].duplicated()).to_numpy(np.float64)
    return means.mean(
        stats.bucket_sums(tries, bucket),
        stats.bucket_sums(firsts, bucket),
        len(calls),
        calls["trace_id"].nunique(),
    )


_CALL = [
    *("call_id", "cohort", "boundary_id", "trace_id", "request_id", "unit_id", "start_ns"),
    *("end_ns", "client_ms", "is_error", "attempts", "fault_id", "weight", "outcome"),
]
_COLUMNS = [
    *("cohort", "id", "label", "reason", "source", "fault", "boundary_ids", "boundary"),
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
