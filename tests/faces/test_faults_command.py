"""What `orchrisk faults` says, and with which exit code."""

import json

from click.testing import CliRunner

from app.cli import main

SCHEDULE = """id,boundary,kind,from,until
drill,tool:credit_score -> http:*,abort,{0},{1}
"""


def run(*arguments):
    return CliRunner().invoke(main, ["faults", *map(str, arguments)])


def test_planted_fault_tests_are_found_with_their_boundary(sample):
    answer = run("--lake", sample.lake, "--contracts", sample.contracts, "--json")
    tests = {row["id"]: row for row in json.loads(answer.stdout)["tests"]}

    assert set(tests) == {"latency-credit", "outage-credit", "throttle-gateway"}
    assert {name: row["fault"] for name, row in tests.items()} == {
        "latency-credit": "latency",
        "outage-credit": "abort",
        "throttle-gateway": "throttle",
    }
    for name in ("latency-credit", "outage-credit"):
        assert tests[name]["boundary"].startswith("tool:credit_score")
        assert tests[name]["degraded_requests"] == tests[name]["exposed_requests"] > 0
    assert tests["throttle-gateway"]["seen_as"] == ["tried_again"]
    for fault, name in (
        ("fault_latency", "latency-credit"),
        ("fault_outage", "outage-credit"),
        ("fault_throttling", "throttle-gateway"),
    ):
        planted = sample.answers.of(fault, "pilot").trace_ids
        assert tests[name]["exposed_requests"] == len(planted)


def test_too_few_exposed_requests_cannot_tell_and_the_untested_are_listed(sample):
    answer = run("--lake", sample.lake, "--contracts", sample.contracts, "--cohort", "pilot")

    assert answer.exit_code == 2
    assert answer.stdout.startswith("NOT ENOUGH EVIDENCE: 3 fault tests, 0 passed.")
    assert "or more, with as few failures, would settle it" in answer.stdout
    assert "That is no pass." in answer.stdout


def test_an_empty_scope_cannot_tell(sample):
    answer = run("--lake", sample.lake, "--cohort", "nothing")

    assert answer.exit_code == 2
    assert "Never tested: none." in answer.stdout


def test_a_lake_without_a_fault_test_is_no_pass(sample):
    answer = run("--lake", sample.lake, "--cohort", "baseline")

    assert answer.exit_code == 2
    assert "no fault test was seen" in answer.stdout


def test_a_schedule_tells_a_test_that_nobody_marked(sample, tmp_path):
    file = tmp_path / "drills.csv"
    file.write_text(SCHEDULE.format("2026-09-08T00:00Z", "2026-09-12T00:00Z"))
    answer = run("--lake", sample.lake, "--cohort", "baseline", "--schedule", file, "--json")
    (row,) = json.loads(answer.stdout)["tests"]

    assert (row["id"], row["source"], row["cohort"]) == ("drill", "schedule", "baseline")
    assert row["calls"] > row["exposed_requests"] > 0


def test_a_wrong_schedule_is_one_line_and_exit_code_2(sample, tmp_path):
    file = tmp_path / "drills.csv"
    file.write_text(SCHEDULE.format("2026-09-12", "2026-09-08"))
    answer = run("--lake", sample.lake, "--schedule", file)

    assert answer.exit_code == 2
    assert "entry 1: it ends before it begins" in answer.stderr


def test_the_same_lake_gives_the_same_bytes(sample):
    arguments = ("--lake", sample.lake, "--contracts", sample.contracts, "--json")

    assert run(*arguments).stdout == run(*arguments).stdout
