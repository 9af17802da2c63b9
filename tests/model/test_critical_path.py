"""The critical path is the clip rule's, to the nanosecond (METHODS.md, critical path)."""

import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

WAITS = """
    SELECT nodes.name, self_ns / 1e6, (from_ns - requests.start_ns) / 1e6,
        (until_ns - requests.start_ns) / 1e6
    FROM critical_path INNER JOIN nodes USING (node_id) INNER JOIN requests USING (request_id)
    ORDER BY nodes.start_ns, nodes.end_ns DESC
"""


def test_nested_work_leaves_each_span_its_own_time(ask):
    waits = ask(
        WAITS,
        """
        agent root   0..100
          model llm   10..40
          tool  tool  45..90
            db db     50..80
        """,
    )

    assert [wait[:2] for wait in waits] == [("root", 25), ("llm", 30), ("tool", 15), ("db", 30)]


def test_of_two_that_overlap_the_later_end_counts_from_its_start(ask):
    waits = ask(
        WAITS,
        """
        agent root 0..100
          tool b    0..60
          tool c   50..100
        """,
    )

    assert waits == [("root", 0, 0, 100), ("b", 50, 0, 50), ("c", 50, 50, 100)]


def test_a_child_that_outlives_its_parent_counts_to_the_parents_end(ask):
    waits = ask(
        WAITS,
        """
        agent root  0..100
          tool a     10..50
          tool b     20..90
          tool audit 80..150
        """,
    )

    assert waits == [
        ("root", 10, 0, 100),
        ("a", 10, 10, 20),
        ("b", 60, 20, 80),
        ("audit", 20, 80, 100),
    ]


def test_what_a_consumer_does_holds_up_nobody(ask):
    waits = ask(
        WAITS,
        """
        agent root  0..100
          tool a     10..50
          tool b     20..90
          queue_producer audit 0..0
            queue_consumer audit 80..150 service_name=worker
        """,
    )

    assert {wait[0]: wait[1] for wait in waits} == {"root": 20, "a": 10, "b": 70}


def test_a_child_that_starts_before_its_parent_counts_from_the_parents_start(ask):
    waits = ask(
        WAITS,
        """
        agent root 100..200
          tool child 90..150
        """,
    )

    assert {wait[0]: wait[1] for wait in waits} == {"root": 50, "child": 50}


def test_a_span_hidden_by_a_longer_sibling_is_not_critical(ask):
    waits = ask(
        WAITS,
        """
        agent root 0..100
          step step 5..95
            tool t1 10..60
            tool t2 12..90
              http_client net 30..85
            tool t3 70..80
        """,
    )

    assert {wait[0]: wait[1] for wait in waits} == {
        "root": 10,
        "step": 10,
        "t1": 2,
        "t2": 23,
        "net": 55,
    }


def test_time_belongs_to_the_nearest_handoff_above(ask):
    waits = ask(
        """
        SELECT nodes.name, calls.callee
        FROM critical_path
        INNER JOIN nodes USING (node_id)
        LEFT JOIN calls USING (call_id)
        ORDER BY nodes.start_ns
        """,
        """
        agent root 0..100
          step think 1..99
            tool get 2..90
              internal wrap 3..80
                db orders 4..70 db_system=postgresql
        """,
    )

    assert waits == [
        ("root", None),
        ("think", None),
        ("get", "tool:get"),
        ("wrap", "tool:get"),
        ("orders", "postgresql.orders"),
    ]


def oracle(root):
    """METHODS.md, critical path, literally: backwards from the end, the child that ends last."""
    own = {}

    def walk(span, start, end):
        own.setdefault(span["id"], 0)
        at = end
        while at > start:
            running = [
                child
                for child in span["children"]
                if child["start"] < at and min(child["end"], at) > start
            ]
            if not running:
                own[span["id"]] += at - start
                return
            last = min(running, key=lambda child: (-child["end"], child["start"], child["order"]))
            until = min(last["end"], at)
            begin = max(last["start"], start)
            own[span["id"]] += at - until
            if begin < until:
                walk(last, begin, until)
            at = begin

    walk(root, root["start"], root["end"])
    return own


