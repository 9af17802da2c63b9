"""Attribute lists in JSON, as the collector writes them, cut apart all at once by numpy.

The lists of all owners stand in one buffer, valid JSON each. Between the quotes of

    [{"key":"K","value":{"stringValue":"V"}},{"key":"K","value":{"intValue":"5"}}]

everything but K and V is the same, so one look at the places of the quotes and a few eight-byte
words says where each key and value lies; Arrow then copies them out of the buffer. A list that
differs in a single byte (blanks, other order, unknown fields) is parsed by the reference decoder.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from ingest.cells import byte_lengths, text_bytes
from ingest.formats.columns import Integers, Pairs
from ingest.formats.otlp_json import MALFORMED, pairs_of, text_of
from ingest.formats.rows import Entries

Flags = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint64]

_QUOTE, _BACKSLASH, _COMMA, _OPEN, _CLOSE, _BRACE, _NEWLINE = b'"\\,[]}\n'
# Room on either side of the buffer, so that no word lies outside and no quote is the last one.
_MARGIN = 64


class NotCanonicalError(Exception):
    """Owners whose attributes only the reference decoder may judge; `owners` are positions."""

    def __init__(self, owners: list[int]) -> None:
        super().__init__("attributes are not what OTLP describes")
        self.owners = owners


def _word(text: bytes) -> np.uint64:
    return np.uint64(int.from_bytes(text.ljust(8, b"\0"), "little"))


_START = _word(b'{"key":"')
_MIDDLE = _word(b'","value')
_REST = _word(b'":{"')
_FOUR = np.uint64(0xFFFFFFFF)

# Of each kind of value: its name's first eight bytes, what follows these up to the value, whether
# the value stands between quotes.
_STRING = (_word(b"stringVa"), b'lue":"', True)
_INTEGER = (_word(b"intValue"), b'":"', True)
_BARE_INTEGER = (_word(b"intValue"), b'":', False)
_BOOLEAN = (_word(b"boolValu"), b'e":', False)
_DOUBLE = (_word(b"doubleVa"), b'lue":', False)


@dataclass(frozen=True)
class _Found:
    """Attributes by position in the buffer; `end` is one past an attribute's closing brace."""

    owner: Integers
    start: Integers
    key_end: Integers
    value_start: Integers
    value_end: Integers
    end: Integers
    kind: npt.NDArray[np.int8]  # index into the kinds below, -1 for what must be parsed


_KIND_STRING, _KIND_INTEGER, _KIND_BOOLEAN, _KIND_DOUBLE, _KIND_OTHER = range(5)


def parse(lists: Sequence[object]) -> Pairs:
    """Return the attributes of all owners.

    Args:
        lists: one JSON text an owner, valid and in UTF-8: a list of attributes, empty or `null`.

    Raises:
        NotCanonicalError: where a list is none of OTLP attributes.
    """
    # No list holds a line's end, so the joints say where each starts.
    margin = b'"' * _MARGIN
    text = b"\n".join([margin, *lists, margin])  # type: ignore[list-item]
    data = np.frombuffer(text, np.uint8)
    joints = np.flatnonzero(data == _NEWLINE)
    starts, ends = joints[:-1] + 1, joints[1:]
    escapes = np.flatnonzero(data == _BACKSLASH)
    found, is_slow = _find(data, text, starts, ends, escapes)
    keep = ~is_slow[found.owner]
    if not keep.all():
        found = _Found(*(getattr(found, name)[keep] for name in _Found.__dataclass_fields__))
    keys = _segments(found.start + 8, found.key_end, text)
    changed, cells, bad = _strings(keys, _holders(escapes, found.start + 8, found.key_end))
    is_slow[found.owner[bad]] = True
    if len(changed):
        keys = _replaced(keys, changed, cells)
    values, refused = _values(found, text, escapes)
    is_slow[refused] = True
    slow = np.flatnonzero(is_slow)
    if len(slow):
        return _with_parsed(lists, slow, found, values, keys)
    counts = np.bincount(found.owner, minlength=len(lists))
    return Pairs(counts, keys.dictionary_encode(), values)


