"""A change is told by what requests waited for, and its parts are the whole."""

from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import changes, decomposition, mix, pilot, stats
from analysis.comparability import Design, Unit, Windows

TRACES = Windows(Design.CONCURRENT, Unit.TRACE, 3, 3)


def side(rng, requests, model_ms, tool_ms, *, operation="ask"):
    return pd.DataFrame(
        {
            "operation": operation,
            "bucket": np.arange(requests) % 100,
            "weight": 1.0,
            "model": model_ms * rng.lognormal(0, 0.3, requests),
            "tool": tool_ms * rng.lognormal(0, 0.5, requests),
        }
    )


def drawn(i, *, cut):
    tool = 5 * ((37 * i) % 101) + (0 if cut else 400) * (((37 * i) % 101) > 90)
    return pd.DataFrame(
        {"operation": "ask", "bucket": i, "weight": 1.0, "model": 10 * i, "tool": tool}
    ).astype({"model": float, "tool": float})


def test_a_time_out_of_a_tool_is_told_as_in_the_worked_example(monkeypatch):
    """The naive difference of tails says +150 ms of the model, which did not change."""
    monkeypatch.setattr(decomposition, "MIN_REQUESTS", 100)
    i = np.arange(1, 101)
    before, after = (drawn(i, cut=cut).assign(bucket=i % 100) for cut in (False, True))
    moves, whole, left = decomposition.swap(before, after, ["model", "tool"], 0.95)

    assert (list(moves), whole, left) == ([0, -95], -95, 0)
    found = decomposition.split(before, after, 0.95).kinds.set_index("kind")
    assert dict(found["change_ms"]) == {"model": 0, "tool": -40}


def test_a_shift_of_operations_is_mix_and_no_kind():
    """The worked example: shares .5/.5 become .8/.2, and both operations are a tenth slower."""

    def of(quick, slow, factor):
        times = np.r_[np.full(quick, 360.0), np.full(slow, 2400.0)] * factor
        return pd.DataFrame(
            {
                "operation": ["quick"] * quick + ["slow"] * slow,
                "bucket": np.arange(quick + slow) % 100,
                "weight": 1.0,
                "model": times,
            }
        )

    found = decomposition.split(of(500, 500, 1.0), of(800, 200, 1.1), 0.95)

    assert found.total_ms == pytest.approx(-535.2)
    assert found.kinds["change_ms"].sum() == pytest.approx(107.4)
    assert found.mix_ms == pytest.approx(-642.6)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_parts_are_the_whole_whatever_was_drawn(seed):
    rng = np.random.default_rng(seed)
    before = pd.concat([side(rng, 700, 300, 100), side(rng, 500, 900, 50, operation="long")])
    after = pd.concat([side(rng, 900, 250, 160), side(rng, 300, 900, 20, operation="other")])
    found = decomposition.split(before, after, 0.95)
    means = [frame[["model", "tool"]].sum(axis=1).mean() for frame in (before, after)]
    p95s = [
        np.quantile(frame[["model", "tool"]].sum(axis=1), 0.95, method="inverted_cdf")
        for frame in (before, after)
    ]

    assert found.kinds["change_ms"].sum() + found.mix_ms == pytest.approx(means[1] - means[0])
    assert found.kinds["quantile_ms"].sum() + found.residual_ms == pytest.approx(p95s[1] - p95s[0])


def test_shares_of_a_percentile_are_the_average_over_every_order_of_swapping():
    rng = np.random.default_rng(3)
    kinds = ["a", "b", "c"]
    before, after = (
        pd.DataFrame({"operation": "ask", "bucket": 0, "weight": 1.0} | {
            kind: rng.gamma(2, scale * (place + 1), 1200) for place, kind in enumerate(kinds)
        })
        for scale in (100, 130)
    )  # fmt: skip
    moves, _, _ = decomposition.swap(before, after, kinds, 0.95)

    def after_swapping(chosen):
        total = np.zeros(1200)
        for kind in kinds:
            if kind in chosen:
                rank = before[kind].rank(method="average").to_numpy() - 0.5
                total += np.quantile(after[kind], rank / 1200, method="hazen")
            else:
                total += before[kind].to_numpy()
        return np.quantile(total, 0.95, method="inverted_cdf")

    slow = {kind: [] for kind in kinds}
    for order in permutations(kinds):
        for place, kind in enumerate(order):
            slow[kind].append(after_swapping(order[: place + 1]) - after_swapping(order[:place]))

    assert list(moves) == pytest.approx([np.mean(slow[kind]) for kind in kinds])


