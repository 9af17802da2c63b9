"""Drawn spans and the ways to write them down, for the tests of ingest."""

import base64
import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

DAY_NS = 86_400_000_000_000
START_NS = 1_780_000_000_000_000_000


@dataclass(frozen=True)
class Span:
    """One span in plain values, before any encoding."""

    trace: int = 1
    span: int = 1
    parent: int = 0
    name: str = "work"
    kind: int = 1
    start: int = START_NS
    duration: int = 5_000_000
    status: int = 0
    message: str = ""
    flags: int = 0
    attributes: dict[str, Any] = field(default_factory=dict)
    events: tuple[tuple[str, dict[str, Any]], ...] = ()
    links: tuple[tuple[int, int], ...] = ()
    service: str = "desk"

    @property
    def trace_id(self) -> str:
        return f"{self.trace:032x}"

    @property
    def span_id(self) -> str:
        return f"{self.span:016x}"


KEYS = st.one_of(
    st.sampled_from(
        [
            *("gen_ai.request.model", "gen_ai.usage.input_tokens", "http.response.status_code"),
            *("input.value", "db.statement", "enduser.id", "url.full", "app.note", "tool.name"),
        ]
    ),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8),
)
SCALARS = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.binary(max_size=6),
)
VALUES = st.one_of(
    SCALARS,
    st.lists(SCALARS, max_size=3),
    st.dictionaries(st.text("abc", max_size=3), SCALARS, max_size=2),
)
ATTRIBUTES = st.dictionaries(KEYS, VALUES, max_size=5)

SPANS = st.builds(
    Span,
    trace=st.integers(1, 4),
    span=st.integers(1, 2**64 - 1),
    parent=st.integers(0, 2**64 - 1),
    name=st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=10),
    kind=st.integers(0, 5),
    start=st.integers(START_NS, START_NS + 3 * DAY_NS),
    duration=st.integers(0, 10**10),
    status=st.integers(0, 2),
    message=st.text("abc 12'\n", max_size=12),
    flags=st.sampled_from([0, 0x100, 0x300]),
    attributes=ATTRIBUTES,
    events=st.lists(st.tuples(st.sampled_from(["exception", "note"]), ATTRIBUTES), max_size=2).map(
        tuple
    ),
    links=st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), max_size=2).map(tuple),
    service=st.sampled_from(["desk", "ledger"]),
)
DUMPS = st.lists(SPANS, min_size=1, max_size=12, unique_by=lambda span: (span.trace, span.span))


def json_value(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, str):
        return {"stringValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, bytes):
        return {"bytesValue": base64.b64encode(value).decode()}
    if isinstance(value, list):
        return {"arrayValue": {"values": [json_value(item) for item in value]}}
    return {"kvlistValue": {"values": json_pairs(value)}}


def json_pairs(attributes: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": json_value(value)} for key, value in attributes.items()]


def json_span(span: Span) -> dict[str, Any]:
    return {
        "traceId": span.trace_id,
        "spanId": span.span_id,
        "parentSpanId": f"{span.parent:016x}" if span.parent else "",
        "name": span.name,
        "kind": span.kind,
        "startTimeUnixNano": str(span.start),
        "endTimeUnixNano": str(span.start + span.duration),
        "flags": span.flags,
        "status": {"code": span.status, "message": span.message},
        "attributes": json_pairs(span.attributes),
        "events": [
            {"timeUnixNano": str(span.start), "name": name, "attributes": json_pairs(attributes)}
            for name, attributes in span.events
        ],
        "links": [
            {"traceId": f"{trace:032x}", "spanId": f"{linked:016x}"} for trace, linked in span.links
        ],
    }


def request(spans: Sequence[Span]) -> dict[str, Any]:
    """Return one ExportTraceServiceRequest as JSON values, a resource for each service."""
    services = dict.fromkeys(span.service for span in spans)
    return {
        "resourceSpans": [
            {
                "resource": {"attributes": json_pairs({"service.name": service})},
                "scopeSpans": [
                    {
                        "scope": {"name": "drawn", "version": "1"},
                        "spans": [json_span(span) for span in spans if span.service == service],
                    }
                ],
            }
            for service in services
        ]
    }


def json_lines(spans: Sequence[Span], *, a_line: int = 3) -> bytes:
    """Return a dump of JSON lines with `a_line` spans in each."""
    pieces = [spans[at : at + a_line] for at in range(0, len(spans), a_line)]
    return b"".join(json.dumps(request(piece)).encode() + b"\n" for piece in pieces)


def _fill(target: Any, value: Any) -> None:
    if isinstance(value, bool):
        target.bool_value = value
    elif isinstance(value, str):
        target.string_value = value
    elif isinstance(value, int):
        target.int_value = value
    elif isinstance(value, float):
        target.double_value = value
    elif isinstance(value, bytes):
        target.bytes_value = value
    elif isinstance(value, list):
        target.array_value.SetInParent()
        for item in value:
            _fill(target.array_value.values.add(), item)
    else:
        target.kvlist_value.SetInParent()
        _fill_pairs(target.kvlist_value.values, value)


def _fill_pairs(target: Any, attributes: dict[str, Any]) -> None:
    for key, value in attributes.items():
        pair = target.add(key=key)
        _fill(pair.value, value)


def message(spans: Sequence[Span]) -> bytes:
    """Return one request as protobuf."""
    result = ExportTraceServiceRequest()
    for service in dict.fromkeys(span.service for span in spans):
        resource_spans = result.resource_spans.add()
        _fill_pairs(resource_spans.resource.attributes, {"service.name": service})
        scope_spans = resource_spans.scope_spans.add()
        scope_spans.scope.name, scope_spans.scope.version = "drawn", "1"
        for span in spans:
            if span.service != service:
                continue
            made = scope_spans.spans.add(
                trace_id=bytes.fromhex(span.trace_id),
                span_id=bytes.fromhex(span.span_id),
                parent_span_id=span.parent.to_bytes(8, "big") if span.parent else b"",
                name=span.name,
                kind=span.kind,
                start_time_unix_nano=span.start,
                end_time_unix_nano=span.start + span.duration,
                flags=span.flags,
            )
            made.status.code, made.status.message = span.status, span.message
            _fill_pairs(made.attributes, span.attributes)
            for name, attributes in span.events:
                event = made.events.add(time_unix_nano=span.start, name=name)
                _fill_pairs(event.attributes, attributes)
            for trace, linked in span.links:
                made.links.add(
                    trace_id=trace.to_bytes(16, "big"), span_id=linked.to_bytes(8, "big")
                )
    return bytes(result.SerializeToString())


def delimited(spans: Sequence[Span], *, a_message: int = 3) -> bytes:
    """Return length-prefixed protobuf with `a_message` spans in each message."""
    pieces = [message(spans[at : at + a_message]) for at in range(0, len(spans), a_message)]
    return b"".join(struct.pack(">I", len(piece)) + piece for piece in pieces)


def many(count: int, *, seed: int = 0, days: int = 1) -> list[Span]:
    """Return `count` different spans in traces of ten."""
    base = Span()
    return [
        replace(
            base,
            trace=seed * 1_000_000 + at // 10 + 1,
            span=seed * 10_000_000 + at + 1,
            parent=0 if at % 10 == 0 else seed * 10_000_000 + at - at % 10 + 1,
            name=f"step {at % 10}",
            start=START_NS + at * 1_000_000 + (at % days) * DAY_NS,
            attributes={"gen_ai.usage.input_tokens": at, "app.note": f"note {at % 7}"},
        )
        for at in range(count)
    ]
