"""Tickets a request before and after, by day: the worked example, and what a month can show."""

import math

import pytest

from analysis import impact
from analysis.impact import TicketDay

BEFORE, AFTER = (5, 6, 4, 7, 5, 3, 2) * 2, (4, 4, 3, 5, 4, 2, 1) * 2


def days(before, after):
    return [
        TicketDay(cohort, 100, count)
        for cohort, counts in (("baseline", before), ("pilot", after))
        for count in counts
    ]


def test_two_weeks_of_tickets_give_the_worked_example(monkeypatch):
    """46 tickets instead of 64: Poisson's floor with Student's quantile of 26 days.

    One side's days remember a little of the day before, which may only widen it.
    """
    monkeypatch.setattr(impact, "MIN_TICKET_DAYS", 14)
    found = impact._tickets(days(BEFORE, AFTER), "baseline", "pilot")

    assert (found.counted_before, found.counted_after) == (64, 46)
    assert found.ratio == pytest.approx(0.7187, abs=5e-5)
    assert found.lower <= 0.483 + 5e-4
    assert found.upper >= 1.069 - 5e-4
    assert (found.lower, found.upper) == pytest.approx((0.483, 1.069), rel=0.01)


def test_two_weeks_of_tickets_are_too_few_to_say_how_sure_it_is():
    found = impact._tickets(days(BEFORE, AFTER), "baseline", "pilot")

    assert found.ratio == pytest.approx(0.7187, abs=5e-5)
    assert math.isnan(found.lower)
    assert math.isnan(found.upper)


def test_a_month_cannot_show_a_quarter_less_at_eight_tickets_a_day():
    """Twice the fortnights of the example: the interval still holds no change, or nearly."""
    found = impact._tickets(days(BEFORE * 2, AFTER * 2), "baseline", "pilot")

    assert found.lower < 0.75 < found.upper
    assert found.upper > 0.92
