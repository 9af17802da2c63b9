"""Submitting an application: the one tool that writes."""

from sample_data import faults as planted
from sample_data import handoffs, system
from sample_data.exchange import Attempt, exchange
from sample_data.handoffs import TOOL_MS
from sample_data.record import Failure, Piece
from sample_data.scene import Scene
from sample_data.system import Attributes


def submit(scene: Scene, at: Piece, begin_ms: float) -> tuple[float, Failure | None]:
    """Submit an application; a time-out is retried, and written twice without a key."""
    turn, trace, faults = scene.turn, scene.trace, scene.faults
    span_id = trace.new_id()
    below = at._replace(parent_id=span_id)
    key: Attributes = ()
    if scene.is_pilot:
        key = (("orch.boundary.idempotency_key", f"apply-{turn.trace_id.hex()[:8]}"),)
    at_ms = begin_ms + TOOL_MS
    if faults.duplicate_write and turn.duplicate < planted.DUPLICATE_RATIO:
        scene.plant("duplicate_write")
        reached_ms = at_ms + turn.network_ms / 2
        served = (reached_ms, reached_ms + planted.ORDERS_TIMEOUT_MS + 150.0)
        gave_up_ms = at_ms + planted.ORDERS_TIMEOUT_MS
        _orders(scene, below, Attempt(at_ms, gave_up_ms, served, None, key), is_known=False)
        at_ms = gave_up_ms + 200.0
        end_ms, failure = _write(scene, below, at_ms, (*key, ("http.resend_count", 1)))
    else:
        end_ms, failure = _write(scene, below, at_ms, key)
    end_ms += TOOL_MS
    handoffs.tool(
        trace, at, span_id, "submit_application", begin_ms, end_ms, own=key, failure=failure
    )
    return end_ms, failure


def _write(
    scene: Scene, at: Piece, begin_ms: float, own: Attributes
) -> tuple[float, Failure | None]:
    """One attempt that comes back; a deadlock fails it unless an earlier one already wrote."""
    turn, faults = scene.turn, scene.faults
    is_retry = any(name == "http.resend_count" for name, _ in own)
    is_deadlock = faults.error_cascade and not is_retry and turn.cascade < planted.CASCADE_RATIO
    reached_ms = begin_ms + turn.network_ms / 2
    served = (reached_ms, reached_ms + turn.orders_ms + turn.insert_ms)
    end_ms = served[1] + turn.network_ms / 2
    attempt = Attempt(begin_ms, end_ms, served, 500 if is_deadlock else 200, own)
    _orders(scene, at, attempt, is_known=is_retry and scene.is_pilot)
    if not is_deadlock:
        return end_ms, None
    scene.plant("error_cascade")
    return end_ms, Failure("HTTPStatusError", "500 Internal Server Error")


def _orders(scene: Scene, at: Piece, attempt: Attempt, *, is_known: bool) -> None:
    """The orders service and its statement; a known key is looked up instead of written."""
    trace, turn = scene.trace, scene.turn
    server = exchange(trace, at, system.APPLICATIONS, attempt, system.ORDERS)
    begin_ms = (attempt.served or (attempt.begin_ms, 0.0))[0] + turn.orders_ms / 2
    handoffs.sql(
        trace,
        Piece(system.ORDERS, server, at.trace_id),
        system.FIND_APPLICATION if is_known else system.INSERT_APPLICATION,
        begin_ms,
        begin_ms + turn.insert_ms,
        own=(("db.response.status_code", "40P01"),) if attempt.status == 500 else (),
        failure=Failure("40P01", "deadlock detected") if attempt.status == 500 else None,
    )
