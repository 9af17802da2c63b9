"""Turns, faults and lost context of two recorded agent systems are found as their labels say."""

from pathlib import Path

import pytest

DATA = Path(__file__).parents[3] / "shared" / "data"
COHORTS = {"baseline": "before", "pilot": "after"}

pytestmark = pytest.mark.real


def test_every_turn_is_one_request(recorded, query):
    model, labels = recorded
    found = dict(query(model, "SELECT cohort, count(*) FROM requests GROUP BY cohort"))

    assert found == {cohort: len(turns) for cohort, turns in labels.items()}


def test_every_trace_that_lost_its_context_is_known_as_cut(recorded, query):
    model, labels = recorded
    found = query(model, "SELECT cohort, trace_id FROM nodes WHERE is_cut AND kind = 'SERVER'")

    assert set(found) == {
        (cohort, trace)
        for cohort, turns in labels.items()
        for turn in turns
        for trace in turn["cut_off_trace_ids"]
    }


def test_a_model_that_failed_is_the_model_that_answers_otherwise(recorded, query):
    model, labels = recorded
    calls = query(
        model,
        "SELECT cohort, callee, count(*) FILTER (is_error AND error_class = 'server_error'), "
        "count(*) FILTER (is_error) FROM calls WHERE kind = 'model' GROUP BY ALL ORDER BY cohort",
    )
    down = [
        sum(turn["fault"] == "llm_down" for turn in labels[cohort]) for cohort in sorted(labels)
    ]

    assert calls == [
        (cohort, "model:openai/gpt-fake-2026-01-01", count, count)
        for cohort, count in zip(sorted(labels), down, strict=True)
    ]


def test_who_calls_what_is_the_same_whoever_recorded_it(recorded, query):
    model, _ = recorded
    edges = query(
        model,
        "SELECT DISTINCT caller, callee FROM calls WHERE cohort = 'pilot' ORDER BY caller, callee",
    )

    assert edges == [
        ("agent:support_agent", "model:openai/gpt-fake-2026-01-01"),
        ("agent:support_agent", "tool:get_order"),
        ("agent:support_agent", "tool:refund_order"),
        ("agent:support_agent", "tool:search_kb"),
        ("service:crm-service", "sqlite.customers"),
        ("service:crm-service", "sqlite.orders"),
        ("service:crm-service", "sqlite.payment_cards"),
        ("service:crm-service", "sqlite.refunds"),
        ("tool:get_order", "http:127.0.0.1/orders/{id}"),
        ("tool:refund_order", "http:127.0.0.1/refunds"),
        ("tool:search_kb", "sqlite.kb"),
    ]


def test_a_trace_that_was_cut_is_joined_within_its_turn(recorded, query):
    model, labels = recorded
    turns = {
        trace: (cohort, number)
        for cohort, told in labels.items()
        for number, turn in enumerate(told)
        for trace in turn["trace_ids"]
    }
    joined = query(
        model,
        "SELECT cut.trace_id, joined.trace_id FROM nodes AS cut LEFT JOIN joins USING (node_id) "
        "LEFT JOIN nodes AS joined ON joined.node_id = joins.joined_id "
        "WHERE cut.is_cut AND cut.kind = 'CLIENT'",
    )

    assert [turns[cut] for cut, _ in joined] == [turns[trace] for _, trace in joined]
