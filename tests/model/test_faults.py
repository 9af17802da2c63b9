"""How far failures reach, what retries cost, and what was done for nobody or twice."""

import pytest

from analysis import faults
from analysis.scope import Scope

REACHING = """
agent root    0..100 ! conversation_id=x
  tool a     10..20 !

agent root    0..100 conversation_id=x
  tool a     10..20 !
  tool b     30..90 !

agent root    0..100 conversation_id=y
  tool a     10..20

agent root    0..100 conversation_id=z
  tool a     10..20 !
  tool a     30..40
"""


def test_whom_failures_reached_and_what_became_of_them(model):
    frame = faults.reach(model(REACHING), Scope()).set_index("boundary")
    a = frame.loc["agent:root → tool:a"]

    assert (a["failures"], a["requests"], a["visible_requests"]) == (3, 3, 1)
    assert (a["conversations"], a["of_conversations"], a["operations"]) == (2, 3, ["agent:root"])
    assert a["reached_ratio"] == pytest.approx(3 / 4)
    assert a["escape_ratio"] == pytest.approx(1 / 3)
    assert a["absorbed_ratio"] == pytest.approx(2 / 3)
    assert a["escape_ratio_lower"] < 1 / 3 < a["escape_ratio_upper"]


def test_the_tenants_that_failures_reached_are_counted(model):
    frame = faults.reach(
        model("""
http_server /chat   0..100 tenant=one
  agent root        5..90
    tool a         10..20 !

http_server /chat   0..100 tenant=two
  agent root        5..90
    tool a         10..20
"""),
        Scope(),
    ).set_index("boundary")
    a = frame.loc["agent:root → tool:a"]

    assert (a["tenants"], a["of_tenants"]) == (1, 2)


def test_failures_in_requests_that_went_well_are_told_with_what_they_cost(model):
    frame = faults.hidden(model(REACHING), Scope())
    told = {(row.boundary[-1], row.outcome): row for row in frame.itertuples()}

    assert {key: (row.failures, row.client_ms) for key, row in told.items()} == {
        ("a", "handled"): (1, 10),
        ("a", "retried_ok"): (1, 10),
        ("b", "handled"): (1, 60),
    }
    assert told["b", "handled"].path_ms == pytest.approx(15)


def test_tries_of_one_logical_call_are_counted(model):
    drawn = model("""
agent root    0..100
  tool get   10..20 !
  tool get   25..35 !
  tool get   40..50
  tool get   60..70
  tool put   80..90
""")
    frame = faults.retries(drawn, Scope()).set_index("boundary")
    get, put = frame.loc["agent:root → tool:get"], frame.loc["agent:root → tool:put"]

    assert (get["calls"], get["logical"], get["tries"], get["retried"]) == (4, 2, 4, 2)
    assert get["tries_ratio"] == pytest.approx(2)
    assert get["retry_ms"] == pytest.approx(30)
    assert put["tries_ratio"] == pytest.approx(1)


def test_many_callers_that_retry_at_once_are_a_storm(model):
    stubborn = "agent root 0..100\n" + "".join(
        f"  tool get {at}..{at + 5} !\n" for at in range(0, 40, 10)
    )
    drawn = model("\n".join([stubborn] * 5))
    (storm,) = drawn.ask("retry_storms").itertuples()

    assert (storm.calls, storm.logical, storm.tries, storm.traces) == (20, 5, 20, 5)


def test_one_stubborn_caller_is_no_storm(model):
    calls = "".join(f"  tool get {at}..{at + 5} !\n" for at in range(0, 300, 10))

    assert model(f"agent root 0..300\n{calls}").ask("retry_storms").empty


ABANDONED = """
agent root               0..100
  http_client pay       10..30 ! url_path=/pay server_address=pay error_type=timeout {key}
    http_server /pay    12..60 service_name=pay http_method=POST
      db charges        40..50 service_name=pay db_system=postgresql {write}
  http_client pay       35..55 url_path=/pay server_address=pay {key}
    http_server /pay    36..54 service_name=pay http_method=POST
"""


def test_what_a_callee_did_after_its_caller_gave_up_is_counted(model):
    drawn = ABANDONED.format(key="http_method=POST", write="db_operation=INSERT")
    (told,) = model(drawn).ask("abandoned_work").itertuples()

    assert (told.abandoned, told.abandoned_ms, told.waited_p50_ms) == (1, 28, 20)
    assert (told.late_calls, told.late_writes) == (1, 1)


def test_a_write_made_again_after_a_time_out_is_a_possible_duplicate(model):
    (told,) = (
        model(ABANDONED.format(key="http_method=POST", write=""))
        .ask("duplicate_writes")
        .itertuples()
    )

    assert (told.first_class, told.evidence, told.is_failed_again) == (
        "timeout",
        "both worked",
        False,
    )


def test_a_key_makes_two_tries_one_write(model):
    drawn = ABANDONED.format(key="http_method=POST idempotency_key=k", write="")

    assert model(drawn).ask("duplicate_writes").empty


def test_what_leaves_the_same_when_made_twice_is_no_duplicate(model):
    drawn = ABANDONED.format(key="http_method=PUT", write="")

    assert model(drawn).ask("duplicate_writes").empty


def test_a_callee_that_waits_longer_than_its_caller_is_at_odds(model):
    drawn = model("""
agent root              0..100
  tool pay             10..90 timeout_ms=50
    http_client bank   20..80 url_path=/b server_address=bank http_method=POST timeout_ms=60
  tool get             91..95 timeout_ms=50
    http_client bank   92..93 url_path=/b server_address=bank http_method=POST timeout_ms=20
""")
    (told,) = drawn.ask("timeout_odds").itertuples()

    assert (told.timeout_ms, told.inner_timeout_ms, told.calls) == (50, 60, 1)
    assert told.boundary == "agent:root → tool:pay"
