"""One OTLP request a line, as the collector's file exporter writes it."""

from collections.abc import Iterator

import orjson

from ingest.errors import MalformedDump
from ingest.formats import otlp_json
from ingest.formats.inflate import Reader
from ingest.formats.rows import Rows

NAME = "OTLP JSON lines"
MAX_LINE_BYTES = 256 << 20

_TOP_KEYS = (b"resourceSpans", b"resource_spans", b"resourceMetrics", b"resourceLogs", b"batches")


def matches(head: bytes) -> bool:
    """Say whether a line of `head` is a whole request, or the head is one long line."""
    start = head.lstrip()
    if not start.startswith(b"{"):
        return any(_is_request(line) for line in head.splitlines()[1:])
    if b"\n" not in start:
        return True
    lines = start.split(b"\n")
    return _is_object(lines[0]) or any(_is_request(line) for line in lines[1:-1])


def decode(reader: Reader, rows: Rows) -> Iterator[int]:
    """Yield the number of each line read; its spans are in `rows` by then."""
    for record, line in enumerate(_lines(reader), start=1):
        line = line.strip()
        if record == 1:
            line = line.removeprefix(b"\xef\xbb\xbf").strip()
        if not line:
            continue
        try:
            document = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            rows.rejects.add(
                "the line is not JSON",
                place=f"line {record:,} ({error})"[:300],
                mend="The line may be cut or hold log text; export it again.",
            )
            continue
        otlp_json.walk(document, rows, record)
        yield record


def _lines(reader: Reader) -> Iterator[bytes]:
    tail: list[bytes] = []
    length = 0
    while block := reader.read():
        head, newline, rest = block.partition(b"\n")
        if not newline:
            tail.append(block)
            length += len(block)
            if length > MAX_LINE_BYTES:
                raise MalformedDump(
                    f"{reader.name}: a line of more than {MAX_LINE_BYTES >> 20} MiB.\n"
                    "Hint: export smaller batches."
                )
            continue
        yield b"".join([*tail, head])
        *whole, last = rest.split(b"\n")
        yield from whole
        tail, length = [last], len(last)
    if length:
        yield b"".join(tail)


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(orjson.loads(line), dict)
    except orjson.JSONDecodeError:
        return False


def _is_request(line: bytes) -> bool:
    # Inner objects of a pretty-printed document may stand alone on a line; requests start at 0.
    return line.startswith(b"{") and any(key in line[:64] for key in _TOP_KEYS) and _is_object(line)
