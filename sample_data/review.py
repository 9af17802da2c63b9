"""The risk reviewer: a second agent, seen through OpenInference."""

from sample_data import faults as planted
from sample_data import handoffs, system
from sample_data.handoffs import TOOL_MS
from sample_data.record import Kind, Piece
from sample_data.scene import Scene


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
