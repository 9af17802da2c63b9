"""OTLP JSON records as the collector writes them -> columns, without a Python object a value.

msgspec checks each record and cuts it into spans natively; attribute lists stay bytes for
`json_attributes`. A record with anything that is not canonical (unknown fields, snake case,
numbers where texts belong, nulls, control characters) goes to `json_records`, that record only.
"""

from itertools import chain

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ingest import identity
from ingest.cells import are_not_utf8, texts
from ingest.formats import json_attributes, json_records
from ingest.formats.blocks import Block
from ingest.formats.columns import Columns, Integers, Pairs
from ingest.formats.json_attributes import NotCanonicalError

_NOTHING = msgspec.Raw(b"")


class _Strict(msgspec.Struct, gc=False, frozen=True, forbid_unknown_fields=True):
    """A record's part with the fields we know; any other field makes the record not canonical."""


class _Status(_Strict, frozen=True):
    code: int = 0
    message: str = ""


class _Event(_Strict, frozen=True):
    timeUnixNano: str = ""  # noqa: N815 - fields are named as on the wire
    name: str = ""
    attributes: msgspec.Raw = _NOTHING
    droppedAttributesCount: int = 0  # noqa: N815


class _Link(_Strict, frozen=True):
    traceId: str = ""  # noqa: N815
    spanId: str = ""  # noqa: N815
    traceState: str = ""  # noqa: N815
    attributes: msgspec.Raw = _NOTHING
    droppedAttributesCount: int = 0  # noqa: N815
    flags: int = 0


class _Span(_Strict, frozen=True):
    traceId: str = ""  # noqa: N815
    spanId: str = ""  # noqa: N815
    parentSpanId: str = ""  # noqa: N815
    traceState: str = ""  # noqa: N815
    flags: int = 0
    name: str = ""
    kind: int = 0
    startTimeUnixNano: str = ""  # noqa: N815
    endTimeUnixNano: str = ""  # noqa: N815
    attributes: msgspec.Raw = _NOTHING
    droppedAttributesCount: int = 0  # noqa: N815
    events: tuple[_Event, ...] = ()
    droppedEventsCount: int = 0  # noqa: N815
    links: tuple[_Link, ...] = ()
    droppedLinksCount: int = 0  # noqa: N815
    status: _Status = _Status()


class _Scope(_Strict, frozen=True):
    name: str = ""
    version: str = ""
    attributes: msgspec.Raw = _NOTHING
    droppedAttributesCount: int = 0  # noqa: N815


class _ScopeSpans(_Strict, frozen=True):
    scope: _Scope = _Scope()
    spans: tuple[_Span, ...] = ()
    schemaUrl: str = ""  # noqa: N815


class _Resource(_Strict, frozen=True):
    attributes: msgspec.Raw = _NOTHING
    droppedAttributesCount: int = 0  # noqa: N815


class _ResourceSpans(_Strict, frozen=True):
    resource: _Resource = _Resource()
    scopeSpans: tuple[_ScopeSpans, ...] = ()  # noqa: N815
    schemaUrl: str = ""  # noqa: N815


class _Request(_Strict, frozen=True):
    resourceSpans: tuple[_ResourceSpans, ...]  # noqa: N815


_REQUEST = msgspec.json.Decoder(_Request)
_RESOURCE_SPANS = msgspec.json.Decoder(_ResourceSpans)

# Below a blank canonical JSON has nothing.
_BLANK = 32
_RETURN = 13

_Found = tuple[int, tuple[_ResourceSpans, ...]]


def decode(block: Block, *, unit: str = "line") -> list[Columns]:
    """Return the block's spans: those of canonical records, then those of all others.

    Args:
        block: the records, each JSON text or blank.
        unit: what a record is called where it is no JSON: `line` or `record`.
    """
    is_plain = _are_plain(block)
    canonical: list[_Found] = []
    others: list[int] = []
    places: dict[int, int] = {}
    for place, (record, _, line) in enumerate(block.records()):
        places[record] = place
        found = _parsed(line) if is_plain[place] else None
        if found is None:
            others.append(place)
        else:
            canonical.append((record, found))
    parts: list[Columns] = []
    while canonical and not parts:
        try:
            parts = [_columns(canonical)]
        except NotCanonicalError as error:
            refused = set(error.owners)
            others += [places[record] for record in refused]
            canonical = [each for each in canonical if each[0] not in refused]
    if others:
        left = block.only(np.array(sorted(others), np.int64))
        parts.append(json_records.decode(left, unit=unit))
    return parts


