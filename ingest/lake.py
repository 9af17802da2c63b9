"""The lake: a Delta table of spans, one commit an addition, no span twice in a cohort.

What makes it safe:

* Data files are written first and seen by nobody until one atomic commit names them; a process
  killed before leaves unreferenced files, which readers never look at.
* A commit carries an application transaction for each source and for each (cohort, day) it might
  collide with. Two writers of one day cannot both commit on the same version: the loser reads the
  winner's keys and tries again.
* The ledger is atomic with the data: its rows are written to `_ledger/<number>.json` before the
  commit, and count only once the commit has recorded that number for the source.

Identical copies are looked for on the days an addition touches and one day to either side.
"""

import hashlib
import json
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.transaction import AddAction, RemoveAction

from ingest.errors import CohortError, LakeBusyError, LakeError
from ingest.report import Reject, SourceReport
from ingest.schema import COHORT_PATTERN, KEY, SPANS
from ingest.staging import PIECE_BYTES, PIECE_ROWS, Staged

PARTITION = ("cohort", "day")
ROW_GROUP_ROWS = 122_880

# Ids, times and free text are nearly all different: a dictionary of them only costs.
NO_DICTIONARY = frozenset(
    {
        *("trace_id", "span_id", "parent_span_id", "start_ns", "end_ns", "content_hash"),
        *("status_message", "exception_message", "response_id", "tool_call_id", "message_id"),
        *("source_record", "idempotency_key", "args_hash", "input_hash", "enqueued_ns"),
        *("context_hash_in", "context_hash_out"),
    }
)

READER_FEATURES = frozenset({"timestampNtz", "v2Checkpoint", "vacuumProtocolCheck"})
MAX_READER_VERSION = 3

# A loser waits for the winner; forty losses in a row are no longer a race.
MAX_TRIES = 40

LEDGER = pa.schema(
    [
        ("cohort", pa.string()),
        ("name", pa.string()),
        ("digest", pa.string()),
        ("format", pa.string()),
        ("bytes", pa.int64()),
        ("read", pa.int64()),
        ("kept", pa.int64()),
        ("duplicates", pa.int64()),
        ("rejected", pa.int64()),
        ("conflicts", pa.int64()),
        ("reasons", pa.string()),  # JSON list of reason, count, place, mend
        ("days", pa.string()),  # JSON object of kept spans by UTC day
        ("ingested_at", pa.timestamp("us", tz="UTC")),
    ]
)

CONFLICT = "another span of this cohort has the same ids and says something else"


