"""Killed, raced or out of space: the lake is as before or as after, and always readable."""

import io
import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from ingest_drawn import json_lines, many

from ingest import compaction, removal, upkeep
from ingest.errors import LakeError
from ingest.lake import Lake
from ingest.load import load

DYING = """
import os, signal, sys
from ingest import compaction, ledger, load, parquet, removal, table
lake, dump, work, place, count, when = sys.argv[1:]
owner, name = {"file": (parquet, "write"), "ledger": (ledger, "write"),
               "commit": (table, "commit")}[place]
real, calls = getattr(owner, name), [0]

def dies(*given, **more):
    calls[0] += 1
    if calls[0] == int(count) and when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    result = real(*given, **more)
    if calls[0] == int(count) and when == "after":
        os.kill(os.getpid(), signal.SIGKILL)
    return result

setattr(owner, name, dies)
if work == "ingest":
    load.load([dump], lake, cohort="a")
elif work == "compact":
    compaction.compact(__import__("pathlib").Path(lake), more_than=1)
else:
    removal.remove(__import__("pathlib").Path(lake), cohort="a", source="two")
"""


def ingest(lake: Path, seed: int, *, name: str, count: int = 60) -> None:
    load([(name, io.BytesIO(json_lines(many(count, seed=seed))))], lake, cohort="a")


def work(lake: Path, dump: Path, what: str) -> None:
    if what == "ingest":
        load([dump], lake, cohort="a")
    elif what == "compact":
        compaction.compact(lake, more_than=1)
    elif [row for row in Lake(lake).ledger().to_pylist() if row["state"] != "removed"][1:]:
        removal.remove(lake, cohort="a", source="two")


def spans_of(lake: Path) -> int:
    return sum(Lake(lake).contents()["spans"].to_pylist())


@pytest.mark.parametrize(
    ("what", "place", "count", "when", "expected"),
    [
        ("ingest", "file", 1, "after", 120),
        ("ingest", "file", 3, "after", 120),
        ("ingest", "ledger", 1, "after", 120),
        ("ingest", "commit", 1, "before", 120),
        ("ingest", "commit", 1, "after", 220),
        ("compact", "commit", 1, "before", 120),
        ("compact", "commit", 1, "after", 120),
        ("remove", "ledger", 1, "after", 120),
        ("remove", "commit", 1, "after", 60),
    ],
)
def test_a_kill_leaves_the_lake_as_before_or_as_after(
    tmp_path: Path, what: str, place: str, count: int, when: str, expected: int
) -> None:
    lake, dump = tmp_path / "lake", tmp_path / "dump.jsonl"
    ingest(lake, 1, name="one")
    ingest(lake, 2, name="two")
    dump.write_bytes(json_lines(many(100, seed=3, days=3), a_line=10))
    asked = [str(lake), str(dump), what, place, str(count), when]
    died = subprocess.run([sys.executable, "-c", DYING, *asked], check=False)

    assert died.returncode == -signal.SIGKILL
    assert upkeep.problems(lake) == []
    assert spans_of(lake) == expected
    work(lake, dump, what)
    assert spans_of(lake) == {"ingest": 220, "compact": 120, "remove": 60}[what]
    assert upkeep.problems(lake) == []
    upkeep.vacuum(lake, retention_days=0)
    assert upkeep.problems(lake) == []
    named = {Path(file) for file in Lake(lake).files()}
    assert set(lake.rglob("*.parquet")) == named


WRITER = """
import sys
from ingest.load import load
for dump in sys.argv[2:]:
    load([dump], sys.argv[1], cohort="a")
"""
MERGER = """
import sys
from pathlib import Path
from ingest import compaction
while not (Path(sys.argv[1]) / "done").exists():
    compaction.compact(Path(sys.argv[1]), more_than=1)
"""


@pytest.mark.slow
def test_readers_writers_and_compactions_at_once_lose_and_double_nothing(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    ingest(lake, 0, name="first", count=20)
    dumps = []
    for seed in range(1, 5):
        dump = tmp_path / f"{seed}.jsonl"
        # Each dump shares half its spans with the one before.
        spans = [*many(20, seed=seed - 1)[10:], *many(20, seed=seed)]
        dump.write_bytes(json_lines(spans))
        dumps.append(str(dump))
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(lake), *dumps[half::2]])
        for half in range(2)
    ]
    merger = subprocess.Popen([sys.executable, "-c", MERGER, str(lake)])
    seen = [20]
    try:
        while any(writer.poll() is None for writer in writers):
            seen.append(read_once(lake))
        assert [writer.wait() for writer in writers] == [0, 0]
    finally:
        (lake / "done").touch()
        assert merger.wait() == 0

    assert seen == sorted(seen)
    assert spans_of(lake) == 100
    assert upkeep.problems(lake) == []
    assert Lake(lake).ledger().num_rows == 5


