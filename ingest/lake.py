"""The lake: a Delta table of spans, one commit an addition, no span twice in a cohort.

What makes it safe:

* Data files are written first and seen by nobody until one atomic commit names them; a process
  killed before leaves unreferenced files, which readers never look at and a vacuum removes.
* A commit is made on the version whose spans it was compared with. Two writers cannot both commit
  on one version: the loser compares with what the winner wrote and tries again.
* The ledger is atomic with the data: its rows are written to `_ledger/<number>.json` before the
  commit, and count only once the commit has recorded that number for the source.

Identical copies are looked for on the days an addition touches and one day to either side.
"""

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import pyarrow as pa

from ingest import addition, compaction, ledger, parquet
from ingest import table as delta
from ingest.errors import CohortError, LakeError
from ingest.parquet import DataFile
from ingest.report import SourceReport
from ingest.schema import COHORT_PATTERN
from ingest.staging import Staged

CONTENTS = pa.schema(
    [
        ("cohort", pa.string()),
        ("day", pa.date32()),
        ("spans", pa.int64()),
        ("files", pa.int64()),
        ("bytes", pa.int64()),
    ]
)


@dataclass(frozen=True)
class Snapshot:
    """A lake as it stood at one moment: its files, sorted, and the fingerprint of their rows."""

    data: tuple[DataFile, ...]  # with a digest each
    files: tuple[str, ...]  # the same, with the lake's folder before them
    fingerprint: str


@dataclass(frozen=True)
class Lake:
    """A folder that is, or will be, the lake."""

    path: Path

    def __init__(self, path: Path | str) -> None:
        object.__setattr__(self, "path", Path(path))

    @property
    def exists(self) -> bool:
        """Whether anything was ever committed here."""
        return delta.exists(self.path)

    def files(self) -> list[str]:
        """Return the Parquet files that make up the lake now, sorted; cohort and day are in paths.

        Raises:
            LakeError: where the table is not one we can read as plain Parquet.
        """
        return [str(self.path / file.path) for file in self._files()]

    def fingerprint(self) -> str:
        """Return a text that changes exactly when what the lake says does, however it lies."""
        return self.snapshot().fingerprint

    def snapshot(self) -> Snapshot:
        """Return files and fingerprint of one and the same moment."""
        files = tuple(
            replace(file, digest=parquet.digest_of(self.path, file)) for file in self._files()
        )
        total = sum(file.digest or 0 for file in files) % 2**64
        rows = sum(file.rows for file in files)
        return Snapshot(
            files, tuple(str(self.path / file.path) for file in files), f"{total:016x}{rows:x}"
        )

    def holds(self, *, cohort: str) -> Callable[[str], bool]:
        """Return a test of digests: is this very source in the cohort, as the lake stands now?"""
        if not self.exists:
            return lambda _: False
        table = delta.opened(self.path)
        return lambda digest: ledger.holds(table, digest, cohort)

    def check(self, cohort: str) -> None:
        """Raise before any work is done what `add` would raise after it.

        Raises:
            CohortError: where the name cannot name a partition.
            LakeError: where the folder is no lake of ours.
        """
        if not re.fullmatch(COHORT_PATTERN, cohort):
            raise CohortError(
                f"{cohort!r} cannot name a cohort.\n"
                "Hint: use lower-case letters, digits, - and _, at most 63, like baseline or pilot."
            )
        if self.exists:
            delta.opened(self.path)

    def ledger(self) -> pa.Table:
        """Return one row a source, oldest first: what was read, kept and refused, and why.

        A source that was removed, whole or in part, and read again has a row for each reading.
        """
        table = delta.opened(self.path) if self.exists else None
        return ledger.as_table(ledger.rows(self.path, table))

    def rejects(self, digest: str | None = None) -> pa.Table:
        """Return up to 20 examples a reason of what was refused, of all sources or of one.

        Columns: cohort, source, digest, reason, count (of the reason), place, sample (masked),
        mend.
        """
        return ledger.rejects(self.path, digest)

    def stage(self, report: SourceReport, *, cohort: str) -> Staged:
        """Return the place where a source's spans wait for `add`; to be closed in any case."""
        return Staged(report, self.path, cohort)

    def add(self, staged: Sequence[Staged], *, cohort: str) -> list[SourceReport]:
        """Add the sources' spans in one commit and return their reports, completed.

        Spans already there in an identical copy are counted as duplicates; spans already there
        that say something else are conflicts, rejected, and the first one stays. Days that have
        gathered many small files are compacted afterwards.

        Raises:
            CohortError: where the name cannot name a partition.
            LakeError: where the folder is no lake of ours, or the disk is full.
            LakeBusyError: where other writers won every race.
        """
        self.check(cohort)
        reports = delta.try_again(
            self.path, lambda table: addition.attempt(self.path, table, staged, cohort)
        )
        # The spans are in. Whatever hinders a compaction, the next one meets it again.
        with suppress(LakeError):
            compaction.compact(self.path, cohort, {day for each in staged for day in each.days})
        return reports

    def contents(self) -> pa.Table:
        """Return what lies where: cohort, day, spans, files, bytes; a row a cohort and day."""
        sums: dict[tuple[str, date], list[int]] = {}
        for file in self._files():
            spans, files, size = sums.get((file.cohort, file.day), (0, 0, 0))
            sums[file.cohort, file.day] = [spans + file.rows, files + 1, size + file.bytes]
        rows = [(*place, *sums[place]) for place in sorted(sums)]
        columns = list(zip(*rows, strict=True)) or [()] * len(CONTENTS)
        return pa.table(dict(zip(CONTENTS.names, columns, strict=True)), schema=CONTENTS)

    def _files(self) -> list[DataFile]:
        return delta.files_of(delta.opened(self.path)) if self.exists else []
