"""OTLP protobuf requests -> columns, without a Python object a value.

The published message classes check a request down to its spans and hand these over as bytes;
`wire` reads spans, attributes and values in lock-step. A request with anything unusual (unknown
fields, a part given twice, text that is not UTF-8) goes to `otlp_protobuf`, that request only.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from google.protobuf import (  # type: ignore[import-untyped]
    descriptor_pb2,
    descriptor_pool,
    message_factory,
)
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from ingest import identity
from ingest.formats import otlp_protobuf
from ingest.formats.blocks import Block
from ingest.formats.columns import Columns
from ingest.formats.protobuf_messages import Messages
from ingest.formats.wire import BYTES, FIXED32, FIXED64, VARINT, Integers


def _request_class() -> Any:
    """Return a class for requests whose resources, scopes and spans stay bytes."""
    file = descriptor_pb2.FileDescriptorProto(name="skeleton.proto", syntax="proto3")
    kind = descriptor_pb2.FieldDescriptorProto
    for name, parts in (
        ("ScopeSpans", ((1, "scope", None), (2, "spans", None), (3, "schema_url", None))),
        (
            "ResourceSpans",
            (
                (1, "resource", None),
                (2, "scope_spans", "ScopeSpans"),
                (3, "schema_url", None),
                # Exporters before OTLP 1.0 wrote the same under another number.
                (1000, "old_spans", "ScopeSpans"),
            ),
        ),
        ("Request", ((1, "resource_spans", "ResourceSpans"),)),
    ):
        message = file.message_type.add(name=name)
        for number, part, of in parts:
            message.field.add(
                name=part,
                number=number,
                label=kind.LABEL_REPEATED,
                type=kind.TYPE_MESSAGE if of else kind.TYPE_BYTES,
                type_name=of and f".{of}",
            )
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("Request"))


_REQUEST = _request_class()


@dataclass
class _Found:
    """Spans, scopes and resources of many requests as bytes; equal resources are one."""

    spans: list[bytes] = field(default_factory=list)
    record: list[tuple[int, int]] = field(default_factory=list)  # number, spans
    scope: list[tuple[int, int]] = field(default_factory=list)  # position, spans
    resource: list[tuple[int, int]] = field(default_factory=list)
    scopes: dict[bytes, int] = field(default_factory=dict)
    resources: dict[bytes, int] = field(default_factory=dict)


class _NotCanonicalError(Exception):
    """Requests that the reference must read; `records` are their numbers."""

    def __init__(self, records: set[int]) -> None:
        super().__init__("requests are not canonical")
        self.records = records


def decode(block: Block) -> list[Columns]:
    """Return the block's spans: those of canonical requests, then those of all others."""
    others: set[int] = set()
    requests: list[tuple[int, Any]] = []
    places: dict[int, int] = {}
    for place, (record, _, message) in enumerate(block.records()):
        places[record] = place
        request = _parsed(message)
        if request is None:
            others.add(record)
        else:
            requests.append((record, request))
    parts: list[Columns] = []
    while requests and not parts:
        try:
            parts = [_columns(_gathered(requests))]
        except _NotCanonicalError as error:
            others |= error.records
            requests = [each for each in requests if each[0] not in error.records]
    if others:
        left = np.array(sorted(places[record] for record in others), np.int64)
        parts.append(otlp_protobuf.decode(block.only(left)))
    return parts


def _parsed(message: bytes) -> Any:
    try:
        request = _REQUEST.FromString(message)
    except DecodeError:
        return None
    # What the skeleton does not know would be lost here; canonical requests are known whole.
    if request.ByteSize() != len(message):
        return None
    request.DiscardUnknownFields()
    if request.ByteSize() != len(message):
        return None
    for of in request.resource_spans:
        groups = (*of.scope_spans, *of.old_spans)
        # What no span belongs to would not be looked at.
        if len(of.resource) > 1 or not groups:
            return None
        for group in groups:
            if len(group.scope) > 1 or not len(group.spans):
                return None
    return request


def _gathered(requests: list[tuple[int, Any]]) -> _Found:
    found = _Found()
    for record, request in requests:
        before = len(found.spans)
        for of in request.resource_spans:
            content = of.resource[0] if of.resource else b""
            resource = found.resources.setdefault(content, len(found.resources))
            for group in (*of.scope_spans, *of.old_spans):
                content = group.scope[0] if group.scope else b""
                scope = found.scopes.setdefault(content, len(found.scopes))
                spans = group.spans
                found.spans.extend(spans)
                found.scope.append((scope, len(spans)))
                found.resource.append((resource, len(spans)))
        found.record.append((record, len(found.spans) - before))
    return found


