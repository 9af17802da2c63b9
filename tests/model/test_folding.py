"""What is one handoff, and how often and how long it was tried, where several spans tell of it."""

import random

CALLS = "SELECT caller, kind, callee FROM calls ORDER BY start_ns, call_id"


def test_two_markers_of_one_handoff_are_one_call(ask):
    drawing = """
    workflow flow 0..100
      agent triage 1..20
        handoff billing 15..16
        handoff billing 15..17
      agent billing 21..90
    """

    assert ask(CALLS, drawing) == [
        ("agent:flow", "agent", "agent:triage"),
        ("agent:triage", "agent", "agent:billing"),
    ]
    assert ask("SELECT count(*) = count(DISTINCT call_id) FROM calls", drawing) == [(True,)]


def test_an_unnamed_handoff_leads_to_the_next_agent_of_the_same_level(ask):
    drawing = """
    workflow flow 0..100
      agent triage 1..20
        - pass 5..6 operation=handoff
        tool ask 7..19
          agent helper 8..18
      agent billing 21..90
    """

    assert ask(CALLS, drawing) == [
        ("agent:flow", "agent", "agent:triage"),
        ("agent:triage", "tool", "tool:ask"),
        ("tool:ask", "agent", "agent:helper"),
        ("agent:triage", "agent", "agent:billing"),
    ]


def led(markers, agents, levels):
    """By agent the last marker that led to it, found by looking at every pair."""
    given = {}
    for marker in markers:
        _, node, owner, start, name = marker
        level = levels.get(owner)
        found = [
            (agent_level != level, agent_start, agent)
            for _, agent, agent_level, agent_start, agent_name in agents
            if agent_start >= start
            and agent != owner
            and (agent_name == name if name else agent_level == level)
        ]
        if found:
            agent = min(found)[2]
            given[agent] = max(given.get(agent, (0, 0, None)), (start, node, owner))
    return {agent: owner for agent, (_, _, owner) in given.items()}


def test_a_marker_leads_to_the_first_later_agent_of_its_name(drawn, build, query):
    rng = random.Random(4)
    drawings = []
    for _ in range(60):
        lines, depth = ["agent top 0..100"], 1
        for _ in range(12):
            depth = rng.randint(1, depth)
            start = rng.randint(0, 9)
            kind = rng.choice(["agent a", "agent b", "agent c", "handoff a", "handoff b", "-"])
            named = "handoff" if kind == "-" else kind
            extra = "operation=handoff" if kind == "-" else ""
            prefix = "- pass" if kind == "-" else named
            lines.append(f"{'  ' * depth}{prefix} {start}..{start + 20} {extra}")
            depth += named.startswith("agent")
        drawings.append("\n".join(lines))
    model = build(drawn("\n\n".join(drawings)))
    spans = query(
        model,
        "SELECT trace_no, node_id, agent_id, start_ns, label, type FROM nodes "
        "WHERE type IN ('agent', 'handoff')",
    )
    called = dict(query(model, "SELECT call_id, caller FROM calls WHERE callee LIKE 'agent:%'"))
    labels = {node: label for _, node, _, _, label, _ in spans}

    by_marker = 0
    for trace in {row[0] for row in spans}:
        agents = [row[:5] for row in spans if row[0] == trace and row[5] == "agent"]
        markers = [row[:5] for row in spans if row[0] == trace and row[5] == "handoff"]
        levels = {node: level for _, node, level, _, _ in agents}
        for agent, owner in led(markers, agents, levels).items():
            if agent in called:
                assert called[agent] == f"agent:{labels[owner]}"
                by_marker += 1
    assert by_marker > 100


def test_what_carries_an_mcp_session_is_no_call(ask):
    drawing = """
    agent a 0..100
      mcp_control initialize 1..20 kind=CLIENT
        http_client crm 2..19 http_method=POST
          http_server /mcp 3..18 service_name=crm
            mcp_control initialize 4..17 kind=SERVER
    """

    assert ask(CALLS, drawing) == []


