"""JSON that is not line by line: pretty-printed documents, lists, values one after another.

The text is cut into records without parsing it: the values of the top level, the elements of a dump
that is one list, and of a document too large to hold, or cut, the elements of its list of spans.
What breaks the text costs the record it stands in; reading goes on at the next line that starts
one.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import orjson

from ingest import redact
from ingest.formats import json_columns
from ingest.formats.blocks import BLOCK_BYTES, MAX_RECORD_BYTES, Block, whole
from ingest.formats.columns import Columns
from ingest.formats.inflate import Reader
from ingest.formats.json_depth import Level, Records, records_of
from ingest.formats.json_scan import NOTHING, Brackets, State, joined, scan
from ingest.report import Rejects

NAME = "JSON documents"

_CUT_MEND = "The file may be cut or damaged here; export it again."
_BOM = b"\xef\xbb\xbf"
# No dump has lists of records in lists of records deeper than this.
_MOST_LISTS = 3
# Records that do not end before the dump does: after so many the rest is not searched any more.
_MAX_RESUMPTIONS = 64
# Blanks, commas, and the separator of JSON text sequences may stand between records.
_BLANKS = b" \t\r\n,\x1e"
_LIST_KEY = re.compile(rb'"(resourceSpans|resource_spans|batches|data)"\s*:\s*$')
_KEY_BYTES = 64


def matches(head: bytes) -> bool:
    """Say whether `head` starts like JSON."""
    return head.lstrip(_BLANKS)[:1] in (b"{", b"[")


@dataclass
class _Framer:
    """What is read and not yet cut: `text` starts at byte `offset` of the dump.

    `lists` are the lists read element by element, the outermost first; `inside` is the rest of the
    record around a list that has ended.
    """

    rejects: Rejects
    lists: list[Level] = field(default_factory=list)
    inside: Level = field(default_factory=Level)
    text: bytes = b""
    offset: int = 0
    brackets: Brackets = NOTHING
    next_record: int = 1
    resumptions: int = 0
    is_cut_told: bool = False


def blocks(reader: Reader, rejects: Rejects) -> Iterator[Block]:
    """Yield the records, some megabytes at a time; memory stays bounded by the largest record."""
    framer, state, held = _Framer(rejects), State(), b""
    while True:
        # Twice as much each time, so that a large record is looked through only a few times.
        fresh, held = _fill(reader, held, max(BLOCK_BYTES, len(framer.text)))
        if state.offset == 0 and fresh.startswith(_BOM):
            fresh = b"   " + fresh[len(_BOM) :]
        brackets, state = scan(fresh, state)
        framer.text = framer.text + fresh if framer.text else fresh
        framer.brackets = joined([framer.brackets, brackets])
        if state.offset == len(fresh):
            _open_first_list(framer)
        is_last = not fresh
        yield from _cut(framer, is_last=is_last)
        if len(framer.text) > MAX_RECORD_BYTES:
            rejects.add(
                f"a record of more than {MAX_RECORD_BYTES >> 20} MiB; nothing after it was read",
                place=f"record {framer.next_record:,}, byte {framer.offset:,}",
                mend="Export one request per line, or smaller batches.",
            )
            return
        if is_last:
            break
    if framer.lists and not framer.is_cut_told:
        rejects.add(
            "the list ends before its end",
            place=f"after record {framer.next_record - 1:,}, byte {state.offset:,}",
            mend=_CUT_MEND,
            count=0,
        )


def _fill(reader: Reader, held: bytes, size: int) -> tuple[bytes, bytes]:
    """Return the next text of about `size` bytes, and backslashes at its end to keep back."""
    pieces, length = [held], len(held)
    while length < size and (piece := reader.read()):
        pieces.append(piece)
        length += len(piece)
    fresh = b"".join(pieces)
    bare = fresh.rstrip(b"\\")
    return (bare, fresh[len(bare) :]) if bare else (fresh, b"")


def _open_first_list(framer: _Framer) -> None:
    """Read a dump that is one list element by element."""
    bare = framer.text.lstrip(_BLANKS)
    if bare[:1] == b"[":
        place = len(framer.text) - len(bare)
        framer.lists.append(Level(b"[", 1))
        _drop(framer, place + 1)


def _cut(framer: _Framer, *, is_last: bool) -> Iterator[Block]:
    """Yield the whole records at the front of the text, until more text is needed."""
    while framer.text:
        found = records_of(
            framer.brackets, framer.text, framer.offset, framer.inside, is_list=bool(framer.lists)
        )
        yield from _hollowed(framer, found)
        yield from _whole_records(framer, found, is_last=is_last)
        if found.list_end is not None:
            framer.inside = framer.lists.pop()
            _drop(framer, found.list_end)
        elif found.open_at is None:
            _drop(framer, found.done)
            return
        elif not _opened(framer, found, is_last=is_last):
            if not is_last:
                _drop(framer, found.open_at)
                return
            _refuse_open(framer, found)


def _drop(framer: _Framer, place: int) -> None:
    framer.text = framer.text[place:]
    framer.offset += place
    framer.brackets = framer.brackets.after(framer.offset)


def _hollowed(framer: _Framer, found: Records) -> Iterator[Block]:
    """Yield what stood around a list, where that is more than the list."""
    if found.inside_end is None:
        return
    data = framer.inside.before + framer.text[: found.inside_end]
    framer.inside = Level()
    if found.is_inside_broken:
        _refuse(framer, 0, data)
        return
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError:
        document = data
    if not _is_hollow(document):
        yield whole(data, first=framer.next_record, offset=framer.offset)
        framer.next_record += 1


def _is_hollow(document: object) -> bool:
    if isinstance(document, dict):
        # What Jaeger and Tempo say of their answer, beside the list.
        told = ("total", "limit", "offset", "errors", "metrics", "status")
        return all(key in told or _is_hollow(value) for key, value in document.items())
    return document is None or document == []


def _whole_records(framer: _Framer, found: Records, *, is_last: bool) -> Iterator[Block]:
    solid_gaps = found.gaps(framer.text, _BLANKS, is_last=is_last)
    for start, end in solid_gaps:
        framer.rejects.add(
            "text that is no JSON record stands between the records",
            place=f"byte {framer.offset + start:,}",
            mend="The file may hold log text or be damaged; export it again.",
            sample=redact.sample(framer.text[start:end], is_text=True),
        )
    for start, end in found.broken:
        _refuse(framer, start, framer.text[start:end])
    begins = np.sort(np.concatenate([found.starts, [start for start, _ in found.broken]]))
    numbers = framer.next_record + np.searchsorted(begins, found.starts)
    framer.next_record += len(begins)
    # A block's records follow one another: it ends where a broken one stands between.
    edges = np.flatnonzero(np.diff(numbers) > 1) + 1
    for part in np.split(np.arange(len(numbers)), edges) if len(numbers) else ():
        starts, ends = found.starts[part], found.ends[part]
        first, last = int(starts[0]), int(ends[-1])
        yield Block(
            framer.text[first:last],
            starts - first,
            ends - first,
            int(numbers[part[0]]),
            framer.offset + first,
        )


def decode(block: Block) -> list[Columns]:
    """Return the block's spans."""
    return json_columns.decode(block, unit="record")


