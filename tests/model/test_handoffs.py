"""One handoff is one call, whoever saw it, between its caller and its callee (BOUNDARIES.md)."""

import random

import pytest

CALLS = "SELECT caller, kind, callee FROM calls ORDER BY start_ns, call_id"


def test_three_instrumentations_of_one_model_call_are_one_handoff(ask):
    drawing = """
    agent a 0..100
      model m 10..90 provider=openai input_tokens=12
        - chat 20..80 operation=chat provider=openai request_model=m input_tokens=12
          http_client api.openai.com 30..70 http_method=POST
    """

    assert ask("SELECT caller, callee, input_tokens, client_ms FROM calls", drawing) == [
        ("agent:a", "model:openai/m", 12, 80)
    ]


def test_one_after_the_other_below_a_call_they_are_attempts(ask):
    drawing = """
    agent a 0..100
      model m 10..90 provider=openai
        http_client h 11..20 ! http_status=503
        http_client h 30..40 ! http_status=503
        http_client h 50..80 http_status=200
    """

    assert ask("SELECT attempts, is_error FROM calls", drawing) == [(3, False)]


def test_side_by_side_below_a_call_they_are_parts(ask):
    drawing = """
    agent a 0..100
      embedding e 10..90 provider=openai
        http_client h 11..60
        http_client h 12..80
    """

    assert ask("SELECT attempts FROM calls", drawing) == [(1,)]


def test_two_answers_are_two_model_calls(ask):
    drawing = """
    agent a 0..100
      model router 10..90 response_id=one
        model small 20..80 response_id=two
    """

    assert ask("SELECT callee FROM calls ORDER BY callee", drawing) == [
        ("model:?/router",),
        ("model:?/small",),
    ]


def test_a_model_call_without_an_answer_goes_with_those_that_were_answered(ask):
    drawing = """
    agent a 0..100
      model gpt 10..20 ! provider=openai
      model gpt 30..40 provider=openai response_model=gpt-2026
      model big 50..55 ! provider=openai
      model big 55..60 provider=openai response_model=big-1
      model big 60..70 provider=openai response_model=big-2
      model gpt 80..90 ! provider=groq
      model gpt 91..95 ! provider=openai response_model=gpt
    """

    assert ask("SELECT callee FROM calls ORDER BY start_ns", drawing) == [
        ("model:openai/gpt-2026",),
        ("model:openai/gpt-2026",),
        ("model:openai/big",),
        ("model:openai/big-1",),
        ("model:openai/big-2",),
        ("model:groq/gpt",),
        ("model:openai/gpt-2026",),
    ]


def test_each_side_names_its_models_by_its_own_answers(model, query):
    asked = (
        "agent a 0..100\n  model gpt 10..20 ! provider=openai\n  model gpt 30..40 provider=openai"
    )
    both = model(baseline=f"{asked} response_model=old", pilot=f"{asked} response_model=new")

    assert query(both, "SELECT DISTINCT cohort, callee FROM calls ORDER BY cohort") == [
        ("baseline", "model:openai/old"),
        ("pilot", "model:openai/new"),
    ]


def test_what_a_served_request_calls_is_called_by_its_service(ask):
    drawing = """
    agent a 0..100
      tool get_order 5..95
        http_client crm 10..90 http_method=GET url_path=/orders/17
          http_server /orders/{id} 20..80 service_name=crm
            db orders 30..70 db_system=postgresql service_name=crm
    """

    assert ask(CALLS, drawing) == [
        ("agent:a", "tool", "tool:get_order"),
        ("tool:get_order", "service", "http:crm/orders/{id}"),
        ("service:crm", "database", "postgresql.orders"),
    ]
    assert ask(
        "SELECT client_ms, server_ms, handoff_ms, callee_service, observed_side, owner_agent "
        "FROM calls WHERE kind = 'service'",
        drawing,
    ) == [(80, 60, 20, "crm", "both", "a")]


def test_what_an_mcp_server_calls_is_its_own_handoff(ask):
    drawing = """
    agent a 0..100
      mcp_client find 5..95
        mcp_server find 10..90 service_name=crm mcp_server=crm kind=SERVER
          http_client erp 20..80 http_method=GET url_path=/stock
    """

    assert ask(CALLS, drawing) == [
        ("agent:a", "mcp", "mcp:crm/find"),
        ("service:crm", "service", "http:erp/stock"),
    ]


