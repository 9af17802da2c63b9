"""An error counts once, where it began; weights add up to failed requests (METHODS.md, errors)."""

from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

TOLD = """
    SELECT coalesce(calls.callee, nodes.name), failures.is_origin, failures.is_visible,
        failures.origin_weight, failures.hops, failures.outcome
    FROM failures
    INNER JOIN nodes ON nodes.node_id = failure_id
    LEFT JOIN calls USING (call_id)
    ORDER BY nodes.start_ns, nodes.depth
"""


def test_a_failed_request_is_shared_among_the_failures_that_caused_it(ask):
    told = ask(
        TOLD,
        """
        agent root      0..100 !
          tool a       10..40 !
            db d       20..30 ! db_system=postgresql
          tool b       50..60 !
          tool c       70..90
            cache e    75..80 ! db_system=redis server_address=cache
        """,
    )

    assert told == [
        ("root", False, True, 0, 0, "root"),
        ("tool:a", False, True, 0, 1, "propagated"),
        ("postgresql.d", True, True, 0.5, 2, "propagated"),
        ("tool:b", True, True, 0.5, 1, "propagated"),
        ("redis:cache", True, False, 1, 0, "handled"),
    ]


def test_a_span_that_set_no_status_does_not_break_the_chain(ask):
    told = ask(
        TOLD,
        """
        agent root     0..100 !
          step think   5..95
            tool a    10..40
              db d    20..30 ! db_system=postgresql
        """,
    )

    assert told[-1] == ("postgresql.d", True, True, 1, 1, "propagated")


def test_a_retry_that_went_well_is_no_cause(ask):
    told = ask(
        TOLD,
        """
        agent root  0..100
          tool get 10..20 !
          tool get 30..40
        """,
    )

    assert told == [("tool:get", True, False, 1, 0, "retried_ok")]


def test_tries_that_all_failed_share_one_failed_request(ask):
    told = ask(
        TOLD,
        """
        agent root    0..100 !
          tool get   10..20 !
          tool get   30..40 !
          tool other 50..60 !
        """,
    )

    assert [(name, weight) for name, _, _, weight, _, _ in told] == [
        ("root", 0),
        ("tool:get", 0.25),
        ("tool:get", 0.25),
        ("tool:other", 0.5),
    ]


def test_another_callee_of_the_same_kind_is_a_fallback(ask):
    told = ask(
        TOLD,
        """
        agent root     0..100
          model large 10..20 ! provider=openai
          model small 30..40 provider=openai
        """,
    )

    assert told == [("model:openai/large", True, False, 1, 0, "fallback_ok")]


def test_a_failure_behind_a_queue_never_reaches_the_sender(ask):
    told = ask(
        TOLD,
        """
        agent root             0..100 !
          queue_producer mail 10..11
            queue_consumer mail 50..90 ! service_name=worker
              db outbox       60..70 ! db_system=postgresql service_name=worker
        """,
    )

    assert {row[0]: row[2:] for row in told} == {
        "root": (True, 1, 0, "root"),
        "mail": (False, 0, 0, "async"),
        "postgresql.outbox": (False, 1, 1, "propagated"),
    }


def test_an_attempt_that_failed_inside_a_call_that_went_well_is_absorbed_in_it(ask):
    told = ask(
        TOLD,
        """
        agent root          0..100
          model m          10..90 provider=openai
            http_client h  11..20 ! http_status=429
            http_client h  30..80 http_status=200
        """,
    )

    assert told == [("model:openai/m", True, False, 1, 0, "absorbed_in_call")]


