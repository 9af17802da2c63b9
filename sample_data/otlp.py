"""Spans to OTLP: lines of JSON or length-prefixed protobuf, batched as exporters do."""

import gzip
from collections.abc import Iterable, Iterator
from enum import StrEnum
from functools import lru_cache
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import cast

import orjson
from opentelemetry.proto.common.v1.common_pb2 import (
    AnyValue,
    ArrayValue,
    InstrumentationScope,
    KeyValue,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1 import trace_pb2 as otlp

from sample_data.record import Failure, Span
from sample_data.system import Attributes, Host, Value

SPANS_A_BATCH = 512  # the default of the batch span processor
FAILED = 2
QUICK = 1  # gzip level of generated months
SMALL = 9  # gzip level of committed dumps
SCOPE_VERSION = "1.4.0"


class Format(StrEnum):
    """Encodings of OTLP that the simulator writes."""

    JSONL = "jsonl"
    PROTOBUF = "protobuf"


SUFFIXES = {Format.JSONL: ".jsonl.gz", Format.PROTOBUF: ".binpb.gz"}


def write_dump(
    path: Path, spans: list[Span], cohort: str, encoding: Format, *, level: int = QUICK
) -> None:
    """Write spans as one gzip file, the same bytes for the same spans.

    JSON is one TracesData a line; protobuf is TracesData messages, each behind its length in
    four bytes, big-endian, as the collector's file exporter writes them.
    """
    # A name or a time of writing in the header would make every run's bytes differ.
    with path.open("wb") as raw, gzip.GzipFile("", "wb", level, raw, mtime=0) as out:
        for batch in batches(spans):
            out.write(encode(batch, cohort, encoding))


def encode(batch: list[Span], cohort: str, encoding: Format) -> bytes:
    """One TracesData as one record of a dump."""
    if encoding is Format.JSONL:
        return orjson.dumps(to_json(batch, cohort)) + b"\n"
    message: bytes = to_message(batch, cohort).SerializeToString(deterministic=True)
    return len(message).to_bytes(4, "big") + message


def batches(spans: list[Span]) -> Iterator[list[Span]]:
    """Spans as exported: in order of their end, up to 512 at a time, whatever their trace."""
    by_end = sorted(spans, key=attrgetter("end_ns", "span_id"))
    for first in range(0, len(by_end), SPANS_A_BATCH):
        yield by_end[first : first + SPANS_A_BATCH]


def _grouped(batch: list[Span]) -> Iterator[tuple[Host, list[tuple[str, list[Span]]]]]:
    batch = sorted(batch, key=attrgetter("host", "scope"))  # stable: order of end is kept inside
    for host, of_host in groupby(batch, key=attrgetter("host")):
        yield host, [(s, list(group)) for s, group in groupby(of_host, key=attrgetter("scope"))]


def to_json(batch: list[Span], cohort: str) -> dict[str, object]:
    """One TracesData as OTLP's JSON mapping has it: hex ids, 64-bit numbers as text."""
    return {
        "resourceSpans": [
            {
                "resource": {"attributes": _json_attributes(host.resource(cohort))},
                "scopeSpans": [
                    {
                        "scope": {"name": scope, "version": SCOPE_VERSION},
                        "spans": [_json_span(span) for span in spans],
                    }
                    for scope, spans in scopes
                ],
            }
            for host, scopes in _grouped(batch)
        ]
    }


def _json_span(span: Span) -> dict[str, object]:
    made: dict[str, object] = {
        "traceId": span.trace_id.hex(),
        "spanId": span.span_id.hex(),
        "flags": span.flags,
        "name": span.name,
        "kind": int(span.kind),
        "startTimeUnixNano": str(span.start_ns),
        "endTimeUnixNano": str(span.end_ns),
        "attributes": _json_attributes(span.fixed)
        + [{"key": key, "value": _json_value(value)} for key, value in _own(span)],
    }
    if span.parent_id:
        made["parentSpanId"] = span.parent_id.hex()
    if span.link:
        made["links"] = [{"traceId": span.link[0].hex(), "spanId": span.link[1].hex()}]
    if span.failure:
        made["status"] = {"message": _status_message(span.failure), "code": FAILED}
        if span.failure.message:
            made["events"] = [
                {
                    "timeUnixNano": str(span.end_ns),
                    "name": "exception",
                    "attributes": _json_attributes(_exception(span.failure)),
                }
            ]
    return made


def _json_value(value: Value) -> dict[str, object]:
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case str():
            return {"stringValue": value}
        case _:
            return {"arrayValue": {"values": [{"stringValue": text} for text in value]}}


# Keyed by the attributes themselves: what every span of a kind says is encoded once.
@lru_cache(maxsize=1024)
def _json_attributes(attributes: Attributes) -> list[dict[str, object]]:
    return [{"key": key, "value": _json_value(value)} for key, value in attributes]


def to_message(batch: list[Span], cohort: str) -> otlp.TracesData:
    """One TracesData as a protobuf message."""
    return otlp.TracesData(
        resource_spans=[
            otlp.ResourceSpans(
                resource=Resource(attributes=_messages(host.resource(cohort))),
                scope_spans=[
                    otlp.ScopeSpans(
                        scope=InstrumentationScope(name=scope, version=SCOPE_VERSION),
                        spans=[_message(span) for span in spans],
                    )
                    for scope, spans in scopes
                ],
            )
            for host, scopes in _grouped(batch)
        ]
    )


def _message(span: Span) -> otlp.Span:
    made = otlp.Span(
        trace_id=span.trace_id,
        span_id=span.span_id,
        parent_span_id=span.parent_id,
        flags=span.flags,
        name=span.name,
        kind=cast("otlp.Span.SpanKind.ValueType", span.kind),
        start_time_unix_nano=span.start_ns,
        end_time_unix_nano=span.end_ns,
        attributes=_messages(span.fixed),
    )
    made.attributes.extend(KeyValue(key=key, value=_value(value)) for key, value in _own(span))
    if span.link:
        made.links.add(trace_id=span.link[0], span_id=span.link[1])
    if span.failure:
        made.status.code = otlp.Status.STATUS_CODE_ERROR
        made.status.message = _status_message(span.failure)
        if span.failure.message:
            made.events.add(
                time_unix_nano=span.end_ns,
                name="exception",
                attributes=_messages(_exception(span.failure)),
            )
    return made


def _value(value: Value) -> AnyValue:
    match value:
        case bool():
            return AnyValue(bool_value=value)
        case int():
            return AnyValue(int_value=value)
        case float():
            return AnyValue(double_value=value)
        case str():
            return AnyValue(string_value=value)
        case _:
            texts = [AnyValue(string_value=text) for text in value]
            return AnyValue(array_value=ArrayValue(values=texts))


@lru_cache(maxsize=1024)
def _messages(attributes: Attributes) -> list[KeyValue]:
    return [KeyValue(key=key, value=_value(value)) for key, value in attributes]


def _own(span: Span) -> Attributes:
    # Old Python HTTP and database instrumentations write no error.type; the others do.
    if span.failure and (span.host.language != "python" or span.scope == "pydantic-ai"):
        return (*span.own, ("error.type", span.failure.type))
    return span.own


def _status_message(failure: Failure) -> str:
    return f"{failure.type}: {failure.message}" if failure.message else ""


def _exception(failure: Failure) -> Attributes:
    return (("exception.type", failure.type), ("exception.message", failure.message))


def pretty(spans: Iterable[Span], cohort: str) -> bytes:
    """All spans as one indented TracesData, for people to read."""
    return orjson.dumps(to_json(list(spans), cohort), option=orjson.OPT_INDENT_2) + b"\n"
