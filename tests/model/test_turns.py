"""A turn is one thing a person asked, in however many requests, traces and layers it came."""

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

# Each drawing is a cohort of its own, so that one model holds them all.
# What follows is the turn of each request, in order of start; `+` marks a resume.
TURNS = {
    "turns count a conversation's requests from one": (
        """
        agent a 0..10 conversation_id=c

        agent a 20..30 conversation_id=c

        agent a 40..50 conversation_id=d
        """,
        ["1", "2", "1"],
    ),
    "without a conversation there is no turn": ("agent a 0..10", ["-"]),
    "a request in which nobody works is no turn": (
        """
        http_server /history 0..10 conversation_id=c

        http_server /chat 20..40 conversation_id=c
          model m 25..35
        """,
        ["-", "1"],
    ),
    "a told turn counts more than the order": (
        """
        agent a 0..10 conversation_id=c turn_index=4

        agent a 20..30 conversation_id=c turn_index=5
        """,
        ["4", "5"],
    ),
    "requests that overlap by more than half of the shorter one share a turn": (
        """
        agent a 0..100 conversation_id=c

        agent b 95..105 conversation_id=c

        agent c 99..109 conversation_id=c
        """,
        ["1", "2", "2"],
    ),
    "a short request late in a long one shares its turn": (
        """
        agent a 0..100 conversation_id=c

        agent b 90..96 conversation_id=c
        """,
        ["1", "1"],
    ),
    "environments count their turns apart": (
        """
        agent a 0..10 conversation_id=c environment=prod

        agent a 20..30 conversation_id=c environment=test
        """,
        ["1", "1"],
    ),
    "a request after an interrupted one goes on with its turn": (
        """
        agent a 0..10 conversation_id=c
          tool approve 2..9 ! error_type=GraphInterrupt

        agent a 20..30 conversation_id=c

        agent a 40..50 conversation_id=c
        """,
        ["1", "1+", "2"],
    ),
    "a resume may be interrupted too": (
        """
        agent a 0..10 ! conversation_id=c exception_type=langgraph.errors.GraphInterrupt

        agent a 20..30 conversation_id=c
          tool approve 21..29 ! exception_type=CallDeferred

        agent a 40..50 conversation_id=c

        agent a 60..70 conversation_id=c
        """,
        ["1", "1+", "1+", "2"],
    ),
    "an interrupt answered within the request opens no resume": (
        """
        agent a 0..30 conversation_id=c
          tool approve 2..9 ! error_type=ApprovalRequired
          model m 12..20

        agent a 40..50 conversation_id=c
        """,
        ["1", "2"],
    ),
    "another conversation's interrupt is none of ours": (
        """
        agent a 0..10 conversation_id=c
          tool approve 2..9 ! error_type=GraphInterrupt

        agent a 20..30 conversation_id=d
        """,
        ["1", "1"],
    ),
    "a failure is no interrupt": (
        """
        agent a 0..10 ! conversation_id=c error_type=TimeoutError

        agent a 20..30 conversation_id=c
        """,
        ["1", "2"],
    ),
}

