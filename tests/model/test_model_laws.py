"""Laws of the model: whatever a trace looks like, no handoff is told twice and no order matters."""

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

TYPES = [
    "agent",
    "workflow",
    "step",
    "handoff",
    "model",
    "embedding",
    "retriever",
    "tool",
    "mcp_client",
    "mcp_server",
    "mcp_control",
    "http_client",
    "http_server",
    "rpc_client",
    "rpc_server",
    "db",
    "cache",
    "queue_producer",
    "queue_consumer",
    "internal",
    "noise",
]
FIGURES = """
SELECT call_id, caller, kind, callee, attempts, client_ms, server_ms, input_tokens, is_error
FROM calls
ORDER BY ALL
"""
SEEN = """
SELECT cohort, caller, kind, callee, access, count(*), sum(input_tokens)
FROM calls
GROUP BY ALL
ORDER BY ALL
"""

# A span is its type, how far above it its parent is, its name, its service, where it starts in its
# parent, and whether it failed. Links and markers come with the types.
SPAN = st.tuples(
    st.sampled_from(TYPES),
    st.integers(1, 4),
    st.sampled_from("abc"),
    st.sampled_from(["app", "far"]),
    st.integers(0, 9),
    st.booleans(),
)
TRACES = st.lists(st.lists(SPAN, min_size=1, max_size=12), min_size=12, max_size=24)

# What one instrumentation says of a call, and what a second one adds below or beside it.
LEAVES = {
    "model": (
        "- chat 10..90 kind=CLIENT operation=chat provider=openai request_model=m input_tokens=7",
        "- ChatOpenAI 5..95 vendor_kind=llm provider=openai response_model=m input_tokens=7",
    ),
    "call": (
        "- openai.chat 10..90 kind=CLIENT vendor_kind=llm provider=openai request_model=m "
        "input_tokens=7",
        None,
    ),
    "query": (
        "- SELECT 10..90 kind=CLIENT scope_name=driver db_system=postgresql query_text=select#t "
        "db_collection=t db_operation=SELECT",
        "- SELECT 5..95 kind=CLIENT scope_name=orm db_system=postgresql query_text=select#t "
        "db_collection=t db_operation=SELECT",
    ),
    "mcp": (
        "- call 10..90 kind=CLIENT mcp_method=tools/call tool_name=look mcp_server=crm",
        "- call 5..95 kind=CLIENT mcp_method=tools/call tool_name=look mcp_server=crm",
    ),
}
TRANSPORT = "- POST 20..80 kind=CLIENT http_method=POST server_address=api.openai.com url_path=/v1"

many = settings(
    max_examples=4,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def drawing(traces):
    """The traces as a picture: a span hangs below the one so many steps above the last."""
    lines = []
    for trace in traces:
        depth = -1
        for number, (kind, up, name, service, start, failed) in enumerate(trace):
            depth = 0 if not number else max(1, min(depth + 1, depth + 2 - up))
            tokens = " input_tokens=3" if kind in ("model", "agent") else ""
            lines.append(
                f"{'  ' * depth}{kind} {name} {10 * number + start}..{400 - number}"
                f"{' !' if failed else ''} service_name={service}{tokens}"
            )
        lines.append("")
    return "\n".join(lines)


@many
@given(traces=TRACES)
def test_every_span_is_in_one_group_and_every_call_is_told_once(drawn, build, query, traces):
    model = build(drawn(drawing(traces)))
    spans = sum(len(trace) for trace in traces)

    assert (
        query(model, "SELECT count(*), count(DISTINCT call_id) FROM calls")[0]
        == (query(model, "SELECT count(*), count(*) FROM calls")[0])
    )
    assert query(model, "SELECT count(*), count(DISTINCT node_id) FROM groups") == [(spans, spans)]
    # What a group is called after is in it: to fold what is folded changes nothing.
    assert query(
        model,
        """
        SELECT count(*)
        FROM groups
        INNER JOIN groups AS top ON top.node_id = groups.group_id
        WHERE top.group_id = groups.group_id AND top.part = 'representative'
        """,
    ) == [(spans,)]
    assert query(
        model,
        "SELECT count(*) FROM calls ANTI JOIN groups ON groups.group_id = calls.call_id",
    ) == [(0,)]


@pytest.mark.slow
@many
@given(traces=TRACES, seed=st.integers(0, 999))
def test_neither_order_nor_files_change_the_model(
    drawn, lay, build, query, tmp_path_factory, traces, seed
):
    rows = drawn(drawing(traces))
    model = build(rows)
    shuffled = rows.copy()
    random.Random(seed).shuffle(shuffled)
    half = len(shuffled) // 2
    lake = tmp_path_factory.mktemp("halves")
    if half:
        lay(shuffled[:half], lake)
    again = build(shuffled[half:], lake)

    assert query(again, FIGURES) == query(model, FIGURES)
    groups = "SELECT node_id, group_id, part FROM groups ORDER BY node_id"
    assert query(again, groups) == query(model, groups)


@many
@given(
    turns=st.lists(
        st.lists(st.sampled_from(sorted(LEAVES)), min_size=1, max_size=5), min_size=3, max_size=8
    )
)
def test_a_second_instrumentation_adds_no_call_and_no_token(drawn, build, query, turns):
    bare, layered = [], []
    for leaves in turns:
        for lines in (bare, layered):
            lines.append("agent a 0..10000")
        for number, leaf in enumerate(leaves):
            inner, outer = (line and moved(line, 100 * number) for line in LEAVES[leaf])
            bare.append("  " + inner)
            if outer is None:
                layered += ["  " + inner, "    " + moved(TRANSPORT, 100 * number)]
            elif leaf == "query":
                layered += ["  " + outer, "  " + inner]
            else:
                layered += ["  " + outer, "    " + inner]
        for lines in (bare, layered):
            lines.append("")
    rows = drawn("\n".join(bare), cohort="one") + drawn("\n".join(layered), cohort="two")
    for row in rows:
        row["query_text"] = row["query_text"] and row["query_text"].replace("#", " 1 from ")

    seen = query(build(rows), SEEN)

    assert [row[1:] for row in seen if row[0] == "one"] == [
        row[1:] for row in seen if row[0] == "two"
    ]
    models = sum(leaf in ("model", "call") for leaves in turns for leaf in leaves)
    assert sum(row[-1] or 0 for row in seen if row[0] == "two") == 7 * models


def moved(line, by):
    """The line of a picture, some milliseconds later."""
    first, name, times, *rest = line.split(" ")
    start, end = (int(time) + by for time in times.split(".."))
    return " ".join([first, name, f"{start}..{end}", *rest])
