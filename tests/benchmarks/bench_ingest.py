"""How fast and how lean ingest is, beside the naive way, beside other tools, above the floor.

One run makes every figure of the table, so that ratios hold on any machine. The environment sets
SPANS, SPANS_NAIVE, SPANS_LONG and SPANS_LARGE (0 skips the last), ROUNDS (of which the cheapest
counts) and OTHERS_PYTHON (an interpreter that may have other tools installed).
"""

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from agent_dumps import SEED, SPANS_A_REQUEST, Encoding, write

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BUILD = ROOT / "build" / "bench-ingest"
SPANS = int(os.environ.get("SPANS", "500000"))
SPANS_NAIVE = int(os.environ.get("SPANS_NAIVE", "50000"))
SPANS_LONG = int(os.environ.get("SPANS_LONG", "50000"))
SPANS_LARGE = int(os.environ.get("SPANS_LARGE", "5000000"))
ROUNDS = int(os.environ.get("ROUNDS", "3"))
OTHERS_PYTHON = str(Path(os.environ.get("OTHERS_PYTHON", sys.executable)).absolute())

LEAST_RATIO = 6.0
MOST_PEAK_BYTES = 600_000_000
MOST_BYTES_A_SPAN = 50.0
_LARGE_BYTES_A_SPAN = 1_300  # on the disk, with the lake beside the dump

Figures = dict[str, float]


@dataclass(frozen=True)
class Kind:
    """A column of the table: which dump is read."""

    title: str
    encoding: Encoding
    is_packed: bool = False
    is_long: bool = False

    def dump(self, spans: int) -> Path:
        """Return the dump with so many spans, written if it is not there."""
        name = f"{spans}{'-long' if self.is_long else ''}.{self.encoding}"
        path = BUILD / _generation() / (name + ".gz" if self.is_packed else name)
        return write(path, self.encoding, spans, is_long=self.is_long)


KINDS = (
    Kind("protobuf", Encoding.PROTOBUF),
    Kind("JSON", Encoding.JSON),
    Kind("protobuf, gzip", Encoding.PROTOBUF, is_packed=True),
    Kind("JSON, gzip", Encoding.JSON, is_packed=True),
    Kind("protobuf, long", Encoding.PROTOBUF, is_long=True),
    Kind("JSON, long", Encoding.JSON, is_long=True),
)
Row = tuple[str, dict[str, str]]


