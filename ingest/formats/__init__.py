"""Reads any dump we know by its content, never by its name: inflate, sniff, frame, decode.

To add a framing, write one module with `NAME`, `matches(head)` and `blocks(reader, rejects)`, which
cuts the stream into whole records, choose or write a `decode(block)`, and name them in `FORMATS`;
the first that matches reads the dump. To add a kind of JSON record, see `json_records`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from ingest import redact
from ingest.errors import MalformedDump
from ingest.formats import (
    json_columns,
    json_documents,
    json_lines,
    json_shape,
    packed_messages,
    protobuf_columns,
    protobuf_delimited,
    protobuf_message,
)
from ingest.formats.blocks import Block
from ingest.formats.columns import Columns
from ingest.formats.inflate import Reader
from ingest.report import Rejects

HEAD_BYTES = 1 << 16
LONGEST_HEAD_BYTES = 16 << 20
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Format:
    """A way a dump may be framed: its name for people, a test of the head, a framer, a decoder."""

    name: str
    is_text: bool
    matches: Callable[[bytes], bool]
    blocks: Callable[[Reader, Rejects], Iterator[Block]]
    decode: Callable[[Block], list[Columns]]


FORMATS = (
    Format(json_lines.NAME, True, json_shape.are_lines, json_lines.blocks, json_columns.decode),
    Format(
        json_documents.NAME,
        True,
        json_documents.matches,
        json_documents.blocks,
        json_documents.decode,
    ),
    Format(
        packed_messages.NAME,
        False,
        packed_messages.matches,
        packed_messages.blocks,
        packed_messages.decode,
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

# What people hand us by mistake: content, where it stands, name, what to do.
STRANGERS = (
    (b"PK\x03\x04", 0, "a zip archive", "unpack it first"),
    (b"PK\x05\x06", 0, "an empty zip archive", "pack the dumps again"),
    (b"ustar", 257, "a tar archive", "unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", 0, "a 7z archive", "unpack it first"),
    (b"Rar!", 0, "a rar archive", "unpack it first"),
    (b"\x04\x22\x4d\x18", 0, "compressed with lz4", "inflate it first: lz4 -d"),
    (b"\xff\x06\x00\x00sNaPpY", 0, "compressed with snappy", "inflate it first"),
    (b"PAR1", 0, "a Parquet file", "ingest the OTLP dump it was made from"),
    (b"SQLite format 3", 0, "a SQLite database", "export its traces as OTLP"),
    (b"\x89PNG", 0, "a picture", "choose the exported dump instead"),
    (b"\xff\xd8\xff", 0, "a picture", "choose the exported dump instead"),
    (b"%PDF", 0, "a PDF", "choose the exported dump instead"),
    (b"\xff\xfe", 0, "UTF-16 text", "save it as UTF-8: iconv -f UTF-16 -t UTF-8"),
    (b"\xfe\xff", 0, "UTF-16 text", "save it as UTF-8: iconv -f UTF-16 -t UTF-8"),
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
    head = _head(reader)
    if not head and (reader.is_cut or reader.is_damaged):
        raise MalformedDump(
            f"{name}: the {reader.compression} stream {_trouble(reader)}, and nothing of it could "
            "be inflated.\nHint: the file may be cut; copy or export it again."
        )
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
    plain = head.removeprefix(_BOM)
    if not plain.strip():
        raise MalformedDump(
            f"{name}: the dump is empty.\nHint: check that the exporter wrote and closed it."
        )
    for magic, place, what, mend in STRANGERS:
        if head[place : place + len(magic)] == magic:
            raise MalformedDump(f"{name}: this is {what}, not a dump we read.\nHint: {mend}.")
    if b"\0" in head[:2] and head[:2].strip(b"\0") in (b"{", b"["):
        raise MalformedDump(
            f"{name}: this is UTF-16 text.\nHint: save it as UTF-8: iconv -f UTF-16 -t UTF-8."
        )
    is_text = _is_text(plain)
    for candidate in FORMATS:
        if candidate.is_text == is_text and candidate.matches(plain):
            return candidate
    start = redact.sample(plain[:16], is_text=is_text)
    raise MalformedDump(
        f"{name}: neither OTLP JSON nor OTLP protobuf, nor Jaeger or Zipkin JSON"
        f" ({'text' if is_text else 'binary'}, {start}).\n"
        "Hint: export traces as OTLP, JSON or protobuf, plain or compressed."
    )


def _head(reader: Reader) -> bytes:
    head = reader.peek(HEAD_BYTES)
    # Where no line ends soon, more must be seen: lines may be long, and documents may have none.
    if json_shape.starts_like_json(head.removeprefix(_BOM)) and b"\n" not in head:
        head = reader.peek(LONGEST_HEAD_BYTES)
    return head


def _is_text(head: bytes) -> bool:
    # Protobuf always has control characters or bytes that no UTF-8 text has, lengths and ids.
    try:
        head.decode()
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:
            return json_shape.starts_like_json(head)
    is_plain = not any(byte < 9 or 13 < byte < 30 for byte in head[:4096])
    return is_plain or json_shape.starts_like_json(head)


def _blocks(chosen: Format, reader: Reader, rejects: Rejects) -> Iterator[Block]:
    yield from chosen.blocks(reader, rejects)
    if reader.is_cut or reader.is_damaged:
        rejects.add(
            f"the {reader.compression} stream {_trouble(reader)}",
            place=f"after {reader.inflated:,} bytes of content",
            mend="What was whole is kept; export the dump again for the rest.",
        )


def _trouble(reader: Reader) -> str:
    return "is damaged" if reader.is_damaged else "ends before its end"
