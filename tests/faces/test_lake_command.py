"""`orchrisk lake` shows what is in a lake, and changes nothing unless it is told to."""

from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner

from app import cli
from ingest.lake import Lake
from ingest.load import load


def run(*arguments, **more):
    return CliRunner().invoke(cli.main, ["lake", *map(str, arguments)], **more)


@pytest.fixture
def lake(sample, tmp_path):
    for name in ("mailer", "crm"):
        dump = sorted((sample.traces / "baseline").glob(f"{name}*"))
        load(dump, tmp_path / "lake", cohort="baseline")
    return tmp_path / "lake"


def spans_of(lake):
    return sum(Lake(lake).contents()["spans"].to_pylist())


@pytest.mark.parametrize("command", ["list", "compact", "remove", "vacuum", "verify"])
def test_every_command_explains_itself_with_an_example(command):
    told = run(command, "--help")

    assert told.exit_code == 0
    assert f"Example:\n    orchrisk lake {command}" in told.output


@pytest.mark.parametrize("command", ["list", "compact", "vacuum", "verify"])
def test_where_there_is_no_lake_there_is_one_line_and_exit_code_2(tmp_path, command):
    told = run(command, "--lake", tmp_path / "none")

    assert told.exit_code == 2
    assert told.stdout == ""
    assert "there is no lake here" in told.stderr
    assert not (tmp_path / "none").exists()


def test_the_list_shows_days_and_sources(lake):
    told, data = (
        run("list", "--lake", lake),
        orjson.loads(run("list", "--lake", lake, "--json").stdout),
    )

    assert told.exit_code == 0
    assert "baseline" in told.stdout
    assert sum(day["spans"] for day in data["days"]) == spans_of(lake)
    assert {source["state"] for source in data["sources"]} == {"there"}


def test_a_removal_asks_first_and_does_nothing_on_no(lake):
    before = spans_of(lake)
    told = run("remove", "--lake", lake, "--cohort", "baseline", input="n\n")

    assert told.exit_code == 1
    assert f"Remove {before:,} spans of" in told.stderr
    assert told.stdout == ""
    assert spans_of(lake) == before


def test_a_removal_of_a_source_by_its_digest_takes_that_source_only(lake):
    source = Lake(lake).ledger().to_pylist()[0]
    before = spans_of(lake)
    told = run(
        "remove", "--lake", lake, "--cohort", "baseline",
        "--source", source["digest"][:12], "--yes", "--json",
    )  # fmt: skip

    assert told.exit_code == 0
    assert orjson.loads(told.stdout)["spans"] == source["kept"]
    assert spans_of(lake) == before - source["kept"]
    assert run("verify", "--lake", lake).exit_code == 0


def test_a_day_that_is_none_is_misuse(lake):
    told = run("remove", "--lake", lake, "--cohort", "baseline", "--day", "soon")

    assert told.exit_code == 2
    assert "is not a day" in told.stderr


def test_compact_then_vacuum_leaves_a_sound_lake_of_fewer_files(lake):
    before, files = spans_of(lake), sum(Lake(lake).contents()["files"].to_pylist())
    merged = orjson.loads(run("compact", "--lake", lake, "--json").stdout)["merged"]
    gone = orjson.loads(run("vacuum", "--lake", lake, "--retention-days", "0", "--json").stdout)[
        "deleted"
    ]

    assert sum(Lake(lake).contents()["files"].to_pylist()) < files
    assert len(gone) == sum(day["files_before"] for day in merged)
    assert spans_of(lake) == before
    assert run("verify", "--lake", lake).exit_code == 0


def test_a_broken_lake_is_exit_code_1_and_says_what_is_wrong(lake):
    with Path(Lake(lake).files()[0]).open("r+b") as file:
        file.truncate(10)
    told = run("verify", "--lake", lake)

    assert told.exit_code == 1
    assert "cannot be read" in told.stdout
    assert "Traceback" not in told.stdout
