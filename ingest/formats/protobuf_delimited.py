"""Protobuf requests, each behind its length in four bytes: the collector's `format: proto`."""

import struct
from collections.abc import Iterator

import numpy as np

from ingest.errors import MalformedDump
from ingest.formats.blocks import BLOCK_BYTES, Block
from ingest.formats.inflate import Reader
from ingest.report import Rejects

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


def blocks(reader: Reader, rejects: Rejects) -> Iterator[Block]:
    """Yield whole messages, some megabytes at a time.

    Raises:
        MalformedDump: where the messages are compressed one by one.
    """
    buffer = bytearray()
    record, offset = 1, 0
    wanted = BLOCK_BYTES
    while True:
        is_open = _fill(reader, buffer, wanted)
        starts, ends, at = [], [], 0
        wanted = BLOCK_BYTES
        while at + 4 <= len(buffer):
            (length,) = struct.unpack_from(">I", buffer, at)
            if length > MAX_MESSAGE_BYTES:
                is_open = False
                break
            if at + 4 + length > len(buffer):
                wanted = max(BLOCK_BYTES, 4 + length)
                break
            if buffer[at + 4 : at + 8] == _ZSTD:
                raise MalformedDump(
                    f"{reader.name}: its messages are compressed with zstd.\n"
                    "Hint: export without compression or with gzip."
                )
            starts.append(at + 4)
            at += 4 + length
            ends.append(at)
        if starts:
            data = bytes(memoryview(buffer)[:at])
            yield Block(data, np.array(starts), np.array(ends), record, offset)
            record += len(starts)
            offset += at
            del buffer[:at]
        if not is_open:
            break
    if len(buffer) >= 4:
        (length,) = struct.unpack_from(">I", buffer)
        rejects.add(
            "the message is cut",
            place=f"record {record:,}, byte {offset:,} (says {length:,} bytes, "
            f"{len(buffer) - 4:,} are left)",
            mend="The file may be cut; export it again.",
        )
    elif buffer:
        rejects.add(
            "bytes are left after the last message",
            place=f"after record {record - 1:,}, byte {offset:,}",
            mend="The file may be cut; export it again.",
        )


def _fill(reader: Reader, buffer: bytearray, size: int) -> bool:
    while len(buffer) < size:
        block = reader.read()
        if not block:
            return False
        buffer += block
    return True
