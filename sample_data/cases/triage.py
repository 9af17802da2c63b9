"""A hospital's triage bot: after three turns its session store forgets, until a token carries on.

In the baseline two conversations in five find nothing in the session store at their fourth turn,
and staff corrects part of what is asked again. The pilot carries an immutable context token.
"""

import hashlib

from sample_data import system
from sample_data.cases import stage
from sample_data.cases.stage import Call, Visit
from sample_data.handoffs import redis
from sample_data.record import Piece, Span
from sample_data.system import Attributes, Endpoint, Host

NUMBER = 2
CONVERSATIONS, TURNS = 480, 5
LOST_TURN = 4
LOST_RATIO = 0.4  # of conversations
CORRECTED_RATIO = 0.04  # of all turns, in both months
CORRECTED_FOR_LOSS_RATIO = 0.02  # of all turns, among those that lost their context

BOT = Host("triage-bot", "triage-a", "3.1.0", "python", "hospital", "context-token")
GUIDELINES = Host("guidelines", "guide-a", "2.0.4", "java", "hospital", "context-token")
GUIDELINE = Endpoint("GET", "guidelines:8080", "/v1/guidelines/{id}")


def is_lost(visit: Visit, cohort: str) -> bool:
    """Whether the session store has nothing at this turn."""
    share = (visit.conversation * 7) % 10 < 10 * LOST_RATIO
    return cohort == "baseline" and visit.turn == LOST_TURN and share


def respond(visit: Visit, *, cohort: str, spans: list[Span]) -> float:
    """Write one turn; return what it took."""
    is_pilot = cohort == "pilot"
    request = stage.begin(visit, BOT, "triage", spans)
    conversation = f"triage-{cohort[0]}-{visit.conversation:05d}"
    lost = is_lost(visit, cohort)
    has_forgotten = cohort == "baseline" and visit.turn > LOST_TURN
    has_forgotten &= is_lost(visit._replace(turn=LOST_TURN), cohort)
    at_ms = 5.0
    if visit.turn > 1:
        told: Attributes = (("db.response.returned_rows", int(not lost)), ("cache.hit", not lost))
        version: Attributes = (("orch.context.version", visit.turn),) if is_pilot else ()
        redis(request.trace, request.inside, system.GET_SESSION, at_ms, at_ms + 2.0, told + version)
        at_ms += 3.0
    known = 0 if lost else visit.turn - (LOST_TURN if has_forgotten else 1)
    at_ms = stage.ask_model(request, at_ms, stage.spent(visit, 420), 560 + 430 * known)
    fault = "outage-guidelines" if is_pilot and visit.day in stage.FAULT_DAYS else ""
    made = Call(GUIDELINE, GUIDELINES, stage.spent(visit, 60), 500.0, None, (), fault)

    def look_up(at: Piece, begin_ms: float) -> tuple[float, bool]:
        return stage.call(request, at, begin_ms, made)

    at_ms = stage.use_tool(request, "guideline", at_ms + 1.0, look_up)
    at_ms = stage.ask_model(request, at_ms + 1.0, stage.spent(visit, 450), 760 + 430 * known)
    own: Attributes = ()
    if is_pilot:
        own = (("orch.context.hash.out", _token(conversation, visit.turn)),)
        if visit.turn > 1:
            own = (("orch.context.hash.in", _token(conversation, visit.turn - 1)), *own)
        own = (*own, ("orch.context.version", visit.turn))
    return stage.finish(
        request, path="/api/triage", at_ms=at_ms, conversation=conversation, own=own
    )


def _token(conversation: str, turn: int) -> str:
    return hashlib.sha256(f"{conversation}/{turn}".encode()).hexdigest()[:12]
