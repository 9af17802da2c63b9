"""The table of the lake as one would write it in an afternoon: a span and a value at a time.

Not slow on purpose: what depends on a key alone is worked out once a key. The rules for values are
the project's own, called value by value.
"""

import hashlib
import json
import re
import struct
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ingest import conventions, credentials, query_text, redact
from ingest.cells import _FUNCTIONS as MEANINGS
from ingest.cells import NAMES
from ingest.conventions import COLUMNS, EVENT_COLUMNS, Column, Key, Meaning, Place
from ingest.schema import SPANS

KINDS = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
STATUSES = ("UNSET", "OK", "ERROR")
BATCH_ROWS = 50_000
_DAY_NS = 86_400_000_000_000
_MISSING_ID = ("", "0" * 16)

Json = dict[str, Any]
Texts = dict[str, str]
Parser = Callable[[bytes], Any]


def messages(path: Path) -> Iterator[bytes]:
    """Yield the length-prefixed messages of a dump."""
    with path.open("rb") as stream:
        while head := stream.read(4):
            yield stream.read(struct.unpack(">I", head)[0])


def spans_of_json(path: Path, loads: Parser = json.loads) -> Iterator[Json]:
    """Yield one dict a span, attributes as text; `loads` parses a line."""
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            for of in loads(line)["resourceSpans"]:
                resource = _texts(of.get("resource", {}))
                for group in of["scopeSpans"]:
                    scope = group.get("scope", {})
                    shared = {
                        "record": number,
                        "resource": resource,
                        "scope": _texts(scope),
                        "scope_name": scope.get("name"),
                        "scope_version": scope.get("version"),
                    }
                    for span in group["spans"]:
                        yield _json_span(span) | shared


def _json_span(span: Json) -> Json:
    status = span.get("status", {})
    return {
        "trace_id": span.get("traceId", "").lower(),
        "span_id": span.get("spanId", "").lower(),
        "parent_span_id": span.get("parentSpanId", "").lower(),
        "trace_state": span.get("traceState", ""),
        "flags": span.get("flags", 0),
        "name": span.get("name", ""),
        "kind": span.get("kind", 0),
        "start_ns": int(span.get("startTimeUnixNano", 0)),
        "end_ns": int(span.get("endTimeUnixNano", 0)),
        "attributes": _texts(span),
        "events": [
            (int(event.get("timeUnixNano", 0)), event.get("name", ""), _texts(event))
            for event in span.get("events", ())
        ],
        "links": [
            (link.get("traceId", ""), link.get("spanId", ""), _texts(link))
            for link in span.get("links", ())
        ],
        "status": status.get("code", 0),
        "status_message": status.get("message", ""),
        "dropped": (
            span.get("droppedAttributesCount", 0),
            span.get("droppedEventsCount", 0),
            span.get("droppedLinksCount", 0),
        ),
    }


def _texts(owner: Json) -> Texts:
    return {pair["key"]: _text(pair["value"]) for pair in owner.get("attributes", ())}


def _text(value: Json) -> str:
    if "stringValue" in value:
        return str(value["stringValue"])
    plain = _plain(value)
    if isinstance(plain, bool | list | dict):
        return json.dumps(plain, separators=(",", ":"), ensure_ascii=False)
    return str(plain)


def _plain(value: Json) -> Any:
    for name, inner in value.items():
        if name == "intValue":
            return int(inner)
        if name == "arrayValue":
            return [_plain(item) for item in inner.get("values", ())]
        if name == "kvlistValue":
            return {pair["key"]: _plain(pair["value"]) for pair in inner.get("values", ())}
        return inner
    return None


def spans_of_protobuf(path: Path) -> Iterator[Json]:
    """Yield one dict a span, attributes as text."""
    for number, message in enumerate(messages(path), 1):
        for of in ExportTraceServiceRequest.FromString(message).resource_spans:
            resource = _pb_texts(of.resource)
            for group in of.scope_spans:
                shared = {
                    "record": number,
                    "resource": resource,
                    "scope": _pb_texts(group.scope),
                    "scope_name": group.scope.name,
                    "scope_version": group.scope.version,
                }
                for span in group.spans:
                    yield _pb_span(span) | shared


def _pb_span(span: Any) -> Json:
    return {
        "trace_id": span.trace_id.hex(),
        "span_id": span.span_id.hex(),
        "parent_span_id": span.parent_span_id.hex(),
        "trace_state": span.trace_state,
        "flags": span.flags,
        "name": span.name,
        "kind": span.kind,
        "start_ns": span.start_time_unix_nano,
        "end_ns": span.end_time_unix_nano,
        "attributes": _pb_texts(span),
        "events": [(each.time_unix_nano, each.name, _pb_texts(each)) for each in span.events],
        "links": [
            (each.trace_id.hex(), each.span_id.hex(), _pb_texts(each)) for each in span.links
        ],
        "status": span.status.code,
        "status_message": span.status.message,
        "dropped": (
            span.dropped_attributes_count,
            span.dropped_events_count,
            span.dropped_links_count,
        ),
    }