@dataclass(frozen=True)
class Lake:
    """A folder that is, or will be, the lake."""

    path: Path

    def __init__(self, path: Path | str) -> None:
        object.__setattr__(self, "path", Path(path))

    @property
    def exists(self) -> bool:
        """Whether anything was ever committed here."""
        return (self.path / "_delta_log").is_dir() and DeltaTable.is_deltatable(str(self.path))

    def files(self) -> list[str]:
        """Return the Parquet files that make up the lake now, sorted; cohort and day are in paths.

        Raises:
            LakeError: where the table is not one we can read as plain Parquet.
        """
        if not self.exists:
            return []
        table = self._open()
        return sorted(str(self.path / path) for path in _active_paths(table))

    def fingerprint(self) -> str:
        """Return a text that changes exactly when the set of files does."""
        names = sorted(_active_paths(self._open())) if self.exists else []
        return hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]

    def holds(self, *, cohort: str) -> Callable[[str], bool]:
        """Return a test of digests: is this very source in the cohort, as the lake stands now?"""
        if not self.exists:
            return lambda _: False
        table = self._open()
        return lambda digest: _holds(table, digest, cohort)

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
            self._open()

    def ledger(self) -> pa.Table:
        """Return one row a source, oldest first: what was read, kept and refused, and why."""
        table = self._open() if self.exists else None
        rows: list[dict[str, object]] = []
        for file in (self.path / "_ledger").glob("*.json"):
            for row in json.loads(file.read_text()):
                is_refused = row["read"] == row["rejected"]
                number = (
                    table.transaction_version(_source_id(row["digest"], row["cohort"]))
                    if table is not None
                    else None
                )
                if number == int(file.stem) or (number is None and is_refused):
                    rows.append(row)
        newest = {
            (row["cohort"], row["digest"], row["read"] == row["rejected"]): row
            for row in sorted(rows, key=lambda row: str(row["ingested_at"]))
        }
        listed = sorted(newest.values(), key=lambda row: (str(row["ingested_at"]), row["name"]))
        columns = {
            name: [row[name] for row in listed] for name in LEDGER.names if name != "ingested_at"
        }
        times = [int(str(row["ingested_at"])) for row in listed]
        columns["ingested_at"] = pa.array(times, pa.int64()).cast(LEDGER.field("ingested_at").type)
        return pa.table(columns, schema=LEDGER)

    def add(self, staged: Sequence[Staged], *, cohort: str) -> list[SourceReport]:
        """Add the sources' spans in one commit and return their reports, completed.

        Spans already there in an identical copy are counted as duplicates; spans already there
        that say something else are conflicts, rejected, and the first one stays.

        Raises:
            CohortError: where the name cannot name a partition.
            LakeError: where the folder is no lake of ours.
            LakeBusyError: where other writers won every race.
        """
        self.check(cohort)
        reason = "no try was made"
        for attempt in range(MAX_TRIES):
            table = self._open_or_create()
            try:
                return self._try_to_add(table, staged, cohort)
            except CommitFailedError as error:
                reason = str(error)
                time.sleep(min(0.01 * 2**attempt, 0.5) * (0.5 + secrets.randbelow(1000) / 1000))
        raise LakeBusyError(
            f"{self.path}: other writers won {MAX_TRIES} races in a row ({reason}).\n"
            "Hint: run the ingest again; nothing of it was kept."
        )

    def _try_to_add(
        self, table: DeltaTable, staged: Sequence[Staged], cohort: str
    ) -> list[SourceReport]:
        fresh: list[Staged] = []
        reports: dict[int, SourceReport] = {}
        seen_digests: set[str] = set()
        for place, source in enumerate(staged):
            digest = source.report.digest
            if _holds(table, digest, cohort) or digest in seen_digests:
                reports[place] = _already(source.report, cohort)
                continue
            if source.rows:
                seen_digests.add(digest)
            fresh.append(source)
        days = sorted({day for source in fresh for day in source.days})
        near = sorted({day + timedelta(step) for day in days for step in (-1, 0, 1)})
        known = _known(self.path, table, cohort, near)
        number = secrets.randbits(62)
        actions: list[AddAction | RemoveAction] = []
        waiting: list[pa.Table] = []

        def keep(part: pa.Table) -> None:
            waiting.append(part)
            rows = sum(each.num_rows for each in waiting)
            if rows >= PIECE_ROWS or sum(each.nbytes for each in waiting) >= PIECE_BYTES:
                actions.extend(self._write_days(waiting, cohort))
                waiting.clear()

        try:
            for place, source in enumerate(staged):
                if place not in reports:
                    reports[place] = _counted(source, cohort, known, keep)
            actions += self._write_days(waiting, cohort)
        except BaseException:
            self._remove(actions)
            raise
        done = [reports[place] for place in range(len(staged))]
        new = [report for report in done if not report.already]
        if new:
            self._write_ledger(number, new)
        counted = [report for report in new if report.read > report.rejected]
        if counted or actions:
            # A source of which nothing could be used may be readable one day: it is not marked.
            marks = [Transaction(_source_id(report.digest, cohort), number) for report in counted]
            locks = [Transaction(f"day:{cohort}:{day}", number) for day in near]
            try:
                table.create_write_transaction(
                    actions,
                    "append",
                    table.schema(),
                    list(PARTITION),
                    commit_properties=CommitProperties(
                        app_transactions=[*marks, *locks], max_commit_retries=0
                    ),
                    post_commithook_properties=PostCommitHookProperties(create_checkpoint=True),
                )
            except BaseException:
                # A commit may be done although what follows it failed: then its files are the lake.
                if self._open().transaction_version(locks[0].app_id if locks else "") != number:
                    self._remove(actions)
                    (self.path / "_ledger" / f"{number}.json").unlink(missing_ok=True)
                    raise
        return done

    def _write_days(self, parts: list[pa.Table], cohort: str) -> Iterator[AddAction]:
        if not parts:
            return
        table = pa.concat_tables(parts).combine_chunks()
        days = pc.unique(table["day"]).to_pylist()
        for day in sorted(days):
            of_day = table if len(days) == 1 else table.filter(pc.equal(table["day"], day))
            yield self._write_file(of_day, cohort, day)

    def _write_file(self, part: pa.Table, cohort: str, day: date) -> AddAction:
        part = part.drop_columns(list(PARTITION)).sort_by(
            [("trace_id", "ascending"), ("start_ns", "ascending"), ("span_id", "ascending")]
        )
        folder = Path(f"cohort={cohort}") / f"day={day}"
        name = folder / f"part-{secrets.token_hex(16)}.zstd.parquet"
        (self.path / folder).mkdir(parents=True, exist_ok=True)
        target = self.path / name
        pq.write_table(
            part,
            target,
            compression="zstd",
            compression_level=1,
            row_group_size=ROW_GROUP_ROWS,
            use_dictionary=_dictionary_leaves(part.schema),
            write_statistics=["trace_id", "start_ns", "end_ns"],
        )
        with target.open("rb") as written:
            os.fsync(written.fileno())
        start = pc.min_max(part["start_ns"]).as_py()
        stats = {
            "numRecords": part.num_rows,
            "minValues": {"trace_id": part["trace_id"][0].as_py(), "start_ns": start["min"]},
            "maxValues": {"trace_id": part["trace_id"][-1].as_py(), "start_ns": start["max"]},
            "nullCount": {"trace_id": 0, "start_ns": 0},
        }
        return AddAction(
            name.as_posix(),
            target.stat().st_size,
            {"cohort": cohort, "day": str(day)},
            int(time.time() * 1000),
            True,
            json.dumps(stats),
        )

    def _remove(self, actions: list[AddAction | RemoveAction]) -> None:
        for action in actions:
            (self.path / action.path).unlink(missing_ok=True)

    def _write_ledger(self, number: int, reports: list[SourceReport]) -> None:
        folder = self.path / "_ledger"
        folder.mkdir(exist_ok=True)
        now = int(time.time() * 1_000_000)
        rows = [
            {
                **{name: getattr(report, name) for name in LEDGER.names if hasattr(report, name)},
                "reasons": json.dumps([asdict(reason) for reason in report.reasons]),
                "days": json.dumps(report.days),
                "ingested_at": now,
            }
            for report in reports
        ]
        partial = folder / f"{number}.json.partial"
        with partial.open("w") as file:
            json.dump(rows, file)
            file.flush()
            os.fsync(file.fileno())
        partial.rename(folder / f"{number}.json")

    def _open(self) -> DeltaTable:
        try:
            table = DeltaTable(str(self.path))
        except (TableNotFoundError, DeltaError, OSError) as error:
            raise LakeError(
                f"{self.path}: not a lake we can open ({error}).\n"
                "Hint: name the folder that `orchrisk ingest --lake` wrote."
            ) from error
        protocol = table.protocol()
        strange = set(protocol.reader_features or ()) - READER_FEATURES
        if protocol.min_reader_version > MAX_READER_VERSION or strange:
            raise LakeError(
                f"{self.path}: needs a reader for {', '.join(sorted(strange)) or 'newer tables'}.\n"
                "Hint: switch the feature off in the engine that wrote it (deletion vectors and "
                "column mapping hide rows from plain Parquet readers), or ingest into a new folder."
            )
        if table.metadata().partition_columns != list(PARTITION):
            raise LakeError(
                f"{self.path}: a Delta table, but not a lake of spans.\n"
                "Hint: choose an empty folder."
            )
        return table

    def _open_or_create(self) -> DeltaTable:
        if not self.exists:
            try:
                self.path.mkdir(parents=True, exist_ok=True)
                DeltaTable.create(
                    str(self.path),
                    SPANS,
                    mode="ignore",
                    partition_by=list(PARTITION),
                    name="spans",
                )
            except (DeltaError, CommitFailedError):
                # Someone else made it meanwhile.
                pass
            except OSError as error:
                raise LakeError(
                    f"{self.path}: cannot write the lake here ({error}).\n"
                    "Hint: choose a folder you may write to."
                ) from error
        return self._open()