def test_orchestration_is_called_dominant_only_where_all_three_say_so():
    rng = np.random.default_rng(1)
    before = side(rng, 4000, 300, 600)
    by_tool = decomposition.split(before, side(rng, 4000, 300, 200), 0.95)
    by_model = decomposition.split(before, side(rng, 4000, 100, 600), 0.95)
    nothing = decomposition.split(before, side(rng, 4000, 300, 600), 0.95)

    assert decomposition.dominance(by_tool, is_proven=True)[0]
    assert not decomposition.dominance(by_tool, is_proven=False)[0]
    assert not decomposition.dominance(by_model, is_proven=True)[0]
    is_dominant, said = decomposition.dominance(nothing, is_proven=True)
    assert not is_dominant
    assert "no share of it is said" in said
    assert "rule of thumb" in said


def requests(rng, quick, slow, factor):
    times = np.r_[np.full(quick, 360.0), np.full(slow, 2400.0)] * factor
    times *= rng.lognormal(0, 0.1, quick + slow)
    return pd.DataFrame(
        {
            "operation": ["quick"] * quick + ["slow"] * slow,
            "unit_id": [f"{place}" for place in range(quick + slow)],
            "weight": 1.0,
            "duration_ms": times,
        }
    )


@pytest.mark.parametrize(("slow_after", "ok"), [(60, False), (1000, True)])
def test_quicker_work_that_hides_slower_handoffs_is_called_a_reversal(slow_after, ok):
    rng = np.random.default_rng(2)
    before = requests(rng, 1000, 1000, 1.0)
    after = requests(rng, 2000 - slow_after, slow_after, 1.1)
    weights = mix.equal_mix(before, after, TRACES).weights
    sides = (
        stats.sample(frame["duration_ms"], stats.codes(frame["unit_id"]), weight)
        for frame, weight in zip((before, after), weights, strict=True)
    )
    moved = changes.change(*sides, 0.95, TRACES, margin=1.05)
    check = pilot.reversal(before, after, TRACES, moved, 1.05)

    print(check.detail)  # noqa: T201
    assert check.ok is ok
    assert moved.lower > 1


def test_a_boundary_whose_failures_reach_fewer_users_is_told():
    def reach(cohort, escaped):
        share = stats.proportion_of_counts(
            np.r_[np.ones(escaped), np.zeros(200 - escaped)], np.ones(200)
        )
        return {"cohort": cohort, "boundary_id": "b", "boundary": "a → b"} | {
            f"escape_ratio{name}": value
            for name, value in (
                ("", share.value),
                ("_lower", share.lower),
                ("_upper", share.upper),
                ("_n", share.n),
                ("_n_eff", share.n_eff),
                ("_units", share.units),
                ("_grade", str(share.grade)),
            )
        }

    told = pd.DataFrame([reach("before", 120), reach("after", 20)])
    (row,) = pilot.escapes(told, "before", "after").itertuples()

    assert (row.label, row.change) == ("fewer escape", pytest.approx(-0.5))
    assert row.change_upper < -0.4


@pytest.mark.slow
def test_the_share_of_the_tools_is_covered_by_its_interval():
    """Models take 40 ms less and tools 60 ms less: 60 % did not come from models."""
    held = []
    for seed in range(150):
        rng = np.random.default_rng(seed)
        before, after = side(rng, 2000, 300, 200), side(rng, 2000, 300, 200)
        after["model"] -= 40
        after["tool"] -= 60
        found = decomposition.split(before, after, 0.95)
        held.append(found.other_ratio_lower <= 0.6 <= found.other_ratio_upper)

    print(f"{np.mean(held):.0%} hold the truth")  # noqa: T201
    assert np.mean(held) >= 0.9