def _find(
    data: Bytes, text: bytes, starts: Integers, ends: Integers, escapes: Integers
) -> tuple[_Found, Flags]:
    """Return the attributes of canonical lists, and which owners' lists are not canonical."""
    word = np.ndarray((len(text) - 7,), np.uint64, buffer=text, strides=(1,))
    quotes = _unescaped_quotes(data, escapes)
    gaps = np.diff(quotes)
    head = np.flatnonzero((gaps[:-9] == 4) & (gaps[1:-8] == 2))
    start = quotes[head] - 1
    key_end = quotes[head + 3]
    is_good = (word[start] == _START) & (word[key_end] == _MIDDLE)
    is_good &= (word[key_end + 8] & _FOUR) == _REST
    head, start, key_end = head[is_good], start[is_good], key_end[is_good]
    owner = np.repeat(
        np.arange(len(starts)), np.diff(np.searchsorted(start, np.append(starts, len(data))))
    )
    end = np.empty(len(start), np.int64)
    end[:-1] = start[1:] - 1
    if len(start):
        last = np.ones(len(start), bool)
        last[:-1] = owner[1:] != owner[:-1]
        end[last] = ends[owner[last]] - 1
    type_start = key_end + 12
    types = word[type_start]
    kind = np.full(len(start), _KIND_OTHER, np.int8)
    value_start = key_end + 10
    value_end = end - 1
    for place, (name, rest, is_quoted) in (
        (_KIND_STRING, _STRING),
        (_KIND_INTEGER, _INTEGER),
        (_KIND_INTEGER, _BARE_INTEGER),
        (_KIND_BOOLEAN, _BOOLEAN),
        (_KIND_DOUBLE, _DOUBLE),
    ):
        rows = np.flatnonzero((types == name) & (kind == _KIND_OTHER))
        mask = np.uint64((1 << 8 * len(rest)) - 1)
        rows = rows[(word[type_start[rows] + 8] & mask) == _word(rest)]
        kind[rows] = place
        value_start[rows] = type_start[rows] + 8 + len(rest)
        if is_quoted:
            closing = quotes[head[rows] + 9]
            value_end[rows] = closing
            # An end elsewhere than at the next attribute is an attribute with more in it.
            end[rows] = np.where(end[rows] == closing + 3, end[rows], -1)
        else:
            value_end[rows] = end[rows] - 2
    found = _Found(owner, start, key_end, value_start, value_end, end, kind)
    return found, _not_canonical(data, starts, ends, found)


def _unescaped_quotes(data: Bytes, escapes: Integers) -> Integers:
    quotes = np.flatnonzero(data == _QUOTE)
    behind = np.searchsorted(quotes, escapes[data[escapes + 1] == _QUOTE] + 1)
    if not len(behind):
        return quotes
    # An odd number of backslashes escapes the quote behind them.
    run = np.ones(len(behind), np.int64)
    open_runs = np.arange(len(behind))
    while len(open_runs):
        before = data[quotes[behind[open_runs]] - 1 - run[open_runs]] == _BACKSLASH
        open_runs = open_runs[before]
        run[open_runs] += 1
    keep = np.ones(len(quotes), bool)
    keep[behind[run % 2 == 1]] = False
    return quotes[keep]


def _not_canonical(data: Bytes, starts: Integers, ends: Integers, found: _Found) -> Flags:
    """Return which owners' lists are not tiled by their attributes from bracket to bracket."""
    lengths = ends - starts
    counts = np.bincount(found.owner, minlength=len(starts))
    is_slow: Flags = (counts == 0) & (lengths > 0)
    empty = np.flatnonzero(is_slow)
    if len(empty):
        is_empty = (lengths[empty] == 2) & (data[starts[empty]] == _OPEN)
        is_null = (lengths[empty] == 4) & (data[starts[empty]] == ord("n"))
        is_slow[empty] = ~(is_empty | is_null)
    if not len(found.start):
        return is_slow
    first = np.ones(len(found.start), bool)
    first[1:] = found.owner[1:] != found.owner[:-1]
    expected = np.where(first, starts[found.owner] + 1, np.roll(found.end, 1) + 1)
    is_bad = (found.start != expected) | (found.end < 0)
    last = np.roll(first, -1)
    closing = np.where(last, _CLOSE, _COMMA)
    is_bad |= data[found.end] != closing
    is_bad |= (data[found.end - 1] != _BRACE) | (data[found.end - 2] != _BRACE)
    is_slow[found.owner[is_bad]] = True
    return is_slow


def _segments(starts: Integers, ends: Integers, text: bytes) -> pa.StringArray:
    """Return copies of `text[start:end]`; starts ascend and ends do not pass the next start."""
    if not len(starts):
        return pa.array([], pa.string())
    edges = np.empty(2 * len(starts), np.int32)
    edges[0::2], edges[1::2] = starts, ends
    pieces = pa.StringArray.from_buffers(len(edges) - 1, pa.py_buffer(edges), pa.py_buffer(text))
    return pieces.take(pa.array(np.arange(0, len(edges) - 1, 2, dtype=np.int32)))


