"""One data file of the lake: how it is named, encoded, written, and read back in part.

Files are sorted by trace, and within a trace by kind, name, start and span. A file's name begins
with whether it is small, and ends in the digest of its rows, so that what a lake says is known from
its file list alone.
"""

import json
import os
import re
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake.transaction import AddAction

from ingest import keys
from ingest.errors import LakeError
from ingest.schema import SPANS

PARTITION = ("cohort", "day")
ROW_GROUP_ROWS = 122_880

# A file of fewer rows and bytes (in memory) costs a reader more to open than it holds.
SMALL_ROWS = ROW_GROUP_ROWS // 4
SMALL_BYTES = 16 << 20

# Ids, times and free text are nearly all different: a dictionary of them only costs.
_HASHES = (
    *("trace_id", "span_id", "parent_span_id", "message_id", "user_id", "conversation_id"),
    *("idempotency_key", "args_hash", "input_hash", "context_hash_in", "context_hash_out"),
    *("links.list.element.trace_id", "links.list.element.span_id"),
)
# Neighbours in a trace share these in their first letters.
_BEGIN_ALIKE = ("tool_call_id", "status_message", "exception_message", "response_id")
# Traces follow one another in the order of their ids, so times jump: their upper bytes, set
# apart, are long runs, where differences would need as many bits as a day has nanoseconds.
_NUMBERS = (
    *("start_ns", "duration_ns", "enqueued_ns", "events.list.element.time_ns"),
    *("source_record", "content_hash"),
    *("input_tokens", "output_tokens", "total_tokens", "reasoning_tokens"),
    *("cache_read_tokens", "cache_write_tokens"),
)
_NO_DICTIONARY = {
    **dict.fromkeys(_HASHES, "DELTA_LENGTH_BYTE_ARRAY"),
    **dict.fromkeys(_BEGIN_ALIKE, "DELTA_BYTE_ARRAY"),
    **dict.fromkeys(_NUMBERS, "BYTE_STREAM_SPLIT"),
}
# A higher level finds more repetitions, also such as hex digits have by chance, where to name them
# takes more than the digits do.
_LEVEL_OF_HASHES, _LEVEL_OF_BEGINNINGS, _LEVEL = 1, 2, 6
_LEVEL_OF_NUMBERS = 6  # most of their bytes are given up on at once, so this costs nothing

STORED = pa.schema([field for field in SPANS if field.name not in PARTITION])

_NAME = re.compile(r"(?:part|small)-[0-9a-f]{16}-([0-9a-f]{16})\.zstd\.parquet")
_DISK_FULL_MEND = (
    "free some space or name a lake on another disk, then run the command again; "
    "what the lake held is as it was."
)


@dataclass(frozen=True)
class DataFile:
    """A file of the lake: its path below the lake's folder, what it holds, and how much."""

    path: str
    cohort: str
    day: date
    rows: int
    bytes: int
    digest: int | None  # None where another program wrote the file
    stats: str = ""  # JSON, as Delta wants it; only of files just written

    def added(self, *, is_new_data: bool = True) -> AddAction:
        """Return the action that makes the file part of the table."""
        return AddAction(
            self.path,
            self.bytes,
            {"cohort": self.cohort, "day": str(self.day)},
            int(time.time() * 1000),
            is_new_data,
            self.stats,
        )


def digest_in(path: str) -> int | None:
    """Return the digest that a file's name carries, None where we did not name it."""
    found = _NAME.fullmatch(path.rpartition("/")[2])
    return int(found[1], 16) if found else None


def is_small(file: DataFile) -> bool:
    """Return whether a file is worth merging with others like it."""
    name = file.path.rpartition("/")[2]
    # How much memory rows take is not to be seen from outside, so our names say it.
    return name.startswith("small-") if file.digest is not None else file.rows < SMALL_ROWS


def digest_of(root: Path, file: DataFile) -> int:
    """Return the digest of a file's rows: from its name, else from the rows themselves."""
    if file.digest is not None:
        return file.digest
    return sum(keys.digest(run, file.cohort) for run in key_runs(root, [file])) % 2**64


