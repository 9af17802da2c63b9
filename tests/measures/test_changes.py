import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from analysis import changes, stats
from analysis.comparability import Design, Unit, Windows
from analysis.stats import Verdict

TRACES = Windows(Design.CONCURRENT, Unit.TRACE, 3, 3)


def figure(value, lower, upper):
    return stats.Estimate(value, lower, upper, 1000, 1000, 1000, stats.Grade.SOLID)


@pytest.mark.parametrize(
    ("before", "after", "expected", "label"),
    [
        ((1000, 900, 1150), (820, 760, 900), (0.82, 0.6994, 0.9438), Verdict.FASTER),
        ((1000, 980, 1020), (850, 835, 866), (0.85, 0.8277, 0.8737), Verdict.PROVEN),
    ],
)
def test_the_ratio_of_percentiles_gives_the_worked_examples(before, after, expected, label):
    value, lower, upper = stats.ratio(figure(*before), figure(*after))

    assert (value, lower, upper) == pytest.approx(expected, abs=5e-5)
    # The one-sided bound lies between the value and the two-sided one.
    one_sided = value * (upper / value) ** (1.645 / 1.96)
    assert stats.decide(lower, upper, one_sided) is label


@pytest.mark.parametrize(
    ("lower", "upper", "one_sided", "label"),
    [
        (0.60, 0.92, 0.90, Verdict.PROVEN),
        (0.60, 0.99, 0.95, Verdict.FASTER),
        (0.95, 1.06, 1.05, Verdict.NO_WORSE),
        (1.01, 1.30, 1.28, Verdict.SLOWER),
        (0.80, 1.30, 1.20, Verdict.NOT_ENOUGH),
        (math.nan, math.nan, math.nan, Verdict.NOT_ENOUGH),
        (math.nan, 0.8, math.nan, Verdict.FASTER),
        (math.nan, math.nan, 0.8, Verdict.NOT_ENOUGH),
    ],
)
def test_a_ratio_is_called_what_its_bounds_allow(lower, upper, one_sided, label):
    assert stats.decide(lower, upper, one_sided) is label


def test_an_open_bound_of_either_side_opens_the_bound_that_needs_it():
    open_above = figure(1000, 900, math.nan)

    _, lower, upper = stats.ratio(open_above, figure(800, 700, 900))
    assert math.isnan(lower)
    assert upper < 1
    _, lower, upper = stats.ratio(figure(1000, 900, 1100), open_above)
    assert lower < 1
    assert math.isnan(upper)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60))
def test_q_values_are_scipys(p_values):
    expected = scipy.stats.false_discovery_control(p_values)

    assert stats.false_discovery(p_values) == pytest.approx(list(expected))


def test_a_p_value_that_is_missing_stays_missing_and_counts_for_nothing():
    q = stats.false_discovery([0.01, math.nan, 0.04])

    assert q == pytest.approx([0.02, math.nan, 0.04], nan_ok=True)


@given(st.floats(0.3, 0.98), st.floats(0.01, 0.5))
def test_a_p_value_is_five_per_cent_where_the_interval_touches_no_change(value, half):
    upper = math.exp(math.log(value) + half)
    lower = math.exp(math.log(value) - half)
    p = stats.ratio_p_value(value, lower, upper)

    assert (p < 0.05) == (upper < 1) or upper == pytest.approx(1)
    assert stats.ratio_p_value(value, value, 1.0) == pytest.approx(0.05)


def test_the_level_at_which_an_interval_touches_the_null_is_found():
    def interval(level):
        z = scipy.stats.norm.ppf((1 + level) / 2)
        return 1.3 - 0.1 * z, 1.3 + 0.1 * z

    assert stats.p_value(interval) == pytest.approx(2 * scipy.stats.norm.sf(3), abs=2e-5)


@pytest.mark.parametrize(
    ("sigma", "p", "needed"), [(0.8, 0.95, 4042), (0.5, 0.95, 1579), (1.0, 0.99, 19709)]
)
def test_the_needed_sample_is_that_of_the_table(sigma, p, needed):
    n = 200_000
    values = np.exp(sigma * scipy.stats.norm.ppf((np.arange(n) + 0.5) / n))
    found = stats.n_needed(stats.percentile(stats.sample(values, np.arange(n)), p), p)

    assert found == pytest.approx(needed, rel=0.05)


def draw(rng, factor, traces=600):
    shared = np.repeat(rng.normal(size=traces), 4)
    z = math.sqrt(0.6) * shared + math.sqrt(0.4) * rng.normal(size=4 * traces)
    return stats.sample(factor * np.exp(0.5 * z), np.arange(4 * traces) // 4)


def test_nothing_changed_is_seldom_called_a_change():
    """120 pairs of 600 traces with 4 alike calls; at most 5 % may be called faster or slower."""
    rng = np.random.default_rng(8)
    labels = [
        changes.change(draw(rng, 1), draw(rng, 1), 0.95, TRACES, margin=1.05).label
        for _ in range(120)
    ]

    called = sum(label in (Verdict.FASTER, Verdict.SLOWER, Verdict.PROVEN) for label in labels)
    assert called / 120 <= 0.075
    assert Verdict.PROVEN not in labels


def test_a_drop_of_ten_per_cent_is_seldom_proven_and_one_of_forty_often():
    rng = np.random.default_rng(9)

    def proven(factor):
        return np.mean(
            [
                changes.change(draw(rng, 1), draw(rng, factor), 0.95, TRACES, margin=1.05).label
                is Verdict.PROVEN
                for _ in range(60)
            ]
        )

    assert proven(0.9) <= 0.1
    assert proven(0.6) >= 0.9


@pytest.mark.parametrize(("days", "label"), [(6, Verdict.FASTER), (7, Verdict.PROVEN)])
def test_different_periods_prove_nothing_under_seven_days_a_side(days, label):
    rng = np.random.default_rng(1)
    window = Windows(Design.SEQUENTIAL, Unit.DAY, days, days)

    def side(factor):
        return stats.sample(factor * rng.lognormal(0, 0.5, 3000), np.arange(3000) % days)

    moved = changes.change(side(1), side(0.4), 0.95, window, margin=1.05)

    assert moved.label is label
    assert ("too few to call it proven" in changes.explain(moved, window, 1.05)) == (days < 7)


def test_a_percentile_of_which_too_little_was_seen_is_not_called_proven():
    """90 traces a side at half the time: the p95 has its bounds, and 4.5 traces in its tail."""
    rng = np.random.default_rng(4)
    sides = [stats.sample(factor * rng.lognormal(0, 0.2, 90), np.arange(90)) for factor in (1, 0.4)]
    moved = changes.change(*sides, 0.95, TRACES, margin=1.05)

    assert moved.upper_one_sided <= stats.PROVEN_RATIO
    assert moved.label is Verdict.FASTER
    assert "too little of this percentile was seen" in changes.explain(moved, TRACES, 1.05)


@given(st.integers(0, 2**32 - 1), st.sampled_from([2.0, 1000.0]))
def test_the_unit_of_time_changes_no_verdict(seed, factor):
    rng = np.random.default_rng(seed)
    before, after = rng.lognormal(0, 1, 300), rng.lognormal(-0.3, 1, 300)

    def compare(scale):
        sides = (stats.sample(scale * side, np.arange(300)) for side in (before, after))
        return changes.change(*sides, 0.5, TRACES, margin=1.05)

    plain, scaled = compare(1.0), compare(factor)

    assert plain.label is scaled.label
    assert plain.upper == pytest.approx(scaled.upper)