def test_the_path_names_each_handoff_once(ask):
    assert ask(
        "SELECT path FROM failures WHERE is_origin",
        """
        http_server /chat    0..100 ! http_method=POST
          agent planner      5..95 !
            step think       6..90 !
              tool pay      10..80 !
                http_client pay 11..70 ! url_path=/charge/17 http_method=POST
        """,
    ) == [("http:pay/charge/{id} → tool:pay → agent:planner → service:app",)]


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ("http_status=503", "unavailable"),
        ("http_status=429", "rate_limited"),
        ("rpc_status=4", "timeout"),
        ("rpc_status=DEADLINE_EXCEEDED", "timeout"),
        ("error_type=40P01", "conflict"),
        ("error_type=ReadTimeout", "timeout"),
        ("exception_type=pydantic.ValidationError", "contract"),
        ("exception_type=KeyError", "code_error"),
        ("exception_type=ValueError", "unknown"),
        ("exception_type=GraphInterrupt", "control_flow"),
    ],
)
def test_codes_count_before_names(ask, column, expected):
    assert ask("SELECT error_class FROM nodes", f"tool t 0..1 ! {column}") == [(expected,)]


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        # Numbers are masked, so the status code in the text is lost.
        ("Error code: ? - The server had an error while processing your request", "server_error"),
        ("? Internal Server Error", "server_error"),
        ("Server error ? for url ?", "server_error"),
        ("server disconnected without an error", "unavailable"),
        ("This server has no words", "unknown"),
    ],
)
def test_words_count_where_there_is_no_code(drawn, build, query, message, expected):
    (row,) = drawn("model m 0..1 ! exception_type=vendor.APIError")
    row["exception_message"] = message

    assert query(build([row]), "SELECT error_class FROM nodes") == [(expected,)]


@st.composite
def trees(draw):
    """(parent, failed) of up to 15 spans, the request first; callees and times all differ."""
    count = draw(st.integers(1, 15))
    return [
        (draw(st.integers(0, number - 1)) if number else None, draw(st.booleans()))
        for number in range(count)
    ]


def oracle(tree):
    """Weight of each visible origin, from the words of METHODS.md, errors."""
    failed = [is_failed for _, is_failed in tree]

    def up(number):
        parent = tree[number][0]
        while parent is not None and not failed[parent]:
            parent = tree[parent][0]
        return parent

    bad = [number for number in range(len(tree)) if failed[number]]
    direct = {tree[number][0] for number in bad if number and failed[tree[number][0]]}
    link = {}
    for number in bad:
        above = up(number)
        if above is not None and (tree[number][0] == above or above not in direct):
            link[number] = above
    weights = {}
    for number in bad:
        if number in link.values():
            continue
        weight, at = Fraction(1), number
        while at in link:
            weight /= sum(above == link[at] for above in link.values())
            at = link[at]
        if at == 0:
            weights[number] = weight
    return weights


@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
@given(forest=st.lists(trees(), min_size=40, max_size=50))
def test_visible_weights_add_up_to_failed_requests(drawn, build, query, forest):
    rows = []
    for number, tree in enumerate(forest):
        for place, (_, failed) in enumerate(tree):
            (row,) = drawn(
                f"{'tool' if place else 'agent'} t{place} {place}..{100 + place}"
                f" {'!' if failed else ''} id={number}.{place} trace={number}",
                place="error",
            )
            rows.append(row)
        ids = [row["span_id"] for row in rows[-len(tree) :]]
        for place, (parent, _) in enumerate(tree):
            rows[place - len(tree)]["parent_span_id"] = None if parent is None else ids[parent]
    model = build(rows)
    found = {
        (trace, name): weight
        for trace, name, weight in query(
            model,
            """
            SELECT nodes.trace_id, name, origin_weight
            FROM failures INNER JOIN nodes ON node_id = failure_id
            WHERE is_visible AND is_origin
            """,
        )
    }
    expected = {}
    position = 0
    for tree in forest:
        for place, weight in oracle(tree).items():
            expected[rows[position]["trace_id"], f"t{place}"] = float(weight)
        position += len(tree)

    assert found == pytest.approx(expected)
    assert sum(found.values()) == pytest.approx(sum(tree[0][1] for tree in forest))