def write(root: Path, cohort: str, day: date, table: pa.Table, digest: int) -> DataFile:
    """Write rows, already sorted, as a file that nobody knows of yet.

    Columns of the schema that the table lacks are written as null.

    Raises:
        LakeError: where the disk is full or the folder cannot be written.
    """
    folder = Path(f"cohort={cohort}") / f"day={day}"
    is_small = table.num_rows < SMALL_ROWS and table.nbytes < SMALL_BYTES
    kind = "small" if is_small else "part"
    name = folder / f"{kind}-{secrets.token_hex(8)}-{digest:016x}.zstd.parquet"
    target = root / name
    try:
        (root / folder).mkdir(parents=True, exist_ok=True)
        with target.open("wb") as file:
            pq.write_table(
                _completed(table),
                file,
                compression="zstd",
                compression_level=_LEVELS,
                row_group_size=ROW_GROUP_ROWS,
                # A page is compressed on its own; readers take whole row groups anyway.
                max_rows_per_page=ROW_GROUP_ROWS,
                use_dictionary=_DICTIONARY,
                column_encoding=_NO_DICTIONARY,
                write_statistics=["trace_id", "start_ns"],
                # The types are plain, and Arrow's own copy of them is half of what a footer takes.
                store_schema=False,
            )
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        target.unlink(missing_ok=True)
        raise cannot_write(root, error) from error
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return DataFile(
        name.as_posix(),
        cohort,
        day,
        table.num_rows,
        target.stat().st_size,
        digest,
        json.dumps(_statistics(table)),
    )


def cannot_write(root: Path, error: OSError) -> LakeError:
    """Return the error that says why the lake cannot be written, and what to do."""
    said = error.strerror or str(error).splitlines()[0]
    if "No space left" in str(error) or "File too large" in str(error):
        return LakeError(f"{root}: the disk is full ({said}).\nHint: {_DISK_FULL_MEND}")
    return LakeError(
        f"{root}: cannot write the lake here ({said}).\nHint: choose a folder you may write to."
    )


def sort_order(table: pa.Table, words: keys.Keys) -> npt.NDArray[np.int64]:
    """Return the rows in the order of the lake's files: by trace, kind, name, start and span.

    Spans of a kind and name fill the same columns, which take less where such spans lie together.
    """
    start = table["start_ns"].to_numpy()
    alike = _ranks(table, "kind") << 32 | _ranks(table, "name")
    return np.lexsort((words[:, keys.SPAN], start, alike, words[:, keys.LOW], words[:, keys.HIGH]))


def _ranks(table: pa.Table, name: str) -> npt.NDArray[np.int64]:
    """Return each row's place among the distinct texts of a column, 0 where it has none."""
    if name not in table.column_names:
        return np.zeros(table.num_rows, dtype=np.int64)
    encoded = table[name].combine_chunks().dictionary_encode()
    places = pc.rank(encoded.dictionary, tiebreaker="dense").cast(pa.int64())
    ranks: npt.NDArray[np.int64] = pc.fill_null(places.take(encoded.indices), 0).to_numpy()
    return ranks


def taken(table: pa.Table, rows: npt.NDArray[np.int64]) -> pa.Table:
    """Return these rows in this order; a column at a time, so that only one is held twice."""
    indices = pa.array(rows)
    columns = [table[name].combine_chunks().take(indices) for name in table.column_names]
    return pa.table(columns, schema=table.schema)


def key_runs(root: Path, files: Sequence[DataFile]) -> Iterator[keys.Keys]:
    """Yield the keys that files hold, a row group at a time; places count within each file."""
    for file in files:
        first = 0
        for table in row_groups(root, file, keys.COLUMNS):
            yield keys.of_table(table, first_place=first)
            first += table.num_rows


