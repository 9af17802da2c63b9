"""Whole records of a dump, cut from the stream a few megabytes at a time and not yet decoded."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ingest.formats.columns import Integers

# Large enough that the fixed cost of a chunk is small, small enough that several fit memory.
BLOCK_BYTES = 8 << 20
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
    """

    data: bytes
    starts: Integers
    ends: Integers
    first: int
    offset: int

    def records(self) -> Iterator[tuple[int, int, bytes]]:
        """Yield each record's number, its byte offset in the plain content, and its bytes."""
        for place, (start, end) in enumerate(
            zip(self.starts.tolist(), self.ends.tolist(), strict=True)
        ):
            yield self.first + place, self.offset + start, self.data[start:end]


def whole(data: bytes, *, first: int, offset: int) -> Block:
    """Return a block of one record that is all of `data`."""
    return Block(data, np.zeros(1, np.int64), np.full(1, len(data), np.int64), first, offset)
