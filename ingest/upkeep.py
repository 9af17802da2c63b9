"""Keeps a lake clean and says whether it is sound: old leftovers go, every promise is checked."""

import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from ingest import dedupe, keys, ledger, parquet
from ingest import table as delta
from ingest.errors import LakeError
from ingest.parquet import DataFile

# A reader that opened the lake a week ago has long finished.
RETENTION_DAYS = 7.0


def vacuum(root: Path, *, retention_days: float = RETENTION_DAYS) -> list[Path]:
    """Delete what no reader can need any more and return it: paths below the lake's folder.

    That is: data files that left the lake, or never entered it, longer ago than the retention;
    ledger and rejects files of that age that belong to no source.

    Raises:
        LakeError: where the lake cannot be opened or written.
    """
    table = delta.opened(root)
    hours = max(0, int(retention_days * 24))
    # Looked at before anything is deleted: whoever commits meanwhile writes younger files.
    oldest = time.time() - retention_days * 86_400
    leftovers = [file for file in ledger.orphans(root, table) if _changed_at(file) <= oldest]
    try:
        gone = table.vacuum(
            retention_hours=hours, dry_run=False, enforce_retention_duration=False, full=True
        )
        for file in leftovers:
            file.unlink(missing_ok=True)
    except (OSError, DeltaError) as error:
        raise parquet.cannot_write(root, OSError(str(error))) from error
    return [*map(Path, sorted(gone)), *(file.relative_to(root) for file in leftovers)]


def _changed_at(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except FileNotFoundError:
        # Whoever lost a race took it back meanwhile.
        return math.inf


def problems(root: Path) -> list[str]:
    """Return what is wrong with a lake, a sentence each; nothing where all is as promised.

    Every file of the lake is there, opens, and holds the rows and the digest it is known by; no
    span is twice in a cohort; the ledger's sums equal the rows, source by source.

    Raises:
        LakeError: where the lake itself cannot be opened.
    """
    table = delta.opened(root)
    files = delta.files_of(table)
    return [
        sentence
        for cohort in sorted({file.cohort for file in files} | _cohorts(root, table))
        for sentence in _of_cohort(
            root, table, cohort, [file for file in files if file.cohort == cohort]
        )
    ]


def _cohorts(root: Path, table: DeltaTable) -> set[str]:
    return {row["cohort"] for row in ledger.rows(root, table)}


def _of_cohort(
    root: Path, table: DeltaTable, cohort: str, files: Sequence[DataFile]
) -> Iterator[str]:
    store = keys.KeyStore()
    spans: dict[str, int] = {}
    try:
        for file in files:
            yield from _of_file(root, file, store, spans)
        (copies,) = dedupe.across([store], lambda: iter(()))
        if twice := int(copies.is_copy.sum()):
            yield f"cohort {cohort}: {twice:,} spans have the ids of another span of the cohort"
    finally:
        store.close()
    said: dict[str, int] = {}
    names: dict[str, str] = {}
    for row in ledger.rows(root, table):
        if row["cohort"] == cohort:
            said[row["digest"]] = said.get(row["digest"], 0) + row["kept"] - row["removed"]
            names[row["digest"]] = row["name"]
    for digest in sorted(said.keys() | spans.keys()):
        counted, there = said.get(digest, 0), spans.get(digest, 0)
        if counted != there:
            yield (
                f"cohort {cohort}: the ledger counts {counted:,} spans of "
                f"{names.get(digest, 'a source it does not know')} ({digest[:16]}), "
                f"the lake holds {there:,}"
            )


def _of_file(
    root: Path, file: DataFile, store: keys.KeyStore, spans: dict[str, int]
) -> Iterator[str]:
    rows = total = 0
    try:
        for run in parquet.key_runs(root, [file]):
            store.append(keys.placed(run, store.rows))
            rows += len(run)
            total = (total + keys.digest(run, file.cohort)) % 2**64
        for digest, count in parquet.digests(root, file).items():
            spans[digest] = spans.get(digest, 0) + count
    except LakeError as error:
        yield str(error).partition("\n")[0]
        return
    if rows != file.rows:
        yield f"{file.path}: holds {rows:,} rows, the lake's log says {file.rows:,}"
    if file.digest is not None and total != file.digest:
        yield f"{file.path}: says something else than its name"
