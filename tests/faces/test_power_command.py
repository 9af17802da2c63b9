"""What a pilot needs is told by one command, from the baseline alone."""

import json

from click.testing import CliRunner

from app.cli import main


def run(*words):
    return CliRunner().invoke(main, list(map(str, words)))


def test_the_requests_a_pilot_needs_are_told(sample):
    told = run("power", "--lake", sample.lake, "--baseline", "baseline", "--json")
    rows = json.loads(told.stdout)

    assert told.exit_code == 0
    assert {row["design"] for row in rows} == {"sequential", "concurrent"}
    shown = [
        row["requests"]
        for row in rows
        if (row["design"], row["quantile"], row["goal"]) == ("concurrent", 0.5, "show")
    ]
    assert shown == sorted(shown, reverse=True)
    assert all(row["days"] is None or row["days"] >= 1 for row in rows)


def test_what_a_change_came_from_is_told_beside_the_verdict(sample):
    told = run("compare", "--lake", sample.lake, "--contracts", sample.contracts, "--json")
    source = json.loads(told.stdout)["source"]
    changes = sum(row["change_ms"] for row in source["kinds"])

    assert round(changes + source["mix_ms"] - source["total_ms"], 6) == 0
    assert "rule of thumb" in json.loads(told.stdout)["orchestration"]


def test_a_cohort_that_is_not_there_needs_nobody_knows_what(sample):
    told = run("power", "--lake", sample.lake, "--baseline", "nobody")

    assert told.exit_code == 2
    assert "no request" in told.stdout