def test_an_orm_and_its_driver_are_one_query(ask):
    drawing = """
    tool t 0..100
      db orders 10..90 db_system=sqlite query_text=SELECT scope_name=orm
      db orders 11..89 db_system=sqlite query_text=SELECT scope_name=driver
    """

    assert ask("SELECT count(*) FROM calls WHERE kind = 'database'", drawing) == [(1,)]


def test_a_consumer_in_another_trace_is_joined_by_its_link(ask):
    drawing = """
    agent a 0..100
      queue_producer mails 10..11 id=sent messaging_system=kafka

    queue_consumer mails 51..90 links=sent service_name=worker
    """

    assert ask(
        "SELECT callee, queue_ms, callee_service, observed_side FROM calls WHERE kind = 'queue'",
        drawing,
    ) == [("kafka:mails", 40, "worker", "both")]


def test_a_handoff_goes_from_the_agent_that_gave_it(ask):
    drawing = """
    agent flow 0..100
      agent triage 1..20
        handoff billing 15..16
      agent billing 21..90
    """

    assert ask(CALLS, drawing) == [
        ("agent:flow", "agent", "agent:triage"),
        ("agent:triage", "agent", "agent:billing"),
    ]


def test_without_any_kind_another_services_span_is_a_call(ask):
    drawing = """
    - front 0..100 kind=UNSPECIFIED service_name=ui
      - order 10..90 kind=UNSPECIFIED service_name=orders
        - helper 20..80 kind=UNSPECIFIED service_name=orders
    """

    assert ask(CALLS, drawing) == [("service:ui", "service", "rpc:orders/order")]
    assert ask("SELECT operation FROM requests", drawing) == [("front",)]


def test_a_step_that_leads_to_work_is_a_workflow(ask):
    drawing = """
    - LangGraph 0..100 vendor_kind=chain
      - plan 10..90 vendor_kind=chain
        - gpt 20..80 vendor_kind=llm
    """

    assert ask("SELECT name, type, rule FROM nodes ORDER BY start_ns", drawing) == [
        ("LangGraph", "workflow", "D12"),
        ("plan", "step", "D4"),
        ("gpt", "model", "D4"),
    ]


def test_health_checks_and_lost_parents_are_no_requests(ask):
    drawing = """
    http_server /health 0..1

    http_server /chat 0..10

    agent lost 0..10 parent=nowhere is_parent_remote=false

    http_server /chat 0..10 parent=elsewhere is_parent_remote=true
    """

    assert ask(
        "SELECT operation, parent_state FROM requests INNER JOIN nodes ON node_id = request_id "
        "ORDER BY parent_state",
        drawing,
    ) == [("/chat", "remote"), ("/chat", "root")]


def test_a_program_that_passed_no_trace_on_is_no_user(ask):
    drawing = """
    http_server /orders 0..10 user_agent=python-httpx/0.28

    http_server /chat 20..30 user_agent=python-httpx/0.28
      agent a 21..29
    """

    assert ask("SELECT operation FROM requests", drawing) == [("/chat",)]


def test_what_a_program_inside_calls_is_no_request_when_the_call_is_not_seen(ask):
    drawing = """
    agent a 0..100
      http_client crm 10..90
        http_server /orders 20..80 service_name=crm

    agent a 200..300
      http_client crm 210..290
        http_server /orders 220..280 service_name=crm

    http_server /orders 400..410 service_name=crm

    http_server /refunds 500..510 service_name=crm

    http_server /orders 600..610 service_name=shop
    """

    assert ask("SELECT operation, service FROM requests ORDER BY start_ns", drawing) == [
        ("agent:a", "app"),
        ("agent:a", "app"),
        ("/refunds", "crm"),
        ("/orders", "shop"),
    ]
    assert ask("SELECT (start_ns // 1000000) % 1000 FROM nodes WHERE is_cut", drawing) == [(400,)]


