"""One try to add staged sources to the lake: what is new of them, and the commit that says so."""

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
from deltalake import DeltaTable

from ingest import dedupe, keys, ledger, parquet
from ingest import table as delta
from ingest.dedupe import Copies
from ingest.parquet import DataFile
from ingest.report import Example, Reject, SourceReport
from ingest.staging import PIECE_BYTES, PIECE_ROWS, Staged, day_numbers, day_of, sorted_days

CONFLICT = "another span of this cohort has the same ids and says something else"
_CONFLICT_MEND = "Ids must be unique; ingest the two sources into two cohorts to compare them."


def attempt(
    root: Path, table: DeltaTable, staged: Sequence[Staged], cohort: str
) -> list[SourceReport]:
    """Add the sources' spans to this very version of the table; return their reports, completed.

    Raises:
        LostRaceError: where another commit came first; nothing is added.
        LakeError: where the disk is full.
    """
    reports: dict[int, SourceReport] = {}
    fresh: dict[int, Staged] = {}
    seen_digests: set[str] = set()
    for place, source in enumerate(staged):
        digest = source.report.digest
        if ledger.holds(table, digest, cohort) or digest in seen_digests:
            reports[place] = _already(source.report, cohort)
            continue
        if source.rows:
            seen_digests.add(digest)
        fresh[place] = source
    sources = list(fresh.values())
    tails = [source.tail() for source in sources]
    near = _near({day for source in sources for day in source.days})
    there = [file for file in delta.files_of(table) if file.cohort == cohort and file.day in near]
    copies = dedupe.across(
        [source.keys for source in sources], lambda: parquet.key_runs(root, there)
    )
    made: list[DataFile] = []
    new: list[SourceReport] = []
    try:
        kept = [
            _kept_files(root, source, found, made)
            for source, found in zip(sources, copies, strict=True)
        ]
        rest = [_kept_tail(*each) for each in zip(tails, copies, strict=True)]
        made += _written(root, rest, cohort)
        new = [
            _completed(root, *each, cohort=cohort)
            for each in zip(sources, copies, kept, rest, tails, strict=True)
        ]
        reports.update(zip(fresh, new, strict=True))
        owned = {each.file.path for source in sources for each in source.written}
        files = [*(file for group in kept for file in group if file.path in owned), *made]
        _commit(root, table, files, new, cohort)
    except BaseException:
        delta.discard(root, made)
        raise
    for source, group in zip(sources, kept, strict=True):
        source.committed({file.path for file in group})
    return [reports[place] for place in range(len(staged))]


def _commit(
    root: Path, table: DeltaTable, files: list[DataFile], new: list[SourceReport], cohort: str
) -> None:
    """Commit files and sources, and write what the ledger says of them before."""
    if not new:
        return
    number = 1 + secrets.randbits(62)
    # A source of which nothing could be used may be readable one day: it is not marked.
    counted = [report for report in new if report.read > report.rejected]
    marks = {ledger.mark(report.digest, cohort): number for report in counted}
    # What was removed and comes again keeps its history. The rest need not read the whole ledger.
    is_again = any(table.transaction_version(mark) is not None for mark in marks)
    earlier = [
        row
        for row in (ledger.rows(root, table) if is_again else ())
        if ledger.mark(row["digest"], row["cohort"]) in marks
    ]
    for report in new:
        ledger.write_rejects(root, report)
    ledger.write(root, number, [*earlier, *map(ledger.row_of, new)])
    if counted or files:
        try:
            delta.commit(root, table, added=[file.added() for file in files], marks=marks)
        except BaseException:
            ledger.discard(root, number)
            raise


def _kept_files(root: Path, source: Staged, found: Copies, made: list[DataFile]) -> list[DataFile]:
    """Return a source's files; those that hold copies are written anew, noted in `made`."""
    kept = []
    for each in source.written:
        is_copy = found.is_copy[each.first_place : each.first_place + each.file.rows]
        file: DataFile | None = each.file
        if is_copy.any():
            file = parquet.without(root, each.file, is_copy)
            if file is not None:
                made.append(file)
        if file is not None:
            kept.append(file)
    return kept


def _written(root: Path, tails: Sequence[pa.Table | None], cohort: str) -> Iterator[DataFile]:
    waiting: list[pa.Table] = []
    for tail in tails:
        if tail is None or not tail.num_rows:
            continue
        waiting.append(tail)
        is_full = (
            sum(each.num_rows for each in waiting) >= PIECE_ROWS
            or sum(each.nbytes for each in waiting) >= PIECE_BYTES
        )
        if is_full:
            yield from _write_days(root, waiting, cohort)
            waiting = []
    if waiting:
        yield from _write_days(root, waiting, cohort)


def _write_days(root: Path, tables: list[pa.Table], cohort: str) -> Iterator[DataFile]:
    table = pa.concat_tables(tables, promote_options="default")
    for day, part, words in sorted_days(table, keys.of_table(table)):
        yield parquet.write(root, cohort, day, part, keys.digest(words, cohort))


def _completed(
    root: Path,
    source: Staged,
    found: Copies,
    files: list[DataFile],
    rest: pa.Table | None,
    tail: pa.Table | None,
    cohort: str,
) -> SourceReport:
    days: dict[date, int] = {}
    for file in files:
        days[file.day] = days.get(file.day, 0) + file.rows
    if rest is not None:
        numbers, spans = np.unique(day_numbers(rest), return_counts=True)
        for day, count in zip(map(day_of, numbers.tolist()), spans.tolist(), strict=True):
            days[day] = days.get(day, 0) + count
    kept = sum(days.values())
    duplicates = source.duplicates + found.duplicates
    conflicts = source.conflicts + found.conflicts
    report = source.report
    reasons = list(report.reasons)
    if conflicts:
        first = source.first_conflict
        if not first and found.first_conflict is not None:
            first = _hint(root, source, tail, found.first_conflict)
        reasons.append(
            Reject(CONFLICT, conflicts, first, _CONFLICT_MEND, "", (Example(first, ""),))
        )
    return replace(
        report,
        cohort=cohort,
        read=report.rejected + kept + duplicates + conflicts,
        kept=kept,
        duplicates=duplicates,
        rejected=report.rejected + conflicts,
        conflicts=conflicts,
        reasons=reasons,
        days={str(day): days[day] for day in sorted(days)},
    )


def _hint(root: Path, source: Staged, tail: pa.Table | None, place: int) -> str:
    """Return where in its dump the span stood that has this place in the source."""
    for each in source.written:
        if 0 <= place - each.first_place < each.file.rows:
            return parquet.row_hint(root, each.file, place - each.first_place)
    rows = 0 if tail is None else tail.num_rows
    return "" if tail is None else keys.row_hint(tail, place - (source.keys.rows - rows))


def _near(days: set[date]) -> set[date]:
    return {day + timedelta(step) for day in days for step in (-1, 0, 1)}


def _kept_tail(tail: pa.Table | None, found: Copies) -> pa.Table | None:
    if tail is None:
        return None
    is_copy = found.is_copy[len(found.is_copy) - tail.num_rows :]
    return tail.filter(pa.array(~is_copy)) if is_copy.any() else tail


def _already(report: SourceReport, cohort: str) -> SourceReport:
    return SourceReport(
        report.name, report.digest, report.format, report.bytes, already=True, cohort=cohort
    )
