import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import assume, given
from hypothesis import strategies as st

from analysis import stats


def interval(values, units, p, **options):
    found = stats.percentile(stats.sample(values, units), p, **options)
    return found.value, found.lower, found.upper


NONE = pytest.approx(math.nan, nan_ok=True)


@pytest.mark.parametrize(
    ("n", "p", "expected"),
    [
        (200, 0.5, (100, 86, 115)),
        (200, 0.95, (190, 184, 197)),
        (200, 0.99, (198, 195, NONE)),
        (1000, 0.5, (500, 469, 532)),
        (1000, 0.95, (950, 936, 964)),
        (1000, 0.99, (990, 983, 997)),
        (1000, 0.999, (999, 997, NONE)),
    ],
)
def test_one_call_a_trace_gives_the_worked_examples(n, p, expected):
    assert interval(np.arange(1, n + 1), np.arange(n), p) == expected


@pytest.mark.parametrize(
    ("p", "n_eff", "deff", "expected"),
    [
        (0.5, 246, 4.0161, (500, 439, 566)),
        (0.95, 251, 3.9315, (950, 922, 981)),
        (0.99, 274, 3.6104, (990, 976, NONE)),
    ],
)
def test_traces_of_four_neighbours_give_the_worked_examples(p, n_eff, deff, expected):
    data = stats.sample(np.arange(1, 1001), np.arange(1000) // 4)

    assert round(stats.design_effect(data, 1000 * p), 4) == deff
    assert stats.percentile(data, p).n_eff == n_eff
    assert interval(np.arange(1, 1001), np.arange(1000) // 4, p) == expected


@pytest.mark.parametrize(("p", "expected"), [(0.5, (500, 468, 533)), (0.95, (950, 936, 964))])
def test_traces_spread_over_the_range_lose_only_the_student_factor(p, expected):
    units = np.arange(1000) % 250

    assert stats.percentile(stats.sample(np.arange(1, 1001), units), p).n_eff == 990
    assert interval(np.arange(1, 1001), units, p) == expected


def slow_design_effect(values, units, k):
    """The formula as it is written, by nested loops."""
    n, clusters = len(values), sorted(set(units))
    below = sorted(range(n), key=lambda i: values[i])[:k]
    share = k / n
    spread = 0.0
    for cluster in clusters:
        b = sum(1 for i in below if units[i] == cluster)
        m = sum(1 for unit in units if unit == cluster)
        spread += (b - share * m) ** 2
    return max(1.0, len(clusters) / (len(clusters) - 1) * spread / (n * share * (1 - share)))


@given(
    st.lists(st.integers(0, 8), min_size=4, max_size=40).filter(lambda u: len(set(u)) > 1),
    st.randoms(use_true_random=False),
    st.data(),
)
def test_the_design_effect_is_the_slow_one_sorted_or_not(units, random, data):
    values = list(range(len(units)))
    random.shuffle(values)
    k = data.draw(st.integers(1, len(units) - 1))

    told = [
        stats.design_effect(stats.sample(values, units), k),
        with_values_left_unsorted(values, units, k),
    ]

    assert told == pytest.approx([slow_design_effect(values, units, k)] * 2)


def with_values_left_unsorted(values, units, k):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stats, "SORTED_VALUES", 0)
        return stats.design_effect(stats.sample(values, units), k)


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 8)), min_size=4, max_size=40).filter(
        lambda calls: len({unit for _, unit in calls}) > 1
    ),
    st.data(),
)
def test_equal_values_tell_the_same_sorted_or_not_in_any_order(calls, data):
    values, units = zip(*calls, strict=True)
    k = data.draw(st.integers(1, len(calls) - 1))
    shuffled = data.draw(st.permutations(calls))

    told = [
        stats.design_effect(stats.sample(values, units), k),
        with_values_left_unsorted(values, units, k),
        with_values_left_unsorted(*zip(*shuffled, strict=True), k),
    ]

    assert told == pytest.approx([told[0]] * 3)


@given(
    st.integers(1, 4000), st.sampled_from([0.5, 0.9, 0.95, 0.99, 0.999]), st.floats(0.001, 0.999)
)
def test_the_binomial_quantile_is_scipys(n, p, level):
    ours, theirs = stats.binomial_quantile(level, n, p), scipy.stats.binom.ppf(level, n, p)
    # Where the level is hit exactly (a median of an odd n), rounding decides in either library.
    assume(abs(scipy.stats.binom.cdf(min(ours, theirs), n, p) - level) > 1e-12)

    assert ours == theirs


@pytest.mark.parametrize(
    ("level", "least"),
    [
        (0.95, [6, 36, 72, 368, 3688]),
        (0.90, [5, 29, 59, 299, 2995]),
        (0.99, [8, 51, 104, 528, 5296]),
    ],
)
def test_an_upper_bound_exists_from_the_least_sample_on_and_not_before(level, least):
    for p, n in zip((0.5, 0.9, 0.95, 0.99, 0.999), least, strict=True):
        assert stats.least_n(p, level=level) == n
        assert math.isfinite(interval(np.arange(n), np.arange(n), p, level=level)[2])
        assert math.isnan(interval(np.arange(n - 1), np.arange(n - 1), p, level=level)[2])


