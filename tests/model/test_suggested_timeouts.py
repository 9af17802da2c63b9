"""How long to wait for an answer: the quantile of successes, and what giving up costs."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis import timeouts
from analysis.scope import Scope
from analysis.timeouts import odds

EXAMPLE = np.array([100, 120, 150, 180, 200, 250, 300, 900, 2000, 5000], dtype=float)
WELL = np.array([True] * 9 + [False])
CALLS = 4400


@pytest.fixture(scope="module")
def stuck(build, drawn):
    """Traces of one call each: two in a hundred hang for 30 s, one boundary ends at its limit."""
    rng = np.random.default_rng(7)
    took = np.round(350 * rng.lognormal(0, 0.45, CALLS), 3)
    hangs = np.arange(CALLS) % 50 == 0
    lines = []
    for ms, is_stuck in zip(took, hangs, strict=True):
        end, mark = (31000, "! error_type=ReadTimeout") if is_stuck else (1000 + ms, "")
        capped = min(300.0, ms)
        lines.append(
            "agent root 0..40000\n"
            f"  tool open 1000..{end} {mark}\n"
            f"  tool capped 1000..{1000 + capped} timeout_ms=300\n"
            f"  tool tested 1000..{1000 + 9000} fault_id=slow-1\n"
        )
    lines.append("agent few 0..900\n  tool rare 10..500\n")
    model = build(drawn("\n".join(lines)))
    frame = timeouts.suggested(model, Scope()).set_index("boundary")
    return frame, took[~hangs], model


@pytest.mark.parametrize(
    ("at_ms", "success", "if_running"),
    [(300, 0.70, 2 / 3), (900, 0.80, 1 / 2), (2000, 0.90, 0), (100, 0.10, 8 / 9)],
)
def test_the_chances_of_the_example_are_exact(at_ms, success, if_running):
    assert odds(EXAMPLE, WELL, at_ms) == pytest.approx((success, if_running))


def test_after_the_last_call_nobody_is_running():
    assert math.isnan(odds(EXAMPLE, WELL, 5000)[1])


@given(
    st.lists(st.tuples(st.integers(1, 50), st.booleans()), min_size=1, max_size=40),
    st.integers(0, 60),
)
def test_chances_agree_with_counting(calls, at_ms):
    by_then = sum(ok for ms, ok in calls if ms <= at_ms)
    later = [ok for ms, ok in calls if ms > at_ms]
    success, if_running = odds(
        np.array([ms for ms, _ in calls], float), np.array([ok for _, ok in calls]), at_ms
    )

    assert success == pytest.approx(by_then / len(calls))
    assert math.isnan(if_running) if not later else if_running == pytest.approx(np.mean(later))


def test_a_timeout_gives_up_half_a_per_cent_of_the_successes(stuck):
    frame, took, _ = stuck
    row = frame.loc["agent:root → tool:open"]
    at_ms = np.sort(took)[math.ceil(len(took) * 0.995 - 1e-9) - 1]
    every = np.concatenate([took, np.full(CALLS - len(took), 30_000.0)])

    assert row["label"] == "suggested"
    assert row["suggested_ms"] == pytest.approx(at_ms)
    assert row["answered_ms_lower"] < at_ms < row["answered_ms_upper"]
    assert row["given_up_ratio"] == pytest.approx((took > at_ms).mean())
    assert row["success_ratio"] == pytest.approx((took <= at_ms).sum() / CALLS)
    assert row["saved_ms"] == pytest.approx(every.mean() - np.minimum(every, at_ms).mean())
    assert (row["calls"], row["given_up"]) == (CALLS, CALLS - len(took))


def test_beyond_the_present_timeout_nothing_is_suggested(stuck):
    row = stuck[0].loc["agent:root → tool:capped"]

    assert row["label"] == "at the present time-out"
    assert math.isnan(row["suggested_ms"])


def test_a_few_calls_suggest_nothing_and_fault_tests_count_for_nothing(stuck):
    frame = stuck[0]

    assert frame.loc["agent:few → tool:rare", "label"] == "not enough evidence"
    assert "4,000" in frame.loc["agent:few → tool:rare", "reason"]
    assert "agent:root → tool:tested" not in frame.index


def test_a_loss_above_one_in_a_hundred_has_to_be_accepted(stuck):
    model = stuck[2]
    with pytest.raises(ValueError, match="accepted"):
        timeouts.suggested(model, Scope(), loss_ratio=0.05)
    frame = timeouts.suggested(model, Scope(), loss_ratio=0.05, is_loss_accepted=True)

    accepted = frame.set_index("boundary").loc["agent:root → tool:open"]
    assert accepted["suggested_ms"] < stuck[0].loc["agent:root → tool:open", "suggested_ms"]
    assert accepted["given_up_ratio"] == pytest.approx(0.05, abs=0.001)