def read_once(lake: Path) -> int:
    files = Lake(lake).files()
    with duckdb.connect() as connection:
        query = """
            SELECT count(*), count(DISTINCT trace_id || span_id)
            FROM read_parquet($1, hive_partitioning = true)
        """
        ((spans, different),) = connection.execute(query, [files]).fetchall()
    assert spans == different
    return int(spans)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    asked = ["mount", "-t", "tmpfs", "-o", "size=1536k", "tmpfs", str(disk)]
    try:
        mounted = subprocess.run(asked, check=False, capture_output=True, text=True)
        reason = mounted.stderr.strip() if mounted.returncode else ""
    except OSError as error:
        reason = str(error)
    if reason:
        pytest.skip(f"needs the right to mount a tmpfs: {reason}")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_on_a_full_disk_nothing_is_lost_wherever_it_fills(small_disk: Path) -> None:
    lake, filler = small_disk / "lake", small_disk / "filler"
    ingest(lake, 1, name="one")
    before = Lake(lake).fingerprint()
    refused = 0
    for free_kib in (0, 4, 8, 12, 16, 20, 24, 28, 32, 48, 64, 96):
        with filler.open("wb", buffering=0) as file:
            while free_bytes(small_disk) > free_kib * 1024:
                file.write(b"x" * min(65_536, free_bytes(small_disk) - free_kib * 1024))
        said = refusal_of_a_second_source(lake)
        filler.unlink()
        if said is None:
            break
        refused += 1
        assert "the disk is full" in said
        assert "Hint: free some space" in said
        assert Lake(lake).fingerprint() == before
        assert upkeep.problems(lake) == []

    assert refused >= 3
    ingest(lake, 2, name="two")
    assert spans_of(lake) == 120
    assert upkeep.problems(lake) == []


def refusal_of_a_second_source(lake: Path) -> str | None:
    try:
        ingest(lake, 2, name="two")
    except LakeError as error:
        return str(error)
    return None


def free_bytes(disk: Path) -> int:
    room = os.statvfs(disk)
    return room.f_bavail * room.f_frsize


LIMITED = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)),) * 2)
from app.cli import main
main(["ingest", sys.argv[2], "--lake", sys.argv[1], "--cohort", "a"])
"""


@pytest.mark.parametrize("limit", [10, 5_000, 20_000])
def test_where_files_cannot_grow_the_command_says_so_in_two_lines_and_exits_2(
    tmp_path: Path, limit: int
) -> None:
    lake, dump = tmp_path / "lake", tmp_path / "dump.jsonl"
    ingest(lake, 1, name="one")
    before = Lake(lake).fingerprint()
    dump.write_bytes(json_lines(many(2_000, seed=2)))
    asked = [sys.executable, "-c", LIMITED, str(limit), str(lake), str(dump)]
    told = subprocess.run(asked, check=False, capture_output=True, text=True)

    assert told.returncode == 2
    assert told.stdout == ""
    first, hint = told.stderr.splitlines()
    assert "the disk is full" in first
    assert hint.startswith("Hint: free some space")
    assert Lake(lake).fingerprint() == before
    assert upkeep.problems(lake) == []


@pytest.mark.slow
def test_kills_at_any_time_during_a_run_of_ingests_leave_whole_sources(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    dumps = []
    for seed in range(8):
        dump = tmp_path / f"{seed}.jsonl"
        dump.write_bytes(json_lines(many(30, seed=seed)))
        dumps.append(str(dump))
    for kept in itertools.count():
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(lake), *dumps])
        while process.poll() is None and not (
            lake.exists() and Lake(lake).exists and spans_of(lake) > 60 * (kept + 1)
        ):
            pass
        process.kill()
        process.wait()
        assert upkeep.problems(lake) == []
        assert spans_of(lake) % 30 == 0
        if spans_of(lake) == 240:
            break

    assert kept < 8
    assert Lake(lake).ledger().num_rows == 8
