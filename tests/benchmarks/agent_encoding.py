"""Requests of the agent system as protobuf and as the collector's JSON, with gaps left open."""

import json
import struct
from collections.abc import Callable, Iterator

from agent_traces import SERVICES, Attributes, Event, Kind, Slot, Span, Value

# Bytes of a slot in protobuf and in JSON.
WIDTHS = {
    Kind.TRACE: (16, 32),
    Kind.SPAN: (8, 16),
    Kind.TIME: (8, 19),
    Kind.INTEGER: (2, 4),
    Kind.DOUBLE: (8, 7),
    Kind.DIGITS: (8, 8),
    Kind.HEX: (16, 16),
}
SCOPE = ("agent.instrumentation", "0.9.2")
_IS_KNOWN, _IS_REMOTE = 0x100, 0x200  # flags: whether the parent is another process's is known

Piece = bytes | Slot
Pieces = list[Piece]
Traces = list[list[Span]]
Resources = dict[str, Attributes]


def as_protobuf(traces: Traces, resources: Resources) -> Pieces:
    """Return one request behind its length in four bytes, a ResourceSpans a service."""
    body: Pieces = []
    for service, spans in _by_service(traces):
        scope = _field(1, [*_field(1, [SCOPE[0].encode()]), *_field(2, [SCOPE[1].encode()])])
        for span in spans:
            scope += _field(2, _protobuf_span(*span, traces))
        attributes = _protobuf_attributes(1, resources[service])
        body += _field(1, [*_field(1, attributes), *_field(2, scope)])
    return [struct.pack(">I", _size(body)), *body]


def as_json(traces: Traces, resources: Resources) -> Pieces:
    """Return one request as a line of compact JSON, its fields in the collector's order."""
    groups: list[Pieces] = []
    for service, spans in _by_service(traces):
        listed = _joined([_json_span(*span, traces) for span in spans])
        attributes = _json_attributes(resources[service])
        scope = f'{{"name":"{SCOPE[0]}","version":"{SCOPE[1]}"}}'
        head = f']}},"scopeSpans":[{{"scope":{scope},"spans":['.encode()
        groups.append([b'{"resource":{"attributes":[', *attributes, head, *listed, b"]}]}"])
    return [b'{"resourceSpans":[', *_joined(groups), b"]}\n"]


# Where a span stands: its number in the request, in its trace, its trace, the span.
_Placed = tuple[int, int, int, Span]


def _by_service(traces: Traces) -> Iterator[tuple[str, list[_Placed]]]:
    placed: list[_Placed] = []
    for number, spans in enumerate(traces):
        for place, span in enumerate(spans):
            placed.append((len(placed), place, number, span))
    for service in SERVICES:
        found = [each for each in placed if each[3].service == service]
        if found:
            yield service, found


def _flags(span: Span, trace: list[Span]) -> int:
    is_remote = span.parent is not None and trace[span.parent].service != span.service
    return _IS_KNOWN | (_IS_REMOTE if is_remote else 0)


def _protobuf_span(number: int, place: int, of: int, span: Span, traces: Traces) -> Pieces:
    first = number - place
    made = [*_field(1, [Slot(Kind.TRACE, of)]), *_field(2, [Slot(Kind.SPAN, number)])]
    if span.parent is not None:
        made += _field(4, [Slot(Kind.SPAN, first + span.parent)])
    made += [*_field(5, [span.name.encode()]), _varint(6 << 3), _varint(span.kind)]
    made += [_varint(7 << 3 | 1), Slot(Kind.TIME, 2 * number)]
    made += [_varint(8 << 3 | 1), Slot(Kind.TIME, 2 * number + 1)]
    made += _protobuf_attributes(9, span.attributes)
    for event in span.events:
        body: Pieces = [_varint(1 << 3 | 1), Slot(Kind.TIME, 2 * number + 1)]
        body += _field(2, [event.name.encode()])
        made += _field(11, [*body, *_protobuf_attributes(3, event.attributes)])
    if span.linked is not None:
        link = [*_field(1, [Slot(Kind.TRACE, of)])]
        link += _field(2, [Slot(Kind.SPAN, first + span.linked)])
        made += _field(13, link)
    status: Pieces = []
    if span.failed:
        status = [*_field(2, [span.failed.encode()]), _varint(3 << 3), _varint(2)]
    made += _field(15, status)
    return [*made, _varint(16 << 3 | 5), struct.pack("<I", _flags(span, traces[of]))]


