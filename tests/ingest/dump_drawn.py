"""Ways other tools write drawn spans down, and a reader of dumps as plain values."""

import base64
import io
import json
import struct
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import zstandard
from ingest_drawn import DUMPS, Span, json_lines, message, request

from ingest.formats import read_dump

KINDS = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
STATUSES = ("UNSET", "OK", "ERROR")
SCALARS = (str, int, float, bool)


def decoded(data: bytes, *, name: str = "dump") -> tuple[list[dict[str, Any]], int, list[str]]:
    """Return a dump's spans as plain values, how much was refused, and why."""
    dump = read_dump(io.BytesIO(data), name=name, size=len(data))
    spans: list[dict[str, Any]] = []
    refused, reasons = 0, []
    for block in dump.blocks:
        for columns in dump.decode(block):
            services = columns.of_resources
            edges = [0, *services.counts.cumsum().tolist()]
            of_resource = [
                dict(
                    zip(
                        services.keys[left:right].to_pylist(),
                        services.values[left:right].to_pylist(),
                        strict=True,
                    )
                )
                for left, right in pairwise(edges)
            ]
            at = 0
            for place in range(len(columns)):
                count = int(columns.of_spans.counts[place])
                keys = columns.of_spans.keys[at : at + count].to_pylist()
                values = columns.of_spans.values[at : at + count].to_pylist()
                at += count
                spans.append(
                    {
                        **{
                            field: getattr(columns, field)[place].as_py()
                            for field in ("trace_id", "span_id", "parent_span_id", "name")
                        },
                        "kind": columns.kind[place].as_py(),
                        "status": columns.status[place].as_py(),
                        "message": columns.status_message[place].as_py(),
                        "start": int(columns.start[place]),
                        "end": int(columns.end[place]),
                        "attributes": dict(zip(keys, values, strict=True)),
                        "resource": of_resource[int(columns.resource[place])],
                        "events": [
                            name
                            for owner, name in zip(
                                columns.event_span.tolist(),
                                columns.event_name.to_pylist(),
                                strict=True,
                            )
                            if owner == place
                        ],
                        "links": sum(columns.link_span == place),
                    }
                )
            refused += columns.rejects.total
            reasons += [reject.reason for reject in columns.rejects]
    refused += dump.rejects.total
    return spans, refused, reasons + [reject.reason for reject in dump.rejects]


def _in_microseconds(spans: list[Span]) -> list[Span]:
    return [
        replace(
            span,
            start=span.start // 1_000 * 1_000,
            duration=span.duration // 1_000 * 1_000,
            flags=0,
        )
        for span in spans
    ]


def _plain_attributes(spans: list[Span]) -> list[Span]:
    def plain(attributes: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in attributes.items() if isinstance(value, SCALARS)}

    return [
        replace(
            span,
            attributes=plain(span.attributes),
            events=tuple((name, plain(attributes)) for name, attributes in span.events),
        )
        for span in spans
    ]


def _bare(spans: list[Span]) -> list[Span]:
    return [
        replace(
            span,
            kind=span.kind or 1,
            events=tuple((name, {}) for name, _ in span.events),
            links=(),
        )
        for span in spans
    ]


# What each format can carry: all of it, whole microseconds, scalars, no links and bare events.
ANY = DUMPS
CARRIED_BY_JAEGER = DUMPS.map(_in_microseconds).map(_plain_attributes)
CARRIED_BY_ZIPKIN = CARRIED_BY_JAEGER.map(_bare)


def base64_of(digits: str) -> str:
    return base64.b64encode(bytes.fromhex(digits)).decode()


def tempo_json(spans: Sequence[Span], *, key: str = "batches") -> bytes:
    """Return what Tempo's API answers: base64 ids, names for kinds, another top key."""
    document = request(spans)
    for of_resource in document["resourceSpans"]:
        for of_scope in of_resource["scopeSpans"]:
            for span in of_scope["spans"]:
                for field in ("traceId", "spanId", "parentSpanId"):
                    span[field] = base64_of(span[field])
                for link in span["links"]:
                    link["traceId"] = base64_of(link["traceId"])
                    link["spanId"] = base64_of(link["spanId"])
                span["kind"] = "SPAN_KIND_" + KINDS[span["kind"]]
                span["status"]["code"] = "STATUS_CODE_" + STATUSES[span["status"]["code"]]
    if key == "trace":
        return json.dumps({"trace": document, "status": "complete"}).encode()
    return json.dumps({key: document["resourceSpans"]}, indent=1).encode()


def wrapped(data: bytes) -> bytes:
    """Return a message as field 1 of another, as Tempo's protobuf answer holds a trace."""
    length, rest = b"", len(data)
    while rest > 127:
        length, rest = length + bytes([rest & 127 | 128]), rest >> 7
    return b"\x0a" + length + bytes([rest]) + data


def old_json(spans: Sequence[Span]) -> bytes:
    text = json_lines(spans)
    return text.replace(b"scopeSpans", b"instrumentationLibrarySpans").replace(
        b'"scope"', b'"instrumentationLibrary"'
    )


