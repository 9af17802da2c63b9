"""The agents' tools and the services behind them, with the faults planted there."""

from sample_data import faults as planted
from sample_data import handoffs, system
from sample_data.handoffs import Attempt
from sample_data.record import Failure, Kind, Piece
from sample_data.scene import Scene
from sample_data.system import Attributes, Host

TOOL_MS = 1.0  # what a tool spends before and after its call


def refusals(scene: Scene, throttle: float) -> tuple[int, Attributes]:
    """How often the gateway refuses a model call, and the marks if that was injected."""
    turn, faults = scene.turn, scene.faults
    if faults.retry_storm and not scene.is_pilot and planted.STORM.holds(turn.start_ns):
        scene.plant("retry_storm")
        return 3 + int(turn.storm * 4), ()
    if (
        faults.fault_throttling
        and planted.THROTTLE_FAULT.holds(turn.start_ns)
        and throttle < planted.THROTTLE_RATIO
    ):
        scene.plant("fault_throttling")
        mark = scene.mark("throttle-gateway", "throttle", "model-gateway")
        return 1 + (throttle < planted.THROTTLE_RATIO / 2), mark
    return 0, ()


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
    asked = handoffs.ask(trace, at, trace.new_id(), system.CUSTOMER, attempt, turn.customer)
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
    handoffs.serve(
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
    handoffs.exchange(trace, below, system.SCORE, attempt, system.CREDIT, key=turn.customer)
    end_ms, failure = attempt.end_ms, None
    degraded: Attributes = ()
    if attempt.status != 200 and scene.is_pilot:
        resent = (*own, ("http.resend_count", 1))
        attempt = _credit_attempt(scene, end_ms + 5.0, timeout_ms, resent, is_retry=True)
        handoffs.exchange(trace, below, system.SCORE, attempt, system.CREDIT, key=turn.customer)
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
    hang = turn.hang_again if is_retry else turn.hang
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
    elif faults.credit_timeouts and hang < planted.CREDIT_HANG_RATIO:
        scene.plant("credit_timeouts")
        server_ms += 1700.0 + 1500.0 * turn.escalated
    end_ms = reached_ms + server_ms + turn.network_ms / 2
    served = (reached_ms, reached_ms + server_ms)
    if end_ms - begin_ms > timeout_ms:
        return Attempt(begin_ms, begin_ms + timeout_ms, served, None, own)
    return Attempt(begin_ms, end_ms, served, 200, own)


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
    handoffs.exchange(
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


def review(scene: Scene, at: Piece, begin_ms: float) -> float:
    """Hand over to the risk reviewer, an agent seen through OpenInference."""
    turn, trace = scene.turn, scene.trace
    span_id = trace.new_id()
    inside = at._replace(parent_id=span_id)
    at_ms = _history(scene, inside, begin_ms + 1.0)
    tokens = 620 + turn.output_tokens
    cost_usd = scene.charge(system.REVIEWER_MODEL, tokens, turn.output_tokens // 2)
    at_ms = handoffs.model(
        trace,
        inside,
        handoffs.attempts_through(at_ms + 1.0, turn.review_ms, turn.gateway_ms, 0, 0.0, ()),
        endpoint=system.MESSAGES,
        scope=system.OPENINFERENCE,
        name="Messages.create",
        kind=Kind.INTERNAL,
        fixed=system.REVIEW_LLM,
        own=(
            ("llm.token_count.prompt", tokens),
            ("llm.token_count.completion", turn.output_tokens // 2),
            ("llm.cost.total", cost_usd),
            ("input.value", f"Grade the application of customer {turn.customer}."),
            ("output.value", "Grade B: stable income, one late payment."),
        ),
    )
    trace.add(
        at,
        span_id,
        scope=system.OPENINFERENCE,
        name=system.REVIEWER,
        kind=Kind.INTERNAL,
        begin_ms=begin_ms,
        end_ms=at_ms + 1.0,
        fixed=system.REVIEW_AGENT,
        own=(("session.id", scene.conversation_id),),
    )
    return at_ms + 1.0


def _history(scene: Scene, at: Piece, begin_ms: float) -> float:
    turn, trace = scene.turn, scene.trace
    span_id = trace.new_id()
    queries = [system.READ_HISTORY]
    if (
        scene.faults.permission_creep
        and turn.start_ns >= planted.nanoseconds(planted.CREEP_FROM)
        and turn.creep < planted.CREEP_RATIO
    ):
        scene.plant("permission_creep")
        queries += [system.CREEP_CARDS, system.CREEP_UPDATE]
    at_ms = begin_ms + TOOL_MS
    for query in queries:
        handoffs.sql(trace, at._replace(parent_id=span_id), query, at_ms, at_ms + turn.select_ms)
        at_ms += turn.select_ms
    trace.add(
        at,
        span_id,
        scope=system.OPENINFERENCE,
        name="get_history",
        kind=Kind.INTERNAL,
        begin_ms=begin_ms,
        end_ms=at_ms + TOOL_MS,
        fixed=system.REVIEW_TOOL,
    )
    return at_ms + TOOL_MS


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
    server = handoffs.exchange(trace, at, system.APPLICATIONS, attempt, system.ORDERS)
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


def publish(scene: Scene, at: Piece, begin_ms: float) -> float:
    """Publish what was decided; consumers pick it up after the answer."""
    turn, trace = scene.turn, scene.trace
    is_slow = scene.faults.slow_queue and scene.is_pilot
    if is_slow:
        scene.plant("slow_queue")
    end_ms = begin_ms + (turn.slow_publish_ms if is_slow else turn.publish_ms)
    span_id = trace.new_id()
    trace.add(
        at,
        span_id,
        scope=system.KAFKA_PYTHON,
        name="loan-events send",
        kind=Kind.PRODUCER,
        begin_ms=begin_ms,
        end_ms=end_ms,
        fixed=system.PUBLISH,
    )
    taken_ms = end_ms + (turn.slow_queue_ms if is_slow else turn.queue_ms)
    _notify(scene, Piece(system.NOTIFIER, span_id, at.trace_id), taken_ms)
    if turn.operation == "apply":
        _audit(scene, (at.trace_id, span_id), taken_ms)
    return end_ms


def _notify(scene: Scene, at: Piece, begin_ms: float) -> None:
    """Consume in the same trace; for some applications call the mailer."""
    turn, trace = scene.turn, scene.trace
    span_id = trace.new_id()
    inside = at._replace(parent_id=span_id)
    end_ms = begin_ms + 2.0 + turn.insert_ms
    if turn.operation == "apply":
        handoffs.sql(trace, inside, system.INSERT_NOTIFICATION, begin_ms + 1.0, end_ms - 1.0)
        if turn.mail < planted.MAIL_RATIO:
            end_ms = _mail(scene, inside, end_ms)
    trace.add(
        at,
        span_id,
        scope=system.KAFKA_JAVA,
        name="loan-events process",
        kind=Kind.CONSUMER,
        begin_ms=begin_ms,
        end_ms=end_ms,
        fixed=system.CONSUME_NOTIFIER,
    )


def _mail(scene: Scene, at: Piece, begin_ms: float) -> float:
    turn, trace = scene.turn, scene.trace
    reached_ms = begin_ms + turn.network_ms / 2
    served = (reached_ms, reached_ms + turn.orders_ms)
    attempt = Attempt(begin_ms, served[1] + turn.network_ms / 2, served, 202)
    asked = handoffs.ask(trace, at, trace.new_id(), system.MAIL, attempt)
    below = asked._replace(host=system.MAILER)
    if scene.faults.lost_context:
        scene.plant("lost_context")
        below = Piece(system.MAILER, b"", trace.new_id() + trace.new_id())
    agent: Attributes = (("user_agent.original", "okhttp/4.12.0"),)
    handoffs.serve(trace, below, trace.new_id(), system.MAIL, served, status=202, own=agent)
    return attempt.end_ms + 1.0


def _audit(scene: Scene, link: tuple[bytes, bytes], begin_ms: float) -> None:
    """Consume in a trace of its own, linked to the producer as messaging conventions prefer."""
    turn, trace = scene.turn, scene.trace
    consumer = trace.new_id()
    trace_id = trace.new_id() + trace.new_id()
    inside = Piece(system.AUDIT, consumer, trace_id)
    end_ms = begin_ms + 1.0 + turn.insert_ms
    handoffs.sql(trace, inside, system.INSERT_AUDIT, begin_ms + 0.5, end_ms)
    trace.add(
        Piece(system.AUDIT, b"", trace_id),
        consumer,
        scope=system.KAFKA_JAVA,
        name="loan-events process",
        kind=Kind.CONSUMER,
        begin_ms=begin_ms,
        end_ms=end_ms + 0.5,
        fixed=system.CONSUME_AUDIT,
        link=link,
    )
