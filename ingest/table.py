"""The Delta table below a lake: opened with care, and changed by one commit or not at all.

A commit is made on the version that was read. Whoever finds another commit there first has lost
and must look again: what it wanted to say may no longer be true.
"""

import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.transaction import AddAction, RemoveAction

from ingest import parquet
from ingest.errors import LakeBusyError, LakeError
from ingest.parquet import PARTITION, DataFile
from ingest.schema import SPANS

READER_FEATURES = frozenset({"timestampNtz", "v2Checkpoint", "vacuumProtocolCheck"})
MAX_READER_VERSION = 3

# A span without these would be silently of no length, or of no trace.
_ALWAYS_THERE = {"trace_id", "span_id", "start_ns", "duration_ns"}

# A loser waits for the winner; forty losses in a row are no longer a race.
MAX_TRIES = 40

Outcome = TypeVar("Outcome")


class LostRaceError(LakeBusyError):
    """Another commit came first; nothing of this one is in the table."""


def exists(root: Path) -> bool:
    """Return whether anything was ever committed in this folder."""
    return (root / "_delta_log").is_dir() and DeltaTable.is_deltatable(str(root))


def opened(root: Path) -> DeltaTable:
    """Return the table as it stands now.

    Raises:
        LakeError: where there is none, or one that is not ours or needs more than plain Parquet.
    """
    try:
        table = DeltaTable(str(root))
    except (TableNotFoundError, DeltaError, OSError) as error:
        raise LakeError(
            f"{root}: not a lake we can open ({error}).\n"
            "Hint: name the folder that `orchrisk ingest --lake` wrote."
        ) from error
    protocol = table.protocol()
    strange = set(protocol.reader_features or ()) - READER_FEATURES
    if protocol.min_reader_version > MAX_READER_VERSION or strange:
        raise LakeError(
            f"{root}: needs a reader for {', '.join(sorted(strange)) or 'newer tables'}.\n"
            "Hint: switch the feature off in the engine that wrote it (deletion vectors and "
            "column mapping hide rows from plain Parquet readers), or ingest into a new folder."
        )
    if table.metadata().partition_columns != list(PARTITION):
        raise LakeError(
            f"{root}: a Delta table, but not a lake of spans.\nHint: choose an empty folder."
        )
    missing = _ALWAYS_THERE - {field.name for field in table.schema().fields}
    if missing:
        raise LakeError(
            f"{root}: a lake of another layout, without {', '.join(sorted(missing))}.\n"
            "Hint: another version wrote it; ingest the dumps into a new folder."
        )
    return table


def opened_or_created(root: Path) -> DeltaTable:
    """Return the table as it stands now, made if there is none."""
    if not exists(root):
        try:
            root.mkdir(parents=True, exist_ok=True)
            DeltaTable.create(
                str(root), SPANS, mode="ignore", partition_by=list(PARTITION), name="spans"
            )
        except (DeltaError, CommitFailedError):
            # Someone else made it meanwhile.
            pass
        except OSError as error:
            raise parquet.cannot_write(root, error) from error
    return opened(root)


def files_of(table: DeltaTable) -> list[DataFile]:
    """Return the files that make up the table, sorted by path."""
    actions = pa.table(table.get_add_actions(flatten=True))
    columns = ("path", "partition.cohort", "partition.day", "num_records", "size_bytes")
    found = [
        DataFile(path, cohort, _day(day), rows or 0, size, parquet.digest_in(path))
        for path, cohort, day, rows, size in zip(
            *(actions[name].to_pylist() for name in columns), strict=True
        )
    ]
    return sorted(found, key=lambda file: file.path)


def commit(
    root: Path,
    table: DeltaTable,
    *,
    added: Iterable[AddAction] = (),
    removed: Sequence[DataFile] = (),
    is_new_data: bool = True,
    marks: Mapping[str, int] | None = None,
) -> None:
    """Change the table on the version that `table` is: these files in, those out, in one commit.

    Args:
        root: the lake's folder.
        table: the version on which everything that led to the commit was read.
        added: files that are there already, under names of their own.
        removed: files that stay on disk until a vacuum.
        is_new_data: false where the rows stay what they were.
        marks: numbers that the table remembers under names.

    Raises:
        LostRaceError: where another commit came first.
        LakeError: where the disk is full or the folder cannot be written.
    """
    now = int(time.time() * 1000)
    actions: list[AddAction | RemoveAction] = list(added)
    gone = [action.path for action in actions if not (root / action.path).is_file()]
    if gone:
        raise LakeError(
            f"{root}: {len(gone)} files vanished before they were committed, first {gone[0]}.\n"
            "Hint: a vacuum with a short retention may have taken them; run the command again."
        )
    for file in removed:
        place: dict[str, str | None] = {"cohort": file.cohort, "day": str(file.day)}
        actions.append(RemoveAction(file.path, is_new_data, now, file.bytes, place))
    try:
        table.create_write_transaction(
            actions,
            "append",
            table.schema(),
            list(PARTITION),
            commit_properties=CommitProperties(
                app_transactions=[
                    Transaction(name, value) for name, value in (marks or {}).items()
                ],
                max_commit_retries=0,
            ),
            post_commithook_properties=PostCommitHookProperties(create_checkpoint=True),
        )
    except BaseException as error:
        # A commit may be done although what follows it failed: then its files are the lake.
        if _is_done(root, actions, marks or {}):
            return
        if isinstance(error, CommitFailedError):
            raise LostRaceError(
                f"{root}: another writer was faster ({error}).\n"
                "Hint: run the command again; nothing of it was kept."
            ) from error
        if isinstance(error, (OSError, DeltaError)):
            raise parquet.cannot_write(root, OSError(str(error))) from error
        raise


def _is_done(
    root: Path, actions: Sequence[AddAction | RemoveAction], marks: Mapping[str, int]
) -> bool:
    table = opened(root)
    if any(table.transaction_version(name) == value for name, value in marks.items()):
        return True
    ours = {action.path for action in actions if isinstance(action, AddAction)}
    return bool(ours) and ours <= {file.path for file in files_of(table)}


def try_again(root: Path, attempt: Callable[[DeltaTable], Outcome]) -> Outcome:
    """Return what an attempt returns, made anew on the newest version while others are faster.

    Raises:
        LakeBusyError: where others were faster forty times in a row.
    """
    reason = ""
    for lost in range(MAX_TRIES):
        try:
            return attempt(opened_or_created(root))
        except LostRaceError as error:
            reason = str(error).partition("\n")[0]
            # Longer each time, and not as long as the others who lost.
            time.sleep(min(0.01 * 2**lost, 0.5) * (0.5 + secrets.randbelow(1000) / 1000))
    raise LakeBusyError(
        f"{root}: other writers won {MAX_TRIES} races in a row ({reason}).\n"
        "Hint: run the command again; nothing of it was kept."
    )


def discard(root: Path, files: Iterable[DataFile]) -> None:
    """Delete those of the files that no commit names.

    An interrupt may strike between a commit and the word that it was made, so the table is asked.
    Where it cannot be asked the files stay, for a vacuum to find.
    """
    paths = {file.path for file in files}
    with suppress(LakeError):
        if paths and exists(root):
            paths -= {file.path for file in files_of(opened(root))}
        for path in paths:
            (root / path).unlink(missing_ok=True)


def _day(value: object) -> date:
    return value if isinstance(value, date) else date.fromisoformat(str(value))