def _holders(escapes: Integers, starts: Integers, ends: Integers) -> Integers:
    """Return the positions of the stretches `starts` to `ends`, ascending, that hold an escape."""
    if not len(escapes) or not len(starts):
        return _NONE
    holders = np.searchsorted(starts, escapes, side="right") - 1
    is_inside = (holders >= 0) & (escapes < ends[holders])
    held: Integers = np.unique(holders[is_inside])
    return held


def _values(found: _Found, text: bytes, escapes: Integers) -> tuple[pa.StringArray, Integers]:
    """Return the values as text, and the owners of those that only the reference can judge."""
    values = _segments(found.value_start, found.value_end, text)
    escaped = _holders(escapes, found.value_start, found.value_end)
    rows, cells, bad = _strings(values, escaped[found.kind[escaped] == _KIND_STRING])
    refused = [found.owner[bad]]
    changed, replaced = [rows], [cells]
    for place, read in (
        (_KIND_INTEGER, _integers),
        (_KIND_BOOLEAN, _booleans),
        (_KIND_DOUBLE, _doubles),
        (_KIND_OTHER, _others),
    ):
        rows = np.flatnonzero(found.kind == place)
        if not len(rows):
            continue
        of_kind, cells, bad = read(values.take(pa.array(rows)))
        refused.append(found.owner[rows[bad]])
        changed.append(rows[of_kind])
        replaced.append(cells)
    rows = np.concatenate(changed)
    if len(rows):
        order = np.argsort(rows)
        values = _replaced(values, rows[order], pa.concat_arrays(replaced).take(pa.array(order)))
    return values, np.concatenate(refused)


def _replaced(values: pa.StringArray, rows: Integers, cells: pa.StringArray) -> pa.StringArray:
    mask = np.zeros(len(values), bool)
    mask[rows] = True
    return pc.replace_with_mask(values, pa.array(mask), cells)


# What a kind's reader returns: which of the texts it changes, to what, and which it refuses.
_Read = tuple[Integers, pa.StringArray, Integers]
_NONE = np.empty(0, np.int64)
_NO_CELLS = pa.array([], pa.string())


# What the letter behind a backslash stands for; 0 where it takes more than a letter to say.
_LETTERS = np.zeros(256, np.uint8)
for _letter, _meant in zip(b'"\\/bfnrt', b'"\\/\b\f\n\r\t', strict=True):
    _LETTERS[_letter] = _meant


def _strings(texts: pa.StringArray, escaped: Integers) -> _Read:
    """Undo the escapes of JSON, in all texts at once: a backslash goes, its letter is replaced."""
    if not len(escaped):
        return _NONE, _NO_CELLS, _NONE
    part = texts.take(pa.array(escaped))
    data = text_bytes(part)
    edges = np.concatenate([[0], np.cumsum(byte_lengths(part), dtype=np.int64)])
    slashes = np.flatnonzero(data == _BACKSLASH)
    # Of a run of backslashes every second one is a letter; no text ends in the middle of one.
    is_first = np.ones(len(slashes), bool)
    is_first[1:] = np.diff(slashes) > 1
    run_start = np.maximum.accumulate(np.where(is_first, slashes, 0))
    slashes = slashes[(slashes - run_start) % 2 == 0]
    letters = _LETTERS[data[slashes + 1]]
    plain = data.copy()
    plain[slashes + 1] = letters
    stays = np.ones(len(data), bool)
    stays[slashes] = False
    edges_of = (edges - np.searchsorted(slashes, edges)).astype(np.int32)
    cells = pa.StringArray.from_buffers(
        len(part), pa.py_buffer(edges_of), pa.py_buffer(plain[stays])
    )
    odd = np.unique(np.searchsorted(edges, slashes[letters == 0], side="right") - 1)
    if not len(odd):
        return escaped, cells, _NONE
    quoted = '","'.join(part.take(pa.array(odd)).to_pylist())
    try:
        read = pa.array(orjson.loads('["' + quoted + '"]'), pa.string())
    except orjson.JSONDecodeError:
        return _NONE, _NO_CELLS, escaped[odd]
    return escaped, _replaced(cells, odd, read), _NONE


