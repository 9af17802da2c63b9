"""Messages each behind its length in four bytes and each a zstd frame, or JSON.

The collector's file exporter writes so with `compression: zstd`, of `format: proto` and of
`format: json` alike.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from ingest import redact
from ingest.formats import json_columns, protobuf_columns
from ingest.formats.blocks import BLOCK_BYTES, MAX_RECORD_BYTES, Block
from ingest.formats.columns import Columns
from ingest.formats.compressions import ZSTD_MAGIC, inflate_whole
from ingest.formats.inflate import Reader
from ingest.report import Rejects

NAME = "OTLP, length-prefixed and packed"

_MEND = "The file may be cut or damaged here; export it again."


def matches(head: bytes) -> bool:
    """Say whether `head` starts with a plausible length and a zstd frame or JSON object."""
    if len(head) < 8:
        return False
    (length,) = struct.unpack_from(">I", head)
    return 0 < length <= MAX_RECORD_BYTES and (
        head[4:8] == ZSTD_MAGIC or (head[4:5] == b"{" and head[5:8].strip()[:1] == b'"')
    )


@dataclass
class _Waiting:
    """Inflated messages in a row that become one block, all of one encoding."""

    first: int
    offset: int
    pieces: list[bytes] = field(default_factory=list)
    length: int = 0

    def block(self) -> Block:
        sizes = np.array([len(piece) for piece in self.pieces], np.int64)
        ends = np.cumsum(sizes)
        return Block(b"".join(self.pieces), ends - sizes, ends, self.first, self.offset)


def blocks(reader: Reader, rejects: Rejects) -> Iterator[Block]:
    """Yield whole messages, inflated, some megabytes at a time.

    A message that cannot be inflated is refused alone.

    Raises:
        MalformedDump: where all messages together inflate beyond reason.
    """
    waiting, inflated, is_json = _Waiting(1, 0), 0, False
    for record, offset, message in _messages(reader, rejects):
        content = _content(message, f"record {record:,}, byte {offset:,}", rejects)
        if not content:
            if waiting.pieces:
                yield waiting.block()
            waiting = _Waiting(record + 1, inflated)
            continue
        if waiting.pieces and (is_json != _is_json(content) or waiting.length >= BLOCK_BYTES):
            yield waiting.block()
            waiting = _Waiting(record, inflated)
        inflated += len(content)
        reader.check_ratio(inflated)
        is_json = _is_json(content)
        waiting.pieces.append(content)
        waiting.length += len(content)
    if waiting.pieces:
        yield waiting.block()


def _content(message: bytes, place: str, rejects: Rejects) -> bytes:
    if message[:4] != ZSTD_MAGIC:
        return message
    try:
        return inflate_whole(message, limit=MAX_RECORD_BYTES)
    except ValueError as error:
        rejects.add(
            "the zstd message cannot be inflated",
            place=f"{place} ({error})",
            mend=_MEND,
            sample=redact.sample(message, is_text=False),
        )
        return b""


def decode(block: Block) -> list[Columns]:
    """Return the spans of all messages; a block holds JSON or protobuf, never both."""
    if _is_json(block.data[:64]):
        return json_columns.decode(block)
    return protobuf_columns.decode(block)


def _is_json(message: bytes) -> bool:
    return message.lstrip()[:1] in (b"{", b"[")


def _messages(reader: Reader, rejects: Rejects) -> Iterator[tuple[int, int, bytes]]:
    """Yield number, byte offset and bytes of each message, as stored."""
    buffer, record, offset = bytearray(), 0, 0
    while True:
        while len(buffer) < 4 and (block := reader.read()):
            buffer += block
        if not buffer:
            return
        record += 1
        length = struct.unpack_from(">I", buffer)[0] if len(buffer) >= 4 else 0
        if len(buffer) >= 4 and 0 < length <= MAX_RECORD_BYTES:
            while len(buffer) < 4 + length and (block := reader.read()):
                buffer += block
        if not length or len(buffer) < 4 + length:
            break
        yield record, offset, bytes(memoryview(buffer)[4 : 4 + length])
        offset += 4 + length
        del buffer[: 4 + length]
    rejects.add(
        "the message is cut",
        place=f"record {record:,}, byte {offset:,} (says {length:,} bytes, "
        f"{max(len(buffer) - 4, 0):,} are left)",
        mend=_MEND,
        sample=redact.sample(bytes(buffer[:64]), is_text=False),
    )
