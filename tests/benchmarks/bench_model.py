"""How fast and how lean the model is built, beside one plain join of spans and their parents.

One run makes every figure, so that ratios hold on any machine. The environment sets SPANS, in whole
requests of 125 spans, and ROUNDS, of which the quickest counts. Everything runs with 2 threads.
"""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import duckdb
import pyarrow as pa
from agent_dumps import SPANS_A_REQUEST, Encoding
from agent_dumps import write as write_dump
from measure import peak_bytes

from analysis import build, engine, loading
from analysis.walks import WALKS
from ingest.lake import Lake
from ingest.load import load
from ingest.schema import SPANS as SPANS_SCHEMA

HERE = Path(__file__).parent
BUILD = HERE.parents[1] / "build" / "bench-model"
SPANS = int(os.environ.get("SPANS", "3000000"))
ROUNDS = int(os.environ.get("ROUNDS", "2"))
NEW_RATIO = 0.01
THREADS = 2

MOST_JOINS = 12.0
MOST_PATHS = 2.0
MOST_PEAK_BYTES = 4 * 10**9
MOST_GROWN_RATIO, MOST_GROWN_S = 0.05, 1.0
MOST_OPENED_S = 0.5

Figures = dict[str, float]

# What a person writes to see each span beside the one that called it.
JOIN = """
    CREATE OR REPLACE TEMP TABLE pairs AS
    SELECT
        {columns}
    FROM lake AS child
    INNER JOIN lake AS parent
        ON parent.cohort = child.cohort
        AND parent.trace_id = child.trace_id
        AND parent.span_id = child.parent_span_id
"""
# enough to look at by eye
SLIM = ("trace_id", "span_id", "name", "service_name", "status", "start_ns", "duration_ns")


def main() -> None:
    """Measure, and print one table."""
    if SPANS % SPANS_A_REQUEST:
        raise SystemExit(f"{SPANS:,} spans do not fill requests of {SPANS_A_REQUEST}")
    old, new = _lakes()
    slim = min((_child("join_slim", old) for _ in range(ROUNDS)), key=_wall)
    joined = min((_child("join", old) for _ in range(ROUNDS)), key=_wall)
    built = min((_child("build", old) for _ in range(ROUNDS)), key=_wall)
    grown = min((_child("grow", old, new) for _ in range(ROUNDS)), key=_wall)
    walked = min((_child("path", old) for _ in range(ROUNDS)), key=_wall)
    opened = min((_child("open", old) for _ in range(ROUNDS)), key=_wall)
    spans = sum(file.rows for file in Lake(old).snapshot().data)
    share = grown["wall"] / built["wall"]
    rows = (
        ("spans", f"{spans:,}"),
        (
            f"one join of spans and parents, {joined['columns']:.0f} columns a side, s (CPU s)",
            f"{joined['wall']:.2f} ({joined['cpu']:.2f})",
        ),
        (
            f"the same, {slim['columns']:.0f} columns a side, s (CPU s)",
            f"{slim['wall']:.2f} ({slim['cpu']:.2f})",
        ),
        ("whole model, s (CPU s)", f"{built['wall']:.2f} ({built['cpu']:.2f})"),
        ("spans a second", f"{spans / built['wall']:,.0f}"),
        ("model / join", f"{built['wall'] / joined['wall']:.1f} (at most {MOST_JOINS:g})"),
        ("model / join of few columns", f"{built['wall'] / slim['wall']:.1f}"),
        (
            "critical paths of what is kept, s (CPU s)",
            f"{walked['wall']:.2f} ({walked['cpu']:.2f})",
        ),
        (
            "critical paths / join",
            f"{walked['wall'] / joined['wall']:.2f} (at most {MOST_PATHS:g})",
        ),
        ("critical paths / join of few columns", f"{walked['wall'] / slim['wall']:.1f}"),
        ("peak MB", f"{built['peak'] / 1e6:,.0f} (at most {MOST_PEAK_BYTES / 1e6:,.0f})"),
        ("model's bytes a span", f"{built['bytes'] / spans:.0f}"),
        ("spans of the new dump", f"{grown['spans']:,.0f}"),
        (
            "grown by it, s",
            f"{grown['wall']:.2f} = {share:.1%} of the whole (at most "
            f"{MOST_GROWN_RATIO * built['wall'] + MOST_GROWN_S:.2f} s)",
        ),
        ("opening what is built, s", f"{opened['wall']:.2f} (at most {MOST_OPENED_S:g} more than)"),
        ("opening DuckDB, s", f"{opened['bare']:.2f}"),
    )
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "  # noqa: T201
          f"DuckDB {duckdb.__version__}, {THREADS} threads\n")  # fmt: skip
    print("| | |\n| --- | ---: |")  # noqa: T201
    for name, figure in rows:
        print(f"| {name} | {figure} |")  # noqa: T201


def _wall(figures: Figures) -> float:
    return figures["wall"]


