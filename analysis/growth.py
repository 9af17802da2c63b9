"""How a model comes to be: at once, a part of the traces after another, or from an earlier model.

A trace's rows are told by its own spans and by those of the traces that links tie it to. So a load
reads the traces it makes and borrows the ones tied to them, and keeps only the rows of the first.
Three statistics are told by all traces (`sql/leaning.sql`): where one has turned, the traces that
lean on it are made again. What looks across traces is made again for those that share something, a
conversation say, with one that was made; what looks at all traces is made anew from what is kept.

The connection has the model attached as `model`; its own memory is where a part is made.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

import duckdb
import pyarrow as pa

from analysis import affected, loading
from ingest.lake import Snapshot
from ingest.parquet import DataFile

# One load's memory grows with its spans; parts of this size keep the whole below 4 GB.
SPANS_A_LOAD = 2_000_000
# Where more of the lake than this has changed, nothing is quicker than to begin anew.
CHANGED_RATIO = 0.3

LEANING = loading.SQL / "leaning.sql"

_LAKE_FILES = pa.schema(
    [
        ("cohort", pa.string()),
        ("day", pa.date32()),
        ("path", pa.string()),
        ("rows", pa.int64()),
        ("digest", pa.uint64()),
    ]
)

_TRACE = "(hash(cohort, trace_id) >> 1)::BIGINT"
_TIES = f"""
    SELECT DISTINCT
        trace_no,
        tied_no
    FROM (
        SELECT
            {_TRACE}                                            AS trace_no,
            (hash(cohort, unnest(links).trace_id) >> 1)::BIGINT  AS tied_no
        FROM {{lake}}
        WHERE len(links) > 0
    )
    WHERE tied_no <> trace_no