def test_a_store_that_is_instrumented_serves_its_client(ask):
    drawing = """
    agent a 0..100
      db docs 1..20 db_system=elasticsearch
        http_server /_search 3..18 service_name=es is_parent_remote=true
      queue_admin create 30..40 kind=CLIENT
        http_client sqs 31..39
    """

    assert ask("SELECT kind, server_ms FROM calls ORDER BY start_ns", drawing) == [
        ("database", 15.0),
        ("queue", None),
    ]


def test_each_message_of_a_batch_goes_to_whom_the_link_says(ask):
    drawing = """
    agent a 0..100 trace=x
      queue_producer x 1..2 id=one trace=x
      queue_producer x 3..4 id=two trace=x

    agent x 5..9 kind=CONSUMER links=one,two trace=y service_name=far
    """

    assert ask("SELECT caller, kind, callee, callee_service FROM calls", drawing) == [
        ("agent:a", "agent", "agent:x", "far"),
        ("agent:a", "agent", "agent:x", "far"),
    ]


def test_a_step_that_links_to_a_message_took_it_whatever_its_kind(ask):
    drawing = """
    workflow w 0..100
      agent upper 1..20
        queue_producer q 10..11 id=sent message_sender=upper
      agent rev 21..40 links=sent
    """

    assert ask(CALLS, drawing) == [
        ("agent:w", "agent", "agent:upper"),
        ("agent:upper", "agent", "agent:rev"),
    ]


def test_an_agent_that_took_a_message_inside_a_workflow_fails_it(ask):
    drawing = """
    workflow w 0..100 !
      agent upper 1..20
        queue_producer q 10..11 id=sent
      agent rev 21..40 ! links=sent
    """

    assert ask("SELECT outcome FROM failures ORDER BY started_at", drawing) == [
        ("root",),
        ("propagated",),
    ]


def test_tries_are_counted_a_host(ask):
    drawing = """
    agent a 0..100
      model m 0..90
        http_client x 1..9
        http_client x 11..19
        http_client y 21..29
        http_client y 31..39
    """

    assert ask("SELECT attempts FROM calls", drawing) == [(2,)]


def test_of_servers_that_worked_at_once_the_last_is_what_the_caller_waited_for(ask):
    drawing = """
    agent a 0..100
      http_client o 0..70
        http_server /o 0..10 service_name=o is_parent_remote=true
        http_server /o 5..15 service_name=o is_parent_remote=true
        http_server /o 50..60 service_name=o is_parent_remote=true
    """

    assert ask("SELECT server_ms FROM calls", drawing) == [(10.0,)]


def test_servers_one_after_the_other_add_up(ask):
    drawing = """
    agent a 0..100
      http_client o 0..70
        http_server /o 0..10 service_name=o is_parent_remote=true
        http_server /o 20..25 service_name=o is_parent_remote=true
    """

    assert ask("SELECT server_ms FROM calls", drawing) == [(15.0,)]


def test_a_try_beside_the_tries_before_it_is_one(ask):
    drawing = """
    agent a 0..100
      tool t 0..90
        http_client crm 1..9 !
        http_client crm 11..19 ! retry_count=1
        http_client crm 21..29 retry_count=2
      http_client aws 91..99 retry_count=2
    """

    assert ask("SELECT attempts FROM calls WHERE kind = 'service' ORDER BY start_ns", drawing) == [
        (1,),
        (1,),
        (1,),
        (3,),
    ]


def test_a_failure_is_mended_by_any_later_try_that_goes_well(ask):
    drawing = """
    agent a 0..100
      tool x 10..20 !
      tool x 12..18
      tool x 30..40
    """

    assert ask("SELECT outcome FROM failures", drawing) == [("retried_ok",)]