def _lakes() -> tuple[Path, Path]:
    """Return a lake, and the same one after a dump of 1 % more traces."""
    old, new = BUILD / f"old-{SPANS}", BUILD / f"new-{SPANS}"
    if new.exists():
        return old, new
    for lake in (old, new):
        shutil.rmtree(lake, ignore_errors=True)
    extra = max(1, round(SPANS * NEW_RATIO / SPANS_A_REQUEST)) * SPANS_A_REQUEST
    BUILD.mkdir(parents=True, exist_ok=True)
    whole = write_dump(BUILD / f"{SPANS + extra}.binpb", Encoding.PROTOBUF, SPANS + extra)
    first, last = BUILD / "first.binpb", BUILD / "last.binpb"
    with whole.open("rb") as source, first.open("wb") as target:
        while source.tell() < whole.stat().st_size * SPANS / (SPANS + extra):
            prefix = source.read(4)
            target.write(prefix + source.read(int.from_bytes(prefix, "big")))
        with last.open("wb") as target:
            shutil.copyfileobj(source, target)
    load([first], old, cohort="bench")
    unfinished = new.with_suffix(".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    shutil.copytree(old, unfinished)
    load([last], unfinished, cohort="bench")
    for dump in (whole, first, last):
        dump.unlink()
    unfinished.rename(new)
    return old, new


def _child(name: str, *lakes: Path) -> Figures:
    done = subprocess.run(
        [sys.executable, __file__, name, *map(str, lakes)],
        stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    figures: Figures = json.loads(done.stdout)
    return figures


def join(lake: Path) -> Figures:
    """Measure the join of all that the model's rules read but lists and maps, of files at hand."""
    asked = "\n".join(path.read_text(encoding="utf-8") for path in loading.steps())
    flat = [field.name for field in SPANS_SCHEMA if not pa.types.is_nested(field.type)]
    return _joined(lake, [name for name in flat if re.search(rf"\b{name}\b", asked)])


def join_slim(lake: Path) -> Figures:
    """Measure the join of a few columns, of files at hand."""
    return _joined(lake, SLIM)


def _joined(lake: Path, columns: Sequence[str]) -> Figures:
    told = ", ".join(f"child.{name}, parent.{name} AS parent_{name}" for name in columns)
    BUILD.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=BUILD) as spill,
        duckdb.connect(config={"temp_directory": spill}) as connection,
    ):
        connection.execute(f"SET threads = {THREADS}")
        connection.execute(f"SET memory_limit = '{build.MEMORY_MB}MiB'")
        loading.show_lake(connection, Lake(lake).files())
        connection.execute("SELECT count(COLUMNS(*)) FROM lake").fetchall()
        figures = _timed(lambda: connection.execute(JOIN.format(columns=told)))
        return {**figures, "columns": len(columns)}


def build_whole(lake: Path) -> Figures:
    """Measure building the model from nothing."""
    target = _target(lake)
    target.unlink(missing_ok=True)
    figures = _timed(lambda: build.write(Lake(lake).snapshot(), target, threads=THREADS))
    return {**figures, "bytes": target.stat().st_size}


def grow(lake: Path, grown: Path) -> Figures:
    """Measure making the model of the grown lake from that of the lake."""
    target = BUILD / "grown.duckdb"
    target.unlink(missing_ok=True)
    state = Lake(grown).snapshot()
    before = sum(file.rows for file in Lake(lake).snapshot().data)
    done: list[bool] = []
    figures = _timed(lambda: done.append(build.grow(_target(lake), state, target, threads=THREADS)))
    if done != [True]:
        raise SystemExit("the model was not grown")
    target.unlink()
    return {**figures, "spans": sum(file.rows for file in state.data) - before}


def path(lake: Path) -> Figures:
    """Measure walking the critical paths of all requests, from the relations that a model keeps."""
    with (
        tempfile.TemporaryDirectory(dir=BUILD) as spill,
        duckdb.connect(config={"temp_directory": spill}) as connection,
    ):
        connection.execute(f"SET threads = {THREADS}")
        connection.execute(f"SET memory_limit = '{build.MEMORY_MB}MiB'")
        connection.execute(f"ATTACH '{_target(lake)}' AS model (READ_ONLY)")
        for name in ("nodes", "groups", "entries", "calls"):
            shown = "bare_calls" if name == "calls" else name
            connection.execute(f"CREATE TEMP VIEW {shown} AS FROM model.{name}")
        steps = {step.stem[3:]: step for step in loading.steps()}

        def walk() -> None:
            for name in ("cuts", "critical_path"):
                connection.execute(steps[name].read_text(encoding="utf-8"))
                if name in WALKS:
                    rows = connection.sql(f"FROM {name}").to_arrow_table()
                    connection.register(f"{name}_walked", WALKS[name](rows))

        return _timed(walk)


def open_built(lake: Path) -> Figures:
    """Measure opening a lake whose model is there, beside opening an empty engine."""
    folder = BUILD / "cache"
    folder.mkdir(exist_ok=True)
    name = build.model_name(Lake(lake).snapshot())
    if not (folder / name).exists():
        shutil.copyfile(_target(lake), folder / name)
    bare = _timed(lambda: duckdb.connect().execute("SELECT 1").fetchall())["wall"]
    return {**_timed(lambda: engine.connect(lake, cache=folder).close()), "bare": bare}


def _target(lake: Path) -> Path:
    return BUILD / f"{lake.name}-{build.recipe()}.duckdb"


def _timed(work: Callable[[], object]) -> Figures:
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {"wall": wall, "cpu": cpu, "peak": peak_bytes()}


if __name__ == "__main__":
    if len(sys.argv) == 1:
        main()
    else:
        measures = {
            "join": join,
            "join_slim": join_slim,
            "build": build_whole,
            "grow": grow,
            "path": path,
            "open": open_built,
        }
        print(json.dumps(measures[sys.argv[1]](*map(Path, sys.argv[2:]))))  # noqa: T201
