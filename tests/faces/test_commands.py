"""The command line answers on stdout, talks on stderr, and its exit code is its answer."""

import gzip
import re
import subprocess
import sys
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner

from app import cli
from app.terminal import clean, table

COMMANDS = ("ingest", "profile", "compare", "check", "dashboard", "demo")


def run(*arguments, **more):
    return CliRunner().invoke(cli.main, [str(argument) for argument in arguments], **more)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example(command):
    told = run(command, "--help")

    assert told.exit_code == 0
    assert f"Example:\n    orchrisk {command}" in told.output


def test_help_does_not_wait_for_libraries_that_measure():
    code = (
        "import sys; from app import cli; "
        "heavy = {'pandas', 'scipy', 'duckdb', 'pyarrow', 'numpy', 'streamlit'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )

    assert told.stdout.strip() == "[]"


def test_what_takes_longest_to_load_waits_until_a_question_needs_it():
    code = (
        "import sys; from app import compliance_answers, check_answers; "
        "print('scipy.stats' in sys.modules)"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )

    assert told.stdout.strip() == "False"


def test_a_dump_is_read_once_and_the_second_time_says_so(sample, tmp_path):
    dump = next((sample.traces / "baseline").glob("mailer*"))
    first = run("ingest", dump, "--lake", tmp_path / "lake", "--cohort", "before", "--json")
    again = run("ingest", dump, "--lake", tmp_path / "lake", "--cohort", "before")

    (source,) = orjson.loads(first.stdout)["sources"]
    assert first.exit_code == again.exit_code == 0
    assert source["read"] == source["kept"] > 0
    assert "already in the lake" in again.stdout


def test_standard_input_is_a_dump_like_any_other(sample, tmp_path):
    dump = next((sample.traces / "baseline").glob("mailer*")).read_bytes()
    piped = run("ingest", "-", "--lake", tmp_path / "a", "--cohort", "x", "--json", input=dump)

    (source,) = orjson.loads(piped.stdout)["sources"]
    assert piped.exit_code == 0
    assert source["name"] == "standard input"
    assert source["kept"] == source["read"] > 0


def test_a_dump_that_is_none_is_refused_with_what_to_do_and_exit_code_2(tmp_path):
    (tmp_path / "notes.txt").write_text("these are notes")
    refused = run("ingest", tmp_path / "notes.txt", "--lake", tmp_path / "lake", "--cohort", "x")

    assert refused.exit_code == 2
    assert "what to do" in refused.stdout
    assert "1 read = 0 kept + 0 duplicate + 1 rejected" in refused.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("ingest", "no-such-file", "--cohort", "x"), "no such file"),
        (("ingest", "{dump}", "--cohort", "Not A Slug"), "lower-case"),
        (("profile", "--lake", "no-such-lake"), "no-such-lake"),
        (("check", "--contracts", "{dump}"), ":"),
    ],
)
def test_misuse_is_one_line_on_stderr_and_exit_code_2(
    sample, tmp_path, monkeypatch, arguments, said
):
    monkeypatch.chdir(tmp_path)
    dump = next((sample.traces / "baseline").glob("mailer*"))
    told = run(*(argument.format(dump=dump) for argument in arguments))

    assert told.exit_code == 2
    assert told.stdout == ""
    assert said in told.stderr
    assert "Traceback" not in told.stderr


def test_compare_exits_with_its_verdict_and_json_holds_what_the_text_says(sample):
    options = ("compare", "--lake", sample.lake, "--contracts", sample.contracts)
    text, data = run(*options), run(*options, "--json")
    told = orjson.loads(data.stdout)

    assert (
        text.exit_code
        == data.exit_code
        == {"slower": 1, "not enough evidence": 2}.get(told["label"], 0)
    )
    assert text.stdout.startswith(f"{told['label'].upper()}: {told['reason']}")


def test_check_exits_1_when_an_ungranted_access_is_seen(sample):
    told = run("check", "--lake", sample.lake, "--contracts", sample.contracts, "--cohort", "pilot")

    assert told.exit_code == 1
    assert told.stdout.startswith("NOT READY: ")
    assert "payment_cards" in told.stdout


def test_profile_narrows_to_a_scope(sample):
    whole = orjson.loads(run("profile", "--lake", sample.lake, "--json").stdout)
    part = orjson.loads(
        run("profile", "--lake", sample.lake, "--agent", "risk-reviewer", "--json").stdout
    )
    owned = [row["boundary"] for row in part["boundaries"]]

    assert {row["cohort"] for row in whole["boundaries"]} == {"baseline", "pilot"}
    assert owned
    assert len(owned) < len(whole["boundaries"])
    assert not any("loan-ui" in boundary for boundary in owned)


def test_a_date_that_is_none_is_refused_with_an_example(sample):
    told = run("profile", "--lake", sample.lake, "--since", "yesterday")

    assert told.exit_code == 2
    assert "2026-10-01" in told.stderr


def test_the_demo_walks_the_whole_way(tmp_path):
    told = run("demo", tmp_path / "demo", "--requests", 60, "--no-serve")

    assert told.exit_code == 0
    summary = orjson.loads((tmp_path / "demo" / "summary.json").read_bytes())
    assert {"readiness", "comparison", "boundaries", "access", "data"} <= set(summary)
    assert "Boundaries" in told.stdout
    assert "Gates" in told.stdout


def test_the_installed_command_starts_in_a_process_of_its_own():
    told = subprocess.run(
        [Path(sys.executable).with_name("orchrisk"), "--version"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert re.search(r"version \d", told.stdout)


def test_a_span_name_cannot_steer_the_terminal():
    hostile = "a\x1b[2Jb\u202ec\nd"

    assert clean(hostile) == "a?[2Jb?c?d"
    assert "\x1b" not in table(("name",), [(hostile,)])


def test_a_hostile_dump_is_read_and_shown_without_its_controls(tmp_path):
    span = {
        "traceId": "11" * 16,
        "spanId": "22" * 8,
        "name": "\x1b[31mevil",
        "kind": 2,
        "startTimeUnixNano": "1790000000000000000",
        "endTimeUnixNano": "1790000001000000000",
        "attributes": [{"key": "http.route", "value": {"stringValue": "/\x1b]0;pwned\x07"}}],
    }
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "\x1b[1mx"}}]}
    line = {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]}
    (tmp_path / "dump.gz").write_bytes(gzip.compress(orjson.dumps(line)))
    run("ingest", tmp_path / "dump.gz", "--lake", tmp_path / "lake", "--cohort", "x")
    told = run("profile", "--lake", tmp_path / "lake")

    assert told.exit_code == 0
    assert "\x1b" not in told.stdout
