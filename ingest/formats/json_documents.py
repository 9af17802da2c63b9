"""JSON that is not line by line: one pretty-printed request, several in a row, or a list."""

import json
from collections.abc import Iterator

import orjson

from ingest.errors import MalformedDump
from ingest.formats.blocks import MAX_RECORD_BYTES, Block, whole
from ingest.formats.inflate import Reader
from ingest.report import Rejects

NAME = "OTLP JSON document"


def matches(head: bytes) -> bool:
    """Say whether `head` starts like JSON."""
    return head.lstrip()[:1] in (b"{", b"[")


def blocks(reader: Reader, rejects: Rejects) -> Iterator[Block]:
    """Yield each document as a record of its own.

    Raises:
        MalformedDump: where no request of the file is whole JSON.
    """
    data = reader.read_all(MAX_RECORD_BYTES).strip().removeprefix(b"\xef\xbb\xbf").strip()
    try:
        parsed = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        yield from _in_a_row(data, reader, rejects, str(error))
        return
    documents = parsed if isinstance(parsed, list) else [parsed]
    for record, document in enumerate(documents, start=1):
        yield whole(orjson.dumps(document), first=record, offset=0)


def _in_a_row(data: bytes, reader: Reader, rejects: Rejects, complaint: str) -> Iterator[Block]:
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise MalformedDump(
            f"{reader.name}: byte {error.start:,} is not UTF-8.\nHint: save the dump as UTF-8."
        ) from error
    decoder = json.JSONDecodeError
    raw = json.JSONDecoder()
    record, at = 0, 0
    while at < len(text):
        before = at
        try:
            _, at = raw.raw_decode(text, at)
        except (decoder, RecursionError) as error:
            if record == 0:
                raise MalformedDump(
                    f"{reader.name}: not whole JSON: {complaint}.\n"
                    "Hint: the file may be cut; export it again."
                ) from error
            rejects.add(
                "the document is not JSON",
                place=f"record {record + 1:,} ({error})"[:300],
                mend="The file may be cut; export it again.",
            )
            return
        record += 1
        yield whole(text[before:at].encode(), first=record, offset=before)
        while at < len(text) and text[at] in " \t\r\n,":
            at += 1
