"""What attributes mean, and what of them must never reach the lake."""

import io
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ingest_drawn import START_NS, Span, json_span, request

from ingest import redact
from ingest.conventions import COLUMNS, EVENT_COLUMNS
from ingest.lake import Lake
from ingest.load import IngestConfig, load
from ingest.schema import PROMOTED


def ingested(
    lake: Path,
    *spans: dict[str, Any] | Span,
    resource: dict[str, Any] | None = None,
    config: IngestConfig | None = None,
) -> list[dict[str, Any]]:
    """Return the rows that spans become, in the order given."""
    document = request([Span(span=99)])
    of_resource = document["resourceSpans"][0]
    if resource is not None:
        of_resource["resource"]["attributes"] = [
            {"key": key, "value": {"stringValue": value}} for key, value in resource.items()
        ]
    of_resource["scopeSpans"][0]["spans"] = [
        json_span(span) if isinstance(span, Span) else span for span in spans
    ]
    data = io.BytesIO(json.dumps(document).encode())
    load([("dump", data)], lake, cohort="a", config=config)
    rows: list[dict[str, Any]] = []
    for file in Lake(lake).files():
        rows += pq.ParquetFile(file).read().to_pylist(maps_as_pydicts="strict")
    return sorted(rows, key=lambda row: str(row["span_id"]))


def one(lake: Path, **attributes: Any) -> dict[str, Any]:
    named = {key.replace("__", "."): value for key, value in attributes.items()}
    (row,) = ingested(lake, Span(attributes=named))
    return row


def test_every_promoted_column_has_keys_or_is_derived_and_no_other_column_is_named() -> None:
    named = {column.name for column in COLUMNS}
    assert len(named) == len(COLUMNS)
    assert named == set(PROMOTED.names)
    assert set(EVENT_COLUMNS) <= named


