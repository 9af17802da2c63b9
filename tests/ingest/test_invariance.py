"""What enters the lake depends on what was read: not on chunks, threads, order or packaging."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ingest_drawn import DUMPS, Span, delimited, json_lines, many, message

from ingest.lake import Lake
from ingest.load import load

# Where a span was found; all else must be equal.
PLACES = ("source_digest", "source_record")


def rows(lake: Path) -> pa.Table:
    tables = [pq.ParquetFile(file).read() for file in Lake(lake).files()]
    if not tables:
        return pa.table({})
    table = pa.concat_tables(tables).drop_columns(list(PLACES))
    return table.sort_by([("trace_id", "ascending"), ("span_id", "ascending")]).combine_chunks()


def assert_same_lake(one: Path, other: Path) -> None:
    first, second = rows(one), rows(other)
    assert first.num_rows == second.num_rows
    for name in first.column_names:
        assert first[name].equals(second[name]), name
    assert Lake(one).fingerprint() == Lake(other).fingerprint()


def odd_lines(spans: Sequence[Span]) -> bytes:
    """Return lines of which every other one only the walker can read."""
    lines = json_lines(spans, a_line=2).splitlines()
    compact = [line.replace(b'": ', b'":').replace(b", ", b",") for line in lines]
    return b"\n".join(
        line.replace(b'"traceId"', b'"unknown":1,"traceId"') if place % 2 else line
        for place, line in enumerate(compact)
    )


@pytest.mark.parametrize("block_bytes", [1, 700, 5_000, 1 << 23])
@pytest.mark.parametrize("write", [delimited, json_lines, odd_lines])
def test_block_size_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block_bytes: int, write: Any
) -> None:
    data = write(many(60))
    load([("dump", io.BytesIO(data))], tmp_path / "whole", cohort="a")
    monkeypatch.setattr("ingest.formats.json_lines.JSON_BLOCK_BYTES", block_bytes)
    monkeypatch.setattr("ingest.formats.protobuf_delimited.BLOCK_BYTES", block_bytes)
    load([("dump", io.BytesIO(data))], tmp_path / "cut", cohort="a")
    assert_same_lake(tmp_path / "whole", tmp_path / "cut")


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_the_number_of_threads_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    monkeypatch.setattr("ingest.formats.json_lines.JSON_BLOCK_BYTES", 3_000)
    spans = [*many(200), *many(20), Span(trace=1, span=1, name="another")]
    data = odd_lines(spans)
    load([("dump", io.BytesIO(data))], tmp_path / "one", cohort="a")
    monkeypatch.setattr("ingest.load.THREADS", threads)
    report = load([("dump", io.BytesIO(data))], tmp_path / "more", cohort="a")
    assert (report.kept, report.duplicates, report.conflicts) == (200, 20, 1)
    assert_same_lake(tmp_path / "one", tmp_path / "more")


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(spans=DUMPS, cut=st.integers(0, 12))
def test_files_in_any_order_and_any_packaging_give_one_lake(
    tmp_path_factory: pytest.TempPathFactory, spans: list[Span], cut: int
) -> None:
    folder = tmp_path_factory.mktemp("lakes")
    parts = [part for part in (spans[:cut], spans[cut:]) if part]
    dumps = [(f"{place}", delimited(part)) for place, part in enumerate(parts)]
    one = [(name, io.BytesIO(data)) for name, data in dumps]
    other = [(name, io.BytesIO(data)) for name, data in reversed(dumps)]
    load(one, folder / "one", cohort="a")
    load(other, folder / "other", cohort="a")
    load([("all", io.BytesIO(message(spans)))], folder / "whole", cohort="a")
    load([("lines", io.BytesIO(json_lines(spans)))], folder / "lines", cohort="a")
    for name in ("other", "whole", "lines"):
        assert_same_lake(folder / "one", folder / name)
