"""Many protobuf messages of one kind, field by field as columns: texts, ids, times, attributes."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from ingest import identity
from ingest.cells import are_not_utf8
from ingest.formats import wire
from ingest.formats.columns import Pairs
from ingest.formats.otlp_protobuf import text_of
from ingest.formats.wire import BYTES, FIXED32, FIXED64, VARINT, Bytes, Flags, Integers

_HEX = np.frombuffer(b"".join(b"%02x" % byte for byte in range(256)), np.uint16)
_LARGEST_TIME = np.uint64(2**63 - 1)
_LARGEST_COUNT = 2**31

# The first byte of an AnyValue: its only field's number and wire type.
_TEXT, _BOOLEAN, _INTEGER, _DOUBLE = 0x0A, 0x10, 0x18, 0x21
_KEY, _VALUE = 0x0A, 0x12
_NOTHING = -1


class Messages:
    """Messages of one kind in a buffer; `is_bad` marks those that only the reference may judge.

    Attributes:
        owner: of which message of the outer kind each one is part; ascending.
        is_bad: grows with every column asked for.
    """

    def __init__(
        self,
        text: bytes,
        starts: Integers,
        ends: Integers,
        owner: Integers,
        tags: frozenset[int],
    ) -> None:
        self.owner = owner
        self._text = text
        self._data: Bytes = np.frombuffer(text, np.uint8)
        self._size = len(starts)
        self._fields = wire.fields(self._data, starts, ends)
        self.is_bad: Flags = self._fields.is_strange(tags)

    @classmethod
    def joined(cls, messages: Sequence[bytes], tags: frozenset[int]) -> "Messages":
        """Return messages that stand alone, each its own owner."""
        sizes = np.fromiter(map(len, messages), np.int64, len(messages))
        ends = np.cumsum(sizes)
        text = b"".join([*messages, wire.ROOM])
        return cls(text, ends - sizes, ends, np.arange(len(messages)), tags)

    def inner(self, number: int, tags: frozenset[int]) -> "Messages":
        """Return the messages that field `number` holds."""
        owner, starts, ends = self._fields.of(number, BYTES)
        return Messages(self._text, starts, ends, owner, tags)

    def owners_of_bad(self, size: int) -> Flags:
        """Return which of `size` outer messages hold a bad one of these."""
        is_bad = np.zeros(size, bool)
        is_bad[self.owner[self.is_bad]] = True
        return is_bad

    def numbers(self, number: int) -> Integers:
        """Return a varint field, 0 where absent; what does not fit 31 bits is bad."""
        message, starts, _ = self._fields.of(number, VARINT)
        values = np.zeros(self._size, np.int64)
        values[message] = wire.varints(self._data, starts)
        self.is_bad |= (values < 0) | (values >= _LARGEST_COUNT)
        return values

    def fixed32(self, number: int) -> Integers:
        """Return a 32-bit field, 0 where absent."""
        message, starts, _ = self._fields.of(number, FIXED32)
        values = np.zeros(self._size, np.int64)
        low = wire.words(self._data, starts) & np.uint64(0xFFFFFFFF)
        values[message] = low.astype(np.int64)
        return values

    def times(self, number: int) -> Integers:
        """Return a time in nanoseconds, marked as `identity` marks missing and impossible ones."""
        message, starts, _ = self._fields.of(number, FIXED64)
        values = np.zeros(self._size, np.uint64)
        values[message] = wire.words(self._data, starts)
        is_usual = (values > 0) & (values <= _LARGEST_TIME)
        odd = np.where(values == 0, identity.NO_TIME, identity.OUT_OF_RANGE)
        return np.where(is_usual, values.astype(np.int64), odd)

    def texts(self, number: int) -> pa.StringArray:
        """Return a text field, empty where absent; a message whose text is not UTF-8 is bad."""
        starts, ends = self._one_each(number)
        texts = _segments(self._text, starts, ends)
        self.is_bad |= are_not_utf8(texts)
        return texts

    def ids(self, number: int, size: int) -> pa.StringArray:
        """Return an id field of usually `size` bytes as hex text, empty where absent."""
        starts, ends = self._one_each(number)
        lengths = ends - starts
        usual = np.flatnonzero(lengths == size)
        words = [wire.words(self._data, starts[usual] + at) for at in range(0, size, 8)]
        raw = np.stack(words, axis=1).view(np.uint8) if len(usual) else np.empty(0, np.uint8)
        digits = _HEX[raw].tobytes()
        offsets = np.arange(len(usual) + 1, dtype=np.int32) * (2 * size)
        found = pa.StringArray.from_buffers(len(usual), pa.py_buffer(offsets), pa.py_buffer(digits))
        if len(usual) == self._size:
            return found
        odd = np.flatnonzero(lengths != size)
        others = pa.array(
            [self._text[starts[row] : ends[row]].hex() for row in odd.tolist()], pa.string()
        )
        pick = np.empty(self._size, np.int64)
        pick[usual] = np.arange(len(usual))
        pick[odd] = len(usual) + np.arange(len(odd))
        return pa.concat_arrays([found, others]).take(pa.array(pick))

    def pairs(self, number: int) -> Pairs:
        """Return an attribute field's keys and values; bad ones make their message bad."""
        data = self._data
        owner, start, end = self._fields.of(number, BYTES)
        key_start, key_end = _bytes_at(data, start)
        value_start, value_end = _bytes_at(data, key_end)
        has_value = key_end < end
        good = (end > start) & (data[start] == _KEY) & (key_end <= end)
        good &= ~has_value | ((data[np.minimum(key_end, end)] == _VALUE) & (value_end == end))
        key_end = np.where(good, key_end, key_start)
        is_empty = ~good | ~has_value | (value_start == value_end)
        kind = np.where(is_empty, _NOTHING, data[np.where(is_empty, 0, value_start)].astype(int))
        keys = _segments(self._text, np.where(good, key_start, 0), np.where(good, key_end, 0))
        values, is_refused = _values(self._text, data, kind, value_start, value_end)
        bad = ~good | is_refused | are_not_utf8(keys) | are_not_utf8(values)
        self.is_bad[owner[bad]] = True
        counts = np.bincount(owner, minlength=self._size)
        return Pairs(counts, keys.dictionary_encode(), values)

    def _one_each(self, number: int) -> tuple[Integers, Integers]:
        message, starts, ends = self._fields.of(number, BYTES)
        start, end = np.zeros(self._size, np.int64), np.zeros(self._size, np.int64)
        start[message], end[message] = starts, ends
        return start, end


