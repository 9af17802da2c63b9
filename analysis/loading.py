"""One load: the model's steps run over the lake, or over some of its traces."""

from collections.abc import Sequence
from pathlib import Path

import duckdb

from analysis.walks import WALKS
from ingest import query_text, schema

SQL = Path(__file__).parent / "sql"

_STATEMENT = "STRUCT(verb VARCHAR, reads VARCHAR[], writes VARCHAR[])"


def steps() -> tuple[Path, ...]:
    """Return the files that make a trace's rows, in the order they are built."""
    return tuple(sorted(SQL.glob("model/*.sql")))


def steps_across() -> tuple[Path, ...]:
    """Return the files that look across traces, in the order they are built."""
    return tuple(sorted(SQL.glob("across/*.sql")))


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


def run(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the rows of every trace of the view `lake`, in the database in use."""
    for path in steps():
        connection.execute(path.read_text(encoding="utf-8"))
        name = path.stem.partition("_")[2]
        if name in WALKS:
            rows = connection.sql(f"FROM {name}").to_arrow_table()
            connection.register(f"{name}_walked", WALKS[name](rows))


def run_across(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the relations that look across traces, from those of the database in use."""
    for path in steps_across():
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