def row_groups(
    root: Path, file: DataFile, columns: Sequence[str] | None = None
) -> Iterator[pa.Table]:
    """Yield a file's rows, a row group at a time.

    Raises:
        LakeError: where the file is gone or broken.
    """
    try:
        # A ParquetFile, not read_table: the path's cohort= and day= are not to be read in.
        with pq.ParquetFile(root / file.path) as opened:
            for group in range(opened.num_row_groups):
                yield opened.read_row_group(group, columns=columns, use_threads=False)
    except (OSError, pa.ArrowException) as error:
        raise LakeError(
            f"{root / file.path}: a file of the lake cannot be read ({_first_line(error)}).\n"
            "Hint: `orchrisk lake verify` names every such file; remove the source it came from "
            "and ingest that again."
        ) from error


def digests(root: Path, file: DataFile) -> dict[str, int]:
    """Return how many rows of a file came from each source, by the source's digest."""
    counts: dict[str, int] = {}
    for table in row_groups(root, file, ("source_digest",)):
        for pair in pc.value_counts(table["source_digest"]).to_pylist():
            counts[pair["values"]] = counts.get(pair["values"], 0) + pair["counts"]
    return counts


def row_hint(root: Path, file: DataFile, row: int) -> str:
    """Return where in its dump the span in a row of a file stood, for a person."""
    for table in row_groups(root, file, ("source_record", "span_id")):
        if row < table.num_rows:
            return keys.row_hint(table, row)
        row -= table.num_rows
    return ""


def without(root: Path, file: DataFile, is_dropped: npt.NDArray[np.bool_]) -> DataFile | None:
    """Write the rows of a file that are not dropped as another file; None where none is left."""
    if is_dropped.all():
        return None
    parts, total, first = [], 0, 0
    for table in row_groups(root, file):
        is_kept = ~is_dropped[first : first + table.num_rows]
        part = table.filter(pa.array(is_kept))
        total = (total + keys.digest(keys.of_table(part), file.cohort)) % 2**64
        parts.append(part)
        first += table.num_rows
    return write(root, file.cohort, file.day, pa.concat_tables(parts), total)


def _completed(table: pa.Table) -> pa.Table:
    nothing = {kind: pa.nulls(table.num_rows, kind) for kind in set(STORED.types)}
    has = set(table.column_names)
    return pa.table(
        [table[field.name] if field.name in has else nothing[field.type] for field in STORED],
        schema=STORED,
    )


def _statistics(table: pa.Table) -> dict[str, object]:
    start = pc.min_max(table["start_ns"]).as_py()
    return {
        "numRecords": table.num_rows,
        "minValues": {"trace_id": table["trace_id"][0].as_py(), "start_ns": start["min"]},
        "maxValues": {"trace_id": table["trace_id"][-1].as_py(), "start_ns": start["max"]},
        "nullCount": {"trace_id": 0, "start_ns": 0},
    }


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0]


def _leaves(name: str, kind: pa.DataType) -> Iterator[str]:
    """Yield the paths of a column's leaves as Parquet names them."""
    if pa.types.is_struct(kind):
        for field in kind:
            yield from _leaves(f"{name}.{field.name}", field.type)
    elif pa.types.is_map(kind):
        yield from _leaves(f"{name}.key_value.key", kind.key_type)
        yield from _leaves(f"{name}.key_value.value", kind.item_type)
    elif pa.types.is_list(kind):
        yield from _leaves(f"{name}.list.element", kind.value_type)
    else:
        yield name


_LEAVES = [leaf for field in STORED for leaf in _leaves(field.name, field.type)]
_DICTIONARY = [leaf for leaf in _LEAVES if leaf not in _NO_DICTIONARY]
_LEVELS = {
    **dict.fromkeys(_LEAVES, _LEVEL),
    **dict.fromkeys(_HASHES, _LEVEL_OF_HASHES),
    **dict.fromkeys(_BEGIN_ALIKE, _LEVEL_OF_BEGINNINGS),
    **dict.fromkeys(_NUMBERS, _LEVEL_OF_NUMBERS),
}
