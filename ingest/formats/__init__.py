"""Reads any dump we know by its content, never by its name: inflate, sniff, frame, decode.

To add a format, write one module with `NAME`, `matches(head)` and `blocks(reader, rejects)`, which
cuts the stream into whole records, choose or write a `decode(block)`, and name them in `FORMATS`;
the first that matches reads the dump.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from ingest.errors import MalformedDump
from ingest.formats import (
    json_columns,
    json_documents,
    json_lines,
    protobuf_columns,
    protobuf_delimited,
    protobuf_message,
)
from ingest.formats.blocks import Block
from ingest.formats.columns import Columns
from ingest.formats.inflate import Reader
from ingest.report import Rejects

HEAD_BYTES = 1 << 16


@dataclass(frozen=True)
class Format:
    """A way a dump may be framed: its name for people, a test of the head, a framer, a decoder."""

    name: str
    is_text: bool
    matches: Callable[[bytes], bool]
    blocks: Callable[[Reader, Rejects], Iterator[Block]]
    decode: Callable[[Block], list[Columns]]


FORMATS = (
    Format(json_lines.NAME, True, json_lines.matches, json_lines.blocks, json_columns.decode),
    Format(
        json_documents.NAME,
        True,
        json_documents.matches,
        json_documents.blocks,
        json_columns.decode,
    ),
    Format(
        protobuf_delimited.NAME,
        False,
        protobuf_delimited.matches,
        protobuf_delimited.blocks,
        protobuf_columns.decode,
    ),
    Format(
        protobuf_message.NAME,
        False,
        protobuf_message.matches,
        protobuf_message.blocks,
        protobuf_columns.decode,
    ),
)

# What people hand us by mistake, or what we do not read yet: content, name, what to do.
STRANGERS = (
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", "inflate it first: zstd -d"),
    (b"PK\x03\x04", "a zip archive", "unpack it first"),
    (b"PAR1", "a Parquet file", "ingest the OTLP dump it was made from"),
    (b"\x89PNG", "a picture", "choose the exported dump instead"),
    (b"%PDF", "a PDF", "choose the exported dump instead"),
    (b"\xff\xfe", "UTF-16 text", "save it as UTF-8"),
    (b"\xfe\xff", "UTF-16 text", "save it as UTF-8"),
    (b"\x1f\x8b", "compressed twice", "inflate it once"),
    (b"BZh", "compressed with bzip2", "inflate it first: bunzip2"),
    (b"\xfd7zXZ", "compressed with xz", "inflate it first: unxz"),
)


@dataclass(frozen=True)
class Dump:
    """A dump opened: its format's name and its blocks, to read once; `decode` may run in threads.

    `rejects` holds what the framing refused; it is complete once the blocks are read.
    """

    format: str
    reader: Reader
    rejects: Rejects
    blocks: Iterator[Block]
    decode: Callable[[Block], list[Columns]]


def read_dump(stream: BinaryIO, *, name: str, size: int) -> Dump:
    """Open `size` bytes of `stream` as a dump; blocks are read as they are asked for.

    Args:
        stream: bytes as stored; never looked at beyond `size`.
        name: what to call the dump in messages.
        size: bytes of the dump.

    Returns:
        The dump. Memory stays bounded by a block and the largest record in it.

    Raises:
        MalformedDump: where no format knows the content; blocks may raise it later.
    """
    reader = Reader(stream, name=name, size=size)
    head = reader.peek(HEAD_BYTES)
    chosen = sniff(head, name=name)
    rejects = Rejects()
    compression = f", {reader.compression}" if reader.compression else ""
    blocks = _blocks(chosen, reader, rejects)
    return Dump(chosen.name + compression, reader, rejects, blocks, chosen.decode)


def sniff(head: bytes, *, name: str) -> Format:
    """Return the format that `head`, the first bytes of a dump, is written in.

    Raises:
        MalformedDump: where it is none; the message says what it looks like instead.
    """
    plain = head.removeprefix(b"\xef\xbb\xbf")
    if not plain.strip():
        raise MalformedDump(
            f"{name}: the dump is empty.\nHint: check that the exporter wrote and closed it."
        )
    for magic, what, mend in STRANGERS:
        if head.startswith(magic):
            raise MalformedDump(f"{name}: this is {what}, not a dump we read.\nHint: {mend}.")
    if b"\0" in head[1:64:2] and head[:1] in b"{[" and head[1:2] == b"\0":
        raise MalformedDump(f"{name}: this is UTF-16 text.\nHint: save it as UTF-8.")
    is_text = _is_text(plain)
    for candidate in FORMATS:
        if candidate.is_text == is_text and candidate.matches(plain):
            return candidate
    raise MalformedDump(
        f"{name}: neither OTLP JSON nor OTLP protobuf"
        f" ({'text' if is_text else 'bytes'} starting {plain[:16]!r}).\n"
        "Hint: export traces as OTLP, JSON or protobuf, plain or gzip."
    )


def _is_text(head: bytes) -> bool:
    # Protobuf always has control characters or bytes that no UTF-8 text has, lengths and ids.
    try:
        head.decode()
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:
            return _starts_like_json(head)
    return not any(byte < 9 or 13 < byte < 32 for byte in head[:4096]) or _starts_like_json(head)


def _starts_like_json(head: bytes) -> bool:
    # Damage further on is for the decoder to name; a message of ours never starts like this.
    start = head.lstrip()
    return start[:1] == b"{" and start[1:].lstrip()[:1] == b'"' and start[2:8].isascii()


def _blocks(chosen: Format, reader: Reader, rejects: Rejects) -> Iterator[Block]:
    yield from chosen.blocks(reader, rejects)
    if reader.is_cut or reader.is_damaged:
        rejects.add(
            f"the {reader.compression} stream "
            + ("ends before its end" if reader.is_cut else "is damaged"),
            place=f"after {reader.inflated:,} bytes of content",
            mend="What was whole is kept; export the dump again for the rest.",
        )
