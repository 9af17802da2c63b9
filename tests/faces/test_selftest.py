"""The self-test finds what is planted, and says so when it does not."""

import json

import pytest
from click.testing import CliRunner

from analysis import engine
from app import selftest
from app.cli import main
from ingest import load
from sample_data import simulate
from sample_data.faults import PLANTED, Faults

# Gone from the traces, but not from the key.
TAKEN_OUT = {"state_lost", "uninstrumented_tool", "slow_queue", "permission_creep"}
REQUESTS = 300


@pytest.fixture(scope="module")
def judged(sample):
    with engine.connect(sample.lake) as model:
        return selftest.judge(model, sample.answers)


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory):
    folder = tmp_path_factory.mktemp("spoilt")
    key = simulate.write(folder / "whole", requests=REQUESTS)
    faults = Faults(**dict.fromkeys(TAKEN_OUT, False))
    simulate.write(folder / "traces", requests=REQUESTS, faults=faults)
    for cohort in selftest.COHORTS:
        load.load([folder / "traces" / cohort], folder / "lake", cohort=cohort)
    with engine.connect(folder / "lake") as model:
        return selftest.judge(model, key)


def test_every_planted_fault_is_found_and_nothing_else(judged):
    rows, elsewhere = judged

    assert [row.fault for row in rows] == list(PLANTED)
    assert elsewhere == []
    assert all(row.planted == row.found > 0 and row.missed == row.false == 0 for row in rows)
    assert selftest.answer(rows, elsewhere).exit_code == 0


@pytest.mark.slow
def test_a_fault_that_is_gone_from_the_traces_is_missed_and_the_others_are_found(spoilt):
    rows, elsewhere = spoilt
    told = selftest.answer(rows, elsewhere)

    assert {row.fault for row in rows if row.missed} == TAKEN_OUT
    assert all(row.found == 0 for row in rows if row.fault in TAKEN_OUT)
    assert all(row.false == 0 for row in rows)
    assert told.exit_code == 1
    assert told.text.startswith("NO: ")


@pytest.mark.parametrize("fault", ["error_cascade", "state_lost", "clock_skew", "duplicate_write"])
def test_what_the_key_does_not_know_of_is_false(sample, tmp_path, fault):
    key = simulate.write(tmp_path, requests=900, faults=Faults(**{fault: False}))
    with engine.connect(sample.lake) as model:
        rows, elsewhere = selftest.judge(model, key)
    of = {row.fault: row for row in rows}

    assert of[fault].false > 0
    assert of[fault].found == of[fault].planted == 0
    assert selftest.answer(rows, elsewhere).exit_code == 1


def test_a_failure_in_a_trace_without_a_fault_is_told(sample, tmp_path):
    key = simulate.write(tmp_path, requests=900, faults=Faults(error_absorbed=False))
    with engine.connect(sample.lake) as model:
        rows, elsewhere = selftest.judge(model, key)

    whole = set().union(
        *(a.trace_ids for a in sample.answers.faults if a.fault == "error_absorbed")
    )
    assert elsewhere
    assert set(elsewhere) <= whole
    assert "traces without a fault" in selftest.answer(rows, elsewhere).text


def test_a_rate_has_an_interval_or_the_words_too_few(judged):
    rows, elsewhere = judged
    text = selftest.answer(rows, elsewhere).text

    for row in rows:
        (line,) = (each for each in text.splitlines() if each.startswith(row.fault))
        assert ("too few" in line) == (row.planted < selftest.MIN_TRACES)
    assert "What this does not test" in text


def test_the_command_answers_in_json_and_exits_with_its_verdict():
    told = CliRunner().invoke(main, ["selftest", "--requests", str(REQUESTS), "--json"])
    data = json.loads(told.stdout)

    assert {row["fault"] for row in data["faults"]} == set(PLANTED)
    assert all(row["missed"] == row["false"] == 0 for row in data["faults"])
    assert told.exit_code == (2 if data["not_planted"] else 0)
    assert data["not_tested"]
