import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from drawn_pilots import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import access, compliance, fault_tests, gates, pilot, risk, stats, tails
from analysis.attribution import split
from analysis.contract_file import parse
from analysis.gates import Gate
from analysis.scope import Scope

CONTRACT = parse(
    b"""
sla: {p95: 2500ms, success: 99%}
downstream_share: 50%
boundaries:
 - {match: "agent:loan -> tool:*", budget: 500ms}
 - {match: "* -> service:score/*", budget: 90ms}
 - {match: "agent:loan -> model:*", budget: 1180ms}
 - {match: "nobody -> nothing", budget: 1s}
access:
 - {agent: loan, allow: ["postgresql.crm.*: read"], sensitive: ["postgresql.crm.customers"]}
 - {agent: loan, allow: ["s3.*: read"]}
"""
)


# The same promises with budgets that the drawn pilots keep.
ROOMY = replace(
    CONTRACT,
    boundaries=tuple(replace(rule, budget_ms=10 * rule.budget_ms) for rule in CONTRACT.boundaries),
)


def gate(label):
    return Gate("g", label, 0.5, 0.4, 0.6, 0.5, "ratio", "more.", "errors")


LABELS = st.lists(st.sampled_from(["pass", "fail", "not enough evidence"]), max_size=8)


@given(LABELS)
def test_ready_means_every_gate_passes_and_not_ready_that_one_fails(labels):
    word, reason = gates.verdict([gate(label) for label in labels])

    assert (word == "ready") == (bool(labels) and set(labels) == {"pass"})
    assert (word == "not ready") == ("fail" in labels)
    assert reason


RESULTS = ["fail", "not enough evidence", "pass"]
WORDS = ["not ready", "not enough evidence", "ready"]


@given(LABELS, st.sampled_from(RESULTS))
def test_one_gate_more_never_improves_a_verdict(labels, more):
    before, _ = gates.verdict([gate(label) for label in labels])
    after, _ = gates.verdict([gate(label) for label in [*labels, more]])

    # Without any gate nothing was asked.
    assert not labels or WORDS.index(after) <= WORDS.index(before)


@given(LABELS, st.data())
def test_what_is_not_tested_never_makes_ready(labels, data):
    if not labels:
        return
    place = data.draw(st.integers(0, len(labels) - 1))
    untested = [*labels[:place], "not enough evidence", *labels[place + 1 :]]

    assert gates.verdict([gate(label) for label in untested])[0] != "ready"


FAULT_TESTS = st.lists(
    st.tuples(st.sampled_from([str(label) for label in fault_tests.Label]), st.booleans()).map(
        lambda test: (test[0], test[1] and test[0] in fault_tests.FAILED)
    ),
    min_size=1,
    max_size=5,
)


@given(FAULT_TESTS, FAULT_TESTS)
def test_one_fault_test_more_never_raises_the_gate_and_the_worst_caps_it(tests, more):
    before, after = gates.of_fault_tests(tests), gates.of_fault_tests(tests + more)

    assert RESULTS.index(after) <= RESULTS.index(before)
    if any(is_proven for _, is_proven in tests):
        assert after == "fail"
    if {label for label, _ in tests} - {"contained", "degraded gracefully"}:
        assert after != "pass"


def test_no_fault_test_is_no_pass():
    assert gates.of_fault_tests([]) == "not enough evidence"


def share_gate(successes, n, required=0.95):
    return gates.share_gate(
        "g", lambda level: stats.independent(successes, n, level=level), required, 7, "errors"
    )


def test_no_data_never_passes_a_gate():
    assert share_gate(0, 0).label == "not enough evidence"
    assert share_gate(0, 0).missing == "No requests in this scope."


@given(st.integers(1, 400), st.integers(0, 20), st.integers(2, 20))
def test_more_of_the_same_good_evidence_never_turns_a_pass_into_anything_else(n, bad, times):
    if bad > n:
        return
    before = share_gate(n - bad, n).label
    after = share_gate(times * (n - bad), times * n).label

    if before == "pass":
        assert after == "pass"
    if before == "fail":
        assert after == "fail"


@given(st.integers(1, 2000), st.data())
def test_one_more_success_never_worsens_a_gate(n, data):
    good = data.draw(st.integers(0, n - 1))
    order = ["fail", "not enough evidence", "pass"]

    assert order.index(share_gate(good, n).label) <= order.index(share_gate(good + 1, n).label)


def test_a_gate_at_its_limit_seldom_passes():
    """500 draws of 1,000 requests with exactly the required success."""
    rng = np.random.default_rng(2)
    labels = [share_gate(int(rng.binomial(1000, 0.95)), 1000).label for _ in range(500)]

    assert labels.count("pass") / 500 <= 0.07
    assert labels.count("fail") / 500 <= 0.02


REQUESTS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b"]),  # operation
        st.booleans(),  # failed
        st.lists(st.sampled_from([0.0, 1.0, 5.0, 40.0]), min_size=4, max_size=4),  # critical ms
        st.lists(st.sampled_from([0.0, 0.5]), min_size=2, max_size=2),  # origins' shares
        st.sampled_from([1.0, 4.0]),  # weight
    ),
    min_size=1,
    max_size=25,
)


