"""The handoffs every part of the system makes: SQL, Redis, tools and models."""

from collections.abc import Sequence
from functools import lru_cache

from sample_data import system
from sample_data.exchange import Attempt, exchange
from sample_data.record import Failure, Kind, Piece, Trace
from sample_data.system import Attributes, Endpoint, Query

TOOL_MS = 1.0  # what a tool spends before and after its call
REFUSAL_MS = 4.0


def sql(
    trace: Trace,
    at: Piece,
    query: Query,
    begin_ms: float,
    end_ms: float,
    *,
    own: Attributes = (),
    failure: Failure | None = None,
) -> None:
    """Write one statement's client span."""
    trace.add(
        at,
        trace.new_id(),
        scope=query.scope,
        name=query.name,
        kind=Kind.CLIENT,
        begin_ms=begin_ms,
        end_ms=end_ms,
        fixed=query.attributes,
        own=own,
        failure=failure,
    )


def redis(
    trace: Trace,
    at: Piece,
    command: Attributes,
    begin_ms: float,
    end_ms: float,
    own: Attributes = (),
) -> None:
    """Write one cache command's client span, named by its verb."""
    name = "GET" if command is not system.SET_SESSION else "SET"
    trace.add(
        at,
        trace.new_id(),
        scope=system.REDIS,
        name=name,
        kind=Kind.CLIENT,
        begin_ms=begin_ms,
        end_ms=end_ms,
        fixed=command,
        own=own,
    )


@lru_cache
def _tool(name: str) -> Attributes:
    return system.tool(name)


def tool(
    trace: Trace,
    at: Piece,
    span_id: bytes,
    name: str,
    begin_ms: float,
    end_ms: float,
    *,
    own: Attributes = (),
    failure: Failure | None = None,
) -> None:
    """Write one tool execution as the agent SDK does."""
    trace.add(
        at,
        span_id,
        scope=system.AGENT_SDK,
        name=f"execute_tool {name}",
        kind=Kind.INTERNAL,
        begin_ms=begin_ms,
        end_ms=end_ms,
        fixed=_tool(name),
        own=own,
        failure=failure,
    )


def attempts_through(
    begin_ms: float,
    model_ms: float,
    gateway_ms: float,
    refusals: int,
    backoff_ms: float,
    mark: Attributes,
) -> Sequence[Attempt]:
    """A model request refused `refusals` times with 429, each wait longer, and then served."""
    made: list[Attempt] = []
    at_ms = begin_ms
    for number in range(refusals + 1):
        is_served = number == refusals
        own: Attributes = (("http.resend_count", number),) if number else ()
        end_ms = at_ms + gateway_ms + (model_ms if is_served else REFUSAL_MS)
        served = (at_ms + gateway_ms / 2, end_ms - gateway_ms / 2)
        if is_served:
            made.append(Attempt(at_ms, end_ms, served, 200, own))
        else:
            made.append(Attempt(at_ms, end_ms, served, 429, own + mark))
        at_ms = end_ms + backoff_ms * (1 + number)
    return made


def model(
    trace: Trace,
    at: Piece,
    attempts: Sequence[Attempt],
    *,
    endpoint: Endpoint,
    scope: str,
    name: str,
    kind: Kind,
    fixed: Attributes,
    own: Attributes,
) -> float:
    """Write a model call with the HTTP exchanges below it; return when it ends."""
    span_id = trace.new_id()
    below = at._replace(parent_id=span_id)
    for attempt in attempts:
        exchange(trace, below, endpoint, attempt, system.GATEWAY)
    end_ms = attempts[-1].end_ms + 1.0
    trace.add(
        at,
        span_id,
        scope=scope,
        name=name,
        kind=kind,
        begin_ms=attempts[0].begin_ms - 0.5,
        end_ms=end_ms,
        fixed=fixed,
        own=own,
    )
    return end_ms
