"""A figure reads as a person would say it, and never says more than is known."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis import words

NONE = math.nan
THIN = words.NARROW


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (words.time(231.4), f"231{THIN}ms"),
        (words.time(1514), f"1.51{THIN}s"),
        (words.time(999.7), f"1.00{THIN}s"),
        (words.time(0.0123), f"12.3{THIN}µs"),
        (words.time(61_000), f"1.02{THIN}min"),
        (words.time(NONE), "–"),
        (words.digits(9.996), "10.0"),
        (words.digits(-1234.5), "−1,234"),
        (words.digits(math.inf), "–"),
        (words.count(1234.0), "1,234"),
        (words.percent(0.0312), f"3.12{THIN}%"),
        (words.percent(0.99996), f"99.99{THIN}%"),
        (words.percent(1.0), f"100{THIN}%"),
        (words.percent_interval(NONE, NONE), "[no interval]"),
        (words.percent_interval(0.5, NONE), f"[50.0{THIN}% – none]"),
        (words.change(0.82), f"−18.0{THIN}%"),
        (words.change(1.000605), f"+0.1{THIN}%"),
        (words.change(0.9999), f"0{THIN}%"),
        (words.change(9.23), f"+823{THIN}%"),
        (words.counted(1, "day"), "1 day"),
        (words.counted(30, "day"), "30 days"),
        (words.change_interval(0.63, 1.04), f"[−37.0 – +4.0{THIN}%]"),
        (words.change_interval(NONE, 1.04), f"[none – +4.0{THIN}%]"),
        (words.time_interval(900, 1310), f"[0.900 – 1.31{THIN}s]"),
        (words.time_interval(900, 1310, like_ms=950), f"[900 – 1,310{THIN}ms]"),
        (words.tail(100, 90, 120, "solid"), f"100{THIN}ms [90.0 – 120{THIN}ms]"),
        (words.tail(100, 90, NONE, "solid"), "too few"),
        (words.tail(100, 90, 120, "insufficient"), "too few"),
        (words.moved(0.69), f"fell 31{THIN}%"),
        (words.moved(1.0001), "did not move"),
        (words.quantile(0.999), "p99.9"),
        (words.measured(0.05, "change"), f"+5.0{THIN}%"),
        (words.measured(0.705, "usd"), "$0.705"),
        (words.measured_interval(NONE, NONE, "ratio"), "[no interval]"),
        (words.percent(0.999808), f"99.98{THIN}%"),
        (words.measured_interval(NONE, NONE, "boundaries"), "all counted"),
        (words.measured_interval(0.68, 0.71, "usd"), "[$0.680 – $0.710]"),
        (words.measured_interval(151, NONE, "traces"), "[151 – none]"),
    ],
)
def test_a_figure_reads_as_people_say_it(told, expected):
    assert told == expected


@given(st.floats(min_value=0, max_value=1, exclude_max=True))
def test_what_is_below_the_whole_never_reads_100_percent(ratio):
    assert words.percent(ratio) != words.percent(1.0)


@given(st.floats(min_value=1e-6, max_value=1e12))
def test_three_digits_are_within_half_a_percent_of_the_number(value):
    assert float(words.digits(value).replace(",", "")) == pytest.approx(value, rel=0.006)


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        (("a", "b."), "a. b."),
        (("a.", "", "b"), "a. b"),
        (("cut …", "b"), "cut … b"),
        (("", ""), ""),
    ],
)
def test_sentences_are_told_with_one_full_stop_between(parts, told):
    assert words.sentences(*parts) == told
