"""Keeps the spans of one source until they are committed: in memory, then in a nameless file."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from typing import IO

import pyarrow as pa
import pyarrow.compute as pc

from ingest.report import SourceReport
from ingest.schema import SPANS

# Spans are gathered to this size before they are sorted and written, and spilled beyond it.
PIECE_BYTES = 128 << 20
PIECE_ROWS = 245_760


@dataclass
class Staged:
    """A source's spans, in pieces that each fit memory, and its report so far."""

    report: SourceReport
    rows: int = 0
    days: set[date] = field(default_factory=set)
    _piece: list[pa.Table] = field(default_factory=list, repr=False)
    _piece_bytes: int = 0
    _piece_rows: int = 0
    _spilled: list[IO[bytes]] = field(default_factory=list, repr=False)

    def append(self, table: pa.Table) -> None:
        """Keep a chunk; earlier ones move to disk when they grow too large together."""
        if not table.num_rows:
            return
        self.rows += table.num_rows
        self.days.update(pc.unique(table["day"]).to_pylist())
        self._piece.append(table)
        self._piece_bytes += table.nbytes
        self._piece_rows += table.num_rows
        if self._piece_bytes > PIECE_BYTES or self._piece_rows > PIECE_ROWS:
            self._spill()

    @property
    def bytes_in_memory(self) -> int:
        """Bytes held outside the nameless files."""
        return self._piece_bytes

    def finish(self, report: SourceReport) -> None:
        """Set the source's report, known only once all of it was read."""
        self.report = replace(report)

    def tables(self) -> Iterator[pa.Table]:
        """Yield the pieces, each time anew."""
        for file in self._spilled:
            file.seek(0)
            with pa.ipc.open_stream(file) as reader:
                yield reader.read_all()
        if self._piece:
            yield pa.concat_tables(self._piece)

    def close(self) -> None:
        """Give the disk space back."""
        for file in self._spilled:
            file.close()

    def _spill(self) -> None:
        # Without a name the file is gone with the process, even one that is killed.
        file = tempfile.TemporaryFile(prefix="orchrisk-")  # noqa: SIM115
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        with pa.ipc.new_stream(file, SPANS, options=options) as writer:
            for table in self._piece:
                writer.write_table(table)
        self._spilled.append(file)
        self._piece, self._piece_bytes, self._piece_rows = [], 0, 0
