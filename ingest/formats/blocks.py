"""Whole records of a dump, cut from the stream a few megabytes at a time and not yet decoded."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ingest.formats.columns import Integers

# A chunk costs as much as some thousand spans whatever it holds, so it holds many times as many;
# half the size would cost a fifth more work, and all sizes are held a few times in memory. JSON
# says in twice the bytes what protobuf says.
BLOCK_BYTES = 8 << 20
JSON_BLOCK_BYTES = 12 << 20
# No exporter sends a request near this size; without a bound one record could fill memory.
MAX_RECORD_BYTES = 256 << 20


@dataclass(frozen=True)
class Block:
    """Some records in a row.

    Attributes:
        data: the bytes that hold them.
        starts: where in `data` each record starts; int64.
        ends: where each ends, exclusive.
        first: number of the first record in the dump, from 1.
        offset: place of `data` in the dump's plain content, in bytes.
        numbers: each record's number, where they do not follow one another from `first`.
    """

    data: bytes
    starts: Integers
    ends: Integers
    first: int
    offset: int
    numbers: Integers | None = None

    def records(self) -> Iterator[tuple[int, int, bytes]]:
        """Yield each record's number, its byte offset in the plain content, and its bytes."""
        numbers = self.numbers
        if numbers is None:
            numbers = np.arange(self.first, self.first + len(self.starts))
        for number, start, end in zip(
            numbers.tolist(), self.starts.tolist(), self.ends.tolist(), strict=True
        ):
            yield number, self.offset + start, self.data[start:end]

    def only(self, places: Integers) -> "Block":
        """Return a block of the records at these positions, under their own numbers."""
        numbers = self.first + places if self.numbers is None else self.numbers[places]
        return Block(
            self.data, self.starts[places], self.ends[places], self.first, self.offset, numbers
        )


def whole(data: bytes, *, first: int, offset: int) -> Block:
    """Return a block of one record that is all of `data`."""
    return Block(data, np.zeros(1, np.int64), np.full(1, len(data), np.int64), first, offset)
