"""Recorded before and after, of which the direction is known, and what the verdict says of them."""

from pathlib import Path

import pytest

from analysis import engine, pilot
from analysis.scope import Scope
from analysis.stats import Verdict
from ingest.load import load

DATA = Path(__file__).parents[3] / "shared" / "data"
HOTEL = DATA / "traceweaver-hotel"
# p95 of all requests in ms: 54.9, 87.9, 90.7, 91.7, 94.8, 104.7.
LOADS = (25, 50, 75, 100, 125, 150)


def said(told):
    """Print a comparison as a person would read it."""
    share = told.source.other_ratio if told.source else None
    print(f"{told.label}: {told.reason} not models: {share}")  # noqa: T201


@pytest.fixture(scope="module")
def hotel(tmp_path_factory):
    if not HOTEL.is_dir():
        pytest.skip(f"{HOTEL} is not here")
    lake = tmp_path_factory.mktemp("hotel") / "lake"
    for rate in LOADS:
        load([HOTEL / f"hotel_load{rate}.otlp.jsonl.gz"], lake, cohort=f"load-{rate}")
    with engine.connect(lake) as model:
        yield model


@pytest.mark.real
@pytest.mark.parametrize(
    ("before", "after", "wrong"),
    [
        (25, 50, {Verdict.PROVEN, Verdict.FASTER, Verdict.NO_WORSE}),
        (25, 150, {Verdict.PROVEN, Verdict.FASTER, Verdict.NO_WORSE}),
        (150, 25, {Verdict.SLOWER}),
        (75, 100, {Verdict.PROVEN, Verdict.FASTER, Verdict.SLOWER}),
    ],
)
def test_more_load_is_never_called_faster_and_alike_loads_no_change(hotel, before, after, wrong):
    told = pilot.compare(hotel, None, Scope(), baseline=f"load-{before}", pilot=f"load-{after}")
    said(told)

    # A minute or two a side: no verdict may be solid, a direction may not be wrong.
    assert told.label not in wrong
    assert told.label != Verdict.PROVEN
    assert set(told.end_to_end["before_ms_grade"]) <= {"insufficient", "indicative"}


@pytest.mark.real
def test_agent_systems_recorded_for_minutes_prove_nothing(agent_app):
    for name in ("pydantic-ai", "langgraph-openinference"):
        model, _ = agent_app(name)
        told = pilot.compare(model, None, Scope(), baseline="baseline", pilot="pilot")
        print(name, end=": ")  # noqa: T201
        said(told)

        assert told.label in {Verdict.NOT_ENOUGH, Verdict.FASTER, Verdict.NO_WORSE}
        source = told.source
        assert source.kinds["change_ms"].sum() + source.mix_ms == pytest.approx(source.total_ms)


@pytest.fixture(scope="module")
def delayed(tmp_path_factory):
    runs = DATA / "llmmas-faults" / "otlp-labelled"
    if not runs.is_dir():
        pytest.skip(f"{runs.parent} is not here")
    lake = tmp_path_factory.mktemp("llmmas") / "lake"
    for side in ("baseline", "llm_delay", "a2a_delay"):
        load(sorted(runs.glob(f"*_{side}_r*.jsonl")), lake, cohort=side)
    with engine.connect(lake) as model:
        yield model


@pytest.mark.real
@pytest.mark.parametrize("fault", ["llm_delay", "a2a_delay"])
def test_a_second_that_run_totals_do_not_show_is_neither_proven_nor_called_faster(delayed, fault):
    told = pilot.compare(delayed, None, Scope(), baseline="baseline", pilot=fault)
    said(told)
    print(told.design, told.unit, [(c.name, c.ok, c.detail) for c in told.checks])  # noqa: T201

    # Runs of half a minute with a deviation of 7 s: one second more cannot be seen in the whole.
    assert told.label == Verdict.NOT_ENOUGH
    assert set(told.end_to_end["before_ms_grade"]) == {"insufficient"}
    assert told.source is not None
    assert told.source.kinds["change_ms"].sum() + told.source.mix_ms == pytest.approx(
        told.source.total_ms
    )
