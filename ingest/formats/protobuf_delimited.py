"""Protobuf requests, each behind its length in four bytes: the collector's `format: proto`."""

import struct
from collections.abc import Iterator

from ingest.errors import MalformedDump
from ingest.formats import otlp_protobuf
from ingest.formats.inflate import Reader
from ingest.formats.rows import Rows

NAME = "OTLP protobuf, length-prefixed"
# A first byte of 10 would be the start of a bare message, hence the limit just below it.
MAX_MESSAGE_BYTES = (10 << 24) - 1
_ZSTD = b"\x28\xb5\x2f\xfd"


def matches(head: bytes) -> bool:
    """Say whether `head` starts with a plausible length and a message of resource spans."""
    if len(head) < 5:
        return False
    (length,) = struct.unpack(">I", head[:4])
    return 0 < length <= MAX_MESSAGE_BYTES and (head[4] == 0x0A or head[4:8] == _ZSTD)


def decode(reader: Reader, rows: Rows) -> Iterator[int]:
    """Yield the number of each message read; its spans are in `rows` by then.

    Raises:
        MalformedDump: where the messages are compressed one by one, or none can be read.
    """
    buffer = bytearray()
    record = 0
    good = 0
    while _fill(reader, buffer, 4):
        (length,) = struct.unpack(">I", buffer[:4])
        record += 1
        if length > MAX_MESSAGE_BYTES or not _fill(reader, buffer, 4 + length):
            rows.rejects.add(
                "the message is cut",
                place=f"record {record:,} (says {length:,} bytes, {len(buffer) - 4:,} are left)",
                mend="The file may be cut; export it again.",
            )
            return
        message = bytes(memoryview(buffer)[4 : 4 + length])
        del buffer[: 4 + length]
        if message[:4] == _ZSTD:
            raise MalformedDump(
                f"{reader.name}: its messages are compressed with zstd.\n"
                "Hint: export without compression or with gzip."
            )
        try:
            request = otlp_protobuf.parse(message)
        except ValueError as error:
            rows.rejects.add(
                "the message is not an OTLP request",
                place=f"record {record:,} ({error})"[:300],
                mend="Export it again; the other messages were read.",
            )
            continue
        otlp_protobuf.walk(request, rows, record)
        good += 1
        yield record
    if buffer:
        rows.rejects.add(
            "bytes are left after the last message",
            place=f"after record {record:,}",
            mend="The file may be cut; export it again.",
        )


def _fill(reader: Reader, buffer: bytearray, size: int) -> bool:
    while len(buffer) < size:
        block = reader.read()
        if not block:
            return False
        buffer += block
    return True
