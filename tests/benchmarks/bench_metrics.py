"""How fast questions are answered, beside plain grouped quantiles of the same calls.

One run makes every figure, so that ratios hold on any machine. The model is that of a lake of SPANS
drawn spans, of which as many copies with other ids are put beside one another as make CALLS calls.
The environment sets SPANS, CALLS and ROUNDS, of which the quickest counts, and ASKED, names of
questions, where not all are wanted. The floor is timed anew beside each question: a machine is not
equally fast for ten minutes.
"""

import contextlib
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import bench_model
import duckdb
from measure import peak_bytes

from analysis import build, engine, loading, measures, tails
from analysis.engine import Model
from analysis.scope import Scope
from ingest.lake import Lake

NUMBERS = loading.SQL / "whole" / "05_numbers.sql"
BUILD = Path(__file__).parents[2] / "build" / "bench-metrics"
CALLS = int(os.environ.get("CALLS", "10000000"))
ROUNDS = int(os.environ.get("ROUNDS", "3"))
ASKED = os.environ.get("ASKED", "").split()

MOST_RATIO, MOST_WITH_INTERVALS, MOST_OF_ONE = 3.0, 4.0, 0.5
# Before and after of every boundary, for each change: what a comparison may take.
MOST_OF_COMPARISONS, COMPARISONS = 12.0, frozenset({"version_effects"})
MOST_PEAK_BYTES = 4 * 10**9
ONE = "tails of one boundary"

# What a person asks first, without asking how sure it is.
FLOOR = """
    SELECT
        boundary_id,
        quantile_disc(client_ms, [0.5, 0.95, 0.99])
    FROM calls
    GROUP BY boundary_id
"""
Figures = dict[str, float]