def _repeated(counted: list[tuple[int, int]]) -> Integers:
    values, counts = np.array(counted, np.int64).reshape(-1, 2).T
    repeated: Integers = np.repeat(values, counts)
    return repeated


_SPAN_TAGS = frozenset(
    [number * 8 + BYTES for number in (1, 2, 3, 4, 5, 9, 11, 13, 15)]
    + [number * 8 + VARINT for number in (6, 10, 12, 14)]
    + [7 * 8 + FIXED64, 8 * 8 + FIXED64, 16 * 8 + FIXED32]
)
_EVENT_TAGS = frozenset([1 * 8 + FIXED64, 2 * 8 + BYTES, 3 * 8 + BYTES, 4 * 8 + VARINT])
_LINK_TAGS = frozenset(
    [number * 8 + BYTES for number in (1, 2, 3, 4)] + [5 * 8 + VARINT, 6 * 8 + FIXED32]
)
_STATUS_TAGS = frozenset([2 * 8 + BYTES, 3 * 8 + VARINT])
_RESOURCE_TAGS = frozenset([1 * 8 + BYTES, 2 * 8 + VARINT])
_SCOPE_TAGS = frozenset([1 * 8 + BYTES, 2 * 8 + BYTES, 3 * 8 + BYTES, 4 * 8 + VARINT])


def _columns(found: _Found) -> Columns:
    """Return the columns of whole requests.

    Raises:
        _NotCanonicalError: naming the requests that the reference must read.
    """
    record = _repeated(found.record)
    resource, scope = _repeated(found.resource), _repeated(found.scope)
    spans = Messages.joined(found.spans, _SPAN_TAGS)
    events = spans.inner(11, _EVENT_TAGS)
    links = spans.inner(13, _LINK_TAGS)
    states = spans.inner(15, _STATUS_TAGS)
    resources = Messages.joined(list(found.resources), _RESOURCE_TAGS)
    scopes = Messages.joined(list(found.scopes), _SCOPE_TAGS)
    code = np.zeros(len(record), np.int64)
    code[states.owner] = states.numbers(3)
    state = np.full(len(record), -1, np.int64)
    state[states.owner] = np.arange(len(states.owner))
    said = states.texts(2)
    columns = Columns(
        trace_id=spans.ids(1, 16),
        span_id=spans.ids(2, 8),
        parent_span_id=spans.ids(4, 8),
        trace_state=spans.texts(3),
        name=spans.texts(5),
        kind=_names(spans.numbers(6), identity.KINDS),
        status=_names(code, identity.STATUSES),
        status_message=said.take(pa.array(state, mask=state < 0)),
        flags=spans.fixed32(16),
        start=spans.times(7),
        end=spans.times(8),
        dropped_attributes=spans.numbers(10),
        dropped_events=spans.numbers(12),
        dropped_links=spans.numbers(14),
        record=record,
        resource=resource,
        scope=scope,
        of_spans=spans.pairs(9),
        event_span=events.owner,
        event_time=events.times(1),
        event_name=events.texts(2),
        of_events=events.pairs(3),
        link_span=links.owner,
        link_trace_id=links.ids(1, 16),
        link_span_id=links.ids(2, 8),
        of_links=links.pairs(4),
        of_resources=resources.pairs(1),
        scope_name=scopes.texts(1),
        scope_version=scopes.texts(2),
        of_scopes=scopes.pairs(3),
    )
    is_bad = spans.is_bad | (np.bincount(states.owner, minlength=len(record)) > 1)
    for inner in (events, links, states):
        is_bad |= inner.owners_of_bad(len(record))
    is_bad |= resources.is_bad[resource] | scopes.is_bad[scope]
    # Metrics have the shape of spans up to here, and no time where a span has its start.
    is_bad |= columns.start == identity.NO_TIME
    if is_bad.any():
        raise _NotCanonicalError(set(record[is_bad].tolist()))
    return columns


def _names(codes: Integers, names: tuple[str, ...]) -> pa.StringArray:
    """Return the enum's names; a number without one stays as its digits."""
    known = pa.array(names, pa.string())
    if codes.max(initial=0) < len(names):
        return known.take(pa.array(codes))
    return identity.enums(codes.tolist(), names)
