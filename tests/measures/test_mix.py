"""Other work is neither an improvement nor a regression, whatever it is other in."""

import numpy as np
import pandas as pd
import pytest
from drawn_pilots import DAY_NS, requests

from analysis import changes, mix, pilot, stats
from analysis.comparability import Design, Unit, Windows, windows
from analysis.scope import Scope
from analysis.stats import Verdict

TRACES = Windows(Design.CONCURRENT, Unit.TRACE, 3, 3)


def side(rng, shares, times, n=3000, name="operation", **others):
    """Return requests whose kind decides how long they take."""
    kind = rng.choice(len(shares), n, p=shares)
    return pd.DataFrame(
        {
            "operation": "ask",
            "unit_id": np.arange(n),
            "started_at": pd.Timestamp("2026-01-01")
            + pd.to_timedelta(rng.integers(0, 3 * 24 * 60, n), unit="min"),
            "weight": 1.0,
            "duration_ms": np.asarray(times)[kind] * rng.lognormal(0, 0.3, n),
        }
        | others
        | {name: np.asarray(["a", "b", "c"])[kind]}
    )


def headline(before, after):
    found = mix.equal_mix(before, after, TRACES)
    sides = (
        changes.sampled(frame, TRACES, weights=weight)
        for frame, weight in zip((before, after), found.weights, strict=True)
    )
    return found, changes.change(*sides, 0.95, TRACES, margin=1.05)


@pytest.mark.parametrize("name", ["operation", "model", "tenant"])
def test_a_shift_to_quick_work_is_weighed_out_whatever_it_is_a_shift_of(name):
    rng = np.random.default_rng(1)
    before = side(rng, (0.5, 0.5), (360, 2400), name=name)
    after = side(rng, (0.97, 0.03), (360, 2400), name=name)
    found, moved = headline(before, after)
    raw = changes.change(
        *(changes.sampled(frame, TRACES) for frame in (before, after)), 0.95, TRACES, margin=1.05
    )
    print(found.check.detail, raw.label, moved.label)  # noqa: T201

    assert raw.label is Verdict.PROVEN
    assert moved.label in (Verdict.NO_WORSE, Verdict.NOT_ENOUGH)
    assert found.dimensions == (("operation",) if name == "operation" else (name,))
    assert "standardised to the baseline's" in found.check.detail


def test_a_shift_to_quick_hours_is_weighed_out():
    rng = np.random.default_rng(2)
    before, after = (
        side(rng, shares, (360, 2400), name="when") for shares in ((0.5, 0.5), (0.9, 0.1))
    )
    for frame in (before, after):
        day = pd.Timestamp("2026-01-01") + pd.to_timedelta(rng.integers(0, 3, len(frame)), unit="D")
        frame["started_at"] = day + pd.to_timedelta(np.where(frame["when"] == "a", 2, 14), unit="h")
    found, moved = headline(before, after)

    assert found.dimensions == ("hour",)
    assert moved.label in (Verdict.NO_WORSE, Verdict.NOT_ENOUGH)


def test_the_worked_example_is_a_rise_of_a_tenth_called_slower_and_a_reversal():
    """Shares .5/.5 become .8/.2 and both kinds are 10 % slower: raw p95 falls by a quarter."""
    rng = np.random.default_rng(3)
    before = side(rng, (0.5, 0.5), (360, 2400), n=20_000)
    after = side(rng, (0.8, 0.2), (396, 2640), n=20_000)
    # Once more with fewer slow ones, so that the raw tail falls for certain.
    hidden = side(rng, (0.97, 0.03), (396, 2640), n=20_000)
    _, moved = headline(before, after)
    _, turned = headline(before, hidden)
    check = pilot.reversal(before, hidden, TRACES, turned, 1.05)
    print(moved.ratio, (moved.lower, moved.upper), check.detail)  # noqa: T201

    assert moved.lower <= 1.10 <= moved.upper
    assert moved.label is turned.label is Verdict.SLOWER
    assert check.ok is False
    assert "the mix alone turned it round" in check.detail


