"""What a change of one boundary would have done is asked of a lake, with its limits."""

import pytest

from analysis.replay import Change, what_if
from analysis.scope import Scope

REQUESTS = """
agent root    0..100
  tool slow  10..80
  model m    85..95 provider=openai

agent root    0..50
  model m    10..40 provider=openai
"""


def test_only_requests_that_made_the_call_are_replayed(model):
    drawn = model(REQUESTS)
    facts = drawn.ask("boundaries")
    (slow,) = facts.loc[facts["callee"] == "tool:slow", "boundary_id"]

    told = what_if(drawn, Scope(), slow, Change(timeout_ms=20, fallback_ms=10))

    after = dict(zip(told.figures["figure"], told.figures["after"], strict=True))
    assert (told.requests, told.replayed, told.calls, told.given_up) == (2, 1, 1, 1)
    assert told.saved_ms.value == pytest.approx(20)
    assert after == {"p50_ms": 50, "p95_ms": 60, "p99_ms": 60}
    assert set(told.figures["grade"]) == {"insufficient"}
