"""Tools that look things up: the customer at the CRM, and fraud."""

from sample_data import faults as planted
from sample_data import handoffs, system
from sample_data.exchange import Attempt, ask, exchange, serve
from sample_data.handoffs import TOOL_MS
from sample_data.record import Failure, Kind, Piece
from sample_data.scene import Scene
from sample_data.system import Host


def crm(scene: Scene, at: Piece, begin_ms: float) -> float:
    """Look a customer up: a tool, its HTTP call, the CRM and its database."""
    turn, faults, trace = scene.turn, scene.faults, scene.trace
    span_id = trace.new_id()
    sent_ms = begin_ms + TOOL_MS
    reached_ms = sent_ms + turn.network_ms / 2
    if faults.crm_jitter and turn.jitter < planted.JITTER_RATIO:
        scene.plant("crm_jitter")
        reached_ms += turn.jitter_ms
    is_down = faults.error_absorbed and turn.absorbed < planted.ABSORBED_RATIO
    if is_down:
        scene.plant("error_absorbed")
    queries = 1 + (turn.customer % 10 < 3)
    served = (reached_ms, reached_ms + turn.crm_ms + (0 if is_down else turn.select_ms * queries))
    attempt = Attempt(sent_ms, served[1] + turn.network_ms / 2, served, 503 if is_down else 200)
    _crm_server(scene, at._replace(parent_id=span_id), attempt, 0 if is_down else queries)
    end_ms = attempt.end_ms + TOOL_MS
    failure = Failure("HTTPStatusError", "503 Service Unavailable") if is_down else None
    handoffs.tool(trace, at, span_id, "crm_lookup", begin_ms, end_ms, failure=failure)
    return end_ms


def _crm_server(scene: Scene, at: Piece, attempt: Attempt, queries: int) -> None:
    turn, faults, trace = scene.turn, scene.faults, scene.trace
    host = _crm_host(scene)
    asked = ask(trace, at, trace.new_id(), system.CUSTOMER, attempt, turn.customer)
    inside = Piece(host, trace.new_id(), at.trace_id)
    if faults.orphan_spans and queries and turn.orphan < planted.ORPHAN_RATIO:
        scene.plant("orphan_spans")
    else:
        _crm_answer(scene, asked._replace(host=host), inside, attempt)
    if attempt.served is None:
        return
    at_ms = attempt.served[0] + turn.crm_ms / 2
    for query in (system.READ_CUSTOMER, system.READ_ACCOUNTS)[:queries]:
        handoffs.sql(trace, inside, query, at_ms, at_ms + turn.select_ms)
        at_ms += turn.select_ms


def _crm_answer(scene: Scene, at: Piece, inside: Piece, attempt: Attempt) -> None:
    served = attempt.served or (attempt.begin_ms, attempt.end_ms)
    status = attempt.status or 200
    serve(
        scene.trace,
        at,
        inside.parent_id,
        system.CUSTOMER,
        served,
        status=status,
        key=scene.turn.customer,
    )
    scene.trace.add(
        inside,
        scene.trace.new_id(),
        scope=system.FASTAPI,
        name="GET /v1/customers/{id} http send",
        kind=Kind.INTERNAL,
        begin_ms=served[1] - 0.3,
        end_ms=served[1] - 0.1,
        fixed=(("asgi.event.type", "http.response.start"),),
        own=(("http.status_code", status),),
    )


def _crm_host(scene: Scene) -> Host:
    turn = scene.turn
    host = system.CRM_A
    if turn.host < 1 / 3:
        host = system.CRM_B
        if scene.faults.clock_skew:
            scene.plant("clock_skew")
    is_new = scene.is_pilot or turn.start_ns >= planted.nanoseconds(planted.NEW_CRM_VERSION_AT)
    if scene.faults.version_change and is_new:
        if not scene.is_pilot:
            scene.plant("version_change")
        return host._replace(version=system.NEW_CRM_VERSION)
    return host


def fraud(scene: Scene, at: Piece, begin_ms: float) -> float:
    """Check for fraud at a service that sends no spans unless the fault is off."""
    turn, trace = scene.turn, scene.trace
    span_id = trace.new_id()
    sent_ms = begin_ms + TOOL_MS
    served = (sent_ms + turn.network_ms / 2, sent_ms + turn.network_ms / 2 + turn.fraud_ms)
    attempt = Attempt(sent_ms, served[1] + turn.network_ms / 2, served, 200)
    server = None if scene.faults.uninstrumented_tool else system.FRAUD
    if server is None:
        scene.plant("uninstrumented_tool")
    exchange(
        trace,
        at._replace(parent_id=span_id),
        system.FRAUD_CHECK,
        attempt,
        server,
        key=turn.customer,
    )
    end_ms = attempt.end_ms + TOOL_MS
    handoffs.tool(trace, at, span_id, "fraud_check", begin_ms, end_ms)
    return end_ms
