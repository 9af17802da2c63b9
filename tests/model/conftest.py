"""Traces drawn as indented text become a lake and its model, so that a test reads as a picture."""

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from analysis import engine
from analysis.scope import Scope
from ingest import schema
from ingest.load import load

Recorded = tuple[engine.Model, dict[str, list[dict[str, Any]]]]
DATA = Path(__file__).parents[3] / "shared" / "data"
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)

_LINE = re.compile(r"( *)(\S+)\s+(\S+)\s+(-?[\d.]+)\.\.(-?[\d.]+)\s*(!?)\s*(.*)")
_NAMED = {
    "agent": "agent_name",
    "workflow": "workflow_name",
    "tool": "tool_name",
    "handoff": "handoff_to",
    "model": "request_model",
    "embedding": "request_model",
    "http_client": "server_address",
    "http_server": "http_route",
    "db": "db_collection",
    "queue_producer": "destination",
    "queue_consumer": "destination",
    "retriever": "data_source_id",
    "mcp_server": "tool_name",
    "mcp_client": "tool_name",
}
_KINDS = {
    "db": "CLIENT",
    "cache": "CLIENT",
    "model": "CLIENT",
    "embedding": "CLIENT",
    "object_store": "CLIENT",
    "queue_producer": "PRODUCER",
    "queue_consumer": "CONSUMER",
}
_TYPES = {field.name: field.type for field in schema.SPANS}


def ns(ms: float) -> int:
    """Nanoseconds since 1970 of a drawn millisecond; 0 is noon of the drawn day."""
    return int(NOON.timestamp()) * 10**9 + round(ms * 1e6)


def ident(text: str, digits: int) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:digits]


def spans(drawing: str, *, cohort: str = "baseline", place: str = "") -> list[dict[str, Any]]:
    """Rows of the lake from `type name start..end [!] [column=value ...]`, deeper = child.

    Times are milliseconds. `-` as the type leaves it to the span's attributes. A blank line begins
    another trace. `id=` names a span, `links=` points to one, `parent=` overrides the picture.
    """
    rows = []
    stack: list[tuple[int, dict[str, Any]]] = []
    trace = 0
    for number, line in enumerate(drawing.splitlines()):
        if not line.strip():
            trace, stack = (trace + 1, []) if stack else (trace, stack)
            continue
        match = _LINE.fullmatch(line.rstrip())
        assert match, f"not a span: {line!r}"
        indent, kind, name, start, end, failed, rest = match.groups()
        while stack and stack[-1][0] >= len(indent):
            stack.pop()
        parent = stack[-1][1] if stack else None
        extra = dict(word.split("=", 1) for word in rest.split())
        key = extra.pop("id", f"{trace}.{number}")
        row: dict[str, Any] = dict.fromkeys(_TYPES)
        row |= {
            "cohort": cohort,
            "trace_id": ident(f"{place}{cohort}/{extra.pop('trace', trace)}", 32),
            "span_id": ident(f"{place}{key}", 16),
            "parent_span_id": parent and parent["span_id"],
            "name": name,
            "kind": _KINDS.get(
                kind, {"client": "CLIENT", "server": "SERVER"}.get(kind.split("_")[-1], "INTERNAL")
            ),
            "start_ns": ns(float(start)),
            "end_ns": ns(float(end)),
            "status": "ERROR" if failed else "UNSET",
            "scope_name": "drawn",
            "weight": 1.0,
            "service_name": parent["service_name"] if parent else "app",
            "node_type": None if kind == "-" else kind,
            "events": [],
            "links": [],
            "attributes": [],
        }
        if kind in _NAMED:
            row[_NAMED[kind]] = name
        if "parent" in extra:
            row["parent_span_id"] = ident(f"{place}{extra.pop('parent')}", 16)
        if "links" in extra:
            row["links"] = [
                {"trace_id": None, "span_id": ident(f"{place}{target}", 16), "attributes": []}
                for target in extra.pop("links").split(",")
            ]
        row |= {column: _cell(column, text) for column, text in extra.items()}
        row["day"] = (NOON + timedelta(milliseconds=float(start))).date()
        rows.append(row)
        stack.append((len(indent), row))
    traces = {row["span_id"]: row["trace_id"] for row in rows}
    for row in rows:
        for link in row["links"]:
            link["trace_id"] = traces[link["span_id"]]
    return rows


