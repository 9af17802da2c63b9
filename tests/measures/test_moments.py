"""Bursts and changes are found, and seldom where there are none (METHODS.md, bursts, changes)."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from analysis import moments

START = pd.Timestamp("2026-03-02")
HOURS_14_DAYS = pd.Series(pd.date_range(START, periods=336, freq="h"))
BUCKETS_7_DAYS = pd.Series(pd.date_range(START, periods=7 * 288, freq="5min"))


def test_the_tail_of_a_bucket_is_that_of_its_distribution():
    k, n, share = np.array([8.0]), np.array([30.0]), np.array([0.05])

    assert moments.upper_tail(k, n, share, 0.0)[0] == pytest.approx(8.5e-5, rel=0.01)
    assert moments.upper_tail(k, n, share, 0.02)[0] == pytest.approx(3.0e-3, rel=0.01)


def test_a_step_in_a_wave_is_one_change():
    wave = 0.1 * np.sin(2.399963 * np.arange(120))
    (found,) = moments.segments(wave + np.where(np.arange(120) < 60, 0, 0.3))

    assert (found.at, round(found.effect, 4), round(found.statistic, 1)) == (60, 1.3498, 26.1)
    assert moments.segments(wave) == []


@pytest.mark.parametrize("levels", [(0.0, 0.5, 0.1), (0.0, 0.5, 1.0), (0.0, 0.3, 0.9)])
def test_two_steps_are_two_changes(levels):
    rng = np.random.default_rng(1)
    steps = np.repeat(levels, 120) + rng.normal(0, 0.05, 360)

    found = moments.segments(steps)

    assert [change.at for change in found] == [120, 240]
    assert [change.effect for change in found] == [
        pytest.approx(np.exp(step), rel=0.03) for step in np.diff(levels)
    ]


def test_a_series_without_scatter_has_its_step_and_a_short_or_level_one_has_none():
    assert [change.at for change in moments.segments(np.repeat([0.0, 1.0], 30))] == [30]
    assert moments.segments(np.zeros(100)) == []
    assert moments.segments(np.repeat([0.0, 1.0], 20)) == []


def test_a_step_of_less_than_ten_per_cent_is_not_told():
    rng = np.random.default_rng(2)

    assert moments.segments(np.repeat([0.0, 0.05], 100) + rng.normal(0, 0.01, 200)) == []


def test_what_the_hour_of_the_day_brings_is_no_change():
    rng = np.random.default_rng(3)
    daily = 0.5 * np.sin(2 * np.pi * HOURS_14_DAYS.dt.hour.to_numpy() / 24)
    series = daily + rng.normal(0, 0.1, 336) + np.where(np.arange(336) < 168, 0, 0.4)

    found = moments.segments(moments.deseasoned(HOURS_14_DAYS, series))

    assert [change.at for change in found] == [pytest.approx(168, abs=2)]


def noise(rng, phi, deviation, size):
    """An AR(1) series with this deviation at rest."""
    series = np.empty(size)
    series[0] = rng.normal(0, deviation)
    for place in range(1, size):
        step = rng.normal(0, deviation * np.sqrt(1 - phi**2))
        series[place] = phi * series[place - 1] + step
    return series


def drawn(rng, *, phi=0.0, deviation=0.0, diurnal=0.0, mean=30, factor=1.0, at=None):
    """Calls and slow calls of seven days of five minutes, from lognormal durations.

    `factor` multiplies durations in the two buckets from `at` on.
    """
    size = len(BUCKETS_7_DAYS)
    level = diurnal * np.sin(2 * np.pi * BUCKETS_7_DAYS.dt.hour.to_numpy() / 24)
    if deviation:
        level = level + noise(rng, phi, deviation, size)
    if at is not None:
        level[at : at + 2] += np.log(factor)
    calls = rng.poisson(mean, size)
    bucket = np.repeat(np.arange(size), calls)
    durations = level[bucket] + rng.normal(0, 0.8, len(bucket))
    over = np.bincount(bucket, durations > np.quantile(durations, 0.95), size)
    return pd.Series(calls), pd.Series(over)


def test_ten_minutes_of_three_times_the_time_are_a_burst():
    calls, over = drawn(np.random.default_rng(4), factor=3.0, at=1000)

    judged = moments.judge(BUCKETS_7_DAYS, calls, over)

    found = set(np.flatnonzero(judged["is_burst"]))
    assert found & {1000, 1001}
    assert len(found - {1000, 1001}) <= 1


def test_buckets_with_few_calls_are_no_bursts():
    calls = pd.Series(np.full(2016, 4))
    over = pd.Series(np.where(np.arange(2016) == 7, 4, 0))

    assert not moments.judge(BUCKETS_7_DAYS, calls, over)["is_burst"].any()


SERIES = {
    "iid": {},
    "diurnal": {"diurnal": 0.3},
    "AR .9 sd .1, diurnal": {"phi": 0.9, "deviation": 0.1, "diurnal": 0.3},
    "200 calls a bucket, AR .9 sd .1": {"phi": 0.9, "deviation": 0.1, "mean": 200},
    "6 calls a bucket": {"mean": 6},
}


@pytest.mark.slow
def test_false_bursts_are_rare_and_true_ones_are_found():
    rng = np.random.default_rng(5)
    rows = {}
    for name, kind in SERIES.items():
        false, found = 0, {2.0: 0, 3.0: 0}
        for _ in range(20):
            quiet = moments.judge(BUCKETS_7_DAYS, *drawn(rng, **kind))["is_burst"]
            false += int((quiet & ~quiet.shift(fill_value=False)).sum())
            for factor in found:
                calls, over = drawn(rng, **kind, factor=factor, at=1000)
                judged = moments.judge(BUCKETS_7_DAYS, calls, over)["is_burst"]
                found[factor] += bool(judged[1000:1002].any())
        rows[name] = [false / 140, found[2.0] / 20, found[3.0] / 20]
    table = pd.DataFrame(rows, index=["false a boundary-day", "found x2", "found x3"]).T
    print("\n" + table.to_string())  # noqa: T201

    assert (table["false a boundary-day"] <= 0.12).all()
    assert (table.loc[list(SERIES)[:4], "found x3"] >= 0.7).all()


@pytest.mark.slow
def test_false_changes_are_rare_and_true_ones_are_found():
    rng = np.random.default_rng(6)
    rows = {}
    for name, phi, diurnal in (
        ("white", 0.0, 0.0),
        ("diurnal", 0.0, 0.5),
        ("AR .5", 0.5, 0.3),
        ("AR .8", 0.8, 0.3),
    ):
        wave = diurnal * np.sin(2 * np.pi * HOURS_14_DAYS.dt.hour.to_numpy() / 24)
        false, found = 0, {1.2: 0, 1.5: 0}
        for _ in range(100):
            series = wave + noise(rng, phi, 0.1, 336)
            false += len(moments.segments(moments.deseasoned(HOURS_14_DAYS, series)))
            for factor in found:
                after = np.where(np.arange(336) < 200, 0, np.log(factor))
                told = moments.segments(moments.deseasoned(HOURS_14_DAYS, series + after))
                found[factor] += any(abs(change.at - 200) <= 12 for change in told)
        rows[name] = [false / 100, found[1.2] / 100, found[1.5] / 100]
    table = pd.DataFrame(rows, index=["false a series", "found x1.2", "found x1.5"]).T
    print("\n" + table.to_string())  # noqa: T201

    assert (table["false a series"] <= 0.05).all()
    assert (table["found x1.5"] >= 0.95).all()


@pytest.mark.slow
def test_intervals_of_a_change_hold_the_truth():
    rng = np.random.default_rng(7)
    day = HOURS_14_DAYS.dt.floor("D").to_numpy()
    step = np.where(np.arange(336) < 200, 0, np.log(1.5))
    held = {}
    for phi in (0.0, 0.5, 0.8):
        told = []
        for _ in range(150):
            series = moments.deseasoned(HOURS_14_DAYS, step + noise(rng, phi, 0.1, 336))
            for change in moments.segments(series):
                lower, upper, _ = moments.by_days(series, day, change)
                if abs(change.at - 200) <= 12:
                    told.append(lower <= 1.5 <= upper)
        held[phi] = np.mean(told)
    print(held)  # noqa: T201

    assert min(held[0.0], held[0.5]) >= 0.9
    # Hours that correlate so strongly make neighbouring days resemble each other.
    assert held[0.8] >= 0.82


@given(
    st.lists(
        st.tuples(st.integers(1, 60), st.integers(0, 60), st.floats(0.001, 0.6)),
        min_size=1,
        max_size=8,
    ),
    st.floats(1e-4, 0.9),
    st.sampled_from([1, 50, 2_000_000]),
)
def test_the_tail_of_bursts_is_scipys_however_many_are_told_at_once(windows, rho, at_once):
    k, over, share = (np.array(each, dtype=float) for each in zip(*windows, strict=True))
    n, size = k + over, 1 / rho - 1

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(moments, "MOST_COUNTS", at_once)
        told = moments.upper_tail(k, n, share, rho)

    expected = scipy.stats.betabinom.sf(k - 1, n, share * size, (1 - share) * size)
    # SciPy's is 1 less a sum, which leaves nothing of the rarest.
    assert told == pytest.approx(expected, rel=1e-6, abs=1e-9)
