"""One measurement in a process of its own, printed as a line of JSON.

Work is counted in CPU seconds of the process, all its threads included, after the imports. Nobody
searches for cycles of objects meanwhile, neither ours nor the naive way.
"""

import gc
import json
import re
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import naive
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from ingest import parquet
from ingest.formats import read_dump
from ingest.lake import Lake
from ingest.load import load
from ingest.normalize import normalize
from ingest.report import SourceReport

COHORT = "bench"
COMPARED = (
    *("trace_id", "span_id", "parent_span_id", "name", "kind", "start_ns", "duration_ns", "status"),
    *("service_name", "operation", "response_model", "input_tokens", "cost_usd", "finish_reason"),
    *("conversation_id", "tool_name", "tool_call_id", "user_id", "query_text", "db_rows"),
    *("url_path", "server_address", "http_status", "exception_message", "args_hash", "input_hash"),
    *("destination", "scopes_granted", "links", "attributes", "resource_attributes"),
)
_DIGEST = "0" * 64
Figures = dict[str, float]


@contextmanager
def _spent(figures: Figures, name: str = "") -> Iterator[None]:
    """Add the CPU and wall seconds of a block of code to the figures."""
    cpu, wall = time.process_time(), time.perf_counter()
    yield
    for unit, seconds in (("cpu", time.process_time() - cpu), ("wall", time.perf_counter() - wall)):
        figures[name + unit] = figures.get(name + unit, 0.0) + seconds


def whole(dump: Path, folder: Path) -> Figures:
    """Measure `load` of a dump into a new lake, and what the lake takes on the disk."""
    figures: Figures = {}
    with _spent(figures):
        report = load([dump], folder, cohort=COHORT)
    if not 0 < report.kept == report.read:
        raise SystemExit(f"{dump}: {report.read:,} spans read, {report.kept:,} kept")
    stored = sum(Path(file).stat().st_size for file in Lake(folder).files())
    return {"spans": report.kept, "stored_bytes": stored, **figures}


def stages(dump: Path, folder: Path) -> Figures:
    """Measure decoding, normalising and the lake, one after another in one thread."""
    figures: Figures = {}
    tables: list[pa.Table] = []
    with dump.open("rb") as stream:
        opened = read_dump(stream, name=dump.name, size=dump.stat().st_size)
        blocks = iter(opened.blocks)
        while True:
            with _spent(figures, "decode_"):
                block = next(blocks, None)
                parts = opened.decode(block) if block is not None else None
            if parts is None:
                break
            with _spent(figures, "normalize_"):
                tables += [normalize(part, cohort=COHORT, digest=_DIGEST) for part in parts]
    report = SourceReport(dump.name, _DIGEST, opened.format, 0, cohort=COHORT)
    lake = Lake(folder)
    with _spent(figures, "lake_"):
        staged = lake.stage(report, cohort=COHORT)
        while tables:
            staged.append(tables.pop(0))
        staged.finish(report)
        (added,) = lake.add([staged], cohort=COHORT)
        staged.close()
    return {"spans": added.kept, **figures}


def floor(lake: Path, folder: Path) -> Figures:
    """Measure pyarrow writing the lake's files anew with their settings, and nothing else."""
    figures: Figures = {"spans": 0}
    for number, path in enumerate(Lake(lake).files()):
        with pq.ParquetFile(path) as file:
            table = file.read()
        with _spent(figures):
            parquet.write(folder, COHORT, date(2026, 1, 1), table, number)
        figures["spans"] += table.num_rows
    return figures


def naive_whole(dump: Path, folder: Path) -> Figures:
    """Measure the naive way of making the same table."""
    figures: Figures = {}
    with _spent(figures):
        kept = naive.write(_naive_spans(dump), folder, cohort=COHORT, digest=_DIGEST)
    return {"spans": kept, **figures}


def same(lake: Path, folder: Path) -> Figures:
    """Hold what `naive_whole` wrote to `folder` against the lake: the same spans, the same cells.

    Raises:
        SystemExit: naming the columns that differ.
    """
    ours, theirs = (
        pa.concat_tables([pq.ParquetFile(file).read(columns=list(COMPARED)) for file in files])
        for files in (Lake(lake).files(), sorted(folder.glob("*.parquet")))
    )
    ours, theirs = (table.sort_by("span_id") for table in (ours, theirs))
    if ours.num_rows != theirs.num_rows:
        raise SystemExit(f"{ours.num_rows:,} spans are ours, {theirs.num_rows:,} the naive way's")
    unlike = [name for name in COMPARED if _cells(ours, name) != _cells(theirs, name)]
    if unlike:
        raise SystemExit(f"the naive way says something else in {', '.join(unlike)}")
    return {"spans": ours.num_rows}


def _cells(table: pa.Table, name: str) -> list[Any]:
    cells: list[Any] = table[name].to_pylist()
    # The order of a map's entries is nobody's promise.
    return [sorted(cell) for cell in cells] if name.endswith("attributes") else cells


def naive_decode(dump: Path, _: Path) -> Figures:
    """Measure the naive way up to flat Arrow columns."""
    figures: Figures = {}
    with _spent(figures):
        spans = sum(table.num_rows for table in naive.decoded(_naive_spans(dump)))
    return {"spans": spans, **figures}


def orjson_decode(dump: Path, _: Path) -> Figures:
    """Measure the same with the fastest parser of JSON that Python has."""
    figures: Figures = {}
    with _spent(figures):
        found = naive.decoded(naive.spans_of_json(dump, orjson.loads))
        spans = sum(table.num_rows for table in found)
    return {"spans": spans, **figures}


def _naive_spans(dump: Path) -> Iterator[dict[str, Any]]:
    is_json = dump.suffix == ".jsonl"
    return naive.spans_of_json(dump) if is_json else naive.spans_of_protobuf(dump)


def peak_bytes() -> int:
    """Return the most memory this process ever held."""
    status = Path("/proc/self/status")
    if status.exists() and (found := re.search(r"VmHWM:\s+(\d+) kB", status.read_text())):
        return int(found[1]) << 10
    # What a parent held before it started us counts here, so it is the second choice.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak << 10


MEASURES: dict[str, Callable[[Path, Path], Figures]] = {
    each.__name__: each
    for each in (whole, stages, floor, same, naive_whole, naive_decode, orjson_decode)
}

if __name__ == "__main__":
    gc.disable()
    name, source, target = sys.argv[1:]
    print(json.dumps({**MEASURES[name](Path(source), Path(target)), "peak_bytes": peak_bytes()}))  # noqa: T201