"""


@dataclass(frozen=True)
class Change:
    """What of a lake is not what an earlier model was made from."""

    files: tuple[str, ...]  # to be read: they are new, or lie where some are gone
    rows: int
    rewritten: tuple[tuple[str, date], ...]  # cohort and day where some are gone

    @classmethod
    def between(cls, before: Sequence[DataFile], state: Snapshot) -> "Change":
        """Return the change from the files of a model to the files of a lake, by what they hold."""
        files, rows, rewritten = [], 0, []
        now = list(zip(state.data, state.files, strict=True))
        places = {(file.cohort, file.day) for file in (*before, *state.data)}
        for place in sorted(places):
            old = Counter(_rows(file) for file in before if (file.cohort, file.day) == place)
            here = [pair for pair in now if (pair[0].cohort, pair[0].day) == place]
            new = Counter(_rows(file) for file, _ in here)
            if old == new:
                continue
            if old - new:
                rewritten.append(place)
            fresh = [pair for pair in here if old - new or _rows(pair[0]) not in old]
            files += [path for _, path in fresh]
            rows += sum(file.rows for file, _ in fresh)
        return cls(tuple(files), rows, tuple(rewritten))


def build(connection: duckdb.DuckDBPyConnection, state: Snapshot, *, a_load: int) -> None:
    """Make the model of a state from nothing, about `a_load` spans at a time."""
    spans = sum(file.rows for file in state.data)
    if spans <= a_load:
        loading.show_lake(connection, state.files)
        connection.execute("USE model")
        loading.run(connection)
    else:
        loading.show_lake(connection, state.files, name="all_lake")
        _build_parts(connection, -(-spans // a_load))
        _mend(connection, state)
    connection.execute("USE model")
    loading.run_hosts(connection)
    _across(connection)
    _finish(connection, state)


def grow(
    connection: duckdb.DuckDBPyConnection, state: Snapshot, *, take: Callable[[], None]
) -> bool:
    """Make an earlier model that of a state of the lake; False where beginning anew is quicker.

    It is only read at first. `take` is called before it is written, and may attach a copy instead.
    """
    change = Change.between(_remembered(connection), state)
    if change.rows > CHANGED_RATIO * sum(file.rows for file in state.data):
        return False
    loading.show_lake(connection, change.files, name="new_lake")
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE ties AS
        FROM model.ties UNION {_TIES.format(lake="new_lake")};
        CREATE OR REPLACE TEMP TABLE changed AS
        SELECT DISTINCT {_TRACE}  AS trace_no
        FROM new_lake
        """
    )
    for cohort, day in change.rewritten:
        connection.execute(
            """
            INSERT INTO changed
            SELECT DISTINCT trace_no
            FROM model.nodes
            WHERE cohort = ?
                AND day = ?
            """,
            [cohort, day],
        )
    # What a trace is tied to tells of it too: a message's sender learns who took it.
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE made AS
        FROM changed
        UNION
        SELECT ties.tied_no
        FROM ties
        SEMI JOIN changed
            ON changed.trace_no = ties.trace_no
        UNION
        SELECT ties.trace_no
        FROM ties
        SEMI JOIN changed
            ON changed.trace_no = ties.tied_no
        """
    )
    affected.begin(connection)
    _make_again(connection, state, change.files)
    take()
    _keep(connection)
    _mend(connection, state)
    affected.host(connection)
    if affected.close(connection, CHANGED_RATIO):
        affected.look_across(connection)
    else:
        _across(connection)
    _finish(connection, state)
    return True


def _build_parts(connection: duckdb.DuckDBPyConnection, parts: int) -> None:
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE ties AS {_TIES.format(lake="all_lake")};
        CREATE OR REPLACE TEMP TABLE ids AS
        SELECT DISTINCT
            cohort,
            trace_id,
            {_TRACE}  AS trace_no
        FROM all_lake
        """
    )
    shares = [part / parts for part in range(1, parts)]
    (bounds,) = connection.execute(
        "SELECT quantile_disc(trace_id, ?::DOUBLE[]) FROM all_lake", [shares]
    ).fetchone() or ([],)
    edges = ["", *sorted(set(bounds)), None]
    for low, high in pairwise(edges):
        within = f"trace_id >= {_text(low or '')}"
        if high is not None:
            within += f" AND trace_id < {_text(high)}"
        connection.execute(
            f"""
            CREATE OR REPLACE TEMP TABLE made AS
            SELECT trace_no
            FROM ids
            WHERE {within}
            """
        )
        _borrow(connection)
        connection.execute(
            f"""
            CREATE OR REPLACE TEMP TABLE borrowed_lake AS
            SELECT *
            FROM all_lake
            WHERE {_TRACE} IN (SELECT trace_no FROM borrowed);
            CREATE OR REPLACE TEMP VIEW lake AS
            SELECT *
            FROM all_lake
            WHERE {within}
            UNION ALL BY NAME
            FROM borrowed_lake
            """
        )
        _make(connection)
        _keep(connection, keep=("ties", "ids"))


def _make_again(
    connection: duckdb.DuckDBPyConnection, state: Snapshot, new_files: Sequence[str]
) -> None:
    """Make the rows of the traces in `made` again, from new files and those that had them."""
    _borrow(connection)
    connection.execute("CREATE OR REPLACE TEMP TABLE loaded AS FROM made UNION ALL FROM borrowed")
    places = set(
        connection.execute(
            """
            SELECT DISTINCT
                cohort,
                day
            FROM model.nodes
            SEMI JOIN loaded
                ON loaded.trace_no = nodes.trace_no
            """
        ).fetchall()
    )
    files = [
        path
        for file, path in zip(state.data, state.files, strict=True)
        if path in new_files or (file.cohort, file.day) in places
    ]
    if "affected" in loading.tables(connection, "temp"):
        affected.widen(connection)
    loading.show_lake(connection, files, name="near_lake")
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE loaded_lake AS
        SELECT {", ".join(loading.columns_read())}
        FROM near_lake
        WHERE {_TRACE} IN (SELECT trace_no FROM loaded);
        CREATE OR REPLACE TEMP VIEW lake AS FROM loaded_lake
        """
    )
    _make(connection)


def _mend(connection: duckdb.DuckDBPyConnection, state: Snapshot) -> None:
    """Make the traces again that lean on what has turned since they were made."""
    connection.execute("USE model")
    asked = LEANING.read_text(encoding="utf-8")
    connection.execute(f"CREATE OR REPLACE TEMP TABLE made AS {asked}")
    if connection.execute("SELECT 1 FROM made LIMIT 1").fetchone():
        connection.execute("CREATE OR REPLACE TEMP TABLE ties AS FROM model.ties")
        _make_again(connection, state, ())
        _keep(connection)


def _borrow(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE borrowed AS
        SELECT tied_no  AS trace_no
        FROM ties
        SEMI JOIN made
            ON made.trace_no = ties.trace_no
        ANTI JOIN made AS own
            ON own.trace_no = ties.tied_no
        UNION
        SELECT ties.trace_no
        FROM ties
        SEMI JOIN made
            ON made.trace_no = ties.tied_no
        ANTI JOIN made AS own
            ON own.trace_no = ties.trace_no
        """
    )


