"""Merges the many small files that many small additions leave into few, sorted, of good size.

Rows, ledger and fingerprint stay what they are. Files that are merged stay on disk until a vacuum,
so a reader that holds the list of a moment ago still finds them.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable

from ingest import keys, parquet, staging
from ingest import table as delta
from ingest.parquet import DataFile

# So many small files on one day of one cohort are left alone.
MANY = 8


@dataclass(frozen=True)
class Merged:
    """What a compaction did on one day of one cohort."""

    cohort: str
    day: date
    files_before: int
    files_after: int
    spans: int


def compact(
    root: Path,
    cohort: str | None = None,
    days: Collection[date] | None = None,
    *,
    more_than: int = MANY,
) -> list[Merged]:
    """Merge the small files of every day that has more than so many; a commit a day.

    Whoever commits in between wins: the day is merged later.

    Args:
        root: the lake's folder.
        cohort: look at this one only.
        days: look at these only.
        more_than: how many small files a day may have before they are merged.

    Raises:
        LakeError: where the lake cannot be read, or the disk is full.
    """
    small: dict[tuple[str, date], list[DataFile]] = {}
    for file in delta.files_of(delta.opened(root)):
        is_asked = (cohort is None or file.cohort == cohort) and (days is None or file.day in days)
        if is_asked and parquet.is_small(file):
            small.setdefault((file.cohort, file.day), []).append(file)
    merged = [_merge(root, files) for files in small.values() if len(files) > max(more_than, 1)]
    return [each for each in merged if each is not None]


def _merge(root: Path, files: Sequence[DataFile]) -> Merged | None:
    first, made = files[0], list[DataFile]()

    def replace(table: DeltaTable) -> Merged | None:
        there = {file.path for file in delta.files_of(table)}
        if not there.issuperset(file.path for file in files):
            delta.discard(root, made)
            return None
        added = [file.added(is_new_data=False) for file in made]
        delta.commit(root, table, added=added, removed=files, is_new_data=False)
        spans = sum(file.rows for file in made)
        return Merged(first.cohort, first.day, len(files), len(made), spans)

    try:
        made += _rewritten(root, files)
        return delta.try_again(root, replace)
    except BaseException:
        delta.discard(root, made)
        raise


def _rewritten(root: Path, files: Sequence[DataFile]) -> Iterator[DataFile]:
    first = files[0]
    for piece in _pieces(root, files):
        table = pa.concat_tables(piece, promote_options="default")
        words = keys.of_table(table)
        order = parquet.sort_order(table, words)
        digest = keys.digest(words, first.cohort)
        yield parquet.write(root, first.cohort, first.day, parquet.taken(table, order), digest)


def _pieces(root: Path, files: Sequence[DataFile]) -> Iterator[list[pa.Table]]:
    piece: list[pa.Table] = []
    for file in files:
        for table in parquet.row_groups(root, file):
            piece.append(staging.slim(table))
            if (
                sum(each.num_rows for each in piece) >= staging.PIECE_ROWS
                or sum(each.nbytes for each in piece) >= staging.PIECE_BYTES
            ):
                yield piece
                piece = []
    if piece:
        yield piece