def main() -> None:
    """Measure, and print one table."""
    for spans in (SPANS, SPANS_NAIVE, SPANS_LONG, SPANS_LARGE):
        if spans % SPANS_A_REQUEST:
            raise SystemExit(f"{spans:,} spans do not fill requests of {SPANS_A_REQUEST}")
    ours = {kind: _measured("whole", kind.dump(_spans(kind))) for kind in KINDS}
    plain = [kind for kind in KINDS if not kind.is_packed]
    stages = {kind: _measured("stages", kind.dump(_spans(kind))) for kind in plain}
    floors = {kind: _floor(kind) for kind in plain}
    naive = {kind: _compared(kind) for kind in plain}
    flat = {kind: _measured("naive_decode", kind.dump(_naive(kind))) for kind in plain}
    quick = {
        kind: _measured("orjson_decode", kind.dump(_naive(kind)))
        for kind in plain
        if kind.encoding is Encoding.JSON
    }
    rows: list[Row] = [
        ("spans", {kind.title: f"{_spans(kind):,}" for kind in KINDS}),
        ("dump, bytes a span", _each(KINDS, lambda kind: _size(kind) / _spans(kind))),
        ("ours: spans a CPU second", _rates(ours)),
        ("ours: spans a second", _rates(ours, "wall")),
        ("  decode alone", _rates(stages, "decode_cpu")),
        ("  normalise alone", _rates(stages, "normalize_cpu")),
        ("  lake alone", _rates(stages, "lake_cpu")),
        ("ours: peak MB", _each(ours, lambda kind: ours[kind]["peak_bytes"] / 1e6)),
        ("ours: Parquet bytes a span", _each(ours, lambda kind: _stored(ours[kind]), 1)),
        ("naive: spans a CPU second", _rates(naive)),
        ("  decode alone", _rates(flat)),
        ("  decode alone, by orjson", _rates(quick)),
        ("ours / naive", _ratios(ours, naive)),
        ("  decode / decode", _ratios(stages, flat, "decode_cpu")),
        ("  decode / decode by orjson", _ratios(stages, quick, "decode_cpu")),
        ("floor: pyarrow writes the table", _rates(floors)),
        (
            "ours, share of the floor",
            _each(floors, lambda k: 100 * _ratio(ours[k], floors[k]), 1, " %"),
        ),
        *_others(ours),
    ]
    verdicts = [
        (f"ours / naive, {kind.title}", ratio, LEAST_RATIO, ratio >= LEAST_RATIO)
        for kind in naive
        for ratio in [_ratio(ours[kind], naive[kind])]
    ]
    if SPANS_LARGE:
        large = {kind: _large(kind) for kind in KINDS[:2]}
        rows += [
            ("large: spans", {kind.title: f"{SPANS_LARGE:,}" for kind in large}),
            ("large: spans a CPU second", _rates(large)),
            ("large: peak MB", _each(large, lambda kind: large[kind]["peak_bytes"] / 1e6)),
            ("large: Parquet bytes a span", _each(large, lambda kind: _stored(large[kind]), 1)),
        ]
        for kind, found in large.items():
            peak, stored = found["peak_bytes"], _stored(found)
            is_lean = peak < MOST_PEAK_BYTES
            verdicts.append((f"peak MB, {kind.title}", peak / 1e6, MOST_PEAK_BYTES / 1e6, is_lean))
            is_small = stored <= MOST_BYTES_A_SPAN
            verdicts.append((f"bytes a span, {kind.title}", stored, MOST_BYTES_A_SPAN, is_small))
    _show(rows)
    for name, value, target, is_met in verdicts:
        _say(
            f"{'reached    ' if is_met else 'NOT REACHED'}  {name}: {value:,.1f}, target {target:g}"
        )


@cache
def _generation() -> str:
    """Return the seed and a digest of what draws the dumps: others are not taken for these."""
    sources = b"".join(path.read_bytes() for path in sorted(HERE.glob("agent_*.py")))
    return f"{SEED}-{hashlib.sha256(sources).hexdigest()[:8]}"


def _spans(kind: Kind) -> int:
    return SPANS_LONG if kind.is_long else SPANS


def _naive(kind: Kind) -> int:
    return SPANS_LONG if kind.is_long else SPANS_NAIVE


def _size(kind: Kind) -> int:
    return kind.dump(_spans(kind)).stat().st_size


def _stored(figures: Figures) -> float:
    return figures["stored_bytes"] / figures["spans"]


def _measured(
    name: str, source: Path, *, rounds: int = ROUNDS, keep: Path | None = None
) -> Figures:
    """Return the cheapest of some measurements, each in a new process."""
    found: list[Figures] = []
    for _ in range(rounds):
        print(f"{name} {source.name}", file=sys.stderr)  # noqa: T201
        target = keep or BUILD / "made"
        shutil.rmtree(target, ignore_errors=True)
        found.append(_child([sys.executable, "measure.py", name, str(source), str(target)]))
        if keep is None:
            shutil.rmtree(target, ignore_errors=True)
    units = {unit for figures in found for unit in figures if unit.endswith(("cpu", "wall"))}
    best = {unit: min(figures[unit] for figures in found) for unit in units}
    return {**found[0], "peak_bytes": max(figures["peak_bytes"] for figures in found), **best}


def _child(command: list[str]) -> Figures:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=HERE, env=environment, stdout=subprocess.PIPE, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command[1:])} failed")
    figures: Figures = json.loads(done.stdout.splitlines()[-1])
    return figures