def _counted(
    source: Staged, cohort: str, known: dict[str, str], keep: Callable[[pa.Table], None]
) -> SourceReport:
    """Hand the source's new spans to `keep`, note them in `known`, and complete its report."""
    kept = duplicates = conflicts = 0
    first_conflict = ""
    days: dict[str, int] = {}
    for table in source.tables():
        keys = pc.binary_join_element_wise(*(table[name] for name in KEY), "").to_pylist()
        hashes = table["content_hash"].to_pylist()
        is_new = np.zeros(len(keys), dtype=bool)
        for row, (key, said) in enumerate(zip(keys, hashes, strict=True)):
            before = known.get(key)
            if before is None:
                known[key] = said
                is_new[row] = True
            elif before == said:
                duplicates += 1
            else:
                conflicts += 1
                first_conflict = first_conflict or (
                    f"record {table['source_record'][row].as_py():,}, span {key[32:]}"
                )
        part = table if is_new.all() else table.filter(pa.array(is_new))
        kept += part.num_rows
        for count in pc.value_counts(part["day"]).to_pylist():
            day = str(count["values"])
            days[day] = days.get(day, 0) + count["counts"]
        if part.num_rows:
            keep(part)
    report = source.report
    reasons = list(report.reasons)
    if conflicts:
        mend = "Ids must be unique; ingest the two sources into two cohorts to compare them."
        reasons.append(Reject(CONFLICT, conflicts, first_conflict, mend))
    return replace(
        report,
        cohort=cohort,
        read=report.rejected + kept + duplicates + conflicts,
        kept=kept,
        duplicates=duplicates,
        rejected=report.rejected + conflicts,
        conflicts=conflicts,
        reasons=reasons,
        days=dict(sorted(days.items())),
    )