SAMPLES = st.lists(st.tuples(st.integers(1, 50), st.integers(0, 12)), min_size=2, max_size=120)


@given(SAMPLES, st.randoms(use_true_random=False), st.sampled_from([0.5, 0.95, 0.99]))
def test_the_order_of_calls_and_the_names_of_units_do_not_matter(calls, random, p):
    names = list(range(100, 113))
    random.shuffle(names)
    mixed = random.sample(calls, len(calls))

    plain = interval([ms for ms, _ in calls], [unit for _, unit in calls], p)
    renamed = interval([ms for ms, _ in mixed], [f"unit {names[unit]}" for _, unit in mixed], p)

    assert renamed == pytest.approx(plain, nan_ok=True)


@given(SAMPLES, st.sampled_from([0.5, 0.95]), st.sampled_from([0.25, 8.0, 1024.0]))
def test_another_unit_of_time_scales_the_interval(calls, p, factor):
    ms, units = np.array([call[0] for call in calls], dtype=float), [call[1] for call in calls]

    scaled = interval(ms * factor, units, p)

    assert scaled == pytest.approx(tuple(factor * x for x in interval(ms, units, p)), nan_ok=True)


@given(SAMPLES, st.sampled_from([0.5, 0.95]), st.sampled_from([0.25, 3.0]))
def test_equal_sampling_weights_change_nothing(calls, p, weight):
    ms, units = [call[0] for call in calls], [call[1] for call in calls]

    weighted = stats.percentile(stats.sample(ms, units, np.full(len(ms), weight)), p)

    assert (weighted.value, weighted.lower, weighted.upper) == pytest.approx(
        interval(ms, units, p), nan_ok=True
    )


def test_a_head_sample_with_weights_says_what_all_calls_say():
    rng = np.random.default_rng(4)
    every = rng.lognormal(0, 1, 40_000)
    # Slow calls were kept ten times as often as fast ones, and say so.
    chance = np.where(every > 3, 1.0, 0.1)
    kept = rng.random(len(every)) < chance

    data = stats.sample(every[kept], np.arange(kept.sum()), 1 / chance[kept])
    unweighted = stats.sample(every[kept], np.arange(kept.sum()))

    truth = float(np.quantile(every, 0.95))
    found = stats.percentile(data, 0.95)
    assert found.lower < truth < found.upper
    assert stats.percentile(unweighted, 0.95).lower > truth


def test_a_weight_of_zero_is_refused():
    with pytest.raises(ValueError, match="positive"):
        stats.sample([1.0, 2.0], [0, 1], [1.0, 0.0])


def test_the_grade_depends_on_units_and_quantile_alone():
    def grades(p, *units):
        return [str(stats.grade(count, p)) for count in units]

    assert grades(0.95, 99, 100, 399, 400) == ["insufficient", "indicative", "indicative", "solid"]
    assert grades(0.99, 499, 500, 1999, 2000) == [
        "insufficient",
        "indicative",
        "indicative",
        "solid",
    ]
    assert grades(0.999, 4999, 5000, 20_000) == ["insufficient", "indicative", "solid"]
    assert grades(0.5, 9, 10, 199, 200) == ["insufficient", "indicative", "indicative", "solid"]


def test_days_as_units_are_graded_by_their_number():
    assert [str(stats.grade_days(days)) for days in (6, 7, 13, 14)] == [
        "insufficient",
        "indicative",
        "indicative",
        "solid",
    ]


def test_one_trace_has_no_interval_however_many_calls_it_makes():
    found = stats.percentile(stats.sample(np.arange(10_000), np.zeros(10_000)), 0.5)

    assert found.value == 4999
    assert math.isnan(found.lower)
    assert math.isnan(found.upper)
    assert found.grade == "insufficient"


def test_no_calls_are_no_figure():
    assert stats.percentile(stats.sample([], []), 0.95) == stats.NOTHING


def test_intervals_of_clustered_calls_cover_the_truth():
    """300 draws of 400 traces with 4 alike calls each: 95 % nominal, 1.3 points standard error."""
    rng = np.random.default_rng(11)
    truth = math.exp(0.8 * scipy.stats.norm.ppf(0.95))
    hits = 0
    for _ in range(300):
        shared = np.repeat(rng.normal(size=400), 4)
        z = math.sqrt(0.6) * shared + math.sqrt(0.4) * rng.normal(size=1600)
        _, lower, upper = interval(np.exp(0.8 * z), np.arange(1600) // 4, 0.95)
        hits += lower <= truth <= upper

    assert 0.92 <= hits / 300 <= 0.99