def _are_plain(block: Block) -> npt.NDArray[np.bool_]:
    """Return which records are UTF-8 without control characters."""
    data = np.frombuffer(block.data, np.uint8)
    odd = np.flatnonzero(data < _BLANK)
    owner = np.searchsorted(block.starts, odd, side="right") - 1
    is_plain = np.ones(len(block.starts), bool)
    # A line's end may be two bytes, of which the framing leaves the first.
    is_end = (odd >= block.ends[owner]) | ((odd == block.ends[owner] - 1) & (data[odd] == _RETURN))
    is_plain[owner[~is_end & (owner >= 0)]] = False
    edges = np.append(block.starts, len(block.data)).astype(np.int32)
    lines = pa.StringArray.from_buffers(
        len(block.starts), pa.py_buffer(edges), pa.py_buffer(block.data)
    )
    return is_plain & ~are_not_utf8(lines)


def _parsed(line: bytes) -> tuple[_ResourceSpans, ...] | None:
    try:
        if line.startswith(b'{"resource":'):
            return (_RESOURCE_SPANS.decode(line),)
        return _REQUEST.decode(line).resourceSpans
    except (msgspec.MsgspecError, RecursionError):
        return None


def _columns(records: list[_Found]) -> Columns:
    """Return the columns of whole records.

    Raises:
        NotCanonicalError: naming the numbers of records that the reference must read.
    """
    owners = [(record, of) for record, found in records for of in found]
    groups = [(place, group) for place, (_, of) in enumerate(owners) for group in of.scopeSpans]
    spans = list(chain.from_iterable(group.spans for _, group in groups))
    in_group = [len(group.spans) for _, group in groups]
    record_of = _integers([record for record, _ in owners])
    resource_of = _integers([place for place, _ in groups])
    scope = np.repeat(np.arange(len(groups)), in_group)
    resource = np.repeat(resource_of, in_group)
    record = record_of[resource]
    scopes = [group.scope for _, group in groups]
    events = [
        (row, event) for row, span in enumerate(spans) if span.events for event in span.events
    ]
    links = [(row, each) for row, span in enumerate(spans) if span.links for each in span.links]
    event_span = _integers([row for row, _ in events])
    link_span = _integers([row for row, _ in links])
    pairs = [
        _pairs([each.attributes for each in owned], record_of_owner)
        for owned, record_of_owner in (
            (spans, record),
            ([event for _, event in events], record[event_span]),
            ([link for _, link in links], record[link_span]),
            ([of.resource for _, of in owners], record_of),
            (scopes, record_of[resource_of]),
        )
    ]
    statuses = [span.status for span in spans]
    return Columns(
        trace_id=texts([span.traceId for span in spans]),
        span_id=texts([span.spanId for span in spans]),
        parent_span_id=texts([span.parentSpanId for span in spans]),
        trace_state=texts([span.traceState for span in spans]),
        name=texts([span.name for span in spans]),
        kind=identity.enums([span.kind for span in spans], identity.KINDS),
        status=identity.enums([status.code for status in statuses], identity.STATUSES),
        status_message=texts([status.message for status in statuses]),
        flags=identity.counts([span.flags for span in spans]),
        start=_times([span.startTimeUnixNano for span in spans]),
        end=_times([span.endTimeUnixNano for span in spans]),
        dropped_attributes=identity.counts([span.droppedAttributesCount for span in spans]),
        dropped_events=identity.counts([span.droppedEventsCount for span in spans]),
        dropped_links=identity.counts([span.droppedLinksCount for span in spans]),
        record=record,
        resource=resource,
        scope=scope,
        of_spans=pairs[0],
        event_span=event_span,
        event_time=_times([event.timeUnixNano for _, event in events]),
        event_name=texts([event.name for _, event in events]),
        of_events=pairs[1],
        link_span=link_span,
        link_trace_id=texts([link.traceId for _, link in links]),
        link_span_id=texts([link.spanId for _, link in links]),
        of_links=pairs[2],
        of_resources=pairs[3],
        scope_name=texts([each.name for each in scopes]),
        scope_version=texts([each.version for each in scopes]),
        of_scopes=pairs[4],
    )


def _pairs(lists: list[msgspec.Raw], record_of: Integers) -> Pairs:
    try:
        return json_attributes.parse(lists)
    except NotCanonicalError as error:
        raise NotCanonicalError(np.unique(record_of[error.owners]).tolist()) from error


# Nanoseconds of this era have 19 digits; Arrow reads these as int() does.
_DIGITS = 19


def _times(raw: list[str]) -> Integers:
    times = pa.array(raw, pa.string())
    is_usual = pc.all(pc.equal(pc.binary_length(times), _DIGITS), min_count=0).as_py()
    if is_usual and pc.all(pc.ascii_is_decimal(times), min_count=0).as_py():
        try:
            usual: Integers = times.cast(pa.int64()).to_numpy()
        except pa.ArrowInvalid:
            return identity.nanoseconds(raw)
        if usual.min(initial=1) > 0:
            return usual
    return identity.nanoseconds(raw)


def _integers(values: list[int]) -> Integers:
    return np.array(values, dtype=np.int64)
