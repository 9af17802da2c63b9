"""Protobuf requests with nothing around them: the body an OTLP exporter posts, or several in a row.

A request is nothing but fields of resource spans, each with its length, so a file of any size is
cut between these fields, and requests appended to one another, with or without a line's end
between them (as exporters to object stores do), need no special care.
"""

from collections.abc import Iterator

import numpy as np

from ingest.errors import MalformedDump
from ingest.formats.blocks import BLOCK_BYTES, MAX_RECORD_BYTES, Block
from ingest.formats.inflate import Reader
from ingest.report import Rejects

NAME = "OTLP protobuf message"

_TAG = 0x0A  # field 1, bytes; also a line's end
_INNER = (0x0A, 0x12, 0x1A)  # what resource spans may start with
_LONGEST_HEADER = 11
_MOST_LINE_ENDS = 4


def matches(head: bytes) -> bool:
    """Say whether `head` starts with the field of resource spans."""
    return head[:1] == b"\x0a"


def blocks(reader: Reader, rejects: Rejects) -> Iterator[Block]:
    """Yield fields of resource spans, some megabytes at a time; each is a request by itself.

    Raises:
        MalformedDump: where the bytes do not start with a whole field.
    """
    buffer = bytearray()
    record, offset = 1, 0
    wanted = BLOCK_BYTES
    while True:
        is_open = _fill(reader, buffer, wanted)
        starts, ends, at, wanted = _cut(buffer, is_last=not is_open)
        if starts:
            data = bytes(memoryview(buffer)[:at])
            yield Block(data, np.array(starts), np.array(ends), record, offset)
            record += len(starts)
            offset += at
            del buffer[:at]
        elif is_open and wanted <= len(buffer):
            break
        if not is_open:
            break
    left = len(buffer)
    if not left or not bytes(buffer).strip(b"\n"):
        return
    if record == 1:
        raise MalformedDump(
            f"{reader.name}: starts like an OTLP protobuf message but is none, or is cut.\n"
            "Hint: export it again; several messages in one file need a length before each."
        )
    rejects.add(
        "the message is cut, or bytes follow that are no OTLP",
        place=f"record {record:,}, byte {offset:,} ({left:,} bytes or more)",
        mend="The file may be cut; export it again.",
    )


def _cut(buffer: bytearray, *, is_last: bool) -> tuple[list[int], list[int], int, int]:
    """Return starts and ends of whole fields, where the rest starts, and bytes it needs."""
    starts: list[int] = []
    ends: list[int] = []
    at = 0
    while at < len(buffer):
        found = _field(buffer, at)
        if found is None and len(buffer) - at < _LONGEST_HEADER + _TAG and not is_last:
            break
        if found is None:
            found, at = _behind_line_ends(buffer, at)
        if found is None:
            return starts, ends, at, 0
        if found > len(buffer):
            return starts, ends, at, max(BLOCK_BYTES, found - at)
        starts.append(at)
        ends.append(found)
        at = found
    return starts, ends, at, BLOCK_BYTES


def _behind_line_ends(buffer: bytearray, at: int) -> tuple[int | None, int]:
    """Return where the field behind a few line ends stops, and where it starts."""
    for start in range(at + 1, min(at + _MOST_LINE_ENDS, len(buffer) - 1) + 1):
        if buffer[start - 1] != _TAG:
            break
        if (found := _field(buffer, start)) is not None:
            return found, start
    return None, at


def _field(buffer: bytearray, at: int) -> int | None:
    """Return where the field at `at` ends, or None where there is no plausible one."""
    if buffer[at] != _TAG:
        return None
    length = shift = 0
    at += 1
    while at < len(buffer) and shift < 35:
        byte = buffer[at]
        length |= (byte & 127) << shift
        shift += 7
        at += 1
        if byte < 128:
            break
    else:
        return None
    is_plausible = not length or at >= len(buffer) or buffer[at] in _INNER
    if not is_plausible or length > MAX_RECORD_BYTES:
        return None
    # Ten bytes of resource spans and a line's end before a field look alike; only one of them
    # ends where another field, or the file, starts.
    if length == _TAG and at + length < len(buffer) and buffer[at + length] != _TAG:
        return None
    return at + length


def _fill(reader: Reader, buffer: bytearray, size: int) -> bool:
    while len(buffer) < size:
        block = reader.read()
        if not block:
            return False
        buffer += block
    return True
