"""Patterns of calls are found where they are, and cost what waiting for them costs on the path."""

import pandas as pd
import pytest

from analysis import patterns
from analysis.scope import Scope

NOTHING = pd.DataFrame()


def costs(model, pattern):
    frame = patterns.ranked(model, Scope())
    chosen = frame[frame["pattern"] == pattern]
    return {
        row.boundary: (row.found, row.calls, row.most, round(row.cost_ms, 6))
        for row in chosen.itertuples()
    }


def test_the_same_callee_asked_again_and_again_costs_all_but_the_longest(model):
    drawn = model("""
agent root     0..100
  db loans    10..20 db_system=postgresql
  db loans    20..40 db_system=postgresql
  db loans    50..60 db_system=postgresql
  db people   70..80 db_system=postgresql
  db people   80..90 db_system=postgresql
""")

    assert costs(drawn, "repeated") == {"agent:root → postgresql.loans": (1, 3, 3, 20)}


def test_tries_after_a_failure_are_no_repetition(model):
    drawn = model("""
agent root     0..100
  tool get    10..20 !
  tool get    30..40 !
  tool get    50..60
""")

    assert costs(drawn, "repeated") == {}


BOTH_ORDERS = """
agent root    0..100
  tool a     10..40
  tool b     50..70

agent root    0..100
  tool a     10..40
  tool b     50..70

agent root    0..100
  tool b     10..40
  tool a     50..70

agent root    0..100
  tool b     10..40
  tool a     50..70
"""


def test_two_seen_in_both_orders_could_run_at_once(model):
    frame = patterns.ranked(model(BOTH_ORDERS), Scope())
    (found,) = frame[frame["pattern"] == "serial"].itertuples()

    assert {found.boundary, found.other_boundary} == {"agent:root → tool:a", "agent:root → tool:b"}
    assert (found.found, found.cost_ms, found.n) == (4, 20, 4)


def test_two_always_in_one_order_may_need_each_other(model):
    drawn = model("""
agent root    0..100
  tool a     10..40
  tool b     50..70

agent root    0..100
  tool a     10..40
  tool b     50..70
""")

    assert costs(drawn, "serial") == {}


def test_a_fan_costs_what_its_last_call_runs_alone(model):
    drawn = model("""
agent root    0..100
  tool a     10..40
  tool b     15..90
  tool c     20..50
""")

    assert costs(drawn, "fan-out") == {"agent:root → tool:b": (1, 3, 3, 40)}


def test_many_calls_between_two_cost_their_ways(model):
    calls = "".join(
        f"    http_client rate {at}..{at + 10} url_path=/rate server_address=rate http_method=GET\n"
        f"      http_server /rate {at + 2}..{at + 8} service_name=rate http_method=GET\n"
        for at in range(10, 60, 10)
    )
    drawn = model(f"agent root    0..100\n  step think  5..90\n{calls}")

    assert costs(drawn, "chatty") == {"agent:root → http:rate/rate": (1, 5, 5, 16)}


def test_time_that_nothing_explains_is_told_by_the_call_it_comes_before(model):
    drawn = model("""
http_server /chat  0..100 http_method=POST
  agent planner   10..90
    model m       30..50 provider=openai
    tool a        55..80
""")
    frame = patterns.ranked(drawn, Scope())
    told = frame[frame["pattern"] == "unexplained"]

    found = {(row.boundary, row.other_boundary): row.cost_ms for row in told.itertuples()}

    nobody = float("nan")
    planner = "service:app → agent:planner"
    assert {str(key): cost for key, cost in found.items()} == {
        str((planner, "agent:planner → model:openai/m")): 20,
        str((planner, "agent:planner → tool:a")): 5,
        str((planner, nobody)): 10,
        str((nobody, planner)): 10,
        str((nobody, nobody)): 10,
    }


def test_shares_of_the_kinds_add_up(model):
    frame = patterns.kinds(model(BOTH_ORDERS), Scope())
    share = dict(zip(frame["kind"], frame["share_ratio"], strict=True))

    assert share["tool"] + share["none"] == pytest.approx(1)
    assert share["not models"] == pytest.approx(1)
    assert set(frame["share_ratio_grade"]) == {"insufficient"}


def test_a_lake_without_patterns_gives_an_empty_frame(model):
    frame = patterns.ranked(model("tool t 0..1"), Scope())

    assert list(frame["pattern"].unique()) in ([], ["unexplained"])
