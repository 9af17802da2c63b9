"""Ids as machine words: which span is which, exactly, without a Python object a span.

A key is a row of four uint64 words: the trace id's two halves, the span id, and a note that holds
the place of the span in its source (upper 32 bits) beside what it says: its content hash and as
many bits of its times (16 each).
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ingest.content import chain, mix
from ingest.errors import LakeError

Keys = npt.NDArray[np.uint64]
Words = npt.NDArray[np.uint64]

HIGH, LOW, SPAN, NOTE = range(4)
COLUMNS = ("trace_id", "span_id", "start_ns", "duration_ns", "content_hash")

# Keys are kept in this many buckets by their mixed word, so that any share of them can be asked
# for; a bucket of a billion spans is 125 MB.
BUCKETS = 256

# Beyond this the keys of one source wait in a nameless file.
KEYS_IN_MEMORY_BYTES = 16 << 20

_HALF = np.uint64(32)
_LOWER = np.uint64(0xFFFF_FFFF)
_HASH = 0xFFFF

_DIGITS = np.zeros(256, dtype=np.uint8)
_DIGITS[np.frombuffer(b"0123456789abcdef", dtype=np.uint8)] = np.arange(16)
_DIGITS[np.frombuffer(b"ABCDEF", dtype=np.uint8)] = np.arange(10, 16)
_PAIRS = (_DIGITS[None, :] | _DIGITS[:, None] << 4).astype(np.uint8).ravel()


def of_table(table: pa.Table, *, first_place: int = 0) -> Keys:
    """Return the keys of a table's rows, which stand at `first_place` and after it.

    Raises:
        LakeError: where an id has another length than ours; its digits are not looked at.
    """
    keys = np.empty((table.num_rows, 4), dtype=np.uint64)
    keys[:, [HIGH, LOW]] = hex_words(table["trace_id"], 2)
    keys[:, [SPAN]] = hex_words(table["span_id"], 1)
    places = np.arange(first_place, first_place + table.num_rows, dtype=np.uint64)
    hashes = pc.fill_null(table["content_hash"], 0).to_numpy() & _HASH
    # A hash so short is no proof alone: a span written again has most often moved its end.
    times = chain(*(table[name].to_numpy().view(np.uint64) for name in ("start_ns", "duration_ns")))
    keys[:, NOTE] = (
        places << _HALF | hashes.astype(np.uint64) << np.uint64(16) | times >> np.uint64(48)
    )
    return keys


def hex_words(column: pa.ChunkedArray, words: int) -> Words:
    """Return hex ids of `16 * words` digits as an array of that many words a row."""
    array = column.cast(pa.string()).combine_chunks()
    rows, digits = len(array), 16 * words
    if not rows:
        return np.empty((0, words), dtype=np.uint64)
    _, offsets, data = array.buffers()
    edges = np.frombuffer(offsets, dtype=np.int32)[array.offset : array.offset + rows + 1]
    if array.null_count or data is None or (np.diff(edges) != digits).any():
        raise LakeError(
            f"An id of the lake has not the {digits} hex digits that a span's id has.\n"
            "Hint: another program wrote into this lake; ingest the dumps into a new folder."
        )
    text = np.frombuffer(data, dtype=np.uint8)[edges[0] : edges[-1]]
    # The first digit of a pair is its lower byte here, and the upper half of the value.
    pairs = np.ascontiguousarray(text).view("<u2")
    values = _SWAPPED[pairs]
    result: Words = values.view(">u8").astype(np.uint64).reshape(rows, words)
    return result


_SWAPPED = _PAIRS.reshape(256, 256).T.ravel().copy()


def placed(keys: Keys, first: int) -> Keys:
    """Return the keys as those of rows that stand at `first` and after it, in this order."""
    result = keys.copy()
    numbers = np.arange(first, first + len(keys), dtype=np.uint64)
    result[:, NOTE] = numbers << _HALF | keys[:, NOTE] & _LOWER
    return result


def places(keys: Keys) -> npt.NDArray[np.int64]:
    """Return where each key's span stands in its source, from 0."""
    return (keys[:, NOTE] >> _HALF).astype(np.int64)


def said(keys: Keys) -> npt.NDArray[np.uint32]:
    """Return 32 bits of what each key's span says: equal for copies."""
    return (keys[:, NOTE] & _LOWER).astype(np.uint32)


def mixed(keys: Keys) -> Words:
    """Return one well-spread word a key: equal for equal ids, rarely for others."""
    return chain(keys[:, HIGH], keys[:, LOW], keys[:, SPAN])


def digest(keys: Keys, cohort: str) -> int:
    """Return 64 bits of what a set of rows says, the same in any order; digests of sets add up."""
    side = np.frombuffer(cohort.encode().ljust(64, b"\0"), dtype="<u8").astype(np.uint64)
    start = chain(*(side[word : word + 1] for word in range(len(side))))
    rows = mix(chain(keys[:, HIGH], keys[:, LOW], keys[:, SPAN], keys[:, NOTE] & _LOWER) ^ start)
    return int(rows.sum(dtype=np.uint64))


@dataclass
class KeyStore:
    """The keys of one source, bucket by bucket; a nameless file holds what memory should not."""

    rows: int = 0
    _edges: list[npt.NDArray[np.int64]] = field(default_factory=list, repr=False)
    _file: IO[bytes] | None = field(default=None, repr=False)

    def append(self, keys: Keys) -> None:
        """Keep a run of keys; places must grow from run to run."""
        bucket = (mixed(keys) >> np.uint64(56)).astype(np.uint8)
        order = np.argsort(bucket, kind="stable")
        counts = np.bincount(bucket, minlength=BUCKETS)
        if self._file is None:
            self._file = tempfile.SpooledTemporaryFile(KEYS_IN_MEMORY_BYTES)  # noqa: SIM115
        try:
            self._file.seek(self.rows * 32)
            self._file.write(keys[order].data)
        except OSError as error:
            raise LakeError(
                f"{tempfile.gettempdir()}: no room for the ids of a load ({error.strerror}).\n"
                "Hint: free some space there, or name another folder in TMPDIR."
            ) from error
        self._edges.append(self.rows + np.concatenate([[0], np.cumsum(counts)]))
        self.rows += len(keys)

    def share(self, first: int, last: int) -> Iterator[Keys]:
        """Yield the keys of the buckets from `first` up to and without `last`, run by run."""
        for edges in self._edges:
            start, rows = int(edges[first]), int(edges[last] - edges[first])
            if rows and self._file is not None:
                self._file.seek(start * 32)
                block = self._file.read(rows * 32)
                yield np.frombuffer(block, dtype=np.uint64).reshape(rows, 4)

    def close(self) -> None:
        """Give the space back."""
        if self._file is not None:
            self._file.close()


def row_hint(table: pa.Table, row: int) -> str:
    """Return where in its dump a row stood, for a person: record and span."""
    record = pc.fill_null(table["source_record"], 0)[row].as_py()
    return f"record {record:,}, span {table['span_id'][row].as_py()}"
