"""A secret put wherever a dump carries content is found nowhere: lake, logs, pages, exports."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from ingest.lake import Lake

CANARY = "xK9canary7secretQ2"
START = 1_780_000_000_000_000_000

# Every key that may carry what people or models wrote, what a tool was given, or a credential.
CONTENT_KEYS = (
    *("gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions"),
    *(
        "gen_ai.prompt",
        "gen_ai.completion",
        "gen_ai.prompt.0.content",
        "gen_ai.completion.0.content",
    ),
    *("gen_ai.tool.call.arguments", "gen_ai.tool.call.result", "gen_ai.tool.definitions"),
    *("input.value", "output.value", "llm.prompts", "llm.input_messages.0.message.content"),
    *(
        "llm.output_messages.0.message.content",
        "llm.invocation_parameters",
        "llm.prompt_template.variables",
    ),
    *("retrieval.documents.0.document.content", "embedding.embeddings.0.embedding.text"),
    *("traceloop.entity.input", "traceloop.entity.output", "langfuse.observation.input"),
    *("langfuse.observation.output", "langfuse.trace.input", "ai.prompt", "ai.prompt.messages"),
    *("ai.response.text", "ai.toolCall.args", "ai.toolCall.result", "tool.parameters"),
    *("mcp.request.argument.q", "gcp.vertex.agent.llm_request", "gcp.vertex.agent.llm_response"),
    *("exception.stacktrace", "db.query.parameter.0", "db.operation.parameter.name"),
    *("http.request.header.authorization", "http.request.header.cookie"),
    *("http.response.header.set-cookie", "rpc.grpc.request.metadata.authorization"),
    *("http.request.body", "http.response.body", "messaging.message.body", "graphql.document"),
    *("process.command_line", "process.command_args", "url.query", "faas.document.body"),
    *("enduser.id", "user.id", "user.email", "user.full_name", "langfuse.user.id"),
    *("password", "api_key", "authorization", "secret", "access_token"),
)
QUERIES = {
    "db.query.text": f"SELECT a FROM t WHERE name = '{CANARY}' -- {CANARY}",
    "db.statement": f"INSERT INTO t VALUES ('{CANARY}')",
    "url.full": f"https://me:{CANARY}@host/path?q={CANARY}#{CANARY}",
    "http.url": f"https://host/path?token={CANARY}",
    "http.target": f"/path?token={CANARY}",
    "exception.message": f"no such user '{CANARY}'",
}


def value(text: str) -> dict[str, Any]:
    return {"stringValue": text}


def pairs(attributes: dict[str, str]) -> list[dict[str, Any]]:
    return [{"key": key, "value": value(text)} for key, text in attributes.items()]


def dump() -> bytes:
    """Return lines whose every content field says the canary, and lines that are refused."""
    content = dict.fromkeys(CONTENT_KEYS, f"it says {CANARY} here") | QUERIES
    nested = {
        "key": "gen_ai.input.messages",
        "value": {
            "arrayValue": {"values": [{"kvlistValue": {"values": pairs({"content": CANARY})}}]}
        },
    }
    span = {
        "traceId": "1" * 32,
        "spanId": "1" * 16,
        "traceState": f"vendor={CANARY},ot=th:8",
        "name": "chat gpt",
        "kind": 3,
        "startTimeUnixNano": str(START),
        "endTimeUnixNano": str(START + 5),
        "status": {"code": 2, "message": f"failed for '{CANARY}'\n{CANARY}"},
        "attributes": [*pairs(content), nested],
        "events": [
            {"timeUnixNano": str(START), "name": "exception", "attributes": pairs(content)},
            {
                "timeUnixNano": str(START),
                "name": "gen_ai.user.message",
                "attributes": pairs(content),
            },
        ],
        "links": [{"traceId": "2" * 32, "spanId": "2" * 16, "attributes": pairs(content)}],
    }
    bad_span = {**span, "spanId": "2" * 16, "endTimeUnixNano": "0"}
    odd_span = {**span, "spanId": "3" * 16, "attributes": [{"key": 5, "value": value(CANARY)}]}
    whole = {
        "resourceSpans": [
            {
                "resource": {"attributes": pairs({"service.name": "desk", **content})},
                "scopeSpans": [
                    {
                        "scope": {"name": "drawn", "attributes": pairs(content)},
                        "spans": [span, bad_span, odd_span],
                    }
                ],
            }
        ]
    }
    text = json.dumps(whole)
    logs = {"resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": value(CANARY)}]}]}]}
    lines = [text, text[: text.rindex(CANARY) + 30], CANARY, json.dumps(logs), f'["{CANARY}"]']
    return "\n".join(lines).encode()


def orchrisk(*arguments: str | Path) -> str:
    ended = subprocess.run(
        [sys.executable, "-c", "from app.cli import main; main()", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in ended.stderr
    return ended.stdout + ended.stderr


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("canary")
    (folder / "dump.jsonl").write_bytes(dump())
    said = orchrisk("ingest", folder / "dump.jsonl", "--lake", folder / "lake", "--cohort", "a")
    return folder / "lake", said


def test_the_dump_itself_says_the_canary_everywhere() -> None:
    assert dump().decode().count(CANARY) > 5 * len(CONTENT_KEYS)


def test_the_canary_is_not_in_any_cell_of_the_lake(lake: tuple[Path, str]) -> None:
    files = Lake(lake[0]).files()
    assert files
    for file in files:
        table = pq.ParquetFile(file).read()
        assert table.num_rows >= 1
        for name in table.column_names:
            assert CANARY not in str(table[name].to_pylist()), name


def test_the_canary_is_not_in_any_byte_beside_the_data(lake: tuple[Path, str]) -> None:
    for answer in ("profile", "check"):
        orchrisk(answer, "--lake", lake[0])
    for file in lake[0].rglob("*"):
        if file.is_file():
            assert CANARY.encode() not in file.read_bytes(), file.name


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [("profile",), ("profile", "--json"), ("check",), ("lake", "list"), ("lake", "list", "--json")],
)
def test_the_canary_is_not_in_what_commands_say(
    lake: tuple[Path, str], command: tuple[str, ...]
) -> None:
    assert CANARY not in lake[1]
    assert "rejected" in lake[1].lower()
    said = orchrisk(*command, "--lake", lake[0])
    assert said
    assert CANARY not in said


def test_the_canary_is_not_in_the_rejects(lake: tuple[Path, str]) -> None:
    rejects = Lake(lake[0]).rejects()
    assert rejects.num_rows >= 4
    assert CANARY not in str(rejects.to_pylist())
