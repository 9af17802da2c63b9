"""Worse requests never make a verdict better: of the whole, of a gate, of readiness."""

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import fault_tests, gates, pilot, stats
from analysis.comparability import windows
from analysis.gates import Gate
from analysis.stats import NO_WORSE_RATIO, Verdict

# From best to worst; "not enough evidence" lies between what is good and what is bad.
ORDER = (
    Verdict.PROVEN,
    Verdict.FASTER,
    Verdict.NO_WORSE,
    Verdict.NOT_ENOUGH,
    Verdict.SLOWER,
)
# From worst to best.
RESULTS = ["fail", "not enough evidence", "pass"]
ANSWERS = ["not ready", "not enough evidence", "ready"]


def side(rng, n, factor, *, per_conversation, days):
    """Return requests of conversations, alike within one."""
    unit = np.arange(n) // per_conversation
    shared = rng.normal(0, 0.4, unit.max() + 1)[unit]
    moment = pd.Timestamp("2026-03-02") + pd.to_timedelta(rng.integers(0, days * 24, n), unit="h")
    return pd.DataFrame(
        {
            "operation": "ask",
            "unit_id": unit,
            "trace_no": np.arange(n),
            "conversation_id": unit.astype(str),
            "tenant": None,
            "started_at": moment,
            "is_failed": rng.random(n) < 0.05,
            "weight": 1.0,
            "duration_ms": 500 * factor * np.exp(shared + rng.normal(0, 0.4, n)),
        }
    )


def worse(rng, after, count, *, is_more):
    """Return a side of which some requests, or some more, failed and took ten times the longest."""
    slow = {"duration_ms": 10 * after["duration_ms"].max(), "is_failed": True}
    if not is_more:
        return pd.concat([after.iloc[:count].assign(**slow), after.iloc[count:]])
    chosen = after.iloc[rng.choice(len(after), count)]
    place = np.arange(count)
    own = {
        "trace_no": len(after) + place,
        "unit_id": after["unit_id"].max() + 1 + place,
        "conversation_id": [f"more-{each}" for each in place],
    }
    return pd.concat([after, chosen.assign(**slow, **own)], ignore_index=True)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([300, 1200]),
    st.floats(0.6, 1.15),
    st.sampled_from([1, 3]),
    st.sampled_from([1, 5, 30]),
    st.booleans(),
)
def test_slow_and_failed_requests_never_improve_the_verdict_of_the_whole(
    seed, n, factor, per_conversation, count, is_more
):
    rng = np.random.default_rng(seed)
    shape = {"per_conversation": per_conversation, "days": 4}
    before, after = side(rng, n, 1.0, **shape), side(rng, n, factor, **shape)
    was, now = (
        pilot.judged(before, side, windows(before, side), 0.95, NO_WORSE_RATIO)
        for side in (after, worse(rng, after, count, is_more=is_more))
    )

    assert ORDER.index(now.label) >= ORDER.index(was.label)
    for old, new in zip(was.end_to_end.itertuples(), now.end_to_end.itertuples(), strict=True):
        # Of a tail that few units have, one of them alone tells how far calls of one resemble
        # each other (METHODS.md, change): its interval may shrink as it gets worse.
        if stats.Grade.INSUFFICIENT not in (old.before_ms_grade, old.after_ms_grade):
            assert ORDER.index(new.label) >= ORDER.index(old.label)
        assert new.ratio >= old.ratio
    assert now.failures["change"][0] >= was.failures["change"][0]
    if now.failures["label"][0] == "fewer failures":
        assert was.failures["label"][0] == "fewer failures"


@given(
    st.integers(30, 3000),
    st.floats(0, 0.2),
    st.integers(1, 50),
    st.sampled_from([0.9, 0.95, 0.99]),
)
def test_a_failed_request_more_never_improves_a_gate(n, share, more, required):
    def label(failed, asked):
        def measured(level):
            told = np.arange(asked) >= failed
            return stats.proportion(told, np.arange(asked), level=level)

        return gates.share_gate("g", measured, required, 7, "errors").label

    failed = round(share * n)
    assert RESULTS.index(label(failed + more, n + more)) <= RESULTS.index(label(failed, n))
    assert RESULTS.index(label(min(failed + more, n), n)) <= RESULTS.index(label(failed, n))


@given(
    st.lists(st.sampled_from([str(label) for label in fault_tests.Label]), min_size=1, max_size=6),
    st.data(),
)
def test_a_fault_test_that_was_passed_and_is_taken_away_never_improves_the_gate(labels, data):
    told = [(label, label in fault_tests.FAILED and data.draw(st.booleans())) for label in labels]
    passed = [place for place, (label, _) in enumerate(told) if label == "contained"]
    if not passed:
        return
    gone = data.draw(st.sampled_from(passed))
    left = told[:gone] + told[gone + 1 :]

    assert RESULTS.index(gates.of_fault_tests(left)) <= RESULTS.index(gates.of_fault_tests(told))


@given(st.lists(st.sampled_from(RESULTS), min_size=1, max_size=8), st.data())
def test_a_gate_that_gets_worse_never_improves_readiness(labels, data):
    def answer(told):
        return gates.verdict(
            [Gate("g", label, 0.5, 0.4, 0.6, 0.5, "ratio", "", "p") for label in told]
        )

    place = data.draw(st.integers(0, len(labels) - 1))
    worse_label = RESULTS[data.draw(st.integers(0, RESULTS.index(labels[place])))]
    changed = [*labels[:place], worse_label, *labels[place + 1 :]]

    assert ANSWERS.index(answer(changed)[0]) <= ANSWERS.index(answer(labels)[0])