def _cell(column: str, text: str) -> Any:
    if _TYPES[column] == pa.bool_():
        return text == "true"
    return pa.scalar(text).cast(_TYPES[column]).as_py()


def lay(rows: list[dict[str, Any]], lake: Path) -> Path:
    """Write rows as one more part of a lake, which says how long a span is, not when it ended."""
    rows = [row | {"duration_ns": row["end_ns"] - row["start_ns"]} for row in rows]
    table = pa.Table.from_pylist(rows, schema=schema.SPANS)
    write_deltalake(str(lake), table, partition_by=["cohort", "day"], mode="append")
    return lake


@pytest.fixture(scope="session", name="lay")
def _lay() -> Callable[..., Path]:
    """A function from rows to a lake that has them."""
    return lay


@pytest.fixture(scope="session")
def drawn() -> Callable[..., list[dict[str, Any]]]:
    """A function from a drawing to rows of the lake."""
    return spans


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., engine.Model]]:
    """A function from rows of the lake to their model."""
    opened = []

    def make(rows: list[dict[str, Any]], lake: Path | None = None) -> engine.Model:
        lake = lake or tmp_path_factory.mktemp("lake")
        opened.append(engine.connect(lay(rows, lake)))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


@pytest.fixture(scope="session")
def agent_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Recorded]]:
    """A function from a recorded agent system to its model and its turns' labels by cohort."""
    made: dict[str, Recorded] = {}

    def record(name: str) -> Recorded:
        folder = DATA / f"agent-app-{name}"
        if not folder.is_dir():
            pytest.skip(f"{folder} is not here")
        if name not in made:
            lake, labels = tmp_path_factory.mktemp("recorded") / "lake", {}
            for cohort, side in {"baseline": "before", "pilot": "after"}.items():
                load(sorted((folder / side / "otlp").glob("*.jsonl.gz")), lake, cohort=cohort)
                lines = (folder / side / "labels.jsonl").read_text(encoding="utf-8").splitlines()
                labels[cohort] = [json.loads(line) for line in lines]
            made[name] = engine.connect(lake), labels
        return made[name]

    yield record
    for opened, _ in made.values():
        opened.close()


@pytest.fixture(params=["pydantic-ai", "langgraph-openinference"])
def recorded(request: pytest.FixtureRequest, agent_app: Callable[[str], Recorded]) -> Recorded:
    """Each of the two recorded agent systems: its model and its turns' labels by cohort."""
    return agent_app(request.param)


@pytest.fixture
def model(build: Callable[..., engine.Model]) -> Callable[..., engine.Model]:
    """A function that makes the model of one drawing, or of one drawing a cohort."""

    def make(drawing: str = "", **cohorts: str) -> engine.Model:
        texts = {"baseline": drawing} if drawing else cohorts
        return build([row for cohort, text in texts.items() for row in spans(text, cohort=cohort)])

    return make


@pytest.fixture(scope="session")
def query() -> Callable[..., list[tuple[Any, ...]]]:
    """A function that puts SQL to a model's relations, within a scope."""

    def answer(model: engine.Model, sql: str, scope: Scope | None = None) -> list[tuple[Any, ...]]:
        with model.relations(scope) as cursor:
            return cursor.execute(sql).fetchall()

    return answer


@pytest.fixture
def ask(
    model: Callable[..., engine.Model], query: Callable[..., list[tuple[Any, ...]]]
) -> Callable[[str, str], list[tuple[Any, ...]]]:
    """A function from SQL over the relations and a drawing to rows."""
    return lambda sql, drawing: query(model(drawing), sql)