def test_a_failure_that_only_others_at_its_side_outlive_is_not_mended(ask):
    drawing = """
    agent a 0..100
      tool x 10..20 !
      tool x 12..18
    """

    assert ask("SELECT outcome FROM failures", drawing) == [("handled",)]


def test_a_degraded_agent_is_seen_through_its_steps(ask):
    drawing = """
    agent a 0..100 is_degraded=true
      step think 1..50
        tool x 2..40 !
    """

    assert ask("SELECT outcome FROM failures", drawing) == [("degraded",)]


def test_a_client_that_names_nobody_is_named_by_its_server(ask):
    drawing = """
    agent a 0..100
      rpc_client Get 1..20
        rpc_server Get 2..19 rpc_service=rate.Rate rpc_method=Get service_name=rate
      - GET 31..50 kind=CLIENT http_method=GET
        http_server /o 32..49 service_name=orders
    """

    assert ask("SELECT callee FROM calls ORDER BY start_ns", drawing) == [
        ("rpc:rate.Rate/Get",),
        ("http:orders/o",),
    ]


def test_cost_is_the_innermost_models(ask):
    drawing = """
    agent a 0..100
      model m 1..90 cost_usd=0.5
        model m 2..80 cost_usd=0.2
    """

    assert ask("SELECT cost_usd FROM calls", drawing) == [(0.2,)]


TOLD = "SELECT aggregated_input_tokens, aggregated_cost_usd FROM requests"


def test_an_agents_sum_counts_where_its_models_say_nothing(ask):
    drawing = """
    agent a 0..100 input_tokens=100 cost_usd=0.5
      agent b 1..90 input_tokens=60
        model m 2..80
    """

    assert ask(TOLD, drawing) == [(100, 0.5)]
    assert ask("SELECT sum(input_tokens) FROM calls", drawing) == [(None,)]


def test_an_agents_sum_is_nothing_beside_its_models_own(ask):
    drawing = """
    agent a 0..100 input_tokens=100 cost_usd=0.5
      model m 2..80 input_tokens=99
    """

    assert ask(TOLD, drawing) == [(None, None)]


def test_a_traces_cost_may_be_its_agents_sum(model):
    costs = model("agent a 0..100 input_tokens=100 cost_usd=0.5").ask("cost_sums")

    assert costs[["cost_usd", "aggregated"]].values.tolist() == [[0.5, 1]]


def test_dispatch_is_what_the_caller_took_before_it_called(ask):
    drawing = """
    agent a 0..100
      model m 10..20
      step tools 22..60
        tool t 25..60
          http_client crm 30..40 http_method=GET
            http_server /x 32..38 service_name=crm
              db d 33..34 service_name=crm
        tool t 26..50
      model m 60..70
      model m 60..90
      handoff b 91..92
    agent b 95..99
    """

    # Two at once are both counted from what had ended; what was handed over was not called within.
    assert ask(
        "SELECT caller, kind, dispatch_ms FROM calls ORDER BY start_ns, end_ns, kind", drawing
    ) == [
        ("agent:a", "model", 10),
        ("agent:a", "tool", 5),
        ("agent:a", "tool", 6),
        ("tool:t", "service", 5),
        ("service:crm", "database", 1),
        ("agent:a", "model", 0),
        ("agent:a", "model", 0),
    ]


def test_a_message_delivered_again_has_as_many_attempts(drawn, build, query):
    rows = drawn("""
    http_server /x 0..20
      queue_producer mails 1..2 id=one
      queue_producer mails 3..4 id=two

    queue_consumer mails 30..40 links=one retry_count=0

    queue_consumer mails 50..60 links=one retry_count=2

    queue_consumer mails 70..80 links=two retry_count=2
    """)
    rows[-1]["attributes"] = [("celery.state", "SUCCESS")]

    attempts = query(
        build(rows), "SELECT attempts FROM calls WHERE kind = 'queue' ORDER BY start_ns"
    )

    # What Celery tries again it sends again: that is another call.
    assert attempts == [(3,), (1,)]
