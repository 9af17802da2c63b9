"""OTLP as protobuf messages: walks one request and appends raw values to `Rows`.

Messages are read by classes whose texts are bytes, so that one text that is no UTF-8 does not cost
the message it stands in.
"""

import base64
from collections.abc import Iterable
from typing import Any

from google.protobuf import (  # type: ignore[import-untyped]
    descriptor_pb2,
    descriptor_pool,
    message_factory,
)
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.resource.v1 import resource_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

from ingest import redact
from ingest.formats.blocks import Block
from ingest.formats.columns import Columns
from ingest.formats.otlp_values import as_text
from ingest.formats.protobuf_shape import signal, unwrap
from ingest.formats.rows import Entries, Rows

_TRACE_ID_BYTES = 16


def _request_class() -> Any:
    """Return the published class of a request, with bytes for texts and the field of old exporters.

    Before OTLP 1.0 spans stood in field 1000, in messages of the same shape.
    """
    pool = descriptor_pool.DescriptorPool()
    for module in (common_pb2, resource_pb2, trace_pb2, trace_service_pb2):
        file = descriptor_pb2.FileDescriptorProto.FromString(module.DESCRIPTOR.serialized_pb)
        for message in file.message_type:
            for field in message.field:
                if field.type == field.TYPE_STRING:
                    field.type = field.TYPE_BYTES
            if message.name == "ResourceSpans":
                del message.reserved_range[:]
                message.field.add(
                    name="instrumentation_library_spans",
                    number=1000,
                    label=descriptor_pb2.FieldDescriptorProto.LABEL_REPEATED,
                    type=descriptor_pb2.FieldDescriptorProto.TYPE_MESSAGE,
                    type_name=".opentelemetry.proto.trace.v1.ScopeSpans",
                )
        pool.AddSerializedFile(file.SerializeToString())
    name = "opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest"
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))


_REQUEST = _request_class()


def parse(data: bytes) -> Any:
    """Return the request in `data`: an ExportTraceServiceRequest whose texts are bytes.

    Raises:
        ValueError: where the bytes are not a request for spans; the message says what they are.
    """
    plain = unwrap(data)
    request = _REQUEST()
    try:
        request.ParseFromString(plain)
    except DecodeError as error:
        found = signal(plain)
        raise ValueError(_other(found) if found else str(error)) from error
    if not _has_span(request) and (found := signal(plain)):
        raise ValueError(_other(found))
    return request


def _other(name: str) -> str:
    return f"the message holds {name}, not traces"


def _has_span(request: Any) -> bool:
    """Say whether any span looks like one: a metric's name may be as long as a trace id."""
    return any(
        span.start_time_unix_nano or span.end_time_unix_nano
        for resource_spans in request.resource_spans
        for scope_spans in _scopes(resource_spans)
        for span in scope_spans.spans
        if len(span.trace_id) in (0, _TRACE_ID_BYTES)
    )


def decode(block: Block) -> Columns:
    """Return the spans of all messages; those that cannot be read are counted in `rejects`."""
    rows = Rows()
    for record, offset, message in block.records():
        try:
            request = parse(message)
        except ValueError as error:
            place = f"record {record:,}, byte {offset:,}"
            is_other = str(error).endswith("not traces")
            rows.rejects.add(
                str(error) if is_other else "the message is not an OTLP request",
                place=place if is_other else f"{place} ({error})"[:300],
                mend="Point the exporter's traces pipeline at this file."
                if is_other
                else "Export it again; the other messages were read.",
                sample=redact.sample(message, is_text=False),
            )
            continue
        walk(request, rows, record)
    return rows.columns()


def walk(request: Any, rows: Rows, record: int) -> None:
    """Append every span of one request to `rows`."""
    for resource_spans in request.resource_spans:
        resource_index = len(rows.resources)
        rows.resources.append(_pairs(resource_spans.resource.attributes, rows.of_resources))
        for scope_spans in _scopes(resource_spans):
            scope_index = len(rows.scopes)
            scope = scope_spans.scope
            pairs = _pairs(scope.attributes, rows.of_scopes)
            rows.scopes.append((_text(scope.name), _text(scope.version), pairs))
            for span in scope_spans.spans:
                _walk_span(span, rows, record, resource_index, scope_index)


def _scopes(resource_spans: Any) -> list[Any]:
    return [*resource_spans.scope_spans, *resource_spans.instrumentation_library_spans]


def _walk_span(span: Any, rows: Rows, record: int, resource: int, scope: int) -> None:
    index = len(rows.spans)
    pairs_of_span = _pairs(span.attributes, rows.of_spans)
    for event in span.events:
        pairs = _pairs(event.attributes, rows.of_events)
        rows.events.append((index, event.time_unix_nano, _text(event.name), pairs))
    for link in span.links:
        pairs = _pairs(link.attributes, rows.of_links)
        rows.links.append((index, link.trace_id.hex(), link.span_id.hex(), pairs))
    status = span.status
    rows.spans.append(
        (
            span.trace_id.hex(),
            span.span_id.hex(),
            span.parent_span_id.hex(),
            _text(span.trace_state),
            span.flags,
            _text(span.name),
            span.kind,
            span.start_time_unix_nano,
            span.end_time_unix_nano,
            status.code,
            _text(status.message),
            span.dropped_attributes_count,
            span.dropped_events_count,
            span.dropped_links_count,
            record,
            resource,
            scope,
            pairs_of_span,
        )
    )


def _pairs(attributes: Iterable[Any], into: Entries) -> int:
    before = len(into.keys)
    for pair in attributes:
        into.keys.append(_text(pair.key))
        into.values.append(text_of(pair.value))
    return len(into.keys) - before


def _text(raw: bytes | str) -> str:
    return raw.decode(errors="replace") if isinstance(raw, bytes) else raw


def text_of(value: Any) -> str | None:
    """Return an AnyValue, of these classes or the published ones, as text; null where unset."""
    plain = _plain(value)
    if plain is None or plain.__class__ is str:
        return plain
    return as_text(plain)


def _plain(value: Any) -> Any:
    which = value.WhichOneof("value")
    match which:
        case None:
            return None
        case "string_value":
            return _text(value.string_value)
        case "array_value":
            return [_plain(item) for item in value.array_value.values]
        case "kvlist_value":
            return {_text(item.key): _plain(item.value) for item in value.kvlist_value.values}
        case "bytes_value":
            return base64.b64encode(value.bytes_value).decode()
        case _:
            return getattr(value, which)
