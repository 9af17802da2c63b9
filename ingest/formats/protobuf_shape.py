"""What a protobuf message is, told by the numbers and wire types of its outer fields."""

from collections.abc import Iterator

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_TRACE_ID_BYTES = 16
# A resource or scope in front of what tells is one field; more are not needed.
_MOST_FIELDS = 64

Field = tuple[int, int, bytes]


def unwrap(message: bytes) -> bytes:
    """Return the request inside Tempo's answer to a trace by id, any other message as it is.

    `TraceByIDResponse` holds a `Trace` in its first field, and that holds ResourceSpans; a request
    holds ResourceSpans at once.
    """
    try:
        outer = next(_fields(message), None)
        if outer is None or outer[:2] != (1, _BYTES):
            return message
        inner = list(_fields(outer[2]))
        # ResourceSpans have scopes beside the resource; a Trace has one kind of field.
        if not inner or any(field[:2] != (1, _BYTES) for field in inner):
            return message
        # In a Resource the second field is a number.
        is_wrapped = any(field[:2] in _SCOPES for field in _fields(inner[0][2]))
    except ValueError:
        return message
    return outer[2] if is_wrapped else message


_SCOPES = {(2, _BYTES), (1000, _BYTES)}


def signal(message: bytes) -> str:
    """Return what a request holds that is not spans: `metrics`, `logs`, or nothing known."""
    try:
        for number, wire, resource in _fields(message):
            if (number, wire) != (1, _BYTES):
                return ""
            for of_resource in _fields(resource):
                if of_resource[:2] != (2, _BYTES):
                    continue
                for of_scope in _fields(of_resource[2]):
                    if of_scope[:2] == (2, _BYTES):
                        return _signal_of_item(of_scope[2])
    except ValueError:
        return ""
    return ""


def _signal_of_item(item: bytes) -> str:
    """Return the signal that a span, metric or log record belongs to; spans and others give none.

    A span's first field is its trace id, its times are fields 7 and 8; a metric's is its name, with
    data in a field of bytes from 5 to 11; a log record's is its time.
    """
    found = {(number, wire): value for number, wire, value in _fields(item)}
    if any((number, _FIXED64) in found for number in (7, 8)):
        return ""
    if (1, _FIXED64) in found or (11, _FIXED64) in found or (2, _VARINT) in found:
        return "logs"
    name = found.get((1, _BYTES), b"")
    has_data = any((number, _BYTES) in found for number in (5, 7, 9, 10, 11))
    is_name = bool(name) and name.isascii() and name.decode().isprintable()
    return "metrics" if is_name and (has_data or len(name) != _TRACE_ID_BYTES) else ""


def _fields(data: bytes) -> Iterator[Field]:
    """Yield number, wire type and, of bytes, the value of the first fields of a message.

    Raises:
        ValueError: where the bytes are no message.
    """
    at = 0
    for _ in range(_MOST_FIELDS):
        if at >= len(data):
            return
        tag, at = _varint(data, at)
        wire, value = tag & 7, b""
        if wire == _VARINT:
            _, at = _varint(data, at)
        elif wire == _BYTES:
            length, at = _varint(data, at)
            value, at = data[at : at + length], at + length
        elif wire in (_FIXED64, _FIXED32):
            at += 8 if wire == _FIXED64 else 4
        else:
            raise ValueError(f"wire type {wire} is not in use")
        if at > len(data):
            raise ValueError("the message is cut")
        yield tag >> 3, wire, value


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise ValueError("the message is cut")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number of more than ten bytes")
