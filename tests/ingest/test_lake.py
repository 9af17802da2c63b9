"""The lake survives kills and races, and its files are plain Parquet that any engine reads."""

import io
import json
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from ingest_drawn import Span, json_lines, many

from ingest.errors import LakeError
from ingest.lake import Lake
from ingest.load import load
from ingest.schema import SPANS

INGEST = """
import sys
from ingest.load import load
report = load(sys.argv[2:], sys.argv[1], cohort="baseline")
print(report.read, report.kept, report.duplicates, report.rejected)
"""


def start(lake: Path, *dumps: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", INGEST, str(lake), *map(str, dumps)],
        stdout=subprocess.PIPE,
        text=True,
    )


def keys_of(lake: Path) -> list[tuple[str, str]]:
    keys: list[tuple[str, str]] = []
    for file in Lake(lake).files():
        table = pq.ParquetFile(file).read(columns=["trace_id", "span_id"])
        keys += zip(table["trace_id"].to_pylist(), table["span_id"].to_pylist(), strict=True)
    return keys


def assert_whole_and_once(lake: Path, expected: int) -> None:
    keys = keys_of(lake)
    assert len(keys) == len(set(keys)) == expected
    assert sum(Lake(lake).ledger()["kept"].to_pylist()) == expected


MOMENTS = {
    "the first data file appears": "cohort=*/day=*/*.parquet",
    "the ledger's row is written": "_ledger/*.json",
    "the commit appears": "_delta_log/*1.json",
}


