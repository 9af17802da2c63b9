"""One load: the model's steps run over the lake, or over some of its traces."""

import re
from collections.abc import Sequence
from pathlib import Path

import duckdb

from analysis.walks import WALKS
from ingest import query_text, schema

SQL = Path(__file__).parent / "sql"
HOSTS = SQL / "hosts.sql"

_VIEW = re.compile(r"^CREATE OR REPLACE TEMP VIEW ", re.MULTILINE)
_KEPT = re.compile(r"^CREATE OR REPLACE TABLE (\w+)", re.MULTILINE)
_TABLE = re.compile(r"^CREATE OR REPLACE TEMP TABLE (\w+)", re.MULTILINE)
_WORD = re.compile(r"\w+")

_STATEMENT = "STRUCT(verb VARCHAR, reads VARCHAR[], writes VARCHAR[])"


def steps() -> tuple[Path, ...]:
    """Return the files that make a trace's rows, in the order they are built."""
    return tuple(sorted(SQL.glob("model/*.sql")))


def steps_across() -> tuple[Path, ...]:
    """Return the files that look across traces that share something, in order."""
    return tuple(sorted(SQL.glob("across/*.sql")))


def steps_whole() -> tuple[Path, ...]:
    """Return the files that look at all traces at once, in the order they are built."""
    return tuple(sorted(SQL.glob("whole/*.sql")))


def all_steps() -> tuple[Path, ...]:
    """Return every file of the model, in the order they are built."""
    return (*steps(), HOSTS, *steps_across(), *steps_whole())


def prepare(connection: duckdb.DuckDBPyConnection) -> None:
    """Give a connection what the model's files ask for besides tables."""
    connection.execute("SET TimeZone = 'UTC'")
    connection.create_function("statement_of", _statement, ["VARCHAR"], _STATEMENT)
    connection.create_function("summary_of", _summary, ["VARCHAR"], _STATEMENT)


def show_lake(
    connection: duckdb.DuckDBPyConnection, files: Sequence[str | Path], *, name: str = "lake"
) -> None:
    """Make a temporary view of files: every column of the schema, whatever the files have."""
    connection.register("lake_columns", schema.SPANS.empty_table())
    if not files:
        connection.execute(f"CREATE OR REPLACE TEMP VIEW {name} AS FROM lake_columns")
        return
    connection.execute(f"SET VARIABLE {name}_files = ?", [[str(path) for path in files]])
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP VIEW {name} AS
        SELECT * FROM lake_columns
        UNION ALL BY NAME
        SELECT * FROM read_parquet(
            getvariable('{name}_files'),
            union_by_name = true,
            hive_partitioning = true,
            hive_types = {{'cohort': VARCHAR, 'day': DATE}}
        )
        """
    )


def columns_read() -> list[str]:
    """Return the lake's columns that the steps of a load name."""
    named = {word for path in steps() for word in _WORD.findall(path.read_text(encoding="utf-8"))}
    return [name for name in schema.SPANS.names if name in named]


def run(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the rows of every trace of the view `lake`, in the database in use."""
    asked = [(path.stem.partition("_")[2], path.read_text(encoding="utf-8")) for path in steps()]
    made: set[str] = set()
    seen = ""
    for done, (name, text) in enumerate(asked, start=1):
        connection.execute(text)
        made |= set(_TABLE.findall(text))
        if name in WALKS:
            rows = connection.sql(f"FROM {name}").to_arrow_table()
            connection.register(f"{name}_walked", WALKS[name](rows))
            made.add(f"{name}_walked")
        if _VIEW.search(text):
            seen += text
        # A load's memory is what its widest moment holds.
        wanted = set(_WORD.findall(seen + "\n".join(later for _, later in asked[done:])))
        for spent in sorted(made - wanted):
            if spent.endswith("_walked"):
                connection.unregister(spent)
            else:
                connection.execute(f"DROP TABLE temp.{spent}")
        made &= wanted


def run_hosts(connection: duckdb.DuckDBPyConnection) -> None:
    """Make `hosts`, which all traces of a process tell, in the database in use."""
    text = HOSTS.read_text(encoding="utf-8")
    connection.execute(text)
    for spent in _TABLE.findall(text):
        connection.execute(f"DROP TABLE temp.{spent}")


def run_across(connection: duckdb.DuckDBPyConnection) -> None:
    """Make what looks across traces, of the traces that are seen, in the database in use."""
    for path in steps_across():
        connection.execute(path.read_text(encoding="utf-8"))


def made_across() -> set[str]:
    """Return the names of the tables that `run_across` makes."""
    return {name for path in steps_across() for name in _KEPT.findall(path.read_text("utf-8"))}


def selection(table: str) -> str:
    """Return the query that makes a kept table, as it stands in its file."""
    begin = f"CREATE OR REPLACE TABLE {table} AS\n"
    (text,) = (text for path in all_steps() if begin in (text := path.read_text(encoding="utf-8")))
    return text.partition(begin)[2].partition(";")[0]


def run_whole(connection: duckdb.DuckDBPyConnection) -> None:
    """Make what looks at all traces at once, from what the other steps keep."""
    for path in steps_whole():
        connection.execute(path.read_text(encoding="utf-8"))


def clear(connection: duckdb.DuckDBPyConnection, *, keep: Sequence[str] = ()) -> None:
    """Let go of what a load needed only while it ran."""
    for name in tables(connection, "temp"):
        if name not in keep:
            connection.execute(f"DROP TABLE temp.{name}")


def tables(connection: duckdb.DuckDBPyConnection, database: str) -> list[str]:
    """Return the names of the tables of a database."""
    rows = connection.execute(
        "SELECT table_name FROM duckdb_tables() WHERE database_name = ? ORDER BY table_name",
        [database],
    ).fetchall()
    return [name for (name,) in rows]


def kept(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Return the tables whose rows are of one trace each."""
    rows = connection.execute(
        """
        SELECT table_name
        FROM duckdb_columns()
        WHERE database_name = 'model'
            AND column_name = 'trace_no'
        """
    ).fetchall()
    return [name for (name,) in rows]


def _statement(text: str) -> dict[str, object]:
    return _told(query_text.parse(text))


def _summary(text: str) -> dict[str, object]:
    return _told(query_text.parse_summary(text))


def _told(found: query_text.Statement) -> dict[str, object]:
    return {
        "verb": found.verb or None,
        "reads": list(found.reads),
        "writes": list(found.writes),
    }