def _refuse(framer: _Framer, start: int, data: bytes) -> None:
    framer.rejects.add(
        "the record is not whole JSON",
        place=f"record {framer.next_record:,}, byte {framer.offset + start:,}",
        mend=_CUT_MEND,
        sample=redact.sample(data, is_text=True),
    )


def _opened(framer: _Framer, found: Records, *, is_last: bool) -> bool:
    """Begin to read a list of the open record element by element, if that is called for."""
    at = found.open_at or 0
    if len(framer.lists) >= _MOST_LISTS or not (is_last or len(framer.text) - at > BLOCK_BYTES):
        return False
    for place, depth in found.outer_lists:
        key = _LIST_KEY.search(framer.text, max(at, place - _KEY_BYTES), place)
        is_known = key is not None and (depth == 2 or (depth == 3 and key[1] != b"data"))
        if is_known or (place == at and depth == 1):
            before = framer.inside.before + framer.text[at : place + 1]
            framer.lists.append(Level(before, depth))
            framer.inside = Level()
            _drop(framer, place + 1)
            return True
    return False


def _refuse_open(framer: _Framer, found: Records) -> None:
    """Refuse a record that the dump ends in, and go on at the next line that may start one."""
    start = found.open_at or 0
    framer.is_cut_told = True
    framer.resumptions += 1
    place = found.next_line_start
    if place is None or framer.resumptions > _MAX_RESUMPTIONS:
        place = len(framer.text)
    _refuse(framer, start, framer.inside.before + framer.text[start:place])
    framer.next_record += 1
    framer.inside = Level()
    _drop(framer, place)
