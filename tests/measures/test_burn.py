"""Burn, time kept and who spent a broken SLA: promises held against time."""

import numpy as np
import pandas as pd
import pytest
from drawn_pilots import DAY_NS, FIRST_DAY, requests
from hypothesis import given
from hypothesis import strategies as st

from analysis import burn, compliance, spenders, stats, timeshare
from analysis.burn import PAIRS, Label
from analysis.contract_file import parse
from analysis.scope import Scope

CONTRACT = parse(
    b"""
sla: {p95: 1200ms, success: 99%}
downstream_share: 30%
boundaries:
 - {match: "agent:loan -> tool:score", budget: 300ms}
"""
)
MINUTE = burn.MINUTE_NS
FAST, SLOW, STEADY = PAIRS


def kept(good, n):
    return stats.proportion(np.arange(n) < good, np.arange(n))


def test_970_of_1000_burn_a_target_of_99_per_cent_three_times_too_fast():
    share = kept(970, 1000)
    value, lower, upper = burn.rate(share, 0.99)

    assert (value, share.lower, share.upper) == pytest.approx((3.0, 0.9575, 0.9789), abs=5e-5)
    assert (lower, upper) == pytest.approx((2.11, 4.25), abs=0.01)


def judged(at_minutes, bad, pair, target=0.95):
    return burn.windows(
        np.array(at_minutes) * MINUTE, bad, np.ones(len(bad)), target=target, pair=pair
    )


def test_an_hour_of_failures_is_alarmed_once_and_is_over_when_the_short_window_is():
    at = np.arange(0, 60 * 24, 1)
    bad = (at >= 600) & (at < 660)

    found = judged(at, bad, FAST)

    assert (found.label, found.alarms) == (Label.BURNED, 1)
    assert found.last_ns == 660 * MINUTE
    assert found.first_ns == 640 * MINUTE  # 45 of 60 minutes are bad at its end: 14.4 of 20
    assert found.worst_burn == pytest.approx(20.0)


def test_nine_bad_events_alarm_nobody_and_ten_do():
    at = np.arange(20)

    assert judged(at, at < 9, STEADY).label is Label.TOO_FEW
    assert judged(at, at < 10, STEADY).label is Label.BURNING


def test_enough_good_events_are_quiet_and_a_few_cannot_tell():
    many, few = np.arange(200), np.arange(199)

    assert judged(many, many < 0, STEADY).label is Label.QUIET
    assert judged(few, few < 0, STEADY).label is Label.TOO_FEW


