"""The model's file: built or grown once a lake fingerprint, found again by every later opening."""

import contextlib
import hashlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb

from analysis import affected, ancestry, growth, loading, walks
from ingest.lake import Lake, Snapshot

MEMORY_MB = 3072  # of the engine; what does not fit is spilled beside the unfinished model
SMALL_SPANS = 20_000


def recipe() -> str:
    """Return a digest of what makes the model: another recipe, or engine, makes another one."""
    digest = hashlib.sha256(duckdb.__version__.encode())
    code = (Path(str(module.__file__)) for module in (affected, ancestry, growth, loading, walks))
    for path in (*loading.all_steps(), growth.LEANING, *code):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def model_name(state: Snapshot) -> str:
    """Return the file name of the model of a state of the lake."""
    return f"{_slug(state.fingerprint)}-{recipe()}.duckdb"


def model_file(lake: Lake, cache: Path | None = None, *, state: Snapshot | None = None) -> Path:
    """Return the model of a state of the lake, built now if nobody has built it yet.

    The state is the lake's present one unless another is given.

    It stands beside the lake, or in `cache`, or where the user's caches are when the lake cannot
    be written. Whoever builds writes under a name of its own and renames it at the end, so two
    builders at once both find a whole file. Models of earlier states are removed.
    """
    # Files and fingerprint of one moment: an ingest in between must not lend its spans to our name.
    state = state or lake.snapshot()
    name = model_name(state)
    for folder in _folders(lake, cache):
        if (folder / name).is_file():
            return folder / name
    for folder in _folders(lake, cache):
        if _is_writable(folder):
            return _built(state, folder, name)
    raise OSError(f"No folder for the model of {lake.path} can be written; pass `cache`.")


def _built(state: Snapshot, folder: Path, name: str) -> Path:
    unfinished = folder / f".{name}.{os.getpid()}.{secrets.token_hex(4)}"
    earlier = _earlier(folder)
    try:
        if earlier is None or not grow(earlier, state, unfinished):
            write(state, unfinished)
        unfinished.replace(folder / name)
    finally:
        _remove(unfinished)
    for old in folder.glob("*.duckdb"):
        if old.name != name:
            # Another system may still hold it open; the next builder removes it then.
            with contextlib.suppress(OSError):
                old.unlink()
    return folder / name


def write(
    state: Snapshot,
    target: Path,
    *,
    a_load: int = growth.SPANS_A_LOAD,
    threads: int | None = None,
) -> None:
    """Build every relation of the model of a state into `target`, `a_load` spans at a time."""
    with _opened(target, threads or _threads(state)) as connection:
        _attach(connection, target)
        growth.build(connection, state, a_load=a_load)
        connection.execute("CHECKPOINT model")


def grow(earlier: Path, state: Snapshot, target: Path, *, threads: int | None = None) -> bool:
    """Make the model from an earlier one; False where that is not quicker, or it is not whole."""
    try:
        # An earlier model may be large, and is copied while what is new is read.
        with ThreadPoolExecutor(1) as other, _opened(target, threads) as connection:
            copied = other.submit(_copy, earlier, target)

            def take() -> None:
                copied.result()
                connection.execute("DETACH model")
                _attach(connection, target)

            _attach(connection, earlier, is_read_only=True)
            grown = growth.grow(connection, state, take=take)
            if grown:
                connection.execute("CHECKPOINT model")
    except (FileNotFoundError, duckdb.IOException, duckdb.SerializationException):
        # Another builder has removed it meanwhile, or a disk has spoilt it: it can be made anew.
        grown = False
    if not grown:
        _remove(target)
    return grown


def _earlier(folder: Path) -> Path | None:
    """Return the latest model in a folder that the same recipe made."""
    found = []
    for path in folder.glob(f"*-{recipe()}.duckdb"):
        with contextlib.suppress(FileNotFoundError):
            found.append((path.stat().st_mtime_ns, path))
    return max(found)[1] if found else None


@contextlib.contextmanager
def _opened(target: Path, threads: int | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    machine_mb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20
    with (
        tempfile.TemporaryDirectory(prefix=".spill-", dir=target.parent) as spill,
        duckdb.connect(":memory:", config={"temp_directory": spill}) as connection,
    ):
        connection.execute(f"SET memory_limit = '{min(MEMORY_MB, machine_mb * 6 // 10)}MiB'")
        connection.execute(f"SET threads = {threads or os.cpu_count() or 1}")
        connection.execute("SET checkpoint_threshold = '1TB'")
        loading.prepare(connection)
        yield connection


def _threads(state: Snapshot) -> int:
    # A small lake is planned longer than it is read, and more threads only wait for each other.
    spans = sum(file.rows for file in state.data)
    return 1 if spans < SMALL_SPANS else os.cpu_count() or 1


def _attach(
    connection: duckdb.DuckDBPyConnection, path: Path, *, is_read_only: bool = False
) -> None:
    # What is left unfinished is thrown away, so nothing needs to be written twice.
    mode = "READ_ONLY" if is_read_only else "RECOVERY_MODE NO_WAL_WRITES"
    connection.execute(f"ATTACH {_quoted(path)} AS model ({mode})")


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)
    # The engine waits for the disk at its end; what need not change can be there by then.
    with target.open("rb") as copied:
        os.fsync(copied.fileno())


def _remove(target: Path) -> None:
    # What was being written into one file must not be replayed into the next of its name.
    for left in (target, target.with_name(target.name + ".wal")):
        left.unlink(missing_ok=True)


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"


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