def main() -> None:
    """Measure, and print one table."""
    lake = _model()
    names = [*(ASKED or measures.names()), *([] if ASKED else [ONE])]
    told = subprocess.run(
        [sys.executable, __file__, str(lake), *names], stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    found: dict[str, Figures] = json.loads(told)
    floor = found.pop("floor")
    lines = [
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"DuckDB {duckdb.__version__}; {floor['calls']:,.0f} calls of "
        f"{floor['boundaries']:,.0f} boundaries; the floor takes {floor['wall']:.2f} s "
        f"({floor['cpu']:.2f} CPU s)",
        "",
        "| question | s | floors (wall) | floors (CPU) | at most | peak MB |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, figures in sorted(found.items(), key=lambda item: -item[1]["wall"]):
        most = MOST_OF_ONE if name == ONE else _most(name)
        ratio = figures["wall"] / figures["floor_wall"]
        lines.append(
            f"| {name} | {figures['wall']:.2f} | {ratio:.1f}{' !' if ratio > most else ''} | "
            f"{figures['cpu'] / figures['floor_cpu']:.1f} | {most:g} | "
            f"{figures['peak'] / 1e6:,.0f} |"
        )
    print("\n".join(lines))  # noqa: T201


def _most(name: str) -> float:
    if name in COMPARISONS:
        return MOST_OF_COMPARISONS
    return MOST_WITH_INTERVALS if name in measures.COMPUTED else MOST_RATIO


def _model() -> Path:
    """Return a lake, in whose cache folder lies a model of many copies of what it holds."""
    lake, _ = bench_model._lakes()
    state = Lake(lake).snapshot()
    BUILD.mkdir(parents=True, exist_ok=True)
    target = BUILD / build.model_name(state)
    if target.exists():
        return lake
    once = bench_model._target(lake)
    if not once.exists():
        build.write(state, once)
    unfinished = target.with_suffix(".unfinished")
    unfinished.unlink(missing_ok=True)
    with duckdb.connect() as connection:
        connection.execute(f"SET memory_limit = '{build.MEMORY_MB}MiB'")
        connection.execute(f"ATTACH '{once}' AS once (READ_ONLY)")
        connection.execute(f"ATTACH '{unfinished}' AS many")
        ((calls,),) = connection.execute("SELECT count(*) FROM once.calls").fetchall()
        copies = max(1, -(-CALLS // calls))
        tables = connection.execute(
            "SELECT table_name FROM duckdb_tables() WHERE database_name = 'once'"
        ).fetchall()
        for (table,) in tables:
            columns = connection.execute(f"DESCRIBE once.{table}").fetchall()
            for copy in range(copies):
                told = ", ".join(_copied(name, kind, copy) for name, kind, *_ in columns)
                verb = "INSERT INTO" if copy else "CREATE TABLE"
                connection.execute(
                    f"{verb} many.{table} {'' if copy else 'AS'} SELECT {told} FROM once.{table}"
                )
        connection.execute("USE many")
        # Copies are other units and boundaries, and are numbered as the model's own are.
        connection.execute(NUMBERS.read_text(encoding="utf-8"))
        for name, view in connection.execute(
            "SELECT view_name, sql FROM duckdb_views() "
            "WHERE database_name = 'once' AND NOT internal"
        ).fetchall():
            connection.execute(view)
            connection.execute(f"FROM {name} LIMIT 1")
    unfinished.rename(target)
    return lake


def _copied(name: str, kind: str, copy: int) -> str:
    """Return a column of a copy: other ids, and every second copy another cohort."""
    if name == "cohort":
        return f"'{('baseline', 'pilot')[copy % 2]}' AS cohort"
    if kind == "INTEGER" and name.endswith("_no"):
        return f"NULL::INTEGER AS {name}"
    if copy and kind == "BIGINT" and name.endswith(("_id", "_no")):
        return f"xor({name}, {copy * 0x0123456789ABCD}) AS {name}"
    if copy and name in ("start_ns", "end_ns", "from_ns", "until_ns"):
        # No two things begin in one nanosecond.
        return f"{name} + {copy * 977} AS {name}"
    if copy and name in ("trace_id", "conversation_id", "unit_id", "user_id"):
        return f"{name} || '-{copy}' AS {name}"
    return name


def ask(lake: Path, names: list[str]) -> dict[str, Figures]:
    """Measure every question in one process, after the floor."""
    with engine.connect(lake, cache=BUILD) as model, model.relations() as cursor:
        (counts,) = cursor.execute(
            "SELECT count(*), count(DISTINCT boundary_id) FROM calls"
        ).fetchall()
        boundary = cursor.execute(
            "SELECT boundary_id FROM calls GROUP BY ALL ORDER BY count(*) LIMIT 1 OFFSET "
            "(SELECT count(DISTINCT boundary_id) // 2 FROM calls)"
        ).fetchall()[0][0]
        floor = _best(lambda: cursor.execute(FLOOR).fetchall(), ROUNDS + 1)
        found = {"floor": {**floor, "calls": counts[0], "boundaries": counts[1]}}
        for name in names:
            _say(name)
            scope = Scope(boundary=boundary if name == ONE else None)
            asked = partial(tails.by_boundary if name == ONE else _ask(name), model, scope)
            figures = _beside(lambda: cursor.execute(FLOOR).fetchall(), asked)
            found[name] = figures
            ratio = figures["wall"] / figures["floor_wall"]
            _say(f"{name} {ratio:.2f} {figures['peak'] / 1e6:.0f}")
    return found


def _ask(name: str) -> Callable[[Model, Scope], object]:
    return lambda model, scope: measures.ask(model, name, scope)


def _wall(figures: Figures) -> float:
    return figures["wall"]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201


def _beside(floor: Callable[[], object], work: Callable[[], object]) -> Figures:
    """Return what work took at best, and the floor at best, timed in turns."""
    rounds = [(_timed(floor), _timed(work)) for _ in range(ROUNDS)]
    best, figures = (min(some, key=_wall) for some in zip(*rounds, strict=True))
    return figures | {f"floor_{name}": best[name] for name in ("wall", "cpu")}


def _best(work: Callable[[], object], rounds: int = ROUNDS) -> Figures:
    return min((_timed(work) for _ in range(rounds)), key=_wall)


def _timed(work: Callable[[], object]) -> Figures:
    with _peak() as peak:
        cpu, wall = time.process_time(), time.perf_counter()
        # What gives up counts with the time it took to.
        with contextlib.suppress(engine.TooSlow, engine.TooLarge):
            work()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {"wall": wall, "cpu": cpu, "peak": peak[0]}


@contextlib.contextmanager
def _peak() -> Iterator[list[int]]:
    """Yield a list that then holds the most memory the process held meanwhile."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    found: list[int] = []
    yield found
    found.append(peak_bytes())


if __name__ == "__main__":
    if len(sys.argv) == 1:
        main()
    else:
        print(json.dumps(ask(Path(sys.argv[1]), sys.argv[2:])))  # noqa: T201
