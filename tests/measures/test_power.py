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


@pytest.mark.parametrize(
    ("sigma", "p", "goal", "fall", "needed"),
    [
        (0.5, 0.95, "show", 0.10, 1_579),
        (0.8, 0.95, "show", 0.20, 902),
        (0.8, 0.99, "show", 0.10, 12_614),
        (0.5, 0.95, "prove", 0.20, 996),
        (1.0, 0.95, "prove", 0.30, 875),
        (0.8, 0.99, "prove", 0.25, 3_318),
    ],
)
def test_the_table_of_needed_requests_is_given_with_its_margin(sigma, p, goal, fall, needed):
    told = power.needed_n(baseline(sigma, p), goal=goal, fall=fall)

    assert told / power.MARGIN == pytest.approx(needed, rel=0.01)


def test_more_is_needed_for_less():
    measured = baseline(0.8, 0.95)
    shown = [power.needed_n(measured, goal="show", fall=fall) for fall in power.SHOWN]
    proven = [power.needed_n(measured, goal="prove", fall=fall) for fall in power.PROVEN]

    assert shown == sorted(shown, reverse=True)
    assert proven == sorted(proven, reverse=True)
    assert power.needed_n(measured, goal="prove", fall=0.10) == math.inf
    assert math.isnan(power.needed_n(stats.NOTHING, goal="show", fall=0.1))


@pytest.mark.slow
@pytest.mark.parametrize(("goal", "fall"), [("show", 0.15), ("prove", 0.30)])
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