def _floor(kind: Kind) -> Figures:
    lake = BUILD / "lake"
    _measured("whole", kind.dump(_spans(kind)), rounds=1, keep=lake)
    found = _measured("floor", lake)
    shutil.rmtree(lake)
    return found


def _compared(kind: Kind) -> Figures:
    """Measure the naive way, and hold its table against ours."""
    lake, folder = BUILD / "lake", BUILD / "naive"
    dump = kind.dump(_naive(kind))
    found = _measured("naive_whole", dump, keep=folder)
    _measured("whole", dump, rounds=1, keep=lake)
    _child([sys.executable, "measure.py", "same", str(lake), str(folder)])
    shutil.rmtree(lake)
    shutil.rmtree(folder)
    return found


def _others(ours: dict[Kind, Figures]) -> Iterable[Row]:
    """Yield what other tools make of the JSON; they do less, so no ratio is a verdict."""
    kind = KINDS[1]
    for tool, spans in (("pandas", SPANS_NAIVE), ("duckdb", SPANS), ("chdb", SPANS)):
        target = BUILD / f"{tool}.parquet"
        command = ["other_tools.py", tool, str(kind.dump(spans)), str(target)]
        for python in (sys.executable, OTHERS_PYTHON):
            found = [_child([python, *command]) for _ in range(ROUNDS)]
            if "missing" not in found[0]:
                break
        else:
            yield f"{tool}: spans a CPU second", {kind.title: "not installed"}
            continue
        if found[0]["spans"] != spans:
            raise SystemExit(f"{tool} wrote {found[0]['spans']:,} of {spans:,} spans")
        cpu = min(each["cpu"] for each in found)
        yield f"{tool}: spans a CPU second", {kind.title: f"{spans / cpu:,.0f}"}
        ratio = ours[kind]["spans"] / ours[kind]["cpu"] / (spans / cpu)
        yield f"  ours / {tool}", {kind.title: f"{ratio:,.2f}"}
        yield (
            f"  {tool}: Parquet bytes a span",
            {kind.title: f"{target.stat().st_size / spans:.1f}"},
        )
        target.unlink()


def _large(kind: Kind) -> Figures:
    free = shutil.disk_usage(BUILD).free
    if free < SPANS_LARGE * _LARGE_BYTES_A_SPAN:
        needed = SPANS_LARGE * _LARGE_BYTES_A_SPAN / 1e9
        raise SystemExit(f"{BUILD}: {needed:.0f} GB are needed.\nHint: SPANS_LARGE=0 does without.")
    dump = kind.dump(SPANS_LARGE)
    try:
        return _measured("whole", dump, rounds=1)
    finally:
        dump.unlink()


def _ratio(ours: Figures, theirs: Figures, unit: str = "cpu") -> float:
    return (ours["spans"] / ours[unit]) / (theirs["spans"] / theirs["cpu"])


def _rates(found: dict[Kind, Figures], unit: str = "cpu") -> dict[str, str]:
    return {kind.title: f"{each['spans'] / each[unit]:,.0f}" for kind, each in found.items()}


def _ratios(
    ours: dict[Kind, Figures], theirs: dict[Kind, Figures], unit: str = "cpu"
) -> dict[str, str]:
    return {kind.title: f"{_ratio(ours[kind], theirs[kind], unit):,.1f}" for kind in theirs}


def _each(
    kinds: Iterable[Kind], figure: Callable[[Kind], float], digits: int = 0, unit: str = ""
) -> dict[str, str]:
    return {kind.title: f"{figure(kind):,.{digits}f}{unit}" for kind in kinds}


def _show(rows: list[Row]) -> None:
    titles = [kind.title for kind in KINDS]
    machine = platform.processor() or platform.machine()
    _say(f"{machine}, {os.cpu_count()} cores, Python {platform.python_version()}")
    _say(" " * 34 + "".join(f"{title:>16}" for title in titles))
    for name, cells in rows:
        _say(f"{name:<34}" + "".join(f"{cells.get(title, ''):>16}" for title in titles))


def _say(line: str) -> None:
    print(line)  # noqa: T201


if __name__ == "__main__":
    main()