def test_what_browsers_call_are_requests_with_and_without_their_trace(ask):
    drawing = """
    ui page 0..100 sdk_language=webjs
      http_client shop 10..90 sdk_language=webjs service_name=page
        http_server /chat 20..80 service_name=shop is_parent_remote=true

    http_server /chat 200..210 service_name=shop
    """

    assert ask("SELECT operation FROM requests ORDER BY start_ns", drawing) == [
        ("page",),
        ("/chat",),
    ]


@pytest.mark.parametrize(
    ("drawing", "coverage"),
    [
        ("agent a 0..9", (1, 1, 0, 0)),
        ("agent a 0..9 parent=nowhere", (1, 0, 1, 0)),
        ("http_client crm 0..9", (1, 0, 0, 1)),
        ("db orders 0..9", (1, 0, 0, 1)),
        ("queue_producer mails 0..9", (1, 0, 0, 1)),
        ("http_client crm 0..9 sdk_language=webjs", (1, 1, 0, 0)),
        ("mcp_control ping 0..9", (1, 1, 0, 0)),
        ("http_server /orders 0..9 user_agent=python-httpx/0.28", (1, 0, 0, 1)),
        ("http_server /orders 0..9 user_agent=Mozilla/5.0", (1, 1, 0, 0)),
        ("queue_consumer mails 0..9", (1, 1, 0, 0)),
        (
            "agent a 0..9\n  queue_producer m 1..2 id=m\n\nqueue_consumer m 3..9 links=m",
            (2, 2, 0, 0),
        ),
        (
            "agent a 0..9\n  queue_producer m 1..2 id=m\n\nqueue_consumer m 3..9 links=m\n\n"
            "queue_consumer m 10..19",
            (3, 2, 0, 1),
        ),
        ("http_client a 0..9 id=a trace=t\n\ndb b 0..9 parent=b trace=t", (1, 0, 1, 1)),
    ],
)
def test_a_trace_begun_in_the_middle_is_not_complete(model, drawing, coverage):
    (row,) = model(drawing).ask("trace_coverage").itertuples(index=False)

    assert tuple(row[1:]) == coverage


def test_turns_count_from_one_within_a_conversation(ask):
    drawing = """
    agent a 0..10 conversation_id=c

    agent a 100..110 conversation_id=c

    agent b 102..109 conversation_id=c

    agent a 200..210 conversation_id=c

    agent a 300..310
    """

    assert ask("SELECT turn_index, unit_id = 'c' FROM requests ORDER BY start_ns", drawing) == [
        (1, True),
        (2, True),
        (2, True),
        (3, True),
        (None, False),
    ]


def test_each_table_of_a_statement_is_an_access_of_its_own(drawn, build, query):
    (root,) = drawn("agent a 0..10")
    (call,) = drawn("db x 1..9 id=q db_system=postgresql db_namespace=crm")
    call |= {
        "db_collection": None,
        "trace_id": root["trace_id"],
        "parent_span_id": root["span_id"],
        "query_text": "INSERT INTO audit SELECT * FROM users JOIN orders ON true",
    }
    found = query(
        build([root, call]),
        "SELECT agent, resource, access, sensitivity, is_sensitivity_inferred "
        "FROM accesses ORDER BY resource",
    )

    assert found == [
        ("a", "postgresql.crm.audit", "write", [], False),
        ("a", "postgresql.crm.orders", "read", [], False),
        ("a", "postgresql.crm.users", "read", ["pii"], True),
    ]


def test_the_order_of_rows_changes_nothing(drawn, build, query):
    drawing = """
    agent a 0..100 conversation_id=c
      tool t 10..40 !
        http_client crm 11..30 ! http_status=503
          http_server /x 12..29 ! service_name=crm
      model m 50..90
      queue_producer q 91..92 id=sent

    queue_consumer q 95..99 links=sent
      db d 96..98 db_system=postgresql
    """
    rows = drawn(drawing)
    straight = build(rows)
    shuffled = build(random.Random(7).sample(rows, len(rows)))
    for relation in (
        "nodes",
        "groups",
        "calls",
        "requests",
        "critical_path",
        "failures",
        "accesses",
    ):
        everything = f"SELECT * FROM {relation} ORDER BY ALL"

        assert query(straight, everything) == query(shuffled, everything), relation
