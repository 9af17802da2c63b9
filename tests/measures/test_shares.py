from collections import Counter

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from analysis import stats

EXACT = pytest.approx


def share(events, n, **options):
    return stats.proportion(np.arange(n) < events, np.arange(n), **options)


@pytest.mark.parametrize(
    ("events", "n", "lower", "upper"),
    [(3, 1000, 0.00102, 0.00878), (0, 100, 0, 0.03699), (970, 1000, 0.9575, 0.97891)],
)
def test_one_request_a_unit_gives_the_worked_examples(events, n, lower, upper):
    found = share(events, n)

    assert (found.lower, found.upper) == EXACT((lower, upper), abs=5e-6)


def test_errors_that_come_in_clusters_widen_the_interval_as_in_the_worked_example():
    units = np.arange(1000) // 10
    errors = (units < 5) & (np.arange(1000) % 10 < 4)

    found = stats.proportion(errors, units)

    assert found.n_eff == EXACT(127.23, abs=0.005)
    assert (found.lower, found.upper) == EXACT((0.00628, 0.06186), abs=5e-6)


def test_the_difference_and_the_ratio_of_two_shares_are_the_worked_examples():
    before, after = share(30, 1000), share(18, 1000)

    assert stats.difference(before, after) == EXACT((-0.012, -0.02613, 0.0016), abs=5e-6)
    assert stats.ratio(before, after) == EXACT((0.6, 0.338, 1.064), abs=5e-4)