def _make(connection: duckdb.DuckDBPyConnection) -> None:
    """Run the steps over the view `lake`, into memory."""
    there = loading.tables(connection, "model")
    connection.execute("USE memory")
    elsewhere = [name for name in ("served", "answers", "routes") if name in there]
    for name in elsewhere:
        connection.execute(
            f"""
            CREATE OR REPLACE TEMP VIEW elsewhere_{name} AS
            FROM model.{name}
            WHERE trace_no NOT IN (SELECT trace_no FROM made UNION ALL FROM borrowed)
            """
        )
    loading.run(connection)
    for name in elsewhere:
        connection.execute(f"DROP VIEW temp.elsewhere_{name}")


def _keep(
    connection: duckdb.DuckDBPyConnection, *, keep: Sequence[str] = ("affected", "hosts_before")
) -> None:
    """Put the rows that were made, but for those of borrowed traces, in the place of earlier ones.

    Of what a load needed only while it ran, only the tables named in `keep` stay.
    """
    there = loading.tables(connection, "model")
    is_replaced = (
        "nodes" in there
        and connection.execute(
            "SELECT 1 FROM model.nodes SEMI JOIN made ON made.trace_no = nodes.trace_no LIMIT 1"
        ).fetchone()
    )
    for table in loading.tables(connection, "memory"):
        if is_replaced:
            connection.execute(
                f"DELETE FROM model.{table} WHERE trace_no IN (SELECT trace_no FROM made)"
            )
        verb = (
            f"INSERT INTO model.{table} BY NAME"
            if table in there
            else f"CREATE TABLE model.{table} AS"
        )
        connection.execute(
            f"{verb} FROM memory.{table} WHERE trace_no NOT IN (SELECT trace_no FROM borrowed)"
        )
        connection.execute(f"DROP TABLE memory.{table}")
    loading.clear(connection, keep=keep)


def _across(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("USE model")
    loading.clear(connection)
    loading.run_across(connection)


def _finish(connection: duckdb.DuckDBPyConnection, state: Snapshot) -> None:
    connection.execute("USE model")
    files = [{name: getattr(file, name) for name in _LAKE_FILES.names} for file in state.data]
    connection.register("files_now", pa.Table.from_pylist(files, schema=_LAKE_FILES))
    connection.execute("CREATE OR REPLACE TABLE lake_files AS FROM files_now")
    connection.unregister("files_now")
    loading.run_whole(connection)
    loading.clear(connection)


def _remembered(connection: duckdb.DuckDBPyConnection) -> list[DataFile]:
    rows = connection.execute(
        "SELECT path, cohort, day, rows, digest FROM model.lake_files"
    ).fetchall()
    return [
        DataFile(path, cohort, day, count, 0, digest) for path, cohort, day, count, digest in rows
    ]


def _rows(file: DataFile) -> tuple[int, int | None]:
    return file.rows, file.digest


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