def test_a_dimension_that_cuts_too_thin_is_left_out_and_named():
    rng = np.random.default_rng(4)
    before, after = (
        side(rng, (0.5, 0.5), (360, 2400), tenant=rng.integers(0, 900, 3000).astype(str))
        for _ in range(2)
    )
    found, _ = headline(before, after)

    assert found.dimensions == ("operation", "hour")
    assert "tenants are too many to weigh" in found.check.detail


def test_another_model_is_the_pilots_own_doing_and_named():
    rng = np.random.default_rng(5)
    before = side(rng, (1.0,), (500,), name="model")
    after = side(rng, (1.0,), (300,), name="model").assign(model="b")
    found, moved = headline(before, after)

    assert found.check.ok is True
    assert "models changed" in found.check.detail
    assert moved.label is Verdict.PROVEN


@pytest.mark.parametrize(("share", "ok"), [(0.02, None), (0.20, False)])
def test_work_of_one_side_only_is_dropped_and_too_much_of_it_is_not_compared(share, ok):
    rng = np.random.default_rng(6)
    before = side(rng, (0.6, 0.4), (360, 2400), name="tenant")
    after = side(rng, (0.4, 0.6 - share, share), (360, 2400, 99), name="tenant")
    found, _ = headline(before, after)
    print(found.check.detail)  # noqa: T201

    assert found.check.ok is ok
    if ok is None:
        assert (found.weights[1][after["tenant"] == "c"] == 0).all()
        assert "that only one side has are left out" in found.check.detail
    else:
        assert "of tenants only one side has" in found.check.detail


def test_weights_give_the_after_side_the_baselines_shares():
    rng = np.random.default_rng(7)
    before = side(rng, (0.5, 0.5), (360, 2400), tenant=rng.choice(["x", "y"], 3000, p=[0.3, 0.7]))
    after = side(rng, (0.8, 0.2), (360, 2400), tenant=rng.choice(["x", "y"], 3000, p=[0.6, 0.4]))
    found, _ = headline(before, after)
    keys = ["operation", "tenant"]
    was, now = (
        frame.assign(mass=weight).groupby(keys)["mass"].sum() / weight.sum()
        for frame, weight in zip((before, after), found.weights, strict=True)
    )

    assert found.dimensions == ("operation", "tenant", "hour")
    assert list(now) == pytest.approx(list(was))


@pytest.mark.parametrize(
    ("units", "traces", "unit"),
    [(600, 600, Unit.TRACE), (300, 600, Unit.CONVERSATION)],
)
def test_sides_that_ran_together_have_the_unit_that_holds_their_traces(units, traces, unit):
    at = pd.Timestamp("2026-01-01") + pd.to_timedelta(np.arange(traces), unit="min")
    frame = pd.DataFrame(
        {
            "started_at": at,
            "conversation_id": [f"c{place % units}" for place in range(traces)],
            "unit_id": [f"c{place % units}" for place in range(traces)],
            "trace_no": [f"{place}" for place in range(traces)],
        }
    )

    assert windows(frame, frame).unit is unit


def test_other_hours_are_told(model_of):
    late = requests("pilot", first_day=7, days=7, per_day=60, seed=1)
    late["start_ns"] += DAY_NS // 4
    told = pilot.compare(
        model_of(requests("baseline", first_day=0, days=7, per_day=60), late), None, Scope()
    )
    (hours,) = (check for check in told.checks if check.name == "same hours")

    assert hours.ok is False
    assert told.label == "not enough evidence"
    assert "at hours of the day only one side has" in told.reason


def test_how_the_share_of_failed_requests_moved_stands_beside(model_of):
    told = pilot.compare(
        model_of(
            requests("baseline", first_day=0, days=3, per_day=200, failed=0.2),
            requests("pilot", first_day=0, days=3, per_day=200, failed=0.02, seed=1),
        ),
        None,
        Scope(),
    )
    (row,) = told.failures.itertuples()

    assert row.label == "fewer failures"
    assert row.change == pytest.approx(row.after_failed_ratio - row.before_failed_ratio)
    assert stats.Grade(row.before_failed_ratio_grade) in set(stats.Grade)
