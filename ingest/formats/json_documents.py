"""JSON that is not line by line: one pretty-printed request, several in a row, or a list."""

import json
from collections.abc import Iterator

import orjson

from ingest.errors import MalformedDump
from ingest.formats import otlp_json
from ingest.formats.inflate import Reader
from ingest.formats.rows import Rows

NAME = "OTLP JSON document"
MAX_DOCUMENT_BYTES = 256 << 20


def matches(head: bytes) -> bool:
    """Say whether `head` starts like JSON."""
    return head.lstrip()[:1] in (b"{", b"[")


def decode(reader: Reader, rows: Rows) -> Iterator[int]:
    """Yield the number of each request read; its spans are in `rows` by then.

    Raises:
        MalformedDump: where no request of the file is whole JSON.
    """
    data = reader.read_all(MAX_DOCUMENT_BYTES).strip().removeprefix(b"\xef\xbb\xbf").strip()
    try:
        whole = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        yield from _decode_in_a_row(data, reader, rows, str(error))
        return
    for record, document in enumerate(whole if isinstance(whole, list) else [whole], start=1):
        otlp_json.walk(document, rows, record)
        yield record


def _decode_in_a_row(data: bytes, reader: Reader, rows: Rows, complaint: str) -> Iterator[int]:
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise MalformedDump(
            f"{reader.name}: byte {error.start:,} is not UTF-8.\nHint: save the dump as UTF-8."
        ) from error
    decoder = json.JSONDecoder()
    record, at = 0, 0
    while at < len(text):
        try:
            document, at = decoder.raw_decode(text, at)
        except (json.JSONDecodeError, RecursionError) as error:
            if record == 0:
                raise MalformedDump(
                    f"{reader.name}: not whole JSON: {complaint}.\n"
                    "Hint: the file may be cut; export it again."
                ) from error
            rows.rejects.add(
                "the document is not JSON",
                place=f"record {record + 1:,} ({error})"[:300],
                mend="The file may be cut; export it again.",
            )
            return
        record += 1
        otlp_json.walk(document, rows, record)
        yield record
        while at < len(text) and text[at] in " \t\r\n,":
            at += 1
