"""One JSON record a line, as the collector's file exporter and the Java logging exporter write it.

Lines as the collector writes them are decoded by `json_columns`, all others by `json_records`.
"""

from collections.abc import Iterator

import numpy as np
import orjson

from ingest.errors import MalformedDump
from ingest.formats.blocks import JSON_BLOCK_BYTES, MAX_RECORD_BYTES, Block
from ingest.formats.inflate import Reader
from ingest.report import Rejects

NAME = "OTLP JSON lines"

_TOP_KEYS = (b"resourceSpans", b"resource_spans", b"resourceMetrics", b"resourceLogs", b"batches")
_NEWLINE = 10


def matches(head: bytes) -> bool:
    """Say whether a line of `head` is a whole request, or the head is one long line."""
    start = head.lstrip()
    if not start.startswith(b"{"):
        return any(_is_request(line) for line in head.splitlines()[1:])
    if b"\n" not in start:
        return True
    lines = start.split(b"\n")
    return _is_object(lines[0]) or any(_is_request(line) for line in lines[1:-1])


def blocks(reader: Reader, _: Rejects) -> Iterator[Block]:
    """Yield whole lines, some megabytes at a time.

    Raises:
        MalformedDump: where a line is too long to hold in memory.
    """
    first, offset = 1, 0
    waiting: list[bytes] = []
    length = 0
    while piece := reader.read():
        cut = piece.rfind(b"\n") + 1
        if length + cut < JSON_BLOCK_BYTES or not cut:
            waiting.append(piece)
            length += len(piece)
            if not cut and length > MAX_RECORD_BYTES:
                _refuse_long(reader.name, waiting)
            continue
        block = _block(b"".join([*waiting, piece[:cut]]), first, offset)
        yield block
        first += len(block.starts)
        offset += len(block.data)
        waiting, length = [piece[cut:]], len(piece) - cut
    if length:
        yield _block(b"".join(waiting), first, offset)


def _refuse_long(name: str, pieces: list[bytes]) -> None:
    data = b"".join(pieces)
    if len(data) - data.rfind(b"\n") > MAX_RECORD_BYTES:
        raise MalformedDump(
            f"{name}: a line of more than {MAX_RECORD_BYTES >> 20} MiB.\n"
            "Hint: export smaller batches."
        )


def _block(data: bytes, first: int, offset: int) -> Block:
    newlines = np.flatnonzero(np.frombuffer(data, np.uint8) == _NEWLINE)
    starts = np.concatenate([np.zeros(1, np.int64), newlines + 1])
    ends = np.concatenate([newlines, np.full(1, len(data), np.int64)])
    if len(newlines) and newlines[-1] == len(data) - 1:
        starts, ends = starts[:-1], ends[:-1]
    return Block(data, starts, ends, first, offset)


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(orjson.loads(line), dict)
    except orjson.JSONDecodeError:
        return False


def _is_request(line: bytes) -> bool:
    # Inner objects of a pretty-printed document may stand alone on a line; requests start at 0.
    return line.startswith(b"{") and any(key in line[:64] for key in _TOP_KEYS) and _is_object(line)
