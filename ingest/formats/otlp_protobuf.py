"""OTLP as protobuf messages: walks one request and appends raw values to `Rows`."""

import base64
from collections.abc import Iterable
from typing import Any

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ingest.formats.blocks import Block
from ingest.formats.columns import Columns
from ingest.formats.otlp_json import as_text
from ingest.formats.rows import Entries, Rows


def parse(data: bytes) -> ExportTraceServiceRequest:
    """Return the request in `data`.

    Raises:
        ValueError: where the bytes are not a request for spans, be it another signal's.
    """
    request = ExportTraceServiceRequest()
    try:
        request.ParseFromString(data)
    except DecodeError as error:
        raise ValueError(str(error)) from error
    return request


def decode(block: Block) -> Columns:
    """Return the spans of all messages; those that cannot be read are counted in `rejects`."""
    rows = Rows()
    for record, offset, message in block.records():
        try:
            request = parse(message)
        except ValueError as error:
            rows.rejects.add(
                "the message is not an OTLP request",
                place=f"record {record:,}, byte {offset:,} ({error})"[:300],
                mend="Export it again; the other messages were read.",
            )
            continue
        walk(request, rows, record)
    return rows.columns()


def walk(request: ExportTraceServiceRequest, rows: Rows, record: int) -> None:
    """Append every span of one request to `rows`."""
    for resource_spans in request.resource_spans:
        resource_index = len(rows.resources)
        rows.resources.append(_pairs(resource_spans.resource.attributes, rows.of_resources))
        for scope_spans in resource_spans.scope_spans:
            scope_index = len(rows.scopes)
            scope = scope_spans.scope
            pairs = _pairs(scope.attributes, rows.of_scopes)
            rows.scopes.append((scope.name, scope.version, pairs))
            for span in scope_spans.spans:
                _walk_span(span, rows, record, resource_index, scope_index)


def _walk_span(span: Any, rows: Rows, record: int, resource: int, scope: int) -> None:
    index = len(rows.spans)
    attributes = span.attributes
    if attributes:
        add_key, add_value = rows.of_spans.keys.append, rows.of_spans.values.append
        for pair in attributes:
            value = pair.value
            add_key(pair.key)
            add_value(value.string_value or _text_of(value))
    for event in span.events:
        pairs = _pairs(event.attributes, rows.of_events)
        rows.events.append((index, event.time_unix_nano, event.name, pairs))
    for link in span.links:
        pairs = _pairs(link.attributes, rows.of_links)
        rows.links.append((index, link.trace_id.hex(), link.span_id.hex(), pairs))
    status = span.status
    rows.spans.append(
        (
            span.trace_id.hex(),
            span.span_id.hex(),
            span.parent_span_id.hex(),
            span.trace_state,
            span.flags,
            span.name,
            span.kind,
            span.start_time_unix_nano,
            span.end_time_unix_nano,
            status.code,
            status.message,
            span.dropped_attributes_count,
            span.dropped_events_count,
            span.dropped_links_count,
            record,
            resource,
            scope,
            len(attributes),
        )
    )


def _pairs(attributes: Iterable[Any], into: Entries) -> int:
    before = len(into.keys)
    for pair in attributes:
        into.keys.append(pair.key)
        into.values.append(pair.value.string_value or _text_of(pair.value))
    return len(into.keys) - before


def _text_of(value: Any) -> str | None:
    plain = _plain(value)
    if plain is None or plain.__class__ is str:
        return plain
    return as_text(plain)


def _plain(value: Any) -> object:
    which = value.WhichOneof("value")
    match which:
        case None:
            return None
        case "array_value":
            return [_plain(item) for item in value.array_value.values]
        case "kvlist_value":
            return {item.key: _plain(item.value) for item in value.kvlist_value.values}
        case "bytes_value":
            return base64.b64encode(value.bytes_value).decode()
        case _:
            return getattr(value, which)
