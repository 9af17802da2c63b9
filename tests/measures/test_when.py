"""Of a month of calls, the ten slow minutes and the day of the change are told, and no other."""

import pandas as pd
import pytest
from drawn_pilots import DAY_NS, FIRST_DAY, requests

from analysis import moments
from analysis.scope import Scope

TOOL = f"{1:016x}"


def at_day(day):
    return pd.Timestamp((FIRST_DAY + day) * DAY_NS)


def test_ten_slow_minutes_are_told_of_the_boundary_that_was_slow(model_of):
    frame = requests("baseline", first_day=0, days=8, per_day=3000, seed=1)
    began = at_day(5) + pd.Timedelta(hours=3)
    start = pd.to_datetime(frame["start_ns"])
    is_slow = (start >= began) & (start < began + pd.Timedelta(minutes=10))
    frame.loc[is_slow, "ms_1"] *= 6

    found = moments.bursts(model_of(frame), Scope())

    rarest = found.sort_values("p_value").iloc[0]
    assert (rarest["boundary_id"], rarest["began_at"]) == (TOOL, began)
    assert rarest["ended_at"] == began + pd.Timedelta(minutes=10)
    assert rarest["times_usual"] > 10
    # Three boundaries and eight days: one false alarm is what is to be expected at most.
    assert len(found) <= 2


def test_fewer_than_seven_days_tell_no_burst(model_of):
    frame = requests("baseline", first_day=0, days=6, per_day=3000, seed=1)
    frame.loc[frame.index[:20], "ms_1"] *= 100

    assert moments.bursts(model_of(frame), Scope()).empty


def test_the_day_from_which_a_boundary_was_slower_is_told(model_of):
    frame = requests("baseline", first_day=0, days=14, per_day=600, seed=2)
    frame.loc[frame["start_ns"] >= at_day(9).value, "ms_2"] *= 1.5

    found = moments.changes(model_of(frame), Scope())

    assert set(zip(found["boundary_id"], found["figure"], strict=True)) == {
        (f"{2:016x}", "p50_ms"),
        (f"{2:016x}", "p95_ms"),
    }
    assert set(found["changed_at"]) == {at_day(9)}
    assert list(found["effect"]) == [pytest.approx(1.5, rel=0.05)] * 2
    median = found.iloc[0]
    assert median["effect_lower"] < 1.5 < median["effect_upper"]
    assert list(found["days"]) == [5, 5]