@settings(deadline=None, max_examples=30)
@given(REQUESTS, st.sampled_from([None, 10.0, 41.0]))
def test_what_boundaries_answer_for_adds_up_to_the_bad_requests(drawn, sla_ms):
    rows, origins, path = [], [], []
    for place, (operation, failed, spent, shares, weight) in enumerate(drawn):
        rows.append((place, place % 5, place % 5, operation, sum(spent), failed, weight))
        names = [None, "x", "y", "z"]
        path += [(place, name, ms) for name, ms in zip(names, spent, strict=True)]
        origins += [
            (place, name, share) for name, share in zip("xy", shares, strict=True) if failed
        ]
    frame = pd.DataFrame(
        rows,
        columns=[
            *("request_id", "unit_id", "bucket", "operation"),
            *("duration_ms", "is_failed", "weight"),
        ],
    )
    found = split(
        frame,
        pd.DataFrame(origins, columns=["request_id", "boundary_id", "failed_share"]),
        pd.DataFrame(path, columns=["request_id", "boundary_id", "self_ms"]),
        sla_ms,
    )

    late = ~frame["is_failed"] & (frame["duration_ms"] > (sla_ms or math.inf))
    bad = frame["weight"][frame["is_failed"] | late].sum() / frame["weight"].sum() * 1000
    parts = found.by_boundary["bad_per_1000"].sum() + found.unattributed_per_1000
    assert found.total_per_1000 == pytest.approx(bad)
    assert parts == pytest.approx(bad)
    assert (found.by_boundary["bad_per_1000"] >= 0).all()


def test_a_late_request_is_owed_to_what_was_slower_than_usual():
    frame = pd.DataFrame(
        {
            "request_id": range(5),
            "unit_id": range(5),
            "bucket": range(5),
            "operation": "chat",
            "duration_ms": [100.0, 110.0, 100.0, 110.0, 410.0],
            "is_failed": False,
            "weight": 1.0,
        }
    )
    path = pd.DataFrame(
        [(request, "db", 10.0) for request in range(4)]
        + [(request, "llm", 90.0) for request in range(4)]
        + [(4, "db", 310.0), (4, "llm", 100.0)],
        columns=["request_id", "boundary_id", "self_ms"],
    )
    none = pd.DataFrame(columns=["request_id", "boundary_id", "failed_share"])

    found = split(frame, none, path, 200.0).by_boundary.set_index("boundary_id")["late_per_1000"]

    # One late request of five: 300 ms above usual at the database, 10 ms at the model.
    assert found["db"] == pytest.approx(200 * 300 / 310)
    assert found["llm"] == pytest.approx(200 * 10 / 310)


@pytest.fixture
def two_weeks(model_of):
    return model_of(
        requests("baseline", first_day=0, days=14, per_day=120, failed=0.02),
        requests("pilot", first_day=14, days=14, per_day=120, factor=0.6, failed=0.001, seed=1),
    )


def test_a_pilot_that_is_much_faster_over_two_weeks_is_proven(two_weeks):
    found = pilot.compare(two_weeks, CONTRACT)

    assert (found.label, found.design, found.unit) == ("proven", "sequential", "day")
    assert found.reason.startswith("p95 fell ")
    assert found.reason.endswith("proven at least 10\u202f%.")
    assert set(found.boundaries["label"]) == {"proven"}
    assert found.boundaries["q_value"].max() < 0.01
    assert {check.name for check in found.checks if check.ok is False} == set()


def test_a_baseline_that_drifts_leaves_no_verdict(model_of):
    model = model_of(
        requests("baseline", first_day=0, days=14, per_day=120, drift=2.0),
        requests("pilot", first_day=14, days=14, per_day=120, factor=0.5, seed=1),
    )

    found = pilot.compare(model, CONTRACT)

    assert found.label == "not enough evidence"
    assert found.reason.startswith("The baseline drifts: p95")
    assert set(found.end_to_end["label"]) == {"not enough evidence"}


def test_sides_that_ran_together_are_compared_by_conversation(model_of):
    model = model_of(
        requests("baseline", first_day=0, days=3, per_day=300),
        requests("pilot", first_day=0, days=3, per_day=300, factor=0.6, seed=1),
    )

    found = pilot.compare(model, CONTRACT)

    assert (found.label, found.design, found.unit) == ("proven", "concurrent", "conversation")


def test_a_single_day_a_side_is_compared_by_four_hour_blocks_and_proves_nothing(model_of):
    model = model_of(
        requests("baseline", first_day=0, days=1, per_day=2000),
        requests("pilot", first_day=1, days=1, per_day=2000, factor=0.3, seed=1),
    )

    found = pilot.compare(model, CONTRACT)

    assert found.unit == "4h block"
    assert found.label in ("faster", "not enough evidence")


def test_different_work_is_not_compared(model_of):
    model = model_of(
        requests("baseline", first_day=0, days=14, per_day=60),
        requests("pilot", first_day=14, days=14, per_day=60, factor=0.5, operation="GET /new"),
    )

    found = pilot.compare(model, CONTRACT)

    assert found.label == "not enough evidence"
    assert "of operations only one side has" in found.reason