def _pb_texts(owner: Any) -> Texts:
    return {pair.key: _pb_text(pair.value) for pair in owner.attributes}


def _pb_text(value: Any) -> str:
    if value.WhichOneof("value") == "string_value":
        return str(value.string_value)
    plain = _pb_plain(value)
    if isinstance(plain, bool | list | dict):
        return json.dumps(plain, separators=(",", ":"), ensure_ascii=False)
    return str(plain)


def _pb_plain(value: Any) -> Any:
    name = value.WhichOneof("value")
    if name == "array_value":
        return [_pb_plain(item) for item in value.array_value.values]
    if name == "kvlist_value":
        return {pair.key: _pb_plain(pair.value) for pair in value.kvlist_value.values}
    return getattr(value, name) if name else None


def decoded(spans: Iterable[Json]) -> Iterator[pa.Table]:
    """Yield the spans as flat Arrow columns with their attributes, and nothing judged."""
    for batch in _batches(spans):
        columns = {name: [span[name] for span in batch] for name in batch[0] if name not in _NESTED}
        for name in ("attributes", "resource", "scope"):
            columns[name] = pa.array([list(span[name].items()) for span in batch], _MAP)
        for name, kind in (("events", _EVENTS), ("links", _LINKS)):
            rows = [[(*each[:2], list(each[2].items())) for each in span[name]] for span in batch]
            columns[name] = pa.array(
                [
                    [dict(zip(kind.value_type.names, each, strict=True)) for each in row]
                    for row in rows
                ],
                kind,
            )
        yield pa.table(columns)


_NESTED = ("attributes", "resource", "scope", "events", "links")
_MAP = pa.map_(pa.string(), pa.string())
_EVENTS, _LINKS = SPANS.field("events").type, SPANS.field("links").type


def write(spans: Iterable[Json], folder: Path, *, cohort: str, digest: str) -> int:
    """Write the spans as Parquet files in `schema.SPANS`, each once; return how many were kept."""
    seen: dict[tuple[str, str], int] = {}
    kept = 0
    folder.mkdir(parents=True, exist_ok=True)
    for number, batch in enumerate(_batches(spans)):
        rows = []
        for span in batch:
            row = _row(span)
            if row is None:
                continue
            key = (row["trace_id"], row["span_id"])
            if key in seen:
                continue
            seen[key] = row["content_hash"]
            row["cohort"], row["source_digest"] = cohort, digest
            rows.append(row)
        kept += len(rows)
        table = pa.Table.from_pylist(rows, SPANS)
        table = table.sort_by([(name, "ascending") for name in ("trace_id", "start_ns", "span_id")])
        pq.write_table(table, folder / f"{number}.parquet", compression="zstd", compression_level=1)
    return kept


def _batches(spans: Iterable[Json]) -> Iterator[list[Json]]:
    rest = iter(spans)
    while batch := list(islice(rest, BATCH_ROWS)):
        yield batch


def _row(span: Json) -> Json | None:
    start, end = span["start_ns"], span["end_ns"]
    if not (len(span["trace_id"]) == 32 and len(span["span_id"]) == 16 and 0 < start <= end):
        return None
    known = bool(span["flags"] & 0x100)
    row = {
        "day": start // _DAY_NS,
        "trace_id": span["trace_id"],
        "span_id": span["span_id"],
        "parent_span_id": None if span["parent_span_id"] in _MISSING_ID else span["parent_span_id"],
        "trace_state": span["trace_state"] or None,
        "is_parent_remote": bool(span["flags"] & 0x200) if known else None,
        "name": redact.name(span["name"]),
        "kind": KINDS[span["kind"]],
        "start_ns": start,
        "duration_ns": end - start,
        "status": STATUSES[span["status"]],
        "status_message": redact.message(span["status_message"]),
        "scope_name": span["scope_name"] or None,
        "scope_version": span["scope_version"] or None,
        "dropped_attributes_count": span["dropped"][0],
        "dropped_events_count": span["dropped"][1],
        "dropped_links_count": span["dropped"][2],
        "weight": 1.0,
        "source_record": span["record"],
        "content_hash": _content_hash(span),
    }
    used: set[str] = set()
    _promote(row, span, used)
    for _, name, attributes in span["events"]:
        _from_event(row, name, attributes)
    row["events"] = [
        {"time_ns": time, "name": name, "attributes": list(_safe(attributes).items())}
        for time, name, attributes in span["events"]
    ]
    row["links"] = [
        {"trace_id": trace, "span_id": linked, "attributes": list(_safe(attributes).items())}
        for trace, linked, attributes in span["links"]
    ]
    rest = _safe(span["attributes"], used)
    for key, value in _safe(span["scope"], used).items():
        rest.setdefault(f"scope.{key}", value)
    row["attributes"] = list(rest.items())
    row["resource_attributes"] = list(_safe(span["resource"], used).items())
    return row