CELLS = [
    ({"gen_ai.request.model": "m", "llm.model_name": "n"}, "request_model", "m"),
    ({"gen_ai.response.model": "unknown", "llm.model_name": "n"}, "response_model", "n"),
    ({"gen_ai.provider.name": "langchain", "gen_ai.system": "OpenAI"}, "provider", "openai"),
    ({"gen_ai.system": "vertex_ai"}, "provider", "gcp.vertex_ai"),
    ({"gen_ai.usage.input_tokens": 5, "llm.token_count.prompt": 7}, "input_tokens", 5),
    ({"gen_ai.usage.prompt_tokens": "6"}, "input_tokens", 6),
    ({"llm.token_count.prompt": 7.0}, "input_tokens", 7),
    ({"langfuse.observation.usage_details": '{"input": 8, "output": 9}'}, "output_tokens", 9),
    ({"operation.cost": 0.25}, "cost_usd", 0.25),
    ({"gen_ai.request.temperature": "0.2"}, "temperature", 0.2),
    ({"ai.settings.maxOutputTokens": 512}, "max_output_tokens", 512),
    ({"gen_ai.response.finish_reasons": ["tool-calls"]}, "finish_reason", "tool_calls"),
    ({"gen_ai.response.time_to_first_chunk": 0.5}, "first_chunk_ms", 500.0),
    ({"ai.response.msToFirstChunk": 12.5}, "first_chunk_ms", 12.5),
    ({"gen_ai.request.stream": True}, "is_stream", True),
    ({"openinference.span.kind": "UNKNOWN", "langsmith.span.kind": "llm"}, "vendor_kind", "llm"),
    ({"operation.name": "GET /users"}, "vendor_kind", None),
    ({"operation.name": "ai.toolCall"}, "vendor_kind", "ai.toolcall"),
    ({"agent.name": "a", "graph.node.id": "n"}, "agent_name", "a"),
    ({"graph.node.id": "n"}, "graph_node_id", "n"),
    ({"session.id": "s", "gen_ai.conversation.id": ""}, "conversation_id", "s"),
    ({"traceloop.association.properties.thread_id": "t"}, "conversation_id", "t"),
    ({"db.system": "mssql"}, "db_system", "microsoft.sql_server"),
    ({"db.system": "Pinecone"}, "db_system", "pinecone"),
    ({"aws.dynamodb.table_names": ["a", "b"]}, "db_collection", "a,b"),
    ({"db.milvus.search.collection_name": "docs"}, "db_collection", "docs"),
    ({"db.statement": "SELECT * FROM t WHERE a = 'x'"}, "query_text",
     "SELECT * FROM t WHERE a = ?"),
    ({"db.system": "redis", "db.statement": "SET user:1 x"}, "query_text", "SET ?"),
    ({"http.method": "get"}, "http_method", "GET"),
    ({"http.target": "/a/b?token=1"}, "url_path", "/a/b"),
    ({"url.full": "https://u:p@h.example:8443/a?x#y"}, "url_path", "/a"),
    ({"url.full": "https://u:p@H.example:8443/a?x#y"}, "server_address", "h.example"),
    ({"url.full": "https://u:p@h.example:8443/a?x#y"}, "server_port", 8443),
    ({"server.address": "127.0.0.1:80"}, "server_address", "127.0.0.1"),
    ({"server.address": "127.0.0.1:80"}, "server_port", 80),
    ({"server.address": "::1"}, "server_address", "::1"),
    ({"http.status_code": "503"}, "http_status", 503),
    ({"http.request.header.x-api-version": ["2"]}, "api_version", '["2"]'),
    ({"http.request.header.accept_version": "2.1"}, "api_version", "2.1"),
    ({"rpc.system": "grpc", "rpc.method": "/pkg.Svc/Get"}, "rpc_service", "pkg.Svc"),
    ({"rpc.system": "grpc", "rpc.method": "/pkg.Svc/Get"}, "rpc_method", "Get"),
    ({"rpc.system": "mcp", "rpc.method": "tools/call"}, "mcp_method", "tools/call"),
    ({"rpc.grpc.status_code": 4}, "rpc_status", "4"),
    ({"messaging.destination": "arn:aws:sqs:eu:1:orders"}, "destination", "orders"),
    ({"messaging.servicebus.message.enqueued_time": 1_780_000_000}, "enqueued_ns", START_NS),
    ({"http.request.header.x-stainless-retry-count": ["2"]}, "retry_count", 2),
    ({"orch.boundary.attempt": 3}, "retry_count", 2),
    ({"logfire.level_num": 17}, "log_level", "ERROR"),
    ({"enduser.scope": "read write,admin"}, "scopes_granted", ["read", "write", "admin"]),
    ({"jwt.claims.roles": ["a"]}, "scopes_granted", ["a"]),
    ({"orch.resource.sensitivity": ["pii"]}, "resource_sensitivity", ["pii"]),
    ({"response_flags": "UT,DI"}, "fault_type", "latency"),
    ({"cache.hit": False}, "cache_hit", False),
    ({"llm.input_messages.0.message.role": "x", "llm.input_messages.2.y": "z"},
     "input_message_count", 3),
    ({"gen_ai.input.messages": '[{"role": "user"}, {"role": "x"}]'}, "input_message_count", 2),
    ({"gen_ai.tool.call.arguments": '{"b": 1, "a": 2}'}, "args_hash",
     redact.sha256('{"a":2,"b":1}')),
    ({"orch.args.hash": "h", "tool_arguments": "{}"}, "args_hash", "h"),
    ({"enduser.id": "eve"}, "user_id", redact.sha256("eve")),
    ({"exception.message": "user 'eve' has 3 cats\nmore"}, "exception_message",
     "user ? has ? cats"),
]  # fmt: skip


@pytest.mark.parametrize(("attributes", "column", "cell"), CELLS)
def test_keys_fill_columns_in_order_of_trust(
    tmp_path: Path, attributes: dict[str, Any], column: str, cell: object
) -> None:
    assert one(tmp_path, **attributes)[column] == cell