@given(st.integers(1, 500), st.data(), st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_the_wilson_interval_is_scipys(n, data, level):
    k = data.draw(st.integers(0, n))
    expected = scipy.stats.binomtest(k, n).proportion_ci(level, method="wilson")

    assert stats.wilson(k / n, n, level=level) == EXACT(tuple(expected), abs=1e-9)


@given(st.integers(1, 500), st.data(), st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_the_exact_interval_is_scipys(n, data, level):
    k = data.draw(st.integers(0, n))
    expected = scipy.stats.binomtest(k, n).proportion_ci(level, method="exact")

    assert stats.binomial_bounds(k, n, level=level) == EXACT(tuple(expected), abs=1e-9)


@pytest.mark.parametrize(
    ("contained", "allowed"),
    [
        (0.90, {29: 0, 30: 0, 60: 1, 100: 4, 300: 21, 1000: 84}),
        (0.95, {59: 0, 60: 0, 100: 1, 300: 8, 1000: 38}),
        (0.99, {299: 0, 300: 0, 1000: 4}),
    ],
)
def test_a_fault_test_passes_with_exactly_the_failures_the_table_allows(contained, allowed):
    for exposed, failures in allowed.items():

        def lower(failed, exposed=exposed):
            return stats.binomial_bounds(exposed - failed, exposed)[0]

        assert lower(failures) >= contained > lower(failures + 1)


UNITS = st.lists(st.tuples(st.integers(0, 6), st.integers(1, 6)), min_size=2, max_size=40).map(
    lambda pairs: [(min(events, size), size) for events, size in pairs]
)


@given(UNITS)
def test_a_share_and_its_complement_mirror_each_other(units):
    events, sizes = np.array(units, dtype=float).T

    kept = stats.proportion_of_counts(sizes - events, sizes)
    over = stats.proportion_of_counts(events, sizes)

    assert (kept.lower, kept.upper) == EXACT((1 - over.upper, 1 - over.lower))


@given(UNITS, st.randoms(use_true_random=False))
def test_the_order_of_units_does_not_matter(units, random):
    mixed = random.sample(units, len(units))
    events, sizes = np.array(units).T
    other_events, other_sizes = np.array(mixed).T

    found = stats.proportion_of_counts(events, sizes)
    other = stats.proportion_of_counts(other_events, other_sizes)

    assert (found.value, found.lower, found.upper) == EXACT((other.value, other.lower, other.upper))


@given(UNITS)
def test_units_that_are_alike_may_be_told_once_with_their_number(units):
    alike = Counter(units)
    events, sizes = np.array(list(alike)).T

    told = stats.proportion_of_counts(events, sizes, units=list(alike.values()))
    each = stats.proportion_of_counts(*np.array(units).T)

    assert (told.value, told.lower, told.upper) == EXACT((each.value, each.lower, each.upper))
    assert (told.n, told.units, told.grade) == (each.n, each.units, each.grade)
    assert told.n_eff == pytest.approx(each.n_eff)


@given(UNITS)
def test_the_interval_holds_the_share_and_stays_a_share(units):
    found = stats.proportion_of_counts(*np.array(units).T)

    assert 0 <= found.lower <= found.value <= found.upper <= 1


def test_clustered_errors_are_covered_where_naive_intervals_fail():
    """200 draws of 250 units with 4 calls, errors alike within a unit (beta-binomial, ICC 0.5)."""
    rng = np.random.default_rng(5)
    hits = naive = 0
    for _ in range(200):
        chance = rng.beta(0.05, 0.95, 250)
        events = rng.binomial(4, chance)
        found = stats.proportion_of_counts(events, np.full(250, 4))
        hits += found.lower <= 0.05 <= found.upper
        lower, upper = stats.wilson(events.sum() / 1000, 1000)
        naive += lower <= 0.05 <= upper

    assert hits / 200 >= 0.93
    assert naive / 200 < 0.85


def test_no_error_in_a_thousand_calls_of_ten_traces_says_only_what_ten_traces_can():
    found = stats.proportion(np.zeros(1000), np.arange(1000) // 100)

    assert found.upper == EXACT(stats.wilson(0, 10)[1])


@given(st.integers(20, 2000), st.floats(0.5, 0.999), st.floats(0.5, 0.999))
def test_the_missing_observations_are_just_enough_to_settle_a_share(n, measured, limit):
    if abs(measured - limit) < 0.005:
        return
    needed = stats.n_to_decide(
        stats.Estimate(measured, 0, 1, n, n, n, stats.Grade.SOLID), limit, level=stats.ONE_SIDED
    )

    lower, upper = stats.wilson(measured, needed * 1.001 + 1, level=stats.ONE_SIDED)
    assert lower > limit or upper < limit
    if needed > 3:
        lower, upper = stats.wilson(measured, needed - 2, level=stats.ONE_SIDED)
        assert lower <= limit <= upper


def test_a_bootstrap_interval_is_the_same_every_time_and_covers_a_mean():
    """100 draws of 300 units with 5 alike values each; nominal 95 %."""
    rng = np.random.default_rng(3)
    hits = 0
    for _ in range(100):
        level = np.repeat(rng.exponential(size=300), 5)
        bucket = stats.buckets(np.arange(1500) // 5)
        sums = np.column_stack(
            [stats.bucket_sums(level, bucket), stats.bucket_sums(np.ones(1500), bucket)]
        )
        lower, upper = stats.bootstrap(lambda s: s[:, 0] / s[:, 1], sums)
        hits += lower <= 1 <= upper
        again = stats.bootstrap(lambda s: s[:, 0] / s[:, 1], sums)
        assert again == (lower, upper)

    assert 0.88 <= hits / 100 <= 1


def test_a_unit_lands_in_one_bucket_wherever_it_stands():
    first = stats.buckets(["a", "b", "c", "a"])
    second = stats.buckets(["c", "a", "b", "b"])

    assert first[0] == first[3] == second[1]
    assert first[2] == second[0]


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=1, max_size=60),
    st.integers(1, 3),
)
def test_units_of_one_size_told_once_are_the_same_share_as_told_one_by_one(calls, gap):
    events, units = (np.array(each) for each in zip(*calls, strict=True))

    together = stats.proportion(events, units * gap)
    one_by_one = stats.proportion(events.astype(float), units)

    assert together.units == one_by_one.units == len(set(units.tolist()))
    assert (together.value, together.lower, together.upper, together.n_eff) == EXACT(
        (one_by_one.value, one_by_one.lower, one_by_one.upper, one_by_one.n_eff), nan_ok=True
    )