def snake(value: Any, key: str = "") -> Any:
    if isinstance(value, list):
        return [snake(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        "".join("_" + char.lower() if char.isupper() else char for char in key): snake(item)
        for key, item in value.items()
    }


def bare_resources(spans: Sequence[Span]) -> bytes:
    """Return lines of one ResourceSpans each, as the Java logging exporter writes them."""
    return b"".join(json.dumps(each).encode() + b"\n" for each in request(spans)["resourceSpans"])


def packed(spans: Sequence[Span], *, is_json: bool) -> bytes:
    """Return what the collector's file exporter writes with `compression: zstd`."""
    result = b""
    for span in spans:
        plain = json.dumps(request([span])).encode() if is_json else message([span])
        frame = zstandard.compress(plain)
        result += struct.pack(">I", len(frame)) + frame
    return result


def _tag(key: str, value: Any) -> dict[str, Any]:
    for kind, name in ((bool, "bool"), (str, "string"), (int, "int64"), (float, "float64")):
        if isinstance(value, kind):
            return {"key": key, "type": name, "value": str(value) if kind is int else value}
    raise TypeError(type(value))


def jaeger_span(span: Span) -> dict[str, Any]:
    tags = [_tag(key, value) for key, value in span.attributes.items()]
    if span.kind:
        tags.append(_tag("span.kind", KINDS[span.kind].lower()))
    if span.status:
        tags.append(_tag("otel.status_code", STATUSES[span.status]))
    if span.status == 2:
        tags.append(_tag("error", value=True))
    tags += [
        _tag("otel.status_description", span.message),
        _tag("otel.scope.name", "drawn"),
        _tag("otel.scope.version", "1"),
        _tag("internal.span.format", "otlp"),
    ]
    references = [("CHILD_OF", span.trace, span.parent)] if span.parent else []
    references += [("FOLLOWS_FROM", *link) for link in span.links]
    return {
        "traceID": span.trace_id,
        "spanID": span.span_id,
        "operationName": span.name,
        "references": [
            {"refType": kind, "traceID": f"{trace:032x}", "spanID": f"{other:016x}"}
            for kind, trace, other in references
        ],
        "startTime": span.start // 1_000,
        "duration": span.duration // 1_000,
        "tags": tags,
        "logs": [
            {
                "timestamp": span.start // 1_000,
                "fields": [
                    _tag("event", name),
                    *(_tag(key, value) for key, value in attributes.items()),
                ],
            }
            for name, attributes in span.events
        ],
        "processID": f"p-{span.service}",
        "warnings": None,
    }


def jaeger_traces(spans: Sequence[Span]) -> list[dict[str, Any]]:
    return [
        {
            "traceID": f"{trace:032x}",
            "spans": [jaeger_span(span) for span in spans if span.trace == trace],
            "processes": {
                f"p-{service}": {"serviceName": service, "tags": []}
                for service in dict.fromkeys(span.service for span in spans)
            },
        }
        for trace in dict.fromkeys(span.trace for span in spans)
    ]


def jaeger(spans: Sequence[Span]) -> bytes:
    """Return what Jaeger's UI saves and its API answers."""
    document = {"data": jaeger_traces(spans), "total": 0, "limit": 0, "offset": 0, "errors": None}
    return json.dumps(document).encode()


def zipkin_span(span: Span) -> dict[str, Any]:
    def text(value: Any) -> str:
        return str(value).lower() if isinstance(value, bool) else str(value)

    tags = {key: text(value) for key, value in span.attributes.items()}
    tags |= {"otel.scope.name": "drawn", "otel.scope.version": "1"}
    tags |= {"otel.status_description": span.message}
    if span.status:
        tags["otel.status_code"] = STATUSES[span.status]
    made = {
        "traceId": span.trace_id,
        "id": span.span_id,
        "name": span.name,
        "timestamp": span.start // 1_000,
        "duration": span.duration // 1_000,
        "localEndpoint": {"serviceName": span.service},
        "tags": tags,
        "annotations": [
            {"timestamp": span.start // 1_000, "value": name} for name, _ in span.events
        ],
    }
    if span.kind > 1:
        made["kind"] = KINDS[span.kind]
    if span.parent:
        made["parentId"] = f"{span.parent:016x}"
    return made


def zipkin(spans: Sequence[Span]) -> bytes:
    """Return one list of spans, as Zipkin's UI saves a trace."""
    return json.dumps([zipkin_span(span) for span in spans], indent=2).encode()


def zipkin_lines(spans: Sequence[Span]) -> bytes:
    """Return a list of two spans a line, as a reporter posts them."""
    pairs = [spans[at : at + 2] for at in range(0, len(spans), 2)]
    return b"".join(
        json.dumps([zipkin_span(span) for span in each]).encode() + b"\n" for each in pairs
    )


def _iso(time_ns: int) -> str:
    seconds, rest = divmod(time_ns, 1_000_000_000)
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{rest // 1_000:06d}Z"


def console_span(span: Span) -> dict[str, Any]:
    def context(trace: int, other: int) -> dict[str, str]:
        return {"trace_id": f"0x{trace:032x}", "span_id": f"0x{other:016x}", "trace_state": "[]"}

    status = {"status_code": STATUSES[span.status]}
    if span.message:
        status["description"] = span.message
    return {
        "name": span.name,
        "context": context(span.trace, span.span),
        "kind": f"SpanKind.{KINDS[span.kind]}",
        "parent_id": f"0x{span.parent:016x}" if span.parent else None,
        "start_time": _iso(span.start),
        "end_time": _iso(span.start + span.duration),
        "status": status,
        "attributes": span.attributes,
        "events": [
            {"name": name, "timestamp": _iso(span.start), "attributes": attributes}
            for name, attributes in span.events
        ],
        "links": [{"context": context(*link), "attributes": {}} for link in span.links],
        "resource": {"attributes": {"service.name": span.service}, "schema_url": ""},
    }


def console(spans: Sequence[Span]) -> bytes:
    """Return what Python's console exporter prints."""
    return b"\n".join(json.dumps(console_span(span), indent=4).encode() for span in spans) + b"\n"
