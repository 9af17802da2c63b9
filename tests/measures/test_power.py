"""What a baseline tells of the requests a pilot needs is what simulated pilots need."""

import math

import numpy as np
import pytest
from scipy import special
from scipy import stats as scipy_stats

from analysis import changes, power, stats
from analysis.comparability import Design, Unit, Windows
from analysis.stats import Verdict

TRACES = Windows(Design.CONCURRENT, Unit.TRACE, 3, 3)


def baseline(sigma, p, n=20_000):
    """Return a percentile of lognormal calls with the interval that theory gives it."""
    z = float(special.ndtri(p))
    error = sigma * math.sqrt(p * (1 - p) / n) / scipy_stats.norm.pdf(z)
    value = math.exp(sigma * z)
    width = 1.959963984540054 * error
    return stats.Estimate(
        value, value * math.exp(-width), value * math.exp(width), n, n, n, stats.Grade.SOLID
    )


# Effective calls a side: to show a fall of 5, 10, 15, 20, 30 %, then to prove one of at least 10 %
# where 15, 20, 25, 30, 40 % are true.
TABLE = {
    (0.95, 0.5): (6_661, 1_579, 664, 352, 138, 4_226, 996, 416, 219, 84),
    (0.95, 0.8): (17_052, 4_042, 1_699, 902, 353, 10_817, 2_548, 1_064, 560, 215),
    (0.95, 1.0): (26_644, 6_315, 2_655, 1_408, 552, 16_902, 3_981, 1_662, 875, 336),
    (0.99, 0.5): (20_789, 4_928, 2_071, 1_099, 430, 13_188, 3_106, 1_297, 683, 263),
    (0.99, 0.8): (53_220, 12_614, 5_302, 2_813, 1_101, 33_759, 7_951, 3_318, 1_747, 671),
    (0.99, 1.0): (83_155, 19_709, 8_284, 4_394, 1_720, 52_749, 12_423, 5_185, 2_729, 1_049),
}


@pytest.mark.parametrize(("p", "sigma"), TABLE)
def test_the_table_of_needed_requests_is_given_with_its_margin(p, sigma):
    goals = [("show", fall) for fall in power.SHOWN] + [("prove", fall) for fall in power.PROVEN]
    told = [power.needed_n(baseline(sigma, p), goal=goal, fall=fall) for goal, fall in goals]

    # Rounded up after the margin.
    assert [n / power.MARGIN for n in told] == pytest.approx(TABLE[p, sigma], rel=0.01)


def test_more_is_needed_for_less():
    measured = baseline(0.8, 0.95)
    shown = [power.needed_n(measured, goal="show", fall=fall) for fall in power.SHOWN]
    proven = [power.needed_n(measured, goal="prove", fall=fall) for fall in power.PROVEN]

    assert shown == sorted(shown, reverse=True)
    assert proven == sorted(proven, reverse=True)
    assert power.needed_n(measured, goal="prove", fall=0.10) == math.inf
    assert math.isnan(power.needed_n(stats.NOTHING, goal="show", fall=0.1))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("goal", "fall"), [("show", 0.15), ("show", 0.20), ("prove", 0.25), ("prove", 0.30)]
)
def test_pilots_of_that_size_find_what_they_were_planned_for_four_times_in_five(goal, fall):
    needed = int(power.needed_n(baseline(0.8, 0.95), goal=goal, fall=fall))
    wanted = {Verdict.PROVEN} if goal == "prove" else {Verdict.PROVEN, Verdict.FASTER}
    rng = np.random.default_rng(12)

    def labelled():
        was, now = rng.lognormal(0, 0.8, needed), (1 - fall) * rng.lognormal(0, 0.8, needed)
        sides = (stats.sample(side, np.arange(needed)) for side in (was, now))
        return changes.change(*sides, 0.95, TRACES, margin=1.05).label

    share = np.mean([labelled() in wanted for _ in range(300)])
    print(f"{goal} {fall:.0%} with {needed} a side: {share:.0%}")  # noqa: T201
    assert 0.72 <= share <= 0.92
