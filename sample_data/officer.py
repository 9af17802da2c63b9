"""The loan officer: plan with the model, use tools, answer with the model."""

from sample_data import faults as planted
from sample_data import handoffs, lookups, system
from sample_data.credit import credit
from sample_data.orders import submit
from sample_data.record import Failure, Kind, Piece
from sample_data.review import review
from sample_data.scene import Scene
from sample_data.system import Attributes


def run(scene: Scene, at: Piece, begin_ms: float) -> tuple[float, Failure | None]:
    """Run the agent; return when it ends and what it failed of, if it did."""
    turn = scene.turn
    span_id = scene.trace.new_id()
    inside = at._replace(parent_id=span_id)
    at_ms, failure = begin_ms + 1.0, None
    tokens = scene.input_tokens
    if turn.operation != "chat":
        at_ms = _model(scene, inside, at_ms, turn.plan_ms, tokens, turn.throttle_plan, "tool_call")
        at_ms, failure = _tools(scene, inside, at_ms)
        tokens += 180
    if failure is None:
        at_ms = _model(scene, inside, at_ms, turn.answer_ms, tokens, turn.throttle_answer, "stop")
    scene.trace.add(
        at,
        span_id,
        scope=system.AGENT_SDK,
        name=f"invoke_agent {system.OFFICER}",
        kind=Kind.INTERNAL,
        begin_ms=begin_ms,
        end_ms=at_ms + 1.0,
        fixed=_OFFICER,
        own=(
            ("gen_ai.conversation.id", scene.conversation_id),
            ("gen_ai.aggregated_usage.input_tokens", scene.officer_tokens),
            *scene.context(),
        ),
        failure=failure,
    )
    return at_ms + 1.0, failure


_OFFICER = system.agent(system.OFFICER)


def _model(
    scene: Scene,
    at: Piece,
    at_ms: float,
    model_ms: float,
    tokens: int,
    throttle: float,
    finish: str,
) -> float:
    turn = scene.turn
    refusals, mark = _refusals(scene, throttle)
    cost_usd = scene.charge(system.OFFICER_MODEL, tokens, turn.output_tokens)
    scene.officer_tokens += tokens
    return handoffs.model(
        scene.trace,
        at,
        handoffs.attempts_through(
            at_ms + 1.0, model_ms, turn.gateway_ms, refusals, turn.backoff_ms, mark
        ),
        endpoint=system.COMPLETIONS,
        scope=system.AGENT_SDK,
        name="chat gpt-4o-mini",
        kind=Kind.CLIENT,
        fixed=system.CHAT,
        own=(
            ("gen_ai.conversation.id", scene.conversation_id),
            ("gen_ai.response.id", f"chatcmpl-{turn.trace_id.hex()[:10]}-{finish[0]}"),
            ("gen_ai.response.finish_reasons", (finish,)),
            ("gen_ai.usage.input_tokens", tokens),
            ("gen_ai.usage.output_tokens", turn.output_tokens),
            ("operation.cost", cost_usd),
        ),
    )


def _refusals(scene: Scene, throttle: float) -> tuple[int, Attributes]:
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


def _tools(scene: Scene, at: Piece, at_ms: float) -> tuple[float, Failure | None]:
    """Look things up side by side, then review and submit an application."""
    turn = scene.turn
    ends = [lookups.crm(scene, at, at_ms)]
    failure = None
    if turn.operation in ("score", "apply"):
        end_ms, failure = credit(scene, at, at_ms)
        ends.append(end_ms)
    if turn.operation == "apply":
        ends.append(lookups.fraud(scene, at, at_ms))
    at_ms = max(ends)
    if turn.operation == "apply" and failure is None:
        at_ms = review(scene, at, at_ms)
        at_ms, failure = submit(scene, at, at_ms)
    return at_ms, failure
