"""Which fault tests were made: by marks on spans, by proxies' flags, by a schedule."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import pandas as pd

from analysis import fault_schedule
from analysis.engine import Model
from analysis.fault_schedule import Mark, Marks, Planned, Span
from analysis.scope import Scope

# Envoy tells no id: what lies further apart is another test.
_APART_NS = 30 * 60 * 10**9


@dataclass(frozen=True)
class Trial:
    """One fault test: which calls of which boundaries it was made at, and when."""

    id: str
    source: str  # spans, proxy, schedule
    cohort: str
    kind: str | None
    boundaries: tuple[str, ...]
    windows: tuple[tuple[int, int], ...]
    call_ids: frozenset[int] | None  # of marked calls; None: all calls of the windows
    asked: str | None = None  # what a schedule wrote


def made(
    model: Model, scope: Scope, planned: Sequence[Planned], marks: Marks | None
) -> tuple[list[Trial], int]:
    """Return every fault test of a scope, and how many marked spans are part of no call.

    Args:
        model: The lake's model.
        scope: Which calls.
        planned: Windows of a schedule; those of one id are one test.
        marks: What spans tell beside an id, else as the lake's do.
    """
    if marks is None:
        marks = fault_schedule.marks(model)
    nameless, named = marks
    proxied, unplaced = _of_proxies(model, scope, nameless)
    facts = model.ask("boundaries", scope)
    return [*_of_spans(model, scope, named), *proxied, *_of_schedule(facts, planned)], unplaced


def _of_spans(model: Model, scope: Scope, named: Mapping[str, Mark]) -> list[Trial]:
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


def _marked(name: str, source: str, cohort: str, kind: str | None, hit: pd.DataFrame) -> Trial:
    return Trial(
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
) -> tuple[list[Trial], int]:
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


def _of_schedule(facts: pd.DataFrame, planned: Sequence[Planned]) -> list[Trial]:
    tests = []
    for name in dict.fromkeys(each.id for each in planned):
        mine = [each for each in planned if each.id == name]
        wanted = {each.boundary.replace(" -> ", " → ") for each in mine}
        meant = [any(fnmatchcase(row, glob) for glob in wanted) for row in facts["boundary"]]
        for cohort in sorted(set(facts["cohort"])):
            hit = facts[np.array(meant, dtype=bool) & (facts["cohort"] == cohort)]
            windows = tuple(sorted((each.from_ns, each.until_ns) for each in mine))
            tests.append(
                Trial(
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