def test_a_resource_says_the_service_and_a_span_everything_else(tmp_path: Path) -> None:
    (row,) = ingested(
        tmp_path,
        Span(attributes={"service.name": "span", "tenant.id": "span"}),
        resource={"service.name": "resource", "tenant.id": "resource", "os.type": "linux"},
    )
    assert (row["service_name"], row["tenant"]) == ("resource", "span")
    assert row["resource_attributes"] == {"os.type": "linux", "tenant.id": "resource"}


def test_a_resource_cannot_make_every_span_an_agent(tmp_path: Path) -> None:
    # Elastic's agents write their own name as `agent.name` of the resource.
    (row,) = ingested(
        tmp_path, Span(), resource={"agent.name": "otlp", "gen_ai.agent.id": "otlp/1"}
    )
    assert (row["agent_name"], row["agent_id"]) == (None, None)
    assert row["resource_attributes"]["agent.name"] == "otlp"


def test_a_browser_s_session_is_no_conversation(tmp_path: Path) -> None:
    (row,) = ingested(
        tmp_path,
        Span(attributes={"session.id": "visit"}),
        resource={"telemetry.sdk.language": "webjs"},
    )
    assert row["conversation_id"] is None
    assert row["attributes"]["ui_session"] == "visit"


def test_what_no_column_holds_stays_in_the_map_and_what_one_holds_does_not(tmp_path: Path) -> None:
    row = one(tmp_path, app__note="kept", gen_ai__system="openai", tool__name="x", url__full="h/p")
    assert row["attributes"]["app.note"] == "kept"
    assert "gen_ai.system" not in row["attributes"]
    assert row["provider"] == "openai"


def test_the_first_exception_event_names_the_exception(tmp_path: Path) -> None:
    (row,) = ingested(
        tmp_path,
        Span(
            events=(
                ("note", {"exception.type": "no"}),
                ("exception", {"exception.type": "First", "exception.message": "row 7"}),
                ("exception", {"exception.type": "Second"}),
            )
        ),
    )
    assert (row["exception_type"], row["exception_message"]) == ("First", "row ?")
    assert [event["name"] for event in row["events"]] == ["note", "exception", "exception"]


@pytest.mark.parametrize(
    ("changed", "column", "cell"),
    [
        ({"kind": "SPAN_KIND_CLIENT"}, "kind", "CLIENT"),
        ({"kind": "3"}, "kind", "CLIENT"),
        ({"kind": 77}, "kind", "77"),
        ({"kind": None}, "kind", "UNSPECIFIED"),
        ({"status": {"code": "STATUS_CODE_ERROR"}}, "status", "ERROR"),
        ({"status": None}, "status", "UNSET"),
        ({"flags": 0x300}, "is_parent_remote", True),
        ({"flags": 0x100}, "is_parent_remote", False),
        ({"flags": 0}, "is_parent_remote", None),
        ({"parentSpanId": "0" * 16}, "parent_span_id", None),
        ({"traceState": "x=1,ot=rv:1;th:8"}, "weight", 2.0),
        ({"traceState": "ot=th:c"}, "weight", 4.0),
        ({"traceState": "other=th:c"}, "weight", 1.0),
        ({"startTimeUnixNano": START_NS + 1}, "start_ns", START_NS + 1),
        ({"droppedAttributesCount": "3"}, "dropped_attributes_count", 3),
        ({"name": "execute_tool search"}, "tool_name", "search"),
        ({"status": {"message": "no 'x' at 10.0.0.1"}}, "status_message", "no ? at ?"),
    ],
)
def test_a_span_s_own_fields_have_one_form(
    tmp_path: Path, changed: dict[str, Any], column: str, cell: object
) -> None:
    (row,) = ingested(tmp_path, {**json_span(Span()), **changed})
    assert row[column] == cell


def test_arguments_have_one_hash_in_their_column_or_beside_their_length(tmp_path: Path) -> None:
    text = '{"b": 1}'
    ours = one(tmp_path / "ours", tool_arguments=text)
    said = one(tmp_path / "said", **{"tool_arguments": text, "orch.args.hash": "h"})

    assert ours["args_hash"] == redact.sha256('{"b":1}')
    assert ours["attributes"] == {"tool_arguments.length": "8"}
    assert said["args_hash"] == "h"
    assert said["attributes"] == {
        "tool_arguments.length": "8",
        "tool_arguments.sha256": redact.sha256(text),
    }


