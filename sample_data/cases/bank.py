"""A bank's loan assistant: credit-score calls that hang break its SLA, until they may be repeated.

In the baseline one call in seven hangs for about two seconds and nobody gives up. The pilot gives
each try 200 ms, repeats it once under an idempotency key, and falls back on a cached score.
"""

from sample_data import system
from sample_data.cases import stage
from sample_data.cases.stage import Call, Visit
from sample_data.handoffs import redis
from sample_data.record import Piece, Span
from sample_data.system import Attributes, Endpoint, Host

NUMBER = 1
CONVERSATIONS, TURNS = 1500, 1
HANG_RATIO = 0.14
BASELINE_TIMEOUT_MS = 5000.0
PILOT_TIMEOUT_MS = 200.0
SLA_MS = 2000.0

ASSISTANT = Host("loan-assistant", "loan-a", "1.4.0", "python", "bank", "time-out-budget")
SCORES = Host("credit-score", "credit-a", "7.1.0", "java", "bank", "time-out-budget")
SCORE = Endpoint("GET", "credit-score:8080", "/v1/scores/{id}")


def respond(visit: Visit, *, cohort: str, spans: list[Span]) -> float:
    """Write one request; return what it took."""
    is_pilot = cohort == "pilot"
    request = stage.begin(visit, ASSISTANT, "loan-assistant", spans)
    at_ms = stage.ask_model(request, 5.0, stage.spent(visit, 330), 640)
    hangs = [visit.rng.random() < HANG_RATIO for _ in range(2)]
    took = [
        stage.spent(visit, 95) + (1500 + 900 * visit.rng.random() if hang else 0.0)
        for hang in hangs
    ]
    own: Attributes = ()
    if is_pilot:
        key = f"score-{visit.trace_id.hex()[:8]}"
        own = (
            ("orch.boundary.timeout_ms", int(PILOT_TIMEOUT_MS)),
            ("orch.boundary.idempotency_key", key),
        )
    made = Call(
        SCORE,
        SCORES,
        took[0],
        PILOT_TIMEOUT_MS if is_pilot else BASELINE_TIMEOUT_MS,
        took[1] if is_pilot else None,
        own,
        "outage-credit" if is_pilot and visit.day in stage.FAULT_DAYS else "",
    )

    def score(at: Piece, begin_ms: float) -> tuple[float, bool]:
        end_ms, is_open = stage.call(request, at, begin_ms, made)
        if is_open:
            told: Attributes = (("db.response.returned_rows", 1), ("cache.hit", True))
            redis(request.trace, at, system.GET_CACHED_SCORE, end_ms, end_ms + 1.5, told)
            end_ms += 1.5
        return end_ms, is_open

    at_ms = stage.use_tool(request, "credit_score", at_ms + 1.0, score)
    at_ms = stage.ask_model(request, at_ms + 1.0, stage.spent(visit, 365), 820)
    return stage.finish(request, path="/api/loans", at_ms=at_ms)
