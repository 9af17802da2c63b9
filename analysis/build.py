"""The model's file: built once a lake fingerprint, found again by every later opening."""

import contextlib
import hashlib
import os
import secrets
import tempfile
from collections.abc import Sequence
from pathlib import Path

import duckdb

from analysis.walks import WALKS
from ingest import query_text, schema
from ingest.lake import Lake, Snapshot

SQL = Path(__file__).parent / "sql"
SETTINGS = {"TimeZone": "UTC", "preserve_insertion_order": "true"}

_STATEMENT = "STRUCT(verb VARCHAR, reads VARCHAR[], writes VARCHAR[])"


def steps() -> tuple[Path, ...]:
    """Return the model's files in the order they are built."""
    return (*sorted(SQL.glob("model/*.sql")), *sorted(SQL.glob("across/*.sql")))


def recipe() -> str:
    """Return a digest of the model's files: another recipe makes another model."""
    digest = hashlib.sha256()
    for path in steps():
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def model_file(lake: Lake, cache: Path | None = None, *, state: Snapshot | None = None) -> Path:
    """Return the model of a state of the lake, built now if nobody has built it yet.

    The state is the lake's present one unless another is given.

    It stands beside the lake, or in `cache`, or where the user's caches are when the lake cannot
    be written. Whoever builds writes under a name of its own and renames it at the end, so two
    builders at once both find a whole file. Models of earlier states are removed.
    """
    # Files and fingerprint of one moment: an ingest in between must not lend its spans to our name.
    state = state or lake.snapshot()
    name = f"{_slug(state.fingerprint)}-{recipe()}.duckdb"
    for folder in _folders(lake, cache):
        if (folder / name).is_file():
            return folder / name
    for folder in _folders(lake, cache):
        if _is_writable(folder):
            return _built(state, folder, name)
    raise OSError(f"No folder for the model of {lake.path} can be written; pass `cache`.")


def _built(state: Snapshot, folder: Path, name: str) -> Path:
    unfinished = folder / f".{name}.{os.getpid()}.{secrets.token_hex(4)}"
    try:
        write(state.files, unfinished)
        unfinished.replace(folder / name)
    finally:
        for left in (unfinished, unfinished.with_name(unfinished.name + ".wal")):
            left.unlink(missing_ok=True)
    for old in folder.glob("*.duckdb"):
        if old.name != name:
            # Another system may still hold it open; the next builder removes it then.
            with contextlib.suppress(OSError):
                old.unlink()
    return folder / name


def write(files: Sequence[str | Path], target: Path) -> None:
    """Build every relation of the model into `target`; `files` hold `ingest.schema.SPANS`."""
    with (
        tempfile.TemporaryDirectory(prefix="orchrisk-") as spill,
        duckdb.connect(str(target), config={"temp_directory": spill}) as connection,
    ):
        for key, value in SETTINGS.items():
            connection.execute(f"SET {key} = '{value}'")
        show_lake(connection, files)
        connection.create_function("statement_of", _statement, ["VARCHAR"], _STATEMENT)
        for path in steps():
            connection.execute(path.read_text(encoding="utf-8"))
            name = path.stem.partition("_")[2]
            if name in WALKS:
                rows = connection.sql(f"FROM {name}").to_arrow_table()
                connection.register(f"{name}_walked", WALKS[name](rows))
        connection.execute("CHECKPOINT")


def show_lake(connection: duckdb.DuckDBPyConnection, files: Sequence[str | Path]) -> None:
    """Make the temporary view `lake`: every column of the schema, whatever the files have."""
    nothing = schema.SPANS.empty_table()
    connection.register("lake_columns", nothing)
    if not files:
        connection.execute("CREATE OR REPLACE TEMP VIEW lake AS FROM lake_columns")
        return
    connection.execute("SET VARIABLE lake_files = ?", [[str(path) for path in files]])
    connection.execute(
        """
        CREATE OR REPLACE TEMP VIEW lake AS
        SELECT * FROM lake_columns
        UNION ALL BY NAME
        SELECT * FROM read_parquet(
            getvariable('lake_files'),
            union_by_name = true,
            hive_partitioning = true,
            hive_types = {'cohort': VARCHAR, 'day': DATE}
        )
        """
    )


def _statement(text: str) -> dict[str, object]:
    found = query_text.parse(text)
    return {
        "verb": found.verb or None,
        "reads": list(found.reads),
        "writes": list(found.writes),
    }


def _folders(lake: Lake, cache: Path | None) -> tuple[Path, ...]:
    if cache is not None:
        return (Path(cache),)
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    place = hashlib.sha256(str(Path(lake.path).resolve()).encode()).hexdigest()[:16]
    beside = (Path(lake.path) / "_model",) if lake.exists else ()
    return (*beside, home / "orchrisk" / place)


def _is_writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _slug(text: str) -> str:
    return "".join(sign if sign.isalnum() or sign in "_-" else "_" for sign in text)[:80]