def _dictionary_leaves(schema: pa.Schema) -> list[str]:
    leaves = [
        field.name
        for field in schema
        if field.name not in NO_DICTIONARY and not pa.types.is_nested(field.type)
    ]
    leaves += [f"{field.name}.list.element" for field in schema if pa.types.is_list(field.type)]
    return [*leaves, "attributes.key_value.key", "attributes.key_value.value"]


def _active_paths(table: DeltaTable) -> list[str]:
    paths: list[str] = pa.table(table.get_add_actions(flatten=True))["path"].to_pylist()
    return paths


def _holds(table: DeltaTable, digest: str, cohort: str) -> bool:
    return table.transaction_version(_source_id(digest, cohort)) is not None


def _source_id(digest: str, cohort: str) -> str:
    return f"source:{cohort}:{digest}"


def _already(report: SourceReport, cohort: str) -> SourceReport:
    return SourceReport(
        report.name, report.digest, report.format, report.bytes, already=True, cohort=cohort
    )


def _known(path: Path, table: DeltaTable, cohort: str, days: list[date]) -> dict[str, str]:
    """Return the content hash of every span that `table`'s version holds on these days."""
    known: dict[str, str] = {}
    wanted = {f"cohort={cohort}/day={day}" for day in days}
    for name in _active_paths(table):
        if name.rpartition("/")[0] in wanted:
            # A ParquetFile, not read_table: the path's cohort= and day= are not to be read in.
            with pq.ParquetFile(path / name) as file:
                read = file.read(columns=[*KEY, "content_hash"])
            keys = pc.binary_join_element_wise(*(read[name] for name in KEY), "")
            known.update(zip(keys.to_pylist(), read["content_hash"].to_pylist(), strict=True))
    return known