# What follows is each turn as start..end in ms and its first span.
SESSIONS = {
    "a socket's trace holds a turn for every answer after a pause": (
        """
        http_server /ws 0..20000 conversation_id=c
          - receive 1..2 asgi_event=websocket.receive
          model m 100..200
          tool t 250..400
          model m 450..600
          model m 9000..9100
          agent helper 9150..9900
        """,
        [("100..600", "m"), ("9000..9900", "m")],
    ),
    "a voice agent's trace holds a turn for every agent_turn": (
        """
        - agent_session 0..9000 conversation_id=c
          - agent_turn 100..200
            model m 110..190
          - agent_turn 300..500
            model m 310..490
        """,
        [("100..200", "agent_turn"), ("300..500", "agent_turn")],
    ),
    "a client's session holds a turn for every turn it tells": (
        """
        - mcp.client.session 0..9000 conversation_id=c
          agent a 100..200 turn_index=1
          agent b 210..250 turn_index=1
          agent a 300..400 turn_index=2
        """,
        [("100..250", "a"), ("300..400", "a")],
    ),
    "turns go on after a session": (
        """
        - agent_session 0..500 conversation_id=c
          - agent_turn 100..200
            model m 110..190

        agent a 1000..1100 conversation_id=c
        """,
        [("100..200", "agent_turn"), ("1000..1100", "a")],
    ),
    "a session that ends on an interrupt goes on with its last turn alone": (
        """
        - agent_session 0..9000 conversation_id=c
          - agent_turn 100..200
            model m 110..190
          - agent_turn 300..500
            model m 310..320
            tool approve 330..490 ! error_type=ApprovalRequired

        agent a 10000..10100 conversation_id=c
        """,
        [("100..200", "agent_turn"), ("300..10100", "agent_turn")],
    ),
    "a request of several agents is one turn however long it rests": (
        """
        http_server /chat 0..20000 conversation_id=c
          agent planner 100..200
          agent writer 9000..9900
        """,
        [("0..20000", "/chat")],
    ),
    "agents at once within a session are one turn": (
        """
        - agent_session 0..9000 conversation_id=c
          agent a 100..300
          agent b 150..9000
        """,
        [("100..9000", "a")],
    ),
}

# What follows is whether the second trace is joined to the first, and by what.
JOINS = {
    "a link to a sent message joins": (
        """
        agent a 0..10 conversation_id=c
          queue_producer jobs 2..3 id=sent

        - work 20..30 kind=INTERNAL links=sent
          model m 21..29
        """,
        ["link"],
    ),
    "a link to a call that still runs joins": (
        """
        agent a 0..50 conversation_id=c
          client ask 2..40 id=sent

        agent b 10..30 links=sent
        """,
        ["link"],
    ),
    "a link to an earlier turn is a reference": (
        """
        agent a 0..10 conversation_id=c id=sent

        agent a 20..30 conversation_id=c links=sent
        """,
        [],
    ),
    "a link to what ends while it still runs is a reference": (
        """
        agent a 0..21 conversation_id=c id=sent

        agent a 20..30 conversation_id=c links=sent
        """,
        [],
    ),
    "a link from another conversation is a reference": (
        """
        agent a 0..50 conversation_id=c id=sent

        agent a 20..30 conversation_id=d links=sent
        """,
        [],
    ),
    "two links that fit join nothing": (
        """
        agent a 0..10 conversation_id=c
          queue_producer jobs 2..3 id=one
          queue_producer jobs 4..5 id=two

        agent b 20..30 links=one,two
        """,
        [],
    ),
    "a parent in one other trace joins": (
        """
        agent a 0..50 conversation_id=c
          client ask 2..40 id=sent

        http_server /b 10..30 parent=sent is_parent_remote=true
          model m 11..29
        """,
        ["remote_parent"],
    ),
    "a parent in two other traces joins nothing": (
        """
        agent a 0..50 conversation_id=c
          client ask 2..40 id=sent

        agent a 0..50 conversation_id=d
          client ask 2..40 id=sent

        http_server /b 10..30 parent=sent is_parent_remote=true
          model m 11..29
        """,
        [],
    ),
    "the one call of the conversation that holds it joins": (
        """
        agent a 0..50 conversation_id=c
          tool search 2..40
          tool other 2..40

        - handle 10..30 node_type=mcp_server tool_name=search kind=SERVER conversation_id=c
          model m 11..29
        """,
        ["conversation"],
    ),
    "two calls that hold it join nothing": (
        """
        agent a 0..50 conversation_id=c
          tool search 2..40
          tool search 3..41

        - handle 10..30 node_type=mcp_server tool_name=search kind=SERVER conversation_id=c
          model m 11..29
        """,
        [],
    ),
    "a call that ended before it did joins nothing": (
        """
        agent a 0..50 conversation_id=c
          tool search 2..20

        - handle 10..30 node_type=mcp_server tool_name=search kind=SERVER conversation_id=c
          model m 11..29
        """,
        [],
    ),
    "a call of another conversation joins nothing": (
        """
        agent a 0..50 conversation_id=d
          tool search 2..40

        - handle 10..30 node_type=mcp_server tool_name=search kind=SERVER conversation_id=c
          model m 11..29
        """,
        [],
    ),
    "an earlier call that still runs is found behind a later short one": (
        """
        agent a 0..50 conversation_id=c
          tool search 2..40
          tool search 3..5

        - handle 10..30 node_type=mcp_server tool_name=search kind=SERVER conversation_id=c
          model m 11..29
        """,
        ["conversation"],
    ),
}