def slow_windows(at_ns, bad, target, pair):
    """Every step with events, window by window, counted one event at a time."""
    told = []
    for end in sorted({at // burn.STEP_NS for at in at_ns}):
        shares = []
        for length in (pair.long_steps, pair.short_steps):
            inside = [
                is_bad
                for at, is_bad in zip(at_ns, bad, strict=True)
                if end - length < at // burn.STEP_NS <= end
            ]
            shares.append(sum(inside) / len(inside) / (1 - target))
            if length == pair.long_steps:
                is_enough = sum(inside) >= burn.LEAST_BAD
        told.append(is_enough and min(shares) >= pair.burn - 1e-9)
    return told


EVENTS = st.lists(st.tuples(st.integers(0, 600), st.booleans()), min_size=1, max_size=80)


@given(EVENTS, st.sampled_from(PAIRS))
def test_alarms_agree_with_counting_event_by_event(events, pair):
    at = [minute * MINUTE for minute, _ in events]
    bad = [is_bad for _, is_bad in events]
    on = slow_windows(at, bad, 0.9, pair)
    found = burn.windows(at, bad, np.ones(len(at)), target=0.9, pair=pair)

    assert found.alarms == sum(a and not b for a, b in zip(on, [False, *on], strict=False))
    assert (found.label is Label.BURNING) == on[-1]


@given(EVENTS, st.data())
def test_a_good_event_turned_bad_never_silences_an_alarm(events, data):
    at = [minute * MINUTE for minute, _ in events]
    bad = [is_bad for _, is_bad in events]
    worse = bad.copy()
    worse[data.draw(st.integers(0, len(bad) - 1))] = True
    order = [Label.TOO_FEW, Label.QUIET, Label.BURNED, Label.BURNING]

    before, after = (
        burn.windows(at, each, np.ones(len(at)), target=0.9, pair=STEADY) for each in (bad, worse)
    )

    assert order.index(after.label) >= order.index(before.label)


def slow_time(start_ns, ms, limit):
    """The share under way that keeps the limit, one bucket after another."""
    shares = []
    ends = [
        max(begin + round(took * 1e6) - 1, begin) for begin, took in zip(start_ns, ms, strict=True)
    ]
    for bucket in range(min(start_ns) // timeshare.BUCKET_NS, max(ends) // timeshare.BUCKET_NS + 1):
        inside = [
            took <= limit
            for begin, end, took in zip(start_ns, ends, ms, strict=True)
            if begin // timeshare.BUCKET_NS <= bucket <= end // timeshare.BUCKET_NS
        ]
        shares += [np.mean(inside)] if inside else []
    return np.mean(shares), len(shares)


@given(
    st.lists(
        st.tuples(st.integers(0, 400_000), st.integers(1, 60_000), st.integers(0, 2)),
        min_size=1,
        max_size=30,
    ),
    st.integers(0, 60_000),
)
def test_time_kept_agrees_with_walking_through_the_buckets(drawn, limit):
    start = [at * 10**6 + day * 14 * 3600 * 10**9 for at, _, day in drawn]
    ms = [float(took) for _, took, _ in drawn]
    found = timeshare.kept(start, ms, limit)
    share, buckets = slow_time(start, ms, limit)

    assert found.value == pytest.approx(share, abs=1e-9)
    assert found.n == buckets


def closed_loop(users=20, seed=3):
    """Users who ask again as soon as they are answered; the server stands still 6 % of the time."""
    rng = np.random.default_rng(seed)
    stalls = [(at, at + 60.0) for at in np.arange(500.0, 20_000.0, 1000.0)]
    start, took = [], []
    for _ in range(users):
        now = float(rng.random())
        while now < 20_000:
            ready = next((end for begin, end in stalls if begin <= now < end), now)
            done = ready + 0.2 * rng.lognormal(0, 0.5)
            start.append(int(now * 1e9))
            took.append((done - now) * 1000)
            now = done + rng.exponential(1.0)
    return start, took


def test_stalls_that_users_wait_out_are_hidden_by_requests_and_shown_by_time():
    start, took = closed_loop()
    late = np.mean(np.array(took) > 1000)

    time = 1 - timeshare.kept(start, took, 1000).value

    assert late < 0.01
    assert 0.055 < time < 0.085


@pytest.fixture
def pilot(model_of):
    """Two weeks of requests, of which one in ten waits a second longer at the tool."""
    frame = requests("pilot", first_day=0, days=14, per_day=60)
    frame.loc[np.arange(len(frame)) % 10 == 0, "ms_1"] += 1000.0
    return frame, model_of(frame)


def test_who_spent_a_broken_sla_adds_up_to_what_late_requests_took(pilot):
    drawn, model = pilot
    frame = spenders.of_late(model, CONTRACT, Scope())
    whole = drawn["own_ms"] + drawn[["ms_0", "ms_1", "ms_2"]].sum(axis=1)
    late = whole > 1200

    first = frame.set_index("boundary").loc["agent:loan → tool:score"]
    assert first["extra_ms"] > 100
    assert first["spent_ms"] == pytest.approx(drawn.loc[late, "ms_1"].mean(), rel=1e-6)
    assert first["spent_ms_lower"] < first["spent_ms"] < first["spent_ms_upper"]
    assert first["usual_ms"] == pytest.approx(drawn.loc[~late, "ms_1"].mean(), rel=1e-6)
    assert frame["spent_ms"].sum() == pytest.approx(whole[late].mean(), rel=1e-6)
    assert frame["extra_ms"].sum() == pytest.approx(
        whole[late].mean() - whole[~late].mean(), rel=1e-6
    )
    assert frame["share_ratio"].sum() == pytest.approx(1.0)
    assert set(frame["late"]) == {int(late.sum())}


def test_usual_time_is_that_of_the_same_operations():
    asked = pd.DataFrame(
        {
            "request_id": [1, 2, 3, 4],
            "unit_id": range(4),
            "bucket": range(4),
            "operation": ["x", "x", "y", "z"],
            "duration_ms": [100.0, 500.0, 300.0, 900.0],
            "is_failed": False,
            "weight": 1.0,
        }
    )
    path = pd.DataFrame(
        {
            "request_id": [1, 2, 3, 4],
            "boundary_id": ["b", "b", "c", None],
            "self_ms": [100.0, 500.0, 300.0, 900.0],
        }
    )
    told = spenders.split(asked, path, 400.0).set_index("boundary_id")

    assert told.loc["b", ["spent_ms", "usual_ms", "extra_ms"]].tolist() == [250, 50, 200]
    assert told.loc["", ["spent_ms", "usual_ms"]].tolist() == [450, 0]  # z was never on time
    assert "c" not in told.index


def test_burn_is_told_for_requests_first_and_then_by_boundary(pilot):
    drawn, model = pilot
    frame = burn.by_window(model, CONTRACT, Scope())

    assert list(dict.fromkeys(frame["promise"])) == ["sla", "success", "budget"]
    budget = frame[(frame["promise"] == "budget") & (frame["window"] == "all")].iloc[0]
    over = (drawn["ms_1"] > 300).mean()
    assert budget["burn"] == pytest.approx(over / 0.05)
    assert budget["burn_lower"] < budget["burn"] < budget["burn_upper"]
    assert set(frame.loc[frame["promise"] == "success", "label"].dropna()) == {"too few"}
    alarmed = frame[(frame["promise"] == "budget") & (frame["window"] == "3 d")].iloc[0]
    assert alarmed["label"] == "burning"
    assert alarmed["first_at"] >= pd.Timestamp(FIRST_DAY * DAY_NS)


def test_the_downstream_share_is_a_sum_and_time_stands_beside_requests(pilot):
    drawn, model = pilot
    row = compliance.by_request(model, CONTRACT, Scope()).iloc[0]
    downstream = drawn["ms_1"] + drawn["ms_2"]
    whole = drawn["own_ms"] + downstream + drawn["ms_0"]

    assert row["downstream_ms"] == pytest.approx(downstream.mean(), rel=1e-6)
    assert row["downstream_share_ratio"] == pytest.approx(downstream.sum() / whole.sum(), rel=1e-6)
    assert 0 < row["time_within_sla_ratio"] < 1
    assert row["time_within_sla_ratio_lower"] < row["time_within_sla_ratio"]
