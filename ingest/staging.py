"""Keeps the spans of one source until they are committed.

What comes is gathered into pieces; a full piece is freed of its own copies, sorted and written as
data files of the lake that no reader knows of before the commit names them. Only the last piece
waits in memory. Of a span that is written no more is held than its key.
"""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ingest import dedupe, keys, parquet
from ingest import table as delta
from ingest.errors import LakeError
from ingest.keys import Keys, KeyStore
from ingest.parquet import PARTITION, DataFile
from ingest.report import SourceReport

# Spans are gathered to this size before they are sorted and written: each file repeats names,
# dictionaries and a footer.
PIECE_BYTES = 48 << 20
PIECE_ROWS = parquet.ROW_GROUP_ROWS

# Each commit is compared with what the lake holds on its days, so a load should make few.
COMMIT_ROWS = 2_000_000
COMMIT_BYTES = 64 << 20  # of last pieces, which wait in memory

_DAY_NS = 86_400_000_000_000
_FIRST_DAY = date(1970, 1, 1).toordinal()


@dataclass(frozen=True)
class Written:
    """A data file of which no commit knows; its rows stand at `first_place` and after."""

    file: DataFile
    first_place: int


@dataclass
class Staged:
    """A source's spans, its report so far, and what its own pieces held twice."""

    report: SourceReport
    root: Path
    cohort: str
    rows: int = 0
    days: set[date] = field(default_factory=set)
    duplicates: int = 0  # found while staging; their rows are gone already
    conflicts: int = 0
    first_conflict: str = ""
    written: list[Written] = field(default_factory=list)
    keys: KeyStore = field(default_factory=KeyStore, repr=False)
    _piece: list[pa.Table] = field(default_factory=list, repr=False)
    _piece_bytes: int = 0
    _piece_rows: int = 0
    _writing: Future[None] | None = field(default=None, repr=False)
    _tail: pa.Table | None = field(default=None, repr=False)
    _writer: ThreadPoolExecutor | None = field(default=None, repr=False)

    def append(self, table: pa.Table) -> None:
        """Keep a chunk in `schema.SPANS`; a full piece is written beside what comes next.

        Raises:
            LakeError: where a piece could not be written, at the latest by `finish`.
        """
        if not table.num_rows:
            return
        table = slim(table)
        self.rows += table.num_rows
        self._piece.append(table)
        self._piece_bytes += table.nbytes
        self._piece_rows += table.num_rows
        if self._piece_bytes >= PIECE_BYTES or self._piece_rows >= PIECE_ROWS:
            self._cut()

    @property
    def bytes_in_memory(self) -> int:
        """Bytes of spans that are not written yet."""
        return self._piece_bytes

    def finish(self, report: SourceReport) -> None:
        """Set the source's report, known only once all of it was read; wait for its files.

        A last piece that fills a file of its own is written, too, so that many sources can wait.
        """
        self.report = report
        if self._piece_rows >= parquet.SMALL_ROWS:
            self._cut()
        self._wait()

    def tail(self) -> pa.Table | None:
        """Return the last piece, which is not written, freed of its own copies; None if empty.

        Its rows stand in the source after those of the files, its keys are among `keys`.
        """
        self._wait()
        if self._piece:
            self._tail, _ = self._unique(self._piece)
            self._piece, self._piece_bytes, self._piece_rows = [], self._tail.nbytes, 0
        return self._tail

    def committed(self, paths: set[str]) -> None:
        """Say which files the lake owns now: `close` must not remove those."""
        self.written = [each for each in self.written if each.file.path not in paths]

    def close(self) -> None:
        """Give memory back, and the disk space of files that no commit took."""
        # Whoever gives up knows why already; what a last piece met adds nothing.
        with suppress(LakeError):
            self._wait()
        if self._writer is not None:
            self._writer.shutdown()
        delta.discard(self.root, [each.file for each in self.written])
        self.written, self._piece, self._tail, self._piece_bytes = [], [], None, 0
        self.keys.close()

    def _cut(self) -> None:
        self._wait()
        piece = self._piece
        self._piece, self._piece_bytes, self._piece_rows = [], 0, 0
        # Arrow sorts and writes without the interpreter's lock, so decoding goes on meanwhile.
        if self._writer is None:
            self._writer = ThreadPoolExecutor(1, thread_name_prefix="orchrisk-writer")
        self._writing = self._writer.submit(self._write, piece)

    def _wait(self) -> None:
        if self._writing is not None:
            writing, self._writing = self._writing, None
            writing.result()

    def _write(self, piece: list[pa.Table]) -> None:
        first = self.keys.rows
        table, words = self._unique(piece, is_kept=False)
        for day, part, of_part in sorted_days(table, words):
            file = parquet.write(
                self.root, self.cohort, day, part, keys.digest(of_part, self.cohort)
            )
            self.written.append(Written(file, first))
            self.keys.append(keys.placed(of_part, first))
            first += len(of_part)

    def _unique(self, piece: list[pa.Table], *, is_kept: bool = True) -> tuple[pa.Table, Keys]:
        """Return a piece without the copies it holds of its own rows, and count those."""
        table = pa.concat_tables(piece, promote_options="default")
        piece.clear()
        words = keys.of_table(table, first_place=self.keys.rows)
        is_copy, is_conflict = dedupe.within(words)
        if is_copy.any():
            conflicts = int(is_conflict.sum())
            self.conflicts += conflicts
            self.duplicates += int(is_copy.sum()) - conflicts
            if conflicts and not self.first_conflict:
                self.first_conflict = keys.row_hint(table, int(is_conflict.argmax()))
            table, words = table.filter(pa.array(~is_copy)), words[~is_copy]
        self.days.update(day_of(int(number)) for number in np.unique(day_numbers(table)))
        if is_kept:
            words = keys.placed(words, self.keys.rows)
            self.keys.append(words)
        return table, words


def sorted_days(table: pa.Table, words: Keys) -> Iterator[tuple[date, pa.Table, Keys]]:
    """Yield a table's rows by UTC day, each in the order of the lake's files, with their keys."""
    order = parquet.sort_order(table, words)
    numbers = day_numbers(table)[order]
    table = table.drop_columns([name for name in PARTITION if name in table.column_names])
    for number in np.unique(numbers):
        rows = order[numbers == number]
        yield day_of(int(number)), parquet.taken(table, rows), words[rows]


def day_numbers(table: pa.Table) -> npt.NDArray[np.int64]:
    """Return each row's UTC day as days since 1970."""
    numbers: npt.NDArray[np.int64] = table["start_ns"].to_numpy() // _DAY_NS
    return numbers


def day_of(number: int) -> date:
    """Return the day that is so many days after 1 January 1970."""
    return date.fromordinal(_FIRST_DAY + number)


def slim(table: pa.Table) -> pa.Table:
    """Return a table without the columns that hold no value at all."""
    # A column without a value still takes offsets and bits; most of the schema has none.
    return table.select([name for name in table.column_names if _has_value(table[name])])


def _has_value(column: pa.ChunkedArray) -> bool:
    return bool(column.null_count < len(column))