def _content_hash(span: Json) -> int:
    said = {key: value for key, value in span.items() if key != "record"}
    data = json.dumps(said, sort_keys=True, separators=(",", ":")).encode()
    return int.from_bytes(hashlib.blake2b(data, digest_size=4).digest(), "little", signed=True)


def _plan(place: str) -> dict[str, list[tuple[int, Column, Key]]]:
    """Return which columns a key feeds where it is found, with its rank in the order of trust."""
    plan: dict[str, list[tuple[int, Column, Key]]] = {}
    for column in COLUMNS:
        order = _PLACES[column.place]
        if place not in order:
            continue
        for trust, given in enumerate(column.keys):
            key = Key(given) if isinstance(given, str) else given
            plan.setdefault(key.name, []).append((1_000 * order.index(place) + trust, column, key))
    return plan


_PLACES = {
    Place.ANYWHERE: ("attributes", "scope", "resource"),
    Place.RESOURCE_FIRST: ("resource", "attributes"),
    Place.SPAN: ("attributes",),
}
_PLANS = {place: _plan(place) for place in ("attributes", "scope", "resource")}


def _promote(row: Json, span: Json, used: set[str]) -> None:
    best: dict[str, tuple[int, str]] = {}
    for place, plan in _PLANS.items():
        for name, text in span[place].items():
            for trust, column, key in plan.get(name, ()):
                if column.name in best and best[column.name][0] < trust:
                    continue
                cell = _cell(text, column, key)
                if cell is not None:
                    best[column.name] = (trust, name)
                    row[column.name] = cell
    used.update(name for _, name in best.values())
    if row["name"].startswith("execute_tool "):
        row.setdefault("tool_name", row["name"].removeprefix("execute_tool "))
    if row.get("db_system") in ("redis", "valkey", "memcached") and row.get("query_text"):
        word, blank, _ = row["query_text"].partition(" ")
        row["query_text"] = f"{word} ?" if blank else word
    if row.get("operation") == "execute_tool" and "input_hash" in row:
        row.setdefault("args_hash", row["input_hash"])


def _from_event(row: Json, name: str, attributes: Texts) -> None:
    for column in _OF_EVENTS:
        event_name, keys = EVENT_COLUMNS[column.name]
        if name != event_name or row.get(column.name) is not None:
            continue
        for key in keys:
            if key in attributes:
                row[column.name] = _cell(attributes[key], column, Key(key))
                break


_OF_EVENTS = [column for column in COLUMNS if column.name in EVENT_COLUMNS]


def _cell(text: str, column: Column, key: Key) -> Any:
    if not text or (column.missing and text.lower() in column.missing):
        return None
    meaning = key.meaning or column.meaning
    if meaning in (Meaning.INTEGER, Meaning.NUMBER):
        try:
            number = float(text) * key.scale + key.shift
        except ValueError:
            return None
        return int(number) if meaning is Meaning.INTEGER else number
    if meaning in NAMES:
        text = _named(text)
        if text == "?":
            return None
    function, _ = MEANINGS[meaning]
    cell = function(text) if function is not None else text
    return column.renames.get(cell, cell) if column.renames else cell


@lru_cache(maxsize=100_000)
def _named(text: str) -> str:
    return credentials.masked(text, is_named=True)


@lru_cache(maxsize=100_000)
def _unnamed(text: str) -> str:
    return credentials.masked(text) if len(text) >= credentials.MIN_BYTES else text


_TREATMENTS = {
    "drop": conventions.DROPPED + conventions.URL_QUERIES,
    "content": conventions.CONTENT,
    "person": conventions.PERSONS,
    "url": conventions.URLS,
    "message": conventions.MESSAGES,
    "query": conventions.QUERIES,
}
_REWRITES: dict[str, Callable[[str], str | None]] = {
    "person": redact.sha256,
    "url": redact.url,
    "message": redact.message,
    "query": query_text.mask,
}


@lru_cache(maxsize=20_000)
def _treatment(key: str) -> str:
    for name, patterns in _TREATMENTS.items():
        if any(re.search(pattern, key) for pattern in patterns):
            return name
    return ""


def _safe(attributes: Texts, used: Iterable[str] = ()) -> dict[str, str | None]:
    """Return what no column holds: content as length and hash, secrets gone."""
    safe: dict[str, str | None] = {}
    for key, text in attributes.items():
        treatment = _treatment(key)
        is_long = len(text) > redact.MAX_TEXT_CHARACTERS
        plain = "" if treatment or is_long else _unnamed(text)
        if treatment == "content" or (not treatment and (is_long or plain == "?")):
            safe[f"{key}.length"] = str(len(text))
            if not (key in used and key in conventions.DIGESTED):
                safe[f"{key}.sha256"] = redact.sha256(text)
        elif treatment == "drop" or (key in used and key not in conventions.KEPT_TOO):
            continue
        else:
            safe[key] = _REWRITES[treatment](text) if treatment else plain
    return safe