@pytest.fixture(scope="module")
def told(drawn, build, query):
    """Answers of one model that holds every drawing, by the claim it stands for."""
    claims = [*TURNS.items(), *SESSIONS.items(), *JOINS.items()]
    rows = []
    for number, (_, (drawing, _)) in enumerate(claims):
        rows += drawn(drawing, cohort=f"c{number}", place=f"{number}/")
    model = build(rows)
    numbers = {claim: f"c{number}" for number, (claim, _) in enumerate(claims)}
    return lambda sql, claim: [row[1:] for row in query(model, sql) if row[0] == numbers[claim]]


@pytest.mark.parametrize("claim", TURNS)
def test_turns(told, claim):
    rows = told(
        "SELECT cohort, coalesce(turn_index::VARCHAR, '-') || if(is_resume, '+', '') "
        "FROM requests ORDER BY cohort, start_ns, span_id",
        claim,
    )

    assert [turn for (turn,) in rows] == TURNS[claim][1]


@pytest.mark.parametrize("claim", SESSIONS)
def test_sessions(told, claim):
    rows = told(
        "SELECT turns.cohort, turns.turn_index, (turns.start_ns // 1000000) % 86400000 - 43200000, "
        "(turns.end_ns // 1000000) % 86400000 - 43200000, nodes.name "
        "FROM turns JOIN nodes ON nodes.node_id = turns.node_id ORDER BY 1, 2",
        claim,
    )

    assert [turn for turn, *_ in rows] == list(range(1, len(rows) + 1))
    found = [(f"{start}..{end}", name) for _, start, end, name in rows]
    assert found == SESSIONS[claim][1]


@pytest.mark.parametrize("claim", JOINS)
def test_joins(told, claim):
    joined = told("SELECT cohort, evidence FROM joins", claim)
    requests = told("SELECT cohort, conversation_id, turn_index FROM requests", claim)
    traces = told("SELECT DISTINCT cohort, trace_id FROM nodes", claim)

    assert [evidence for (evidence,) in joined] == JOINS[claim][1]
    served_nothing = "mcp_server" in JOINS[claim][0]
    assert len(requests) == len(traces) - (1 if served_nothing else len(joined))


def test_what_was_joined_belongs_to_the_turn_it_is_joined_to(model, query):
    rows = query(
        model(
            """
            agent a 0..10 conversation_id=c

            agent a 20..30 conversation_id=c
              queue_producer jobs 22..23 id=sent

            - work 40..60 kind=CONSUMER links=sent
              agent b 41..59
                model m 42..50 context_hash_out=later

            agent a 70..80 conversation_id=c context_hash_in=other
            """
        ),
        "SELECT turn_index, signal, is_lost FROM state_signals",
    )

    assert rows == [(3, "S1", True)]


def test_a_persons_requests_without_a_name_are_a_conversation_that_says_it_is_inferred(
    model, query
):
    minutes = 60_000
    drawn = model(
        f"""
        agent a 0..10 user_id=u

        agent a {29 * minutes}..{29 * minutes + 5} user_id=u

        agent a {60 * minutes}..{60 * minutes + 5} user_id=u

        agent a 20..30 user_id=v

        agent a 40..50
        """
    )

    assert query(drawn, "SELECT turn_index, is_inferred FROM turns ORDER BY start_ns") == [
        (1, True),
        (1, True),
        (2, True),
        (1, True),
    ]
    assert query(drawn, "SELECT count(turn_index), count(conversation_id) FROM requests") == [
        (0, 0)
    ]
    coverage = drawn.ask("conversation_coverage").to_dict("records")
    assert [(row["conversing_requests"], row["inferred_requests"]) for row in coverage] == [(5, 4)]
    assert drawn.ask("state_loss").empty