def _integers(texts: pa.StringArray) -> _Read:
    """Refuse integers that are not written the one way: no blanks, signs or zeros to spare."""
    offsets = np.frombuffer(texts.buffers()[1], np.int32)[texts.offset :][: len(texts) + 1]
    data = np.frombuffer(texts.buffers()[2], np.uint8)[offsets[0] : offsets[-1]]
    offsets = offsets - offsets[0]
    lengths = np.diff(offsets)
    bad = lengths == 0
    padded = np.concatenate([data, np.zeros(2, np.uint8)])
    first, second = padded[offsets[:-1]], padded[offsets[:-1] + 1]
    is_negative = (first == ord("-")) & (lengths > 1)
    lead = np.where(is_negative, second, first)
    bad |= (lead == ord("0")) & (lengths > 1)
    odd = np.flatnonzero((data < ord("0")) | (data > ord("9")))
    if len(odd):
        owner = np.searchsorted(offsets, odd, side="right") - 1
        is_sign = is_negative[owner] & (odd == offsets[owner])
        bad[owner[~is_sign]] = True
    return _NONE, _NO_CELLS, np.flatnonzero(bad)


def _booleans(texts: pa.StringArray) -> _Read:
    encoded = texts.dictionary_encode()
    known = np.array([text in ("true", "false") for text in encoded.dictionary.to_pylist()], bool)
    return _NONE, _NO_CELLS, np.flatnonzero(~known[_indices(encoded)])


# Decimals that Python writes the same way: of at most 15 digits every one counts, and from 0.0001
# on there is no exponent.
_PLAIN_DOUBLE = (
    r"^-?(?:[1-9]\d{0,6}\.(?:0|\d{0,7}[1-9])|0\.(?:0|[1-9]|\d[1-9]|\d\d[1-9]|\d\d\d[1-9]"
    r"|\d{0,3}[1-9]\d{0,10}[1-9]))$"
)


def _doubles(texts: pa.StringArray) -> _Read:
    odd = np.flatnonzero(
        ~pc.match_substring_regex(texts, _PLAIN_DOUBLE).to_numpy(zero_copy_only=False)
    )
    if not len(odd):
        return _NONE, _NO_CELLS, _NONE
    changed, cells, bad = _on_distinct(texts.take(pa.array(odd)), _double)
    return odd[changed], cells, odd[bad]


def _double(text: str) -> str | None:
    value = orjson.loads(text)
    if value.__class__ not in (int, float):
        raise ValueError("not a number")
    return repr(float(value))


def _others(texts: pa.StringArray) -> _Read:
    return _on_distinct(texts, lambda text: text_of(orjson.loads(text)))


def _on_distinct(texts: pa.StringArray, function: Callable[[str], str | None]) -> _Read:
    encoded = texts.dictionary_encode()
    before = encoded.dictionary.to_pylist()
    after: list[str | None] = []
    is_bad = np.zeros(len(before), bool)
    for place, text in enumerate(before):
        try:
            after.append(function(text))
        except MALFORMED:
            after.append(None)
            is_bad[place] = True
    is_changed = np.array([a != b for a, b in zip(after, before, strict=True)], bool) & ~is_bad
    indices = _indices(encoded)
    changed = np.flatnonzero(is_changed[indices])
    cells = pa.array(after, pa.string()).take(pa.array(indices[changed]))
    return changed, cells, np.flatnonzero(is_bad[indices])


def _indices(encoded: pa.DictionaryArray) -> npt.NDArray[np.int32]:
    indices: npt.NDArray[np.int32] = encoded.indices.to_numpy(zero_copy_only=False)
    return indices


def _with_parsed(
    lists: Sequence[object],
    slow: Integers,
    found: _Found,
    values: pa.StringArray,
    keys: pa.StringArray,
) -> Pairs:
    """Return the attributes found, together with those of `slow` owners, parsed one by one."""
    entries = Entries()
    counts = []
    refused = []
    for owner in slow.tolist():
        try:
            counts.append(pairs_of(orjson.loads(memoryview(lists[owner])), entries))
        except MALFORMED:
            refused.append(owner)
    if refused:
        raise NotCanonicalError(refused)
    keep = np.flatnonzero(~np.isin(found.owner, slow))
    owners = np.concatenate([found.owner[keep], np.repeat(slow, counts)])
    order = pa.array(np.argsort(owners, kind="stable"))
    parsed = entries.pairs(counts)
    all_keys = pa.concat_arrays([keys.take(pa.array(keep)), parsed.keys.cast(pa.string())])
    all_values = pa.concat_arrays([values.take(pa.array(keep)), parsed.values])
    return Pairs(
        np.bincount(owners, minlength=len(lists)),
        all_keys.take(order).dictionary_encode(),
        all_values.take(order),
    )
