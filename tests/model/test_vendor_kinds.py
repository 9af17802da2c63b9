"""Vendors with keys of their own are read as what they stand for, from their dumps to handoffs."""

import hashlib
import json

import pyarrow.parquet as pq
import pytest

from analysis import engine
from ingest.load import load

START_NS = 1_772_452_800_000_000_000
KINDS = {"INTERNAL": 1, "PRODUCER": 4, "CONSUMER": 5, "CLIENT": 3}


def ident(text, digits):
    return hashlib.sha256(text.encode()).hexdigest()[:digits]


def span(key, parent, times, kind="INTERNAL", events=(), **attributes):
    """One span of OTLP JSON; `__` in a key stands for a dot."""
    return {
        "traceId": ident("trace", 32),
        "spanId": ident(key, 16),
        "parentSpanId": parent and ident(parent, 16),
        "name": key,
        "kind": KINDS[kind],
        "startTimeUnixNano": str(START_NS + times[0] * 10**6),
        "endTimeUnixNano": str(START_NS + times[1] * 10**6),
        "attributes": pairs(attributes),
        "events": [
            {"name": name, "timeUnixNano": str(START_NS), "attributes": pairs(told)}
            for name, told in events
        ],
    }


def pairs(attributes):
    return [
        {"key": key.replace("__", "."), "value": {"stringValue": text}}
        for key, text in attributes.items()
    ]


@pytest.fixture
def read(tmp_path):
    """A function from spans of one service to their model."""

    def make(*spans):
        service = {"attributes": pairs({"service__name": "app"})}
        dump = tmp_path / "dump.json"
        scope = {"scope": {}, "spans": list(spans)}
        dump.write_text(
            json.dumps({"resourceSpans": [{"resource": service, "scopeSpans": [scope]}]})
        )
        load([dump], tmp_path / "lake", cohort="baseline")
        return engine.connect(tmp_path / "lake")

    return make


def test_monocles_kinds_are_agents_tools_and_models(read, query):
    model = read(
        span("workflow", None, (0, 100), span__type="workflow", entity__1__name="travel"),
        span("turn", "workflow", (1, 99), span__type="agentic.turn"),
        span("run", "turn", (2, 90), span__type="agentic.invocation", entity__1__name="flights"),
        span(
            "book",
            "run",
            (3, 20),
            span__type="agentic.tool.invocation",
            entity__1__name="book_flight",
        ),
        span(
            "generate",
            "run",
            (30, 60),
            span__type="inference.framework",
            entity__1__inference_endpoint="https://api.openai.com/v1/",
            entity__2__name="gpt-4o",
            events=[("metadata", {"prompt_tokens": "12", "completion_tokens": "3"})],
        ),
        span("create", "generate", (31, 59), span__type="inference.modelapi"),
    )

    assert query(
        model, "SELECT caller, callee, input_tokens, output_tokens FROM calls ORDER BY start_ns"
    ) == [
        ("agent:travel", "agent:flights", None, None),
        ("agent:flights", "tool:book_flight", None, None),
        ("agent:flights", "model:openai/gpt-4o", 12, 3),
    ]
    assert query(model, "SELECT operation FROM requests") == [("agent:travel",)]


def test_llmmas_shows_its_agents_and_its_messages(read, query):
    message = {
        "llmmas__source_agent__id": "Planner",
        "llmmas__target_agent__id": "Coder",
        "llmmas__message__id": "msg-1",
    }
    model = read(
        span("session", None, (0, 100), llmmas__session__id="s1"),
        span("planning", "session", (0, 50), llmmas__segment__name="planning"),
        span("step1", "planning", (0, 50), llmmas__agent__id="Planner"),
        span(
            "inference",
            "step1",
            (40, 45),
            "CLIENT",
            gen_ai__operation__name="inference",
            gen_ai__provider__name="ollama",
            gen_ai__request__model="llama2",
        ),
        span("send", "step1", (48, 49), "PRODUCER", **message),
        span("coding", "session", (50, 100)),
        span("step2", "coding", (50, 99), llmmas__agent__id="Coder"),
        span("process", "step2", (54, 55), "CONSUMER", **message),
    )

    assert query(
        model, "SELECT caller, callee, client_ms, queue_ms FROM calls ORDER BY start_ns"
    ) == [
        ("service:app", "agent:Planner", 50.0, None),
        ("agent:Planner", "model:ollama/llama2", 5.0, None),
        ("agent:Planner", "queue:Coder", 1.0, 5.0),
        ("service:app", "agent:Coder", 49.0, None),
    ]
    # What the planner waits before it asks its model is told at the handoff to it.
    assert query(
        model,
        """
        SELECT self_ns / 1e6
        FROM critical_path
        INNER JOIN calls ON critical_path.boundary_id = calls.boundary_id
        WHERE callee = 'agent:Planner'
        """,
    ) == [(44.0,)]


def test_previews_are_content(read, tmp_path):
    read(span("infer", None, (0, 9), llmmas__llm__input__preview="the customer's own words"))

    files = list((tmp_path / "lake").rglob("*.parquet"))
    held = str([pq.ParquetFile(path).read().to_pylist() for path in files])

    assert "infer" in held
    assert "own words" not in held