def turns_by_pairs(requests):
    """The rule as it is said: an overlap of more than half of the shorter one shares the turn."""
    turn, seen, found = 0, [], []
    for start, end in sorted(requests):
        shares = any(
            2 * (min(end, other_end) - start) > min(end - start, other_end - other_start)
            for other_start, other_end in seen
        )
        turn += not shares
        seen.append((start, end))
        found.append(turn)
    return found


intervals = st.lists(
    st.tuples(st.integers(0, 60), st.integers(1, 30)).map(lambda pair: (pair[0], sum(pair))),
    min_size=1,
    max_size=7,
    unique_by=lambda pair: pair[0],
)


@settings(
    max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(intervals, min_size=150, max_size=150))
def test_turns_are_dense_from_one_and_shared_by_those_that_overlap(model, query, conversations):
    drawing = "\n\n".join(
        f"agent a {start}..{end} conversation_id=c{number}"
        for number, requests in enumerate(conversations)
        for start, end in requests
    )
    rows = query(
        model(drawing),
        "SELECT conversation_id, list(turn_index ORDER BY start_ns) FROM requests GROUP BY ALL",
    )

    assert dict(rows) == {
        f"c{number}": turns_by_pairs(requests) for number, requests in enumerate(conversations)
    }
    assert all(turns[0] == 1 and set(turns) == set(range(1, turns[-1] + 1)) for _, turns in rows)


INTERRUPTED = "error_type=GraphInterrupt"
CONVERSATIONS = "\n\n".join(
    f"""
    http_server /chat {at}..{at + 90} conversation_id=c{n % 9}
      agent a {at + 2}..{at + 88}
        cache GET {at + 3}..{at + 4} db_operation=GET server_address=sessions cache_hit=false
        model m {at + 5}..{at + 40} input_tokens={900 - at % 800} input_message_count={1 + n % 5}
        tool get_order {at + 50}..{at + 60} args_hash=h{n % 3} {"" if n % 4 else INTERRUPTED}
    """
    for n, at in enumerate(range(0, 8000, 100))
)
OF_TURNS = (
    "SELECT conversation_id, turn_index, trace_id, is_resume, start_ns, end_ns, requests "
    "FROM turns ORDER BY ALL"
)
OF_SIGNALS = (
    "SELECT conversation_id, turn_index, signal, is_lost, trace_id FROM state_signals ORDER BY ALL"
)


@pytest.fixture(scope="module")
def conversations(drawn):
    return drawn(CONVERSATIONS)


@pytest.fixture(scope="module")
def once(build, conversations):
    return build(conversations)


def test_order_and_packaging_of_the_dumps_change_nothing(
    once, build, conversations, query, tmp_path
):
    mixed = random.Random(7).sample(conversations, len(conversations))
    build(mixed[:100], tmp_path / "lake")
    again = build(mixed[100:], tmp_path / "lake")

    assert query(again, OF_TURNS) == query(once, OF_TURNS)
    assert query(again, OF_SIGNALS) == query(once, OF_SIGNALS)
    assert len(query(once, OF_TURNS)) > 50


def test_a_second_layer_of_instrumentation_changes_no_turn_and_no_signal(
    once, build, conversations, drawn, query
):
    layers = {"agent": 1, "model": 1, "tool": 1, "http_server": 0}
    rows = list(conversations)
    for number, row in enumerate(conversations):
        if layers.get(row["node_type"]):
            inner = row | {
                "span_id": f"{number:016x}",
                "parent_span_id": row["span_id"],
                "scope_name": "second",
                "start_ns": row["start_ns"] + 1000,
                "end_ns": row["end_ns"] - 1000,
            }
            rows.append(inner)
    layered = build(rows)

    assert query(layered, OF_TURNS) == query(once, OF_TURNS)
    assert query(layered, OF_SIGNALS) == query(once, OF_SIGNALS)
