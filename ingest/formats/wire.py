"""Protobuf's wire format, read by numpy in lock-step: every message advances one field a step.

A message here is a stretch of one buffer. A step reads one tag of each message that is not at its
end, so a thousand messages of twenty fields cost twenty steps, not twenty thousand. What a field
means is the caller's business; a message that breaks the format is pointed out, not repaired.

Source: protobuf.dev, Encoding.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

# Behind the last message there must be this much room, so that no read ends outside.
ROOM = b"\0" * 16

# No message of an exporter has this many fields; a hostile one costs no more steps than these.
MAX_STEPS = 20_000
_LARGEST_VARINT = 10


@dataclass(frozen=True)
class Fields:
    """Fields of many messages, sorted by tag, of equal tags in the order of the buffer.

    Attributes:
        message: position of the message each field belongs to.
        start: where its value starts: behind the length of bytes, at a number's first byte.
        end: one past its value.
        edges: of each tag (number * 8 + wire type), the range of its fields.
        is_bad: which messages break the format.
    """

    message: Integers
    start: Integers
    end: Integers
    edges: dict[int, slice]
    is_bad: Flags

    def of(self, number: int, wire: int) -> tuple[Integers, Integers, Integers]:
        """Return message, start and end of each field with this number and wire type."""
        rows = self.edges.get(number * 8 + wire, slice(0, 0))
        return self.message[rows], self.start[rows], self.end[rows]

    def is_strange(self, known: frozenset[int]) -> Flags:
        """Return which messages break the format or hold a tag that is not `known`."""
        is_strange = self.is_bad.copy()
        for tag, rows in self.edges.items():
            if tag not in known:
                is_strange[self.message[rows]] = True
        return is_strange


def fields(data: Bytes, starts: Integers, ends: Integers) -> Fields:
    """Return every field of the messages `data[start:end]`."""
    is_bad = np.zeros(len(starts), bool)
    at = starts.astype(np.int64)
    active = np.flatnonzero(at < ends)
    parts: list[tuple[npt.NDArray[Any], ...]] = []
    at, stop = at[active], ends[active]
    for _ in range(MAX_STEPS):
        if not len(active):
            break
        tag = data[at].astype(np.int64)
        value = at + 1
        wide = np.flatnonzero(tag >= 128)
        if len(wide):
            second = data[value[wide]].astype(np.int64)
            tag[wide] += (second << 7) - 128
            value[wide] += 1
            is_bad[active[wide[second >= 128]]] = True
        wire = tag & 7
        number = data[value].astype(np.int64)
        length = np.ones(len(at), np.int64)
        long = np.flatnonzero((number >= 128) & ((wire == BYTES) | (wire == VARINT)))
        if len(long):
            number[long], length[long] = long_varints(data, value[long])
        start = value + np.where(wire == BYTES, length, 0)
        end = start + _SIZES[wire]
        end = np.where(wire == VARINT, value + length, end)
        end = np.where(wire == BYTES, start + number, end)
        good = (end <= stop) & (end >= start) & _IS_KNOWN[wire] & (length <= _LARGEST_VARINT)
        good &= tag >= 8
        if not good.all():
            is_bad[active[~good]] = True
            active, tag, start, end, stop = (each[good] for each in (active, tag, start, end, stop))
        parts.append((active, tag, start, end))
        more = end < stop
        if more.all():
            at = end
        else:
            active, at, stop = active[more], end[more], stop[more]
    is_bad[active] = True
    return _sorted(parts, is_bad)


_SIZES = np.array([0, 8, 0, 0, 0, 4, 0, 0])
_IS_KNOWN = np.array([True, True, True, False, False, True, False, False])


def _sorted(parts: list[tuple[npt.NDArray[Any], ...]], is_bad: Flags) -> Fields:
    if not any(len(part[0]) for part in parts):
        nothing = np.empty(0, np.int64)
        return Fields(nothing, nothing, nothing, {}, is_bad)
    message, tag, start, end = (np.concatenate(column) for column in zip(*parts, strict=True))
    # Steps put a message's fields in order, but the messages' fields between one another.
    order = np.argsort(start, kind="stable")
    order = order[np.argsort(tag[order].astype(np.uint16), kind="stable")]
    ordered = tag[order]
    cuts = np.flatnonzero(np.diff(ordered)) + 1
    lows, highs = [0, *cuts.tolist()], [*cuts.tolist(), len(ordered)]
    edges = {int(ordered[low]): slice(low, high) for low, high in zip(lows, highs, strict=True)}
    return Fields(message[order], start[order], end[order], edges, is_bad)


def long_varints(data: Bytes, at: Integers) -> tuple[Integers, Integers]:
    """Return the number at each place, as int64 bits, and how many bytes it takes.

    A number of more than ten bytes is none; its size is then eleven.
    """
    value = np.zeros(len(at), np.int64)
    size = np.zeros(len(at), np.int64)
    rows = np.arange(len(at))
    for place in range(_LARGEST_VARINT + 1):
        byte = data[at[rows] + place].astype(np.int64)
        if place < _LARGEST_VARINT:
            value[rows] |= (byte & 127) << (7 * place)
        size[rows] += 1
        rows = rows[byte >= 128]
        if not len(rows):
            break
    return value, size


def varints_and_sizes(data: Bytes, starts: Integers) -> tuple[Integers, Integers]:
    """Return what `long_varints` returns; most numbers take one byte, which this does at once."""
    value = data[starts].astype(np.int64)
    size = np.ones(len(starts), np.int64)
    rows = np.flatnonzero(value >= 128)
    if len(rows):
        value[rows], size[rows] = long_varints(data, starts[rows])
    return value, size


def varints(data: Bytes, starts: Integers) -> Integers:
    """Return the number at each start, as int64 bits."""
    return varints_and_sizes(data, starts)[0]


def words(data: Bytes, starts: Integers) -> npt.NDArray[np.uint64]:
    """Return the eight bytes at each start as one little-endian number."""
    view = np.ndarray((max(len(data) - 7, 0),), np.uint64, buffer=data, strides=(1,))
    return view[starts]
