"""What a span is, whose request it is and how it ended, where instrumentations disagree."""

import pytest

TYPES = "SELECT name, type FROM nodes ORDER BY start_ns"
REQUESTS = "SELECT operation FROM requests ORDER BY started_at"


def told(rows, **attributes):
    """The rows with attributes that no column of the lake holds, by the span's name."""
    for row in rows:
        row["attributes"] = [(key, text) for key, text in attributes.get(row["name"], {}).items()]
    return rows


def test_a_bare_model_name_makes_no_model(drawn, build, query):
    rows = told(
        drawn("""
        - run 0..100 agent_name=support request_model=gpt
          model gpt 1..20
          - price 30..40 request_model=Corolla
        """),
        run={"model_name": "gpt"},
        price={"model_name": "Corolla"},
    )

    model = build(rows)

    assert query(model, TYPES) == [("run", "agent"), ("gpt", "model"), ("price", "internal")]
    assert query(model, "SELECT caller, callee FROM calls") == [("agent:support", "model:?/gpt")]


@pytest.mark.parametrize("word", ["database", "", "Agents"])
def test_a_word_that_is_no_type_leaves_the_span_to_its_attributes(ask, drawn, build, query, word):
    rows = drawn("""
    agent a 0..100
      - look 10..20 tool_name=look
    """)
    rows[1]["node_type"] = word

    assert query(build(rows), TYPES) == [("a", "agent"), ("look", "tool")]


def test_a_type_is_read_whatever_its_case_and_blanks(drawn, build, query):
    rows = drawn("- look 10..20")
    rows[0]["node_type"] = " Tool "

    assert query(build(rows), "SELECT type, rule FROM nodes") == [("tool", "D0")]


def test_where_no_kind_is_written_the_span_above_another_service_is_its_client(ask):
    drawing = """
    - gate 0..100 kind=UNSPECIFIED service_name=gate
      - HTTP 10..90 kind=UNSPECIFIED service_name=gate
        - orders 20..80 kind=UNSPECIFIED service_name=orders
          - local 30..40 kind=UNSPECIFIED service_name=orders
    """

    assert ask("SELECT name, type FROM nodes ORDER BY start_ns", drawing) == [
        ("gate", "rpc_server"),
        ("HTTP", "rpc_client"),
        ("orders", "rpc_server"),
        ("local", "internal"),
    ]
    assert ask("SELECT caller, callee, observed_side, handoff_ms FROM calls", drawing) == [
        ("service:gate", "rpc:orders/orders", "both", 20.0)
    ]


def test_a_kindless_root_above_agents_is_their_run_and_no_server(ask):
    drawing = """
    - crew 0..100 kind=UNSPECIFIED
      - kickoff 1..90 kind=UNSPECIFIED vendor_kind=chain
        - m 2..80 kind=UNSPECIFIED vendor_kind=llm
    """

    assert ask(TYPES, drawing) == [("crew", "internal"), ("kickoff", "workflow"), ("m", "model")]
    assert ask("SELECT caller FROM calls WHERE kind = 'model'", drawing) == [("agent:kickoff",)]


def test_an_agent_whose_caller_is_elsewhere_is_one_request(ask):
    for flag in ("is_parent_remote=true", ""):
        drawing = f"""
        agent a 0..100 parent=far {flag}
          agent b 10..90
        agent c 200..300 parent=far {flag}
        """

        assert ask(REQUESTS, drawing) == [("agent:a",)]


def test_an_agent_whose_caller_was_lost_in_its_own_process_is_no_request(ask):
    assert ask(REQUESTS, "agent a 0..100 parent=far is_parent_remote=false") == []


def test_an_agent_without_its_parent_is_no_second_request_of_a_trace(ask):
    drawing = """
    http_server /chat 50..100 http_method=POST
    agent a 0..40 parent=far is_parent_remote=true
    """

    assert ask(REQUESTS, drawing) == [("POST /chat",)]


def test_what_carries_an_mcp_call_is_nobodys_request(ask):
    drawing = """
    http_server /mcp 0..100 http_method=POST
      mcp_server look 10..90
    """

    assert ask(REQUESTS, drawing) == []


def test_an_agent_that_took_a_message_is_no_request_beside_its_sender(ask):
    drawing = """
    agent a 0..20 trace=x
      queue_producer q 1..2 id=sent trace=x

    agent b 30..40 kind=CONSUMER links=sent trace=y
    """

    assert ask(REQUESTS, drawing) == [("agent:a",)]


def test_noise_above_an_agents_work_is_the_request(ask):
    drawing = """
    - create 0..100 operation=create_agent
      agent a 1..90
        model m 2..80
    """

    assert ask(REQUESTS, drawing) == [("create",)]


@pytest.mark.parametrize(
    ("column", "text", "wanted"),
    [
        ("exception_message", "GraphInterrupt((Interrupt(value=?),))", "control_flow"),
        ("exception_type", "langgraph.errors.GraphInterrupt", "control_flow"),
        ("exception_type", "StopIteration", "control_flow"),
        ("status_message", "RuntimeError: generator raised StopIteration", "unknown"),
        ("status_message", "unknown Command(x)", "unknown"),
        ("exception_message", "Command(goto=?)", "control_flow"),
    ],
)
def test_words_of_control_count_where_they_are_the_error_itself(
    drawn, build, query, column, text, wanted
):
    rows = drawn("agent a 0..100 !")
    rows[0][column] = text

    assert query(build(rows), "SELECT error_class FROM nodes") == [(wanted,)]


def test_grpc_names_its_codes_in_the_error_type_too(drawn, build, query):
    names = {
        "RESOURCE_EXHAUSTED": "rate_limited",
        "UNAUTHENTICATED": "authn",
        "INVALID_ARGUMENT": "invalid_request",
        "ALREADY_EXISTS": "conflict",
        "DATA_LOSS": "server_error",
        "FAILED_PRECONDITION": "conflict",
    }
    rows = drawn("agent a 0..100\n" + "".join(f"  rpc_client {n} 1..2 !\n" for n in names))
    for row in rows[1:]:
        row["error_type"] = row["name"]

    found = query(build(rows), "SELECT name, error_class FROM nodes WHERE type = 'rpc_client'")

    assert dict(found) == names


@pytest.mark.parametrize("agent", ["AsyncOpenAI/Python", "AzureOpenAI/Python", "OpenAI/Python"])
def test_a_models_client_library_is_a_program(ask, agent):
    drawing = f"http_server /v1/chat 0..9 http_method=POST user_agent={agent}"

    assert ask("SELECT is_cut FROM nodes", drawing) == [(True,)]
    assert ask(REQUESTS, drawing) == []


def test_a_data_source_is_called_by_its_id(ask):
    drawing = """
    agent a 0..100
      retriever 6f1c9d52-8f9e-4a53-9df8-b0d4eb33a001 1..9
    """

    assert ask("SELECT callee FROM calls", drawing) == [
        ("retrieval:6f1c9d52-8f9e-4a53-9df8-b0d4eb33a001",)
    ]


def test_a_component_key_names_only_what_carries_an_mcp_call(drawn, build, query):
    rows = told(
        drawn("""
        - serve 0..50 kind=SERVER mcp_method=tools/call
          - delegate 1..49
        """),
        serve={"fastmcp.component.key": "tool:get_x@"},
        delegate={"fastmcp.component.key": "tool:get_x@"},
    )

    assert query(build(rows), "SELECT type, label FROM nodes ORDER BY start_ns") == [
        ("mcp_server", "get_x"),
        ("internal", None),
    ]
