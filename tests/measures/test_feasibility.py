"""Whether budgets can hold together, and the room that each leaves."""

import numpy as np
import pandas as pd
import pytest
from drawn_pilots import requests
from hypothesis import given
from hypothesis import strategies as st

from analysis import feasibility
from analysis.contract_file import parse
from analysis.feasibility import promised
from analysis.scope import Scope

CONTRACT = """
sla: {{p95: {sla}}}
downstream_share: 30%
boundaries:
 - {{match: "agent:loan -> model:*", budget: 1300ms}}
 - {{match: "agent:loan -> tool:score", budget: 600ms}}
"""


def contract(sla):
    return parse(CONTRACT.format(sla=sla).encode())


@pytest.fixture
def pilot(model_of):
    """Requests of one model call, one tool call and one API call, one after another."""
    frame = requests("pilot", first_day=0, days=14, per_day=60)
    model = model_of(frame)
    return frame, model


def calls(*rows):
    columns = ["request_id", "call_id", "boundary_id", "start_ns", "end_ns", "path_ms"]
    return pd.DataFrame(rows, columns=columns)


ASKED = pd.DataFrame({"request_id": [1, 2], "duration_ms": [100.0, 50.0]})


def test_only_the_outermost_call_with_a_budget_counts():
    path = calls(
        (1, 1, "outer", 0, 80, 80.0),
        (1, 2, "inner", 10, 70, 60.0),
        (1, 3, "free", 80, 90, 10.0),
        (1, 4, "inner", 90, 95, 5.0),
    )

    told = promised(ASKED, path, {"outer": 200.0, "inner": 7.0})

    assert told.tolist() == [100 - 80 + 200 - 5 + 7, 50]


def slow_promised(asked, path, budgets):
    told = []
    for request in asked.itertuples():
        mine = [
            call
            for call in path.itertuples()
            if call.request_id == request.request_id and call.boundary_id in budgets
        ]
        took = request.duration_ms
        for call in mine:
            around = [
                other
                for other in mine
                if (other.start_ns, -other.end_ns, other.call_id)
                < (call.start_ns, -call.end_ns, call.call_id)
                and other.end_ns >= call.end_ns
            ]
            took += 0 if around else budgets[call.boundary_id] - call.path_ms
        told.append(took)
    return told


@given(
    st.lists(
        st.tuples(
            st.integers(1, 2), st.sampled_from("abc"), st.integers(0, 20), st.integers(0, 20)
        ),
        max_size=12,
    )
)
def test_what_budgets_promise_agrees_with_a_walk_over_pairs(drawn):
    path = calls(
        *(
            (request, place, name, start, start + length, float(length))
            for place, (request, name, start, length) in enumerate(drawn)
        )
    )
    budgets = {"a": 5.0, "b": 50.0}

    assert promised(ASKED, path, budgets).tolist() == slow_promised(ASKED, path, budgets)


def test_budgets_that_sum_to_more_than_the_sla_are_told(pilot):
    drawn, model = pilot
    told = feasibility.of_budgets(model, contract("2s"), Scope())
    whole = np.sort(drawn["own_ms"] + drawn["ms_2"] + 1300 + 600)

    assert told.promised_ms.value == pytest.approx(whole[int(np.ceil(0.95 * len(whole))) - 1])
    assert told.label == "broken"
    assert "may all be kept" in told.reason
    assert feasibility.of_budgets(model, contract("3s"), Scope()).label == "kept"


def test_headroom_is_what_a_budget_leaves_above_the_measured_quantile(pilot):
    model = pilot[1]
    frame = feasibility.of_budgets(model, contract("2s"), Scope()).by_boundary
    row = frame.set_index("boundary").loc["agent:loan → tool:score"]

    assert row["headroom_ms"] == pytest.approx(600 - row["tail_ms"])
    assert row["headroom_ms_lower"] < row["headroom_ms"] < row["headroom_ms_upper"]
    assert row["headroom_ratio"] == pytest.approx(row["headroom_ms"] / 600)
    assert frame["headroom_ratio"].dropna().is_monotonic_increasing


def test_equal_budgets_add_up_to_the_downstream_budget_and_are_never_all_required(pilot):
    model = pilot[1]
    told = feasibility.of_budgets(model, contract("2s"), Scope())
    equal = told.by_boundary["equal_ms"].dropna()

    assert len(equal) == 2
    assert equal.sum() == pytest.approx(0.30 * 2000, rel=0.02)
    assert 0.8 < told.equal_quantile < 0.99
    assert told.within_each_ratio < told.equal_quantile < told.within_sum_ratio


def test_without_an_sla_or_a_budget_nothing_is_said(pilot):
    model = pilot[1]

    assert feasibility.of_budgets(model, None, Scope()).label == "no budget"
    assert feasibility.of_budgets(model, parse(b"sla: {p95: 2s}"), Scope()).label == "no budget"
