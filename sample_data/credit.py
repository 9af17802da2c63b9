"""The credit-score tool: waited for in the baseline, held to a budget in the pilot."""

from sample_data import faults as planted
from sample_data import handoffs, system
from sample_data.exchange import Attempt, exchange
from sample_data.handoffs import TOOL_MS
from sample_data.record import Failure, Piece
from sample_data.scene import Scene
from sample_data.system import Attributes


def credit(scene: Scene, at: Piece, begin_ms: float) -> tuple[float, Failure | None]:
    """Fetch a credit score; in the pilot within a budget, with one retry and a cached score."""
    turn, trace = scene.turn, scene.trace
    span_id = trace.new_id()
    below = at._replace(parent_id=span_id)
    timeout_ms = planted.CREDIT_BUDGET_MS if scene.is_pilot else planted.CREDIT_TIMEOUT_MS
    own: Attributes = (("orch.boundary.timeout_ms", int(timeout_ms)),)
    if scene.is_pilot:
        own = (*own, ("orch.boundary.idempotency_key", f"score-{turn.trace_id.hex()[:8]}"))
    attempt = _credit_attempt(scene, begin_ms + TOOL_MS, timeout_ms, own, is_retry=False)
    exchange(trace, below, system.SCORE, attempt, system.CREDIT, key=turn.customer)
    end_ms, failure = attempt.end_ms, None
    degraded: Attributes = ()
    if attempt.status != 200 and scene.is_pilot:
        resent = (*own, ("http.resend_count", 1))
        attempt = _credit_attempt(scene, end_ms + 5.0, timeout_ms, resent, is_retry=True)
        exchange(trace, below, system.SCORE, attempt, system.CREDIT, key=turn.customer)
        end_ms = attempt.end_ms
        if attempt.status != 200:
            handoffs.redis(
                trace,
                below,
                system.GET_CACHED_SCORE,
                end_ms,
                end_ms + turn.session_ms,
                (("db.response.returned_rows", 1), ("cache.hit", True)),
            )
            end_ms += turn.session_ms
            degraded = _DEGRADED
    elif attempt.status != 200:
        failure = Failure("httpx.ReadTimeout", "credit-score: timed out")
    end_ms += TOOL_MS
    handoffs.tool(
        trace, at, span_id, "credit_score", begin_ms, end_ms, own=degraded, failure=failure
    )
    is_escalated = failure is not None and turn.escalated < planted.CREDIT_ESCALATED_RATIO
    return end_ms, failure if is_escalated else None


_DEGRADED: Attributes = (("orch.degraded", True), ("orch.fallback", "cached-score"))


def _credit_attempt(
    scene: Scene, begin_ms: float, timeout_ms: float, own: Attributes, *, is_retry: bool
) -> Attempt:
    turn, faults = scene.turn, scene.faults
    reached_ms = begin_ms + turn.network_ms / 2
    server_ms = turn.retry_ms if is_retry else turn.credit_ms
    hangs = (
        turn.hang_again < planted.CREDIT_HANG_AGAIN_RATIO
        if is_retry
        else turn.hang < planted.CREDIT_HANG_RATIO
    )
    if faults.fault_outage and planted.OUTAGE_FAULT.holds(turn.start_ns):
        scene.plant("fault_outage")
        mark = scene.mark("outage-credit", "abort", "credit-score")
        end_ms = reached_ms + 3.0
        return Attempt(
            begin_ms, end_ms + turn.network_ms / 2, (reached_ms, end_ms), 503, (*own, *mark)
        )
    if faults.fault_latency and planted.LATENCY_FAULT.holds(turn.start_ns):
        scene.plant("fault_latency")
        own = (*own, *scene.mark("latency-credit", "latency", "credit-score"))
        server_ms += 1500.0
    elif faults.credit_timeouts and hangs:
        scene.plant("credit_timeouts")
        server_ms += 1700.0 + 1500.0 * turn.escalated
    end_ms = reached_ms + server_ms + turn.network_ms / 2
    served = (reached_ms, reached_ms + server_ms)
    if end_ms - begin_ms > timeout_ms:
        return Attempt(begin_ms, begin_ms + timeout_ms, served, None, own)
    return Attempt(begin_ms, end_ms, served, 200, own)