def test_a_shift_to_quick_work_is_not_called_faster(model_of):
    """Each operation stays as it was; the pilot only has more of the quick one."""

    def side(cohort, first_day, slow, quick):
        common = {"first_day": first_day, "days": 14}
        return (
            requests(cohort, per_day=slow, operation="slow", factor=3, seed=first_day, **common),
            requests(cohort, per_day=quick, operation="quick", seed=first_day + 1, **common),
        )

    model = model_of(*side("baseline", 0, 60, 60), *side("pilot", 14, 20, 100))
    found = pilot.compare(model, CONTRACT)

    raw = tails.end_to_end(model, Scope()).set_index("cohort")["p50_ms"]
    assert raw["pilot"] / raw["baseline"] < 0.8
    assert set(found.end_to_end["label"]) <= {"no worse", "not enough evidence"}


def test_a_missing_cohort_is_named(model_of):
    found = pilot.compare(model_of(requests("pilot", first_day=0, days=2, per_day=5)), None)

    assert found.label == "not enough evidence"
    assert found.reason.startswith("No cohort stands for the baseline; name one in the contract's")
    assert found.reason.endswith("The lake has pilot.")


def test_budgets_are_kept_broken_or_open(two_weeks):
    found = compliance.by_boundary(two_weeks, CONTRACT, Scope())
    labels = dict(zip(found["callee"], found["label"], strict=True))

    assert labels["tool:score"] == "kept"
    assert labels["http:score/v1"] == "broken"
    assert found["label"].tolist()[0] == "broken"
    assert compliance.unmatched(two_weeks, CONTRACT, Scope()) == [
        "contracts.yaml:8: `nobody -> nothing` matches no boundary of these traces."
    ]


def test_a_use_beyond_the_grants_fails_its_gate_and_names_itself(model_of):
    days = requests("pilot", first_day=0, days=7, per_day=60)
    uses = pd.DataFrame(
        {
            "cohort": "pilot",
            "call_id": range(5),
            "trace_id": [f"{place:032x}" for place in range(5)],
            "agent": "loan",
            "kind": "database",
            "resource": "postgresql.crm.customers",
            "access": "write",
            "service": "planner",
            "is_error": False,
            "rows": 1,
            "started_at": pd.Timestamp("2024-10-04"),
            "sensitivity": None,
            "is_sensitivity_inferred": False,
            "pilot_variant": None,
            "service_version": "1",
            "weight": 1.0,
            "unit_no": range(5),
            "turn_no": None,
            "owner_agent": "loan",
            "is_first_of_call": True,
        }
    )
    model = model_of(days, accesses=uses)

    found = access.footprint(model, CONTRACT, Scope())
    assert found["grant"].tolist() == ["not granted", "unseen", "unseen"]
    assert found["is_sensitive"].tolist() == [True, False, False]
    answer = risk.readiness(model, CONTRACT, Scope())
    assert answer.label == "not ready"
    assert "loan write postgresql.crm.customers" in answer.reason


def test_one_broken_latency_budget_makes_a_pilot_not_ready_and_is_named(two_weeks):
    answer = risk.readiness(two_weeks, CONTRACT, Scope())
    (found,) = (gate for gate in answer.gates if gate.unit == "boundaries")

    assert (found.label, found.measured, found.required) == ("fail", 2, 3)
    assert answer.label == "not ready"
    assert answer.reason.startswith("1 of 3 boundaries with a latency budget break it (tool:score")


def test_without_a_latency_budget_there_is_no_gate_for_it(two_weeks):
    free = replace(CONTRACT, boundaries=())

    assert "boundaries" not in {
        gate.unit for gate in risk.readiness(two_weeks, free, Scope()).gates
    }


def test_a_good_pilot_without_a_fault_test_is_not_ready_yet(two_weeks):
    answer = risk.readiness(two_weeks, ROOMY, Scope())

    labels = {gate.name: gate.label for gate in answer.gates}
    assert labels.pop("Faults contained in fault tests") == "not enough evidence"
    assert set(labels.values()) == {"pass"}
    assert answer.label == "not enough evidence"
    assert answer.total_per_1000 == pytest.approx(
        answer.ranking["bad_per_1000"].sum() + answer.unattributed_per_1000
    )


def test_an_empty_lake_is_never_ready(model_of):
    answer = risk.readiness(model_of(), CONTRACT, Scope())

    assert answer.label == "not enough evidence"
    assert {gate.label for gate in answer.gates} == {"not enough evidence"}
    assert answer.ranking.empty


def test_a_gate_is_the_same_whoever_asks_first(two_weeks):
    first = risk.readiness(two_weeks, CONTRACT, Scope())
    again = risk.readiness(
        two_weeks, CONTRACT, Scope(), comparison=pilot.compare(two_weeks, CONTRACT)
    )

    assert first.gates == again.gates
    pd.testing.assert_frame_equal(first.ranking, again.ranking)