SECRET = "zqxsecretzqx"
CONTENT = [
    *("gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.prompt.0.content", "input.value"),
    *("output.value", "llm.input_messages.0.message.content", "traceloop.entity.input"),
    *("ai.prompt.messages", "langfuse.observation.output", "tool.parameters", "ai.toolCall.args"),
    *("retrieval.documents.0.document.content", "gen_ai.tool.call.result", "tool_response"),
    *("pydantic_ai.all_messages", "gcp.vertex.agent.llm_request", "exception.stacktrace"),
    *("spring.ai.chat.client.user.text", "spring.ai.chat.client.system.text"),
]
DROPPED = [
    *("http.request.header.authorization", "http.request.header.cookie", "db.query.parameter.0"),
    *("db.statement.parameters", "rpc.request.metadata.authorization", "url.query"),
    *("http.response.header.set-cookie",),
]
HASHED = ["enduser.id", "user.email", "orch.boundary.idempotency_key", "langfuse.user.id"]


def text_of(lake: Path) -> str:
    return "".join(str(pq.ParquetFile(file).read().to_pylist()) for file in Lake(lake).files())


@pytest.mark.parametrize("key", [*CONTENT, *DROPPED, *HASHED])
@pytest.mark.parametrize("place", ["span", "event", "resource"])
def test_content_secrets_and_persons_never_reach_the_lake(
    tmp_path: Path, key: str, place: str
) -> None:
    own = {key: f"say {SECRET}"}
    ingested(
        tmp_path,
        Span(
            attributes=own if place == "span" else {},
            events=(("note", own),) if place == "event" else (),
        ),
        resource=own if place == "resource" else None,
    )
    found = text_of(tmp_path)
    assert SECRET not in found
    if key in CONTENT:
        assert f"{key}.length" in found
        assert redact.sha256(f"say {SECRET}") in found
    if key in DROPPED:
        assert key not in found


@pytest.mark.parametrize(
    "attributes",
    [
        {"db.statement": f"SELECT '{SECRET}'", "db.query.text": f"SELECT '{SECRET}', 1"},
        {"url.full": f"https://{SECRET}:{SECRET}@h/p?{SECRET}=1#{SECRET}"},
        {"http.url": f"https://h/p?q={SECRET}", "http.target": f"/p?q={SECRET}"},
        {"exception.message": f"bad value '{SECRET}'\n{SECRET}"},
        {"any.unlisted": "x" * 5_000 + SECRET},
    ],
)
def test_what_hides_in_other_attributes_is_masked(
    tmp_path: Path, attributes: dict[str, Any]
) -> None:
    ingested(tmp_path, Span(attributes=attributes, message=f"failed for '{SECRET}'\n{SECRET}"))
    assert SECRET not in text_of(tmp_path)


def test_content_stays_where_the_config_says_so_and_secrets_never(tmp_path: Path) -> None:
    (row,) = ingested(
        tmp_path,
        Span(attributes={"input.value": "hello", "http.request.header.cookie": "c"}),
        config=IngestConfig(keep_content=True),
    )
    assert row["attributes"]["input.value"] == "hello"
    assert "http.request.header.cookie" not in row["attributes"]


def test_a_key_of_one_s_own_is_promoted_by_config(tmp_path: Path) -> None:
    (row,) = ingested(
        tmp_path,
        Span(attributes={"acme.customer": "c7"}),
        config=IngestConfig(promote=(("tenant", "acme.customer"),)),
    )
    assert row["tenant"] == "c7"


@given(st.text())
def test_no_text_raises_in_redaction(text: str) -> None:
    masked = redact.message(text)
    assert masked is None or ("\n" not in masked and len(masked) <= redact.MAX_MESSAGE_CHARACTERS)
    assert "?" not in redact.url(text)
    redact.url_path(text)
    redact.host(text)
    redact.port(text)
