"""One user request, from the entry to the answer: what happens, and in which order.

Each part takes the time it begins at, in milliseconds since the request began, and returns the
time it ends at.
"""

from dataclasses import dataclass

from sample_data import handoffs, officer, system
from sample_data.draws import Turn
from sample_data.events import publish
from sample_data.exchange import Attempt, ask, serve
from sample_data.faults import Faults, Tally
from sample_data.record import Failure, Kind, Piece, Span, Trace
from sample_data.scene import Scene
from sample_data.system import Attributes


@dataclass
class Outcome:
    """What a request came to, for the day's tickets and costs."""

    start_ns: int
    conversation_id: str
    duration_ms: float
    failed: bool
    model_usd: float


def respond(turn: Turn, *, cohort: str, faults: Faults, tally: Tally, spans: list[Span]) -> Outcome:
    """Write all spans of one request and return what it came to."""
    trace = Trace(turn.start_ns, turn.span_ids, faults.clock_skew, spans)
    scene = Scene(
        turn=turn,
        cohort=cohort,
        faults=faults,
        tally=tally,
        trace=trace,
        planner=system.PLANNER if cohort == "baseline" else system.PILOT_PLANNER,
        conversation_id=f"loan-{cohort[0]}-{turn.conversation:06d}",
    )
    entry, sent, served = trace.new_id(), trace.new_id(), trace.new_id()
    root = Piece(system.UI, b"", turn.trace_id)
    sent_ms = turn.ui_ms / 2
    served_ms = sent_ms + turn.network_ms / 2
    planner = Piece(scene.planner, served, turn.trace_id)

    at_ms = _read_session(scene, planner, served_ms + turn.planner_ms / 2)
    at_ms, failure = officer.run(scene, planner, at_ms)
    if failure is None:
        at_ms = _keep(scene, planner, at_ms)
    served_until_ms = at_ms + turn.planner_ms / 2
    answered_ms = served_until_ms + turn.network_ms / 2
    end_ms = answered_ms + turn.ui_ms / 2

    status = 500 if failure else 200
    asked = ask(
        trace,
        Piece(system.UI, entry, turn.trace_id),
        sent,
        system.RUN_AGENT,
        Attempt(sent_ms, answered_ms, None, status),
    )
    serve(
        trace,
        asked._replace(host=scene.planner),
        served,
        system.RUN_AGENT,
        (served_ms, served_until_ms),
        status=status,
        own=(("enduser.scope", "loans:read loans:apply"),),
    )
    trace.add(
        root,
        entry,
        scope=system.NODE_HTTP,
        name="POST /api/messages",
        kind=Kind.SERVER,
        begin_ms=0.0,
        end_ms=end_ms,
        fixed=_ENTRY,
        own=(
            ("http.response.status_code", status),
            ("enduser.pseudo.id", f"customer-{turn.customer}"),
            ("session.id", scene.conversation_id),
            *scene.context(),
            *scene.marks,
        ),
        failure=Failure("500") if failure else None,
    )
    return Outcome(
        turn.start_ns, scene.conversation_id, end_ms, failure is not None, scene.model_usd
    )


_ENTRY: Attributes = (
    ("http.request.method", "POST"),
    ("http.route", "/api/messages"),
    ("url.path", "/api/messages"),
    ("url.scheme", "https"),
    ("server.address", "loans.example"),
    ("user_agent.original", "Mozilla/5.0 (X11; Linux x86_64) Firefox/143.0"),
)


def _read_session(scene: Scene, at: Piece, at_ms: float) -> float:
    turn = scene.turn
    if turn.number == 1:
        return at_ms
    is_lost = scene.loses_state
    if is_lost:
        scene.plant("state_lost")
    handoffs.redis(
        scene.trace,
        at,
        system.GET_SESSION,
        at_ms,
        at_ms + turn.session_ms,
        (
            ("db.response.returned_rows", 0 if is_lost else 1),
            ("cache.hit", not is_lost),
            *scene.version(),
        ),
    )
    return at_ms + turn.session_ms


def _keep(scene: Scene, at: Piece, at_ms: float) -> float:
    """Store the session, and publish what was decided."""
    turn = scene.turn
    if turn.operation in ("score", "apply"):
        at_ms = publish(scene, at, at_ms)
    handoffs.redis(
        scene.trace, at, system.SET_SESSION, at_ms, at_ms + turn.session_ms, scene.version()
    )
    return at_ms + turn.session_ms
