"""Traces no walk may choke on: very deep, very wide, or going round in circles."""

from datetime import UTC, datetime

import pytest

DAY = datetime(2026, 3, 2, tzinfo=UTC)
NOON_NS = int(DAY.timestamp() + 43_200) * 10**9

SUMS = """
    SELECT
        (SELECT count(*) FROM nodes),
        (SELECT count(*) FROM groups),
        (SELECT count(DISTINCT node_id) FROM groups),
        (SELECT max(depth) FROM nodes),
        (SELECT sum(self_ns)::BIGINT FROM critical_path)
            = (SELECT sum(end_ns - start_ns)::BIGINT FROM requests)
"""


def span(number: int, parent: int | None, **columns: object) -> dict[str, object]:
    start = NOON_NS + number * 1_000
    return {
        "cohort": "baseline",
        "day": DAY.date(),
        "trace_id": "a" * 32,
        "span_id": f"{number + 1:016x}",
        "parent_span_id": None if parent is None else f"{parent + 1:016x}",
        "name": "work",
        "kind": "INTERNAL",
        "start_ns": start,
        "end_ns": NOON_NS + 10**12 - number * 1_000,
        "status": "UNSET",
        "scope_name": "drawn",
        "weight": 1.0,
        "service_name": "app",
    } | columns


@pytest.mark.slow
@pytest.mark.parametrize("types", [("tool",), ("agent", "step", "tool", "model")], ids="-".join)
@pytest.mark.parametrize("status", ["UNSET", "ERROR"])
def test_a_trace_100_000_spans_deep_ends(build, query, types, status):
    deep = 100_000
    rows = [
        span(0, None, node_type="agent", status=status),
        *(
            span(n, n - 1, node_type=types[n % len(types)], status=status, tool_name=f"t{n % 7}")
            for n in range(1, deep)
        ),
    ]

    ((nodes, groups, grouped, depth, is_whole),) = query(build(rows), SUMS)

    assert nodes == groups == grouped == deep
    assert depth == deep - 1
    assert is_whole


QUERY = {"node_type": "db", "query_text": "SELECT 1 FROM t", "kind": "CLIENT"}
FAILED = {"status": "ERROR"}
WIDE = {
    "queries": [QUERY | {"scope_name": "orm"}, QUERY | {"scope_name": "driver"}],
    "handoffs": [
        {"node_type": "handoff", "handoff_to": "b"},
        {"node_type": "agent", "agent_name": "b"},
    ],
    "failing tools": [FAILED | {"node_type": "tool", "tool_name": "t"}],
    "fallbacks": [
        FAILED | {"node_type": "model", "request_model": "m"},
        {"node_type": "model", "request_model": "n"},
    ],
    "named callers": [{"node_type": "agent", "agent_name": "b", "graph_node_parent_id": "a"}],
    "callers of one name": [
        {"node_type": "agent", "agent_name": "a"},
        {"node_type": "agent", "agent_name": "b", "graph_node_parent_id": "a"},
    ],
    "resent calls": [
        FAILED | {"node_type": "http_client", "kind": "CLIENT", "retry_count": 1},
    ],
}


@pytest.mark.parametrize("columns", WIDE.values(), ids=WIDE.keys())
def test_a_span_with_20_000_children_ends(build, query, columns):
    wide = 20_000
    rows = [
        span(0, None, node_type="agent", agent_name="a", end_ns=NOON_NS + 10**10),
        *(
            span(n, 0, end_ns=NOON_NS + n * 1_000 + 500, **columns[n % len(columns)])
            for n in range(1, wide)
        ),
    ]

    ((nodes, groups, grouped, depth, is_whole),) = query(build(rows), SUMS)

    assert nodes == groups == grouped == wide
    assert depth == 1
    assert is_whole


def test_circles_and_spans_that_are_their_own_parents_end(build, query):
    rows = [
        span(0, 0, node_type="agent"),
        span(1, 3, node_type="tool"),
        span(2, 1, node_type="step"),
        span(3, 2, node_type="model"),
        span(4, 3, node_type="db"),  # hangs below the circle
        span(5, None, node_type="agent"),
    ]
    model = build(rows)

    assert query(model, SUMS)[0][:3] == (6, 6, 6)
    assert (
        query(model, "SELECT name, is_cyclic FROM nodes ORDER BY start_ns")[1:5]
        == [("work", True)] * 4
    )
    assert query(model, "SELECT count(*) FROM requests") == [(1,)]
