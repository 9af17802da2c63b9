import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import sample_data
from analysis import contract_file, engine, summary
from analysis.scope import Scope
from ingest.load import load

SAMPLE = Path(sample_data.__file__).parent


@pytest.fixture(scope="module")
def month(tmp_path_factory):
    folder = tmp_path_factory.mktemp("month")
    load([SAMPLE / "dumps" / "baseline.jsonl.gz"], folder / "lake", cohort="baseline")
    load([SAMPLE / "dumps" / "pilot.binpb.gz"], folder / "lake", cohort="pilot")
    model = engine.connect(folder / "lake", cache=folder / "cache")
    contract = contract_file.load(SAMPLE / "contracts.yaml")
    yield [json.dumps(summary.collect(model, contract, Scope()), allow_nan=False) for _ in range(2)]
    model.close()


@pytest.mark.slow
def test_the_month_is_json_and_the_same_however_often_it_is_told(month):
    assert month[0] == month[1]


def test_the_month_says_what_it_was_made_of(month):
    told = json.loads(month[0])

    assert told["data"]["contract_digest"] == contract_file.load(SAMPLE / "contracts.yaml").digest
    assert told["data"]["lake_fingerprint"]
    assert told["method"]["bootstrap_seed"]


def test_the_sample_pilot_is_no_slower_and_reads_what_nobody_granted(month):
    told = json.loads(month[0])

    assert told["comparison"]["label"] in ("proven", "faster", "no worse")
    assert told["readiness"]["label"] == "not ready"
    assert "postgresql.crm.payment_cards" in told["readiness"]["reason"]


def test_every_bad_request_of_the_sample_is_owed_to_somebody(month):
    ready = json.loads(month[0])["readiness"]

    parts = sum(row["bad_per_1000"] for row in ready["ranking"]) + ready["unattributed_per_1000"]
    assert parts == pytest.approx(ready["total_per_1000"])


def test_the_month_lists_findings_and_risks_that_say_what_the_verdict_does(month):
    told = json.loads(month[0])
    gates = told["readiness"]["gates"]
    rules = {each["rule"] for each in told["check"]["findings"] if each["level"] != "note"}

    assert told["check"]["outcome"] == "fails"
    assert {"access", "budget"} <= rules
    assert {rule.removeprefix("gate/") for rule in rules if rule.startswith("gate/")} <= {
        gate["key"] for gate in gates if gate["label"] != "pass"
    }
    bad = [each for each in told["check"]["register"] if each["unit"] == "bad requests"]
    assert sum(each["score_per_1000"] for each in bad) <= told["readiness"]["total_per_1000"]
    assert all(each["lower"] <= each["score_per_1000"] <= each["upper"] for each in bad)
    assert {each["name"] for each in told["impact"]} >= {"mean wait", "requests over the SLA"}


def test_plain_data_keeps_meaning_and_drops_types():
    frame = pd.DataFrame(
        {"at": [pd.Timestamp("2024-01-02"), pd.NaT], "ms": [1.5, float("nan")], "n": [1, 2]}
    )

    assert summary.plain({"frame": frame, "flag": np.bool_(True), "tags": ("a",)}) == {
        "frame": [
            {"at": "2024-01-02T00:00:00", "ms": 1.5, "n": 1},
            {"at": None, "ms": None, "n": 2},
        ],
        "flag": True,
        "tags": ["a"],
    }
