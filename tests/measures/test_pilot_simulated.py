"""What the verdict of a pilot does over many pilots of which the truth is known."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from analysis import pilot
from analysis.comparability import windows
from analysis.stats import NO_WORSE_RATIO, Verdict

HOUR = pd.Timedelta(hours=1)
DAY_0 = pd.Timestamp("2026-03-02")
CHANGED = (Verdict.PROVEN, Verdict.FASTER, Verdict.SLOWER)
BETTER = (Verdict.PROVEN, Verdict.FASTER)

pytestmark = pytest.mark.slow


def side(duration_ms, started_at, operation="ask"):
    """Return requests as the verdict is asked of them, a trace each."""
    trace = np.arange(len(duration_ms)).astype(str)
    return pd.DataFrame(
        {
            "operation": operation,
            "unit_id": trace,
            "trace_no": trace,
            "conversation_id": None,
            "tenant": None,
            "started_at": started_at,
            "is_failed": False,
            "weight": 1.0,
            "duration_ms": duration_ms,
        }
    )


def judged(before, after):
    return pilot.judged(before, after, windows(before, after), 0.95, NO_WORSE_RATIO)


def at_once(rng, n):
    """Return moments of n requests within three days."""
    return DAY_0 + pd.to_timedelta(rng.integers(0, 3 * 24 * 3600, n), unit="s")


def both(rng, was, now, operations=("ask", "ask")):
    """Return what is said of two sides that ran at the same time."""
    sides = (
        side(values, at_once(rng, len(values)), operation)
        for values, operation in zip((was, now), operations, strict=True)
    )
    return judged(*sides)


def loads(rng, days, phi, deviation=0.15):
    """Return hourly levels: a wave over the day, and load that remembers (AR(1))."""
    level = np.empty(24 * days)
    level[0] = rng.normal(0, deviation)
    for hour in range(1, 24 * days):
        level[hour] = phi * level[hour - 1] + rng.normal(0, deviation * np.sqrt(1 - phi**2))
    return level + 0.2 * np.sin(2 * np.pi * np.arange(24 * days) / 24)


def period(rng, levels, first_hour, per_hour=40):
    hour = np.repeat(np.arange(len(levels)), per_hour)
    moment = DAY_0 + (first_hour + hour) * HOUR
    moment += pd.to_timedelta(rng.integers(0, 3600, len(hour)), unit="s")
    return side(500 * np.exp(levels[hour] + rng.normal(0, 0.6, len(hour))), moment)


@pytest.mark.parametrize("phi", [0.7, 0.9])
@pytest.mark.parametrize("days", [7, 14])
def test_two_periods_of_one_system_are_seldom_called_a_change(phi, days):
    rng = np.random.default_rng(31)
    labels = []
    rounds = 240 if days == 7 else 120
    for _ in range(rounds):
        levels = loads(rng, 2 * days, phi)
        half = 24 * days
        labels.append(judged(period(rng, levels[:half], 0), period(rng, levels[half:], half)).label)
    false = sum(label in CHANGED for label in labels) / rounds
    proven = labels.count(Verdict.PROVEN) / rounds
    print(  # noqa: T201
        f"{days} days a side, phi {phi}: {false:.1%} false, {proven:.1%} proven, in {rounds} pilots"
    )

    assert false <= 0.05
    assert proven <= 0.02


def test_a_single_day_a_side_of_one_system_is_seldom_called_a_change_and_never_proven():
    rng = np.random.default_rng(32)
    labels = []
    for _ in range(240):
        levels = loads(rng, 2, 0.8)
        labels.append(judged(period(rng, levels[:24], 0), period(rng, levels[24:], 24)).label)
    false = sum(label in CHANGED for label in labels) / 240
    print(f"one day a side: {false:.1%} false")  # noqa: T201

    assert false <= 0.05
    assert Verdict.PROVEN not in labels


@pytest.mark.parametrize(("n", "least_p99", "most_ranks"), [(2000, 80, 45), (4000, 95, 70)])
def test_three_calls_in_a_hundred_six_times_slower_are_found_where_ranks_see_little(
    n, least_p99, most_ranks
):
    rng = np.random.default_rng(33)
    p95 = p99 = ranks = 0
    for _ in range(100):
        was, now = rng.lognormal(6, 0.6, n), rng.lognormal(6, 0.6, n)
        now[rng.random(n) < 0.03] *= 6
        told = both(rng, was, now).end_to_end.set_index("quantile")["label"]
        p95 += told[0.95] == "slower"
        p99 += told[0.99] == "slower"
        ranks += scipy.stats.mannwhitneyu(was, now).pvalue < 0.05
    print(f"{n} a side: p95 {p95} %, p99 {p99} %, Mann-Whitney {ranks} %")  # noqa: T201

    assert p99 >= least_p99
    assert ranks <= min(most_ranks, p95)


@pytest.mark.parametrize(("n", "turned"), [(2000, 15), (10_000, 80)])
def test_a_shift_to_quick_work_is_never_called_an_improvement(n, turned):
    """Both operations are 10 % slower, and the quick one is .8 instead of .5 of the requests."""
    rng = np.random.default_rng(34)
    labels, raw_faster, covered, reversals = [], 0, 0, 0
    for _ in range(100):
        kinds = [rng.random(n) < share for share in (0.5, 0.2)]
        times = [
            np.where(slow, 2400, 360) * factor * rng.lognormal(0, 0.6, n)
            for slow, factor in zip(kinds, (1.0, 1.1), strict=True)
        ]
        names = [np.where(slow, "slow", "quick") for slow in kinds]
        told = both(rng, *times, names)
        labels.append(told.label)
        covered += told.headline.lower <= 1.10 <= told.headline.upper
        reversals += told.conditions[2].ok is False
        raw_faster += both(rng, *times).label in BETTER
    print(  # noqa: T201
        f"{n} a side: raw faster {raw_faster} %, 1.10 covered {covered} %, "
        f"called a reversal {reversals} %"
    )

    assert not set(labels) & set(BETTER)
    assert raw_faster >= 90
    assert covered >= 92
    assert reversals >= turned


@pytest.mark.parametrize(
    ("n", "by_chance", "at_five"), [(200, 26, 36), (500, 15, 29), (1000, 8, 22), (2000, 2, 15)]
)
def test_a_drop_that_is_looked_at_is_often_chance_and_one_that_is_proven_seldom(
    n, by_chance, at_five
):
    """The table of the decision rule: how often nothing looks like a fall of 10 %."""
    rng = np.random.default_rng(35)
    for factor, expected in ((1.0, by_chance), (0.95, at_five)):
        looked = proven = 0
        for _ in range(300):
            was, now = rng.lognormal(6, 0.8, n), factor * rng.lognormal(6, 0.8, n)
            told = both(rng, was, now)
            looked += told.headline.ratio <= 0.9
            proven += told.label is Verdict.PROVEN
        print(  # noqa: T201
            f"{n} a side, {1 - factor:.0%} true: seen {looked / 3:.0f} %, proven {proven / 3:.1f} %"
        )

        assert looked / 3 == pytest.approx(expected, abs=8)
        assert proven / 300 <= 0.02
