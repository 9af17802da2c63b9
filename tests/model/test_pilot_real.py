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