def _json_span(number: int, place: int, of: int, span: Span, traces: Traces) -> Pieces:
    first = number - place
    made: Pieces = [b'{"traceId":"', Slot(Kind.TRACE, of), b'","spanId":"', Slot(Kind.SPAN, number)]
    made.append(b'","parentSpanId":"')
    if span.parent is not None:
        made.append(Slot(Kind.SPAN, first + span.parent))
    flags = _flags(span, traces[of])
    head = f'","flags":{flags},"name":{_quoted(span.name)},"kind":{span.kind},"startTimeUnixNano":"'
    made += [head.encode(), Slot(Kind.TIME, 2 * number), b'","endTimeUnixNano":"']
    made += [Slot(Kind.TIME, 2 * number + 1), b'","attributes":[']
    made += [*_json_attributes(span.attributes), b"]"]
    if span.events:
        listed = _joined([_json_event(event, number) for event in span.events])
        made += [b',"events":[', *listed, b"]"]
    if span.linked is not None:
        made += [b',"links":[{"traceId":"', Slot(Kind.TRACE, of), b'","spanId":"']
        made += [Slot(Kind.SPAN, first + span.linked), b'"}]']
    failed = f'"message":{_quoted(span.failed)},"code":2' if span.failed else ""
    return [*made, f',"status":{{{failed}}}}}'.encode()]


def _json_event(event: Event, number: int) -> Pieces:
    head: Pieces = [b'{"timeUnixNano":"', Slot(Kind.TIME, 2 * number + 1)]
    name = f'","name":{_quoted(event.name)},"attributes":['.encode()
    return [*head, name, *_json_attributes(event.attributes), b"]}"]


def _protobuf_attributes(number: int, attributes: Attributes) -> Pieces:
    made: Pieces = []
    for key, value in attributes.items():
        body = [*_field(1, [key.encode()]), *_field(2, _protobuf_value(value))]
        made += _field(number, body)
    return made


def _protobuf_value(value: Value) -> Pieces:
    match value:
        case Slot(kind=Kind.INTEGER):
            return [_varint(3 << 3), value]
        case Slot(kind=Kind.DOUBLE):
            return [_varint(4 << 3 | 1), value]
        case bool():
            return [_varint(2 << 3), _varint(int(value))]
        case int():
            return [_varint(3 << 3), _varint(value)]
        case float():
            return [_varint(4 << 3 | 1), struct.pack("<d", value)]
        case list():
            items: Pieces = []
            for item in value:
                items += _field(1, _protobuf_value(item))
            return _field(5, items)
        case _:
            return _field(1, _text(value, str.encode))


def _json_attributes(attributes: Attributes) -> Pieces:
    return _joined(
        [
            [f'{{"key":"{key}","value":'.encode(), *_json_value(value), b"}"]
            for key, value in attributes.items()
        ]
    )


def _json_value(value: Value) -> Pieces:
    match value:
        case Slot(kind=Kind.INTEGER):
            return [b'{"intValue":"', value, b'"}']
        case Slot(kind=Kind.DOUBLE):
            return [b'{"doubleValue":', value, b"}"]
        case bool():
            return [f'{{"boolValue":{str(value).lower()}}}'.encode()]
        case int():
            return [f'{{"intValue":"{value}"}}'.encode()]
        case float():
            return [f'{{"doubleValue":{value}}}'.encode()]
        case list():
            items = _joined([_json_value(item) for item in value])
            return [b'{"arrayValue":{"values":[', *items, b"]}}"]
        case _:
            escaped = _text(value, lambda text: _quoted(text)[1:-1].encode())
            return [b'{"stringValue":"', *escaped, b'"}']


def _text(value: object, encoded: Callable[[str], bytes]) -> Pieces:
    parts = value if isinstance(value, tuple) else (value,)
    return [part if isinstance(part, Slot) else encoded(str(part)) for part in parts]


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _joined(parts: list[Pieces]) -> Pieces:
    return [
        piece for place, part in enumerate(parts) for piece in ([b",", *part] if place else part)
    ]


def _field(number: int, body: Pieces) -> Pieces:
    return [_varint(number << 3 | 2) + _varint(_size(body)), *body]


def _size(pieces: Pieces) -> int:
    return sum(WIDTHS[piece.kind][0] if isinstance(piece, Slot) else len(piece) for piece in pieces)


def _varint(value: int) -> bytes:
    made = bytearray()
    while value > 127:
        made.append(value & 127 | 128)
        value >>= 7
    return bytes([*made, value])