def test_a_process_killed_at_any_moment_leaves_no_torn_or_double_rows(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    dumps = []
    for number in range(3):
        dump = tmp_path / f"{number}.jsonl"
        dump.write_bytes(json_lines(many(1_000, seed=number, days=2), a_line=50))
        dumps.append(dump)
    for pattern in MOMENTS.values():
        before = set(lake.glob(pattern))
        with start(lake, *dumps) as process:
            while process.poll() is None and set(lake.glob(pattern)) <= before:
                time.sleep(0.0005)
            process.kill()
        keys = keys_of(lake)
        assert len(keys) == len(set(keys))
        assert len(keys) % 3_000 == 0
    load(dumps, lake, cohort="baseline")
    assert_whole_and_once(lake, 3_000)
    assert all(source.already for source in load(dumps, lake, cohort="baseline").sources)


def test_a_kill_between_files_and_commit_is_as_if_nothing_had_been_written(tmp_path: Path) -> None:
    lake, dump = tmp_path / "lake", tmp_path / "dump.jsonl"
    load([("first", io.BytesIO(json_lines(many(10, seed=1))))], lake, cohort="baseline")
    dump.write_bytes(json_lines(many(10, seed=2)))
    before = Lake(lake).fingerprint()
    script = INGEST.replace(
        "report =",
        "import os, signal\nfrom deltalake import DeltaTable\n"
        "DeltaTable.create_write_transaction = "
        "lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)\nreport =",
    )
    ended = subprocess.run([sys.executable, "-c", script, str(lake), str(dump)], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert len(list(lake.rglob("*.parquet"))) == 2
    assert Lake(lake).fingerprint() == before
    assert Lake(lake).ledger().num_rows == 1
    assert load([dump], lake, cohort="baseline").kept == 10
    assert_whole_and_once(lake, 20)


def test_two_ingests_of_overlapping_dumps_at_once_give_no_duplicates(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    spans = many(1_250)
    dumps = []
    for number in range(2):
        dump = tmp_path / f"{number}.jsonl"
        dump.write_bytes(json_lines(spans[number * 250 : number * 250 + 1_000], a_line=50))
        dumps.append(dump)
    processes = [start(lake, dump) for dump in dumps]
    totals: Counter[str] = Counter()
    for process in processes:
        out, _ = process.communicate()
        assert process.returncode == 0
        read, kept, duplicates, rejected = map(int, out.split())
        assert read == kept + duplicates + rejected == 1_000
        totals.update(kept=kept, rejected=rejected)
    assert totals == {"kept": 1_250, "rejected": 0}
    assert_whole_and_once(lake, 1_250)


def test_the_same_dump_ingested_twice_at_once_enters_once(tmp_path: Path) -> None:
    lake, dump = tmp_path / "lake", tmp_path / "dump.jsonl"
    dump.write_bytes(json_lines(many(500), a_line=50))
    processes = [start(lake, dump) for _ in range(2)]
    kept = sorted(int(process.communicate()[0].split()[1]) for process in processes)
    assert kept == [0, 500]
    assert_whole_and_once(lake, 500)
    assert Lake(lake).ledger().num_rows == 1


def test_the_fingerprint_changes_exactly_when_the_files_do(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    seen = [lake.fingerprint()]
    for data, is_new in (
        (json_lines(many(5)), True),
        (json_lines(many(5)), False),
        (json_lines(many(5), a_line=1), False),
        (b"hello", False),
        (json_lines(many(5, seed=1)), True),
    ):
        load([("dump", io.BytesIO(data))], tmp_path, cohort="a")
        assert (lake.fingerprint() != seen[-1]) == is_new
        seen.append(lake.fingerprint())
    assert lake.fingerprint() == Lake(tmp_path).fingerprint()


def test_an_empty_folder_is_no_lake_yet_and_has_no_files(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "none")
    assert not lake.exists
    assert lake.files() == []
    assert lake.ledger().num_rows == 0


def test_duckdb_and_delta_read_the_same_rows_with_the_contract_s_columns(tmp_path: Path) -> None:
    load([("dump", io.BytesIO(json_lines(many(50, days=2))))], tmp_path, cohort="baseline")
    files = Lake(tmp_path).files()
    with duckdb.connect() as connection:
        query = "SELECT * FROM read_parquet($1, hive_partitioning = true)"
        names = {column[0] for column in connection.execute(query, [files]).description}
        assert names == set(SPANS.names)
        (counted,) = connection.execute(
            "SELECT count(*) FROM read_parquet($1, hive_partitioning = true)"
            " WHERE cohort = 'baseline' AND day = make_timestamp_ns(start_ns)::DATE",
            [files],
        ).fetchall()[0]
    assert counted == 50
    assert pa.table(DeltaTable(str(tmp_path)).to_pyarrow_table(columns=["span_id"])).num_rows == 50


def test_ids_times_and_hashes_have_no_dictionary_and_names_have_one(tmp_path: Path) -> None:
    load([("dump", io.BytesIO(json_lines(many(500))))], tmp_path, cohort="baseline")
    group = pq.ParquetFile(Lake(tmp_path).files()[0]).metadata.row_group(0)
    has = {
        group.column(place).path_in_schema: group.column(place).has_dictionary_page
        for place in range(group.num_columns)
    }
    assert group.column(0).compression == "ZSTD"
    for name in (
        "trace_id",
        "span_id",
        "start_ns",
        "duration_ns",
        "content_hash",
        "status_message",
    ):
        assert not has[name]
    for name in ("name", "service_name", "attributes.key_value.key"):
        assert has[name]


def test_a_lake_that_needs_more_than_plain_parquet_is_refused(tmp_path: Path) -> None:
    load([("dump", io.BytesIO(json_lines(many(5))))], tmp_path, cohort="a")
    log = sorted((tmp_path / "_delta_log").glob("*.json"))[-1]
    protocol = {
        "protocol": {
            "minReaderVersion": 3,
            "minWriterVersion": 7,
            "readerFeatures": ["deletionVectors"],
            "writerFeatures": ["deletionVectors"],
        }
    }
    following = log.with_name(f"{int(log.stem) + 1:020}.json")
    following.write_text(json.dumps(protocol) + "\n")
    with pytest.raises(LakeError, match=r"(?s)deletionVectors.*Hint"):
        Lake(tmp_path).files()


def test_a_folder_that_is_another_table_is_refused(tmp_path: Path) -> None:
    DeltaTable.create(str(tmp_path), pa.schema([("a", pa.int64())]))
    with pytest.raises(LakeError, match="not a lake of spans"):
        load([("dump", io.BytesIO(json_lines(many(5))))], tmp_path, cohort="a")


def test_a_lake_whose_spans_have_no_duration_is_refused(tmp_path: Path) -> None:
    ends = [pa.field("end_ns", pa.int64()) if f.name == "duration_ns" else f for f in SPANS]
    DeltaTable.create(str(tmp_path), pa.schema(ends), partition_by=["cohort", "day"])
    with pytest.raises(LakeError, match=r"(?s)without duration_ns.*Hint: .*new folder"):
        Lake(tmp_path).files()


def test_a_large_source_is_written_in_pieces_and_committed_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.staging.PIECE_ROWS", 300)
    monkeypatch.setattr("ingest.formats.json_lines.JSON_BLOCK_BYTES", 1 << 12)
    spans = [*many(1_000), *many(20)]
    report = load([("dump", io.BytesIO(json_lines(spans)))], tmp_path, cohort="a")
    assert (report.kept, report.duplicates) == (1_000, 20)
    assert len(Lake(tmp_path).files()) > 1
    assert DeltaTable(str(tmp_path)).version() == 1
    assert_whole_and_once(tmp_path, 1_000)


def test_a_copy_on_the_other_side_of_midnight_is_still_a_conflict(tmp_path: Path) -> None:
    first = Span()
    load([("one", io.BytesIO(json_lines([first])))], tmp_path, cohort="a")
    late = Span(start=first.start + 86_400_000_000_000)
    report = load([("two", io.BytesIO(json_lines([late])))], tmp_path, cohort="a")
    assert (report.kept, report.conflicts) == (0, 1)
