"""What happens after the answer: events, their consumers, and mail."""

from sample_data import faults as planted
from sample_data import handoffs, system
from sample_data.exchange import Attempt, ask, serve
from sample_data.record import Kind, Piece
from sample_data.scene import Scene
from sample_data.system import Attributes


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
    asked = ask(trace, at, trace.new_id(), system.MAIL, attempt)
    below = asked._replace(host=system.MAILER)
    if scene.faults.lost_context:
        scene.plant("lost_context")
        below = Piece(system.MAILER, b"", trace.new_id() + trace.new_id())
    agent: Attributes = (("user_agent.original", "okhttp/4.12.0"),)
    serve(trace, below, trace.new_id(), system.MAIL, served, status=202, own=agent)
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
