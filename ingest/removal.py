"""Takes a cohort, a day of it or one source out of the lake: one commit, and the ledger says so.

What is removed may be read again. A span that another source also held as a copy goes with the
source that brought it first: reading the other source again after removing that, too, brings it
back.
"""

import secrets
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from ingest import ledger, parquet
from ingest import table as delta
from ingest.errors import LakeError
from ingest.ledger import Row
from ingest.parquet import DataFile


@dataclass(frozen=True)
class Removal:
    """What a removal takes, or took."""

    cohort: str
    day: date | None
    digest: str | None  # of the one source, None where all of them are meant
    spans: int
    files: int
    sources: int
    copies: int  # duplicates that other sources of the cohort counted; some may be of these spans


@dataclass(frozen=True)
class _Plan:
    removal: Removal
    old: list[DataFile]
    spans: dict[str, int]  # to be removed, by digest
    listed: list[Row]  # the ledger's rows of the sources touched


def plan(root: Path, *, cohort: str, day: date | None = None, source: str | None = None) -> Removal:
    """Return what `remove` would take, and take nothing.

    Raises:
        LakeError: where the lake, the cohort or the source is not there, or a name is not clear.
    """
    return _planned(root, delta.opened(root), cohort, day, source).removal


def remove(
    root: Path, *, cohort: str, day: date | None = None, source: str | None = None
) -> Removal:
    """Remove spans in one commit and return what was taken.

    Args:
        root: the lake's folder.
        cohort: the side to take from.
        day: this UTC day only.
        source: only what this source brought: its name as it was read, or the beginning of its
            digest, at least 8 digits.

    Raises:
        LakeError: where the lake, the cohort or the source is not there, a name is not clear, or
            the disk is full.
        LakeBusyError: where other writers won every race.
    """
    delta.opened(root)  # a removal makes no lake
    return delta.try_again(root, lambda table: _attempt(root, table, cohort, day, source))


def _attempt(
    root: Path, table: DeltaTable, cohort: str, day: date | None, source: str | None
) -> Removal:
    planned = _planned(root, table, cohort, day, source)
    number = -secrets.randbits(62) - 1
    made: list[DataFile] = []
    try:
        for file in planned.old:
            left = parquet.without(root, file, _is_of(root, file, planned.spans))
            if left is not None:
                made.append(left)
        is_whole = day is None
        rows = [*_after(planned.listed, planned.spans, is_whole=is_whole)]
        ledger.write(root, number, rows)
        delta.commit(
            root,
            table,
            added=[file.added() for file in made],
            removed=planned.old,
            marks={ledger.mark(row["digest"], cohort): number for row in rows},
        )
    except BaseException:
        ledger.discard(root, number)
        delta.discard(root, made)
        raise
    return planned.removal


def _planned(
    root: Path, table: DeltaTable, cohort: str, day: date | None, source: str | None
) -> _Plan:
    files = [
        file
        for file in delta.files_of(table)
        if file.cohort == cohort and (day is None or file.day == day)
    ]
    of_cohort = [
        row
        for row in ledger.rows(root, table)
        if row["cohort"] == cohort and row["read"] > row["rejected"]
    ]
    digest = None if source is None else _digest_of(root, of_cohort, source, cohort)
    old: list[DataFile] = []
    spans: dict[str, int] = {}
    total = 0
    for file in files:
        counts = parquet.digests(root, file)
        taken = counts if digest is None else {k: n for k, n in counts.items() if k == digest}
        if taken:
            old.append(file)
            total += sum(taken.values())
        for name, count in taken.items():
            spans[name] = spans.get(name, 0) + count
    if digest is not None and day is None:
        spans.setdefault(digest, 0)
    if digest is None and day is None:
        for row in of_cohort:
            if row["state"] != "removed":
                spans.setdefault(row["digest"], 0)
    if not spans:
        where = cohort if day is None else f"{cohort}, {day}"
        raise LakeError(
            f"{root}: there is nothing to remove of {where}.\n"
            "Hint: `orchrisk lake list` shows which cohorts, days and sources there are."
        )
    touched = [row for row in of_cohort if row["digest"] in spans]
    copies = sum(row["duplicates"] for row in of_cohort if row["digest"] not in spans)
    removal = Removal(cohort, day, digest, total, len(old), len(spans), copies)
    return _Plan(removal, old, spans, touched)


def _digest_of(root: Path, listed: list[Row], source: str, cohort: str) -> str:
    there = [row for row in listed if row["state"] != "removed"]
    found = {
        row["digest"]
        for row in there
        if row["name"] == source or (len(source) >= 8 and row["digest"].startswith(source))
    }
    if len(found) == 1:
        return str(found.pop())
    said = "there is no source" if not found else f"there are {len(found)} sources"
    shown = ", ".join(sorted(found))
    raise LakeError(
        f"{root}: {said} {source!r} in {cohort}{f': {shown}' if shown else ''}.\n"
        "Hint: `orchrisk lake list` shows the sources; name one by its digest."
    )


def _is_of(root: Path, file: DataFile, spans: dict[str, int]) -> npt.NDArray[np.bool_]:
    """Return which rows of a file came from these sources."""
    digests = pa.array(list(spans), pa.string())
    parts = [
        pc.is_in(table["source_digest"], value_set=digests).to_numpy()
        for table in parquet.row_groups(root, file, ("source_digest",))
    ]
    result: npt.NDArray[np.bool_] = np.concatenate(parts).astype(bool)
    return result


def _after(listed: list[Row], spans: dict[str, int], *, is_whole: bool) -> list[Row]:
    """Return the ledger's rows as they are once so many spans of each source are gone."""
    left = dict(spans)
    rows = []
    for row in listed:
        count = min(left[row["digest"]], row["kept"] - row["removed"])
        left[row["digest"]] -= count
        removed = row["removed"] + count
        is_gone = is_whole or removed == row["kept"]
        rows.append({**row, "removed": removed, "state": "removed" if is_gone else "in part"})
    return rows
