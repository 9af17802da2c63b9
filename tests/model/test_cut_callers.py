"""A call that lost its caller gets it back where one span of its process alone may have made it."""

import pytest

# What follows is who calls the store, and what its trace is joined to, if anything.
CLAIMS = {
    "the tool that runs meanwhile": (
        """
        agent a 0..100
          tool search 10..90

        db kb 20..30
        """,
        [("tool:search", "a", "tool search")],
    ),
    "a step around it is looked through": (
        """
        agent a 0..100
          step tools 5..95
            tool search 10..90
              step inner 15..85

        db kb 20..30
        """,
        [("tool:search", "a", "tool search")],
    ),
    "the agent, where nothing else runs": (
        """
        agent a 0..100
          tool search 40..90

        db kb 20..30
        """,
        [("agent:a", "a", "agent a")],
    ),
    "all that happens in its trace has the agent": (
        """
        agent a 0..100
          tool search 10..90

        http_client crm 20..40 http_method=GET url_path=/x
          http_server /x 21..39 service_name=crm
            db kb 22..30 service_name=crm
        """,
        [("service:crm", "a", "tool search"), ("tool:search", "a", "tool search")],
    ),
    "of two tools at once neither": (
        """
        agent a 0..100
          tool search 10..90
          tool other 10..90

        db kb 20..30
        """,
        [("service:app", None, None)],
    ),
    "of two tools the one that runs as long": (
        """
        agent a 0..100
          tool search 10..90
          tool other 10..25

        db kb 20..30
        """,
        [("tool:search", "a", "tool search")],
    ),
    "two calls of one tool are told by its name": (
        """
        agent a 0..100
          tool search 10..90
          tool search 10..80

        db kb 20..30
        """,
        [("tool:search", "a", "agent a")],
    ),
    "two agents' tools of one name are not": (
        """
        agent a 0..100
          tool search 10..90

        agent a 0..100
          tool search 10..90

        db kb 20..30
        """,
        [("service:app", None, None)],
    ),
    "a step that leads to no tool may call as well": (
        """
        agent a 0..100
          step other 10..90
          tool search 10..90

        db kb 20..30
        """,
        [("service:app", None, None)],
    ),
    "a model at work may have sent it itself": (
        """
        agent a 0..100
          model gpt 10..90

        db kb 20..30
        """,
        [("service:app", None, None)],
    ),
    "a tool that ends before it does not wait for it": (
        """
        tool search 10..25

        db kb 20..30
        """,
        [("service:app", None, None)],
    ),
    "another service's tool is another process": (
        """
        agent a 0..100
          tool search 10..90

        db kb 20..30 service_name=other
        """,
        [("service:other", None, None)],
    ),
    "another host's tool is another process": (
        """
        agent a 0..100 host=one
          tool search 10..90 host=one

        db kb 20..30 host=two
        """,
        [("service:app", None, None)],
    ),
    "the same host's tool beside another host's": (
        """
        agent a 0..100 host=one
          tool search 10..90 host=one

        agent a 0..100 host=two
          tool other 10..90 host=two

        db kb 20..30 host=two
        """,
        [("tool:other", "a", "tool other")],
    ),
    "another conversation's tool has not called it": (
        """
        agent a 0..100 conversation_id=c
          tool search 10..90

        db kb 20..30 conversation_id=d
        """,
        [("service:app", None, None)],
    ),
    "a parent elsewhere is another process": (
        """
        agent a 0..100
          tool search 10..90

        db kb 20..30 parent=gone is_parent_remote=true
        """,
        [("service:app", None, None)],
    ),
    "what the program also does on its own is not the tool's": (
        """
        agent a 0..100
          tool search 10..90

        db kb 20..30

        db kb 200..210
        """,
        [("service:app", None, None), ("service:app", None, None)],
    ),
    "another request's server beside it may have called": (
        """
        agent a 0..100
          tool search 10..90

        http_server /x 0..100

        db kb 20..30
        """,
        [("service:app", None, None)],
    ),
}


@pytest.fixture(scope="module")
def told(drawn, build, query):
    rows = []
    for number, (drawing, _) in enumerate(CLAIMS.values()):
        rows += drawn(drawing, cohort=f"c{number}", place=f"{number}/")
    return query(
        build(rows),
        """
        SELECT
            calls.cohort,
            calls.caller,
            calls.owner_agent,
            joined.type || ' ' || joined.name,
            calls.is_joined,
            accesses.caller,
            accesses.agent,
            calls.boundary_id = substr(
                md5(concat_ws(chr(31), calls.caller, calls.kind, calls.callee)), 1, 16
            )
        FROM calls
        INNER JOIN accesses USING (call_id)
        INNER JOIN nodes ON nodes.node_id = calls.call_id
        LEFT JOIN joins ON joins.node_id = nodes.root_id AND joins.evidence = 'process'
        LEFT JOIN nodes AS joined ON joined.node_id = joins.joined_id
        WHERE calls.kind IN ('database', 'service')
        ORDER BY 1, 2
        """,
    )


@pytest.mark.parametrize("claim", CLAIMS)
def test_who_calls(told, claim):
    cohort = f"c{list(CLAIMS).index(claim)}"
    found = [row[1:] for row in told if row[0] == cohort]

    assert [row[:3] for row in found] == CLAIMS[claim][1]
    for caller, agent, joined, is_joined, access_caller, access_agent, is_told in found:
        assert is_joined == (joined is not None)
        assert access_caller == caller
        assert access_agent == agent or agent is None
        assert is_told


def test_a_try_after_a_failed_one_is_a_retry_though_both_were_cut_off(model):
    drawn = model("""
agent a 0..100
  tool search 10..90

db kb 20..30 !

db kb 35..50
""")
    frame = drawn.ask("retries")
    tries = frame[frame["boundary_id"].isin(boundary_of(drawn, "tool:search"))]

    assert (tries["calls"].sum(), tries["logical"].sum(), tries["retry_ms"].sum()) == (2, 1, 20)


def boundary_of(model, caller):
    facts = model.ask("boundaries")
    return facts.loc[facts["caller"] == caller, "boundary_id"]
