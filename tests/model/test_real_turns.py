"""Turns, faults and lost context of two recorded agent systems are found as their labels say."""

import json
from pathlib import Path

import pytest

from analysis import engine
from ingest.load import load

DATA = Path(__file__).parents[3] / "shared" / "data"
COHORTS = {"baseline": "before", "pilot": "after"}

pytestmark = pytest.mark.real


@pytest.fixture(scope="module", params=["pydantic-ai", "langgraph-openinference"])
def recorded(request, tmp_path_factory):
    """A recorded system: its model and, by cohort, the labels of its turns."""
    folder = DATA / f"agent-app-{request.param}"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not here")
    lake = tmp_path_factory.mktemp("recorded") / "lake"
    labels = {}
    for cohort, side in COHORTS.items():
        load(sorted((folder / side / "otlp").glob("*.jsonl.gz")), lake, cohort=cohort)
        lines = (folder / side / "labels.jsonl").read_text(encoding="utf-8").splitlines()
        labels[cohort] = [json.loads(line) for line in lines]
    with engine.connect(lake) as model:
        yield model, labels


def test_every_turn_is_one_request(recorded, query):
    model, labels = recorded
    found = dict(query(model, "SELECT cohort, count(*) FROM requests GROUP BY cohort"))

    assert found == {cohort: len(turns) for cohort, turns in labels.items()}


def test_every_trace_that_lost_its_context_is_known_as_cut(recorded, query):
    model, labels = recorded
    found = query(model, "SELECT cohort, trace_id FROM nodes WHERE is_cut AND kind = 'SERVER'")

    assert set(found) == {
        (cohort, trace)
        for cohort, turns in labels.items()
        for turn in turns
        for trace in turn["cut_off_trace_ids"]
    }


def test_a_model_that_failed_is_the_model_that_answers_otherwise(recorded, query):
    model, labels = recorded
    calls = query(
        model,
        "SELECT cohort, callee, count(*) FILTER (is_error AND error_class = 'server_error'), "
        "count(*) FILTER (is_error) FROM calls WHERE kind = 'model' GROUP BY ALL ORDER BY cohort",
    )
    down = [
        sum(turn["fault"] == "llm_down" for turn in labels[cohort]) for cohort in sorted(labels)
    ]

    assert calls == [
        (cohort, "model:openai/gpt-fake-2026-01-01", count, count)
        for cohort, count in zip(sorted(labels), down, strict=True)
    ]