def _bytes_at(data: Bytes, at: Integers) -> tuple[Integers, Integers]:
    """Return start and end of the bytes whose tag is at `at`.

    A length that leads out of the buffer gives an end just behind it, where nothing else ends.
    """
    limit = len(data) - len(wire.ROOM)
    at = np.minimum(at + 1, limit)
    length = data[at].astype(np.int64)
    start = at + 1
    rows = np.flatnonzero(length >= 128)
    if len(rows):
        length[rows], sizes = wire.long_varints(data, at[rows])
        start[rows] = at[rows] + sizes
    is_inside = (length >= 0) & (length <= limit - start)
    return np.minimum(start, limit + 1), np.where(is_inside, start + length, limit + 1)


def _segments(text: bytes, starts: Integers, ends: Integers) -> pa.StringArray:
    """Return copies of `text[start:end]`; those that are not empty ascend and do not overlap."""
    size = len(starts)
    filled = np.flatnonzero(ends > starts)
    if not len(filled):
        return pa.array([""] * size, pa.string())
    edges = np.empty(2 * len(filled) + 1, np.int32)
    edges[0:-1:2], edges[1:-1:2] = starts[filled], ends[filled]
    edges[-1] = edges[-2]
    pieces = pa.StringArray.from_buffers(len(edges) - 1, pa.py_buffer(edges), pa.py_buffer(text))
    # The last piece is the empty text.
    pick = np.full(size, len(edges) - 2, np.int32)
    pick[filled] = np.arange(0, len(edges) - 2, 2, dtype=np.int32)
    return pieces.take(pa.array(pick))


def _values(
    text: bytes,
    data: Bytes,
    kind: npt.NDArray[np.integer],
    starts: Integers,
    ends: Integers,
) -> tuple[pa.StringArray, Flags]:
    """Return AnyValues as text, null where unset, and which only the reference can judge."""
    is_refused = np.zeros(len(kind), bool)
    pick = np.zeros(len(kind), np.int64)
    arrays = [pa.nulls(1, pa.string())]
    total = 1
    for rows, read in (
        (kind == _TEXT, _texts),
        (kind == _INTEGER, _integers),
        (kind == _DOUBLE, _doubles),
        (kind == _BOOLEAN, _booleans),
        ((kind != _NOTHING) & ~np.isin(kind, (_TEXT, _INTEGER, _DOUBLE, _BOOLEAN)), _others),
    ):
        places = np.flatnonzero(rows)
        if not len(places):
            continue
        cells, bad = read(text, data, starts[places], ends[places])
        is_refused[places[bad]] = True
        pick[places] = total + np.arange(len(places))
        arrays.append(cells)
        total += len(places)
    return pa.concat_arrays(arrays).take(pa.array(pick)), is_refused


def _texts(
    text: bytes, data: Bytes, starts: Integers, ends: Integers
) -> tuple[pa.StringArray, Flags]:
    start, end = _bytes_at(data, starts)
    bad = end != ends
    return _segments(text, start, np.where(bad, start, end)), bad


def _integers(
    _: bytes, data: Bytes, starts: Integers, ends: Integers
) -> tuple[pa.StringArray, Flags]:
    values, sizes = wire.varints_and_sizes(data, starts + 1)
    return pa.array(values).cast(pa.string()), starts + 1 + sizes != ends


def _booleans(
    _: bytes, data: Bytes, starts: Integers, ends: Integers
) -> tuple[pa.StringArray, Flags]:
    values, sizes = wire.varints_and_sizes(data, starts + 1)
    cells = pa.array(["false", "true"], pa.string()).take(pa.array((values != 0).astype(np.int8)))
    return cells, starts + 1 + sizes != ends


def _doubles(
    _: bytes, data: Bytes, starts: Integers, ends: Integers
) -> tuple[pa.StringArray, Flags]:
    encoded = pa.array(wire.words(data, starts + 1).view(np.int64)).dictionary_encode()
    values = encoded.dictionary.to_numpy().view(np.float64).tolist()
    cells = pa.array([repr(value) for value in values], pa.string())
    return cells.take(encoded.indices), starts + 9 != ends


def _others(
    text: bytes, _: Bytes, starts: Integers, ends: Integers
) -> tuple[pa.StringArray, Flags]:
    """Read lists, maps and bytes, each distinct one once, by the published classes."""
    raw = [text[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]
    read: dict[bytes, str | None] = {}
    refused: set[bytes] = set()
    for value in set(raw):
        try:
            read[value] = text_of(AnyValue.FromString(value))
        except (DecodeError, RecursionError):
            refused.add(value)
    cells = pa.array([read.get(value) for value in raw], pa.string())
    return cells, np.array([value in refused for value in raw], bool)