@st.composite
def trees(draw):
    """Up to 25 spans, some outliving their parents, some before them, some empty, some alike."""
    count = draw(st.integers(1, 25))
    spans = [{"id": 0, "start": 0, "end": draw(st.integers(0, 60)), "children": []}]
    for number in range(1, count):
        parent = spans[draw(st.integers(0, number - 1))]
        start = draw(st.integers(parent["start"] - 3, parent["end"] + 3))
        child = {"id": number, "start": start, "end": start + draw(st.integers(0, 30))}
        child["children"] = []
        parent["children"].append(child)
        spans.append(child)
    return spans


def as_rows(drawn, forest):
    rows = []
    for number, tree in enumerate(forest):
        parents = {child["id"]: span["id"] for span in tree for child in span["children"]}
        for span in tree:
            (row,) = drawn(
                f"{'step' if span['id'] else 'agent'} n{span['id']} {span['start']}..{span['end']}"
                f" id={number}.{span['id']} trace={number}",
                place="tree",
            )
            if span["id"]:
                (above,) = drawn(f"step p 0..1 id={number}.{parents[span['id']]}", place="tree")
                row["parent_span_id"] = above["span_id"]
            rows.append(row)
    return rows


@pytest.mark.slow
@settings(
    max_examples=6,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(forest=st.lists(trees(), min_size=30, max_size=40))
def test_the_closed_form_agrees_with_the_walk_on_any_tree(drawn, build, query, forest):
    rows = as_rows(drawn, forest)
    # Ties go to the smaller node: number the children as the model does.
    model = build(rows)
    numbers = dict(query(model, "SELECT trace_id || name, node_id FROM nodes"))
    for number, tree in enumerate(forest):
        trace = rows[sum(len(t) for t in forest[:number])]["trace_id"]
        for span in tree:
            span["order"] = numbers[f"{trace}n{span['id']}"]
    found = {
        (trace_id, name): own
        for trace_id, name, own in query(
            model,
            """
            SELECT nodes.trace_id, name, self_ns
            FROM critical_path INNER JOIN nodes USING (node_id)
            """,
        )
    }
    position = 0
    for tree in forest:
        trace = rows[position]["trace_id"]
        position += len(tree)
        expected = {f"n{key}": own * 1_000_000 for key, own in oracle(tree[0]).items() if own}
        actual = {name: own for (trace_id, name), own in found.items() if trace_id == trace and own}

        assert actual == expected
        assert sum(actual.values()) == (tree[0]["end"] - tree[0]["start"]) * 1_000_000
    assert all(own >= 0 for own in found.values())


@pytest.mark.parametrize("shape", ["chain", "circle", "self"])
def test_no_shape_of_parents_makes_the_build_hang(drawn, build, query, shape):
    count = 20_000
    (first,) = drawn("agent a 0..1 id=0")
    rows = []
    for number in range(count):
        row = dict(first)
        row["span_id"] = f"{number + 1:016x}"
        row["parent_span_id"] = f"{number:016x}" if number else None
        row["node_type"] = "agent" if not number else "internal"
        row["start_ns"] = first["start_ns"] + number
        row["end_ns"] = first["start_ns"] + 2 * count - number
        rows.append(row)
    if shape == "circle":
        rows[0]["parent_span_id"] = rows[-1]["span_id"]
    if shape == "self":
        rows[0]["parent_span_id"] = rows[0]["span_id"]
    started = time.monotonic()
    model = build(rows)

    assert time.monotonic() - started < 60
    assert query(model, "SELECT count(*) FROM nodes") == [(count,)]
    expected = [(2 * count,)] if shape == "chain" else [(None,)]
    assert query(model, "SELECT sum(self_ns)::BIGINT FROM critical_path") == expected
