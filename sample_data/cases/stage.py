"""What the three cases share: when requests come, an agent's spans, a call that falls back.

Times are milliseconds since the request began, by the true clock.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sample_data import system
from sample_data.exchange import Attempt, exchange
from sample_data.faults import DAYS_A_MONTH, MONTHS, nanoseconds
from sample_data.handoffs import TOOL_MS, tool
from sample_data.record import Kind, Piece, Span, Trace
from sample_data.system import Attributes, Endpoint, Host

SPAN_IDS = 24
OPEN_HOUR, CLOSED_HOUR = 7, 20
# Of the pilot, from 0: two days of 50 requests, since 59 are the least that prove a p95.
FAULT_DAYS = (20, 21)
GAP_S = 45.0  # between the turns of a conversation


class Visit(NamedTuple):
    """One user request: when, by whom, and its own chance."""

    place: int  # among the requests of its month
    start_ns: int
    day: int  # of the month, from 0
    conversation: int
    turn: int  # from 1
    trace_id: bytes
    span_ids: bytes
    rng: np.random.Generator


class Call(NamedTuple):
    """One call of a tool's service, and what is tried when it does not answer in time."""

    endpoint: Endpoint
    server: Host
    server_ms: float
    timeout_ms: float
    again_ms: float | None = None  # the server's time for a second try; None: there is none
    own: Attributes = ()
    fault: str = ""  # id of a fault test that makes every try fail


@dataclass
class Request:
    """A request while its trace is written."""

    visit: Visit
    trace: Trace
    host: Host
    agent: str
    entry: bytes
    run: bytes
    marks: Attributes = ()

    @property
    def inside(self) -> Piece:
        """Where the agent's own spans belong."""
        return Piece(self.host, self.run, self.visit.trace_id)


def visits(cohort: str, *, case: int, seed: int, conversations: int, turns: int) -> list[Visit]:
    """Requests of a month in conversations of so many turns, in order of time."""
    rng = np.random.default_rng([seed, case, list(MONTHS).index(cohort)])
    # Every day has as many conversations, at its own times.
    day = np.arange(conversations) * DAYS_A_MONTH // conversations
    hours = np.sort(rng.uniform(OPEN_HOUR, CLOSED_HOUR, conversations))
    opened = rng.permutation(hours)
    made = []
    for place in range(conversations * turns):
        conversation, turn = place // turns, place % turns + 1
        at_s = day[conversation] * 86_400 + opened[conversation] * 3_600 + (turn - 1) * GAP_S
        made.append(
            Visit(
                place,
                nanoseconds(MONTHS[cohort]) + int(at_s * 1e9),
                int(day[conversation]),
                conversation,
                turn,
                rng.bytes(16),
                rng.bytes(8 * SPAN_IDS),
                np.random.default_rng([seed, case, list(MONTHS).index(cohort), place]),
            )
        )
    return sorted(made, key=lambda visit: (visit.start_ns, visit.trace_id))


def chosen(
    rng: np.random.Generator, places: Sequence[int] | npt.NDArray[np.int64], count: int
) -> frozenset[int]:
    """Exactly so many of the places."""
    return frozenset(int(each) for each in rng.choice(np.asarray(places), count, replace=False))


def spent(visit: Visit, median_ms: float, *, sigma: float = 0.18, most: float = 1.6) -> float:
    """A duration around its median, never beyond `most` times it."""
    return float(median_ms * min(np.exp(sigma * visit.rng.standard_normal()), most))


def begin(visit: Visit, host: Host, agent: str, spans: list[Span]) -> Request:
    """Open a request at its entry."""
    trace = Trace(visit.start_ns, visit.span_ids, is_skewed=False, spans=spans)
    return Request(visit, trace, host, agent, trace.new_id(), trace.new_id())


def finish(
    request: Request,
    *,
    path: str,
    at_ms: float,
    conversation: str = "",
    own: Attributes = (),
) -> float:
    """Write the agent's run and the entry around what was done until `at_ms`; return the end."""
    trace, entry = request.trace, Piece(request.host, b"", request.visit.trace_id)
    told: Attributes = (("gen_ai.conversation.id", conversation),) if conversation else ()
    trace.add(
        entry._replace(parent_id=request.entry),
        request.run,
        scope=system.AGENT_SDK,
        name=f"invoke_agent {request.agent}",
        kind=Kind.INTERNAL,
        begin_ms=4.0,
        end_ms=at_ms + 1.0,
        fixed=system.agent(request.agent),
        own=told,
    )
    trace.add(
        entry,
        request.entry,
        scope=system.FASTAPI,
        name=f"POST {path}",
        kind=Kind.SERVER,
        begin_ms=0.0,
        end_ms=at_ms + 5.0,
        fixed=(
            ("http.method", "POST"),
            ("http.route", path),
            ("user_agent.original", "Mozilla/5.0 (X11; Linux x86_64) Firefox/143.0"),
        ),
        own=(
            ("http.status_code", 200),
            *((("session.id", conversation),) if conversation else ()),
            *own,
            *request.marks,
        ),
    )
    return at_ms + 5.0


def ask_model(request: Request, at_ms: float, took_ms: float, tokens: int) -> float:
    """Write one model call; return when it ends."""
    request.trace.add(
        request.inside,
        request.trace.new_id(),
        scope=system.AGENT_SDK,
        name="chat gpt-4o-mini",
        kind=Kind.CLIENT,
        begin_ms=at_ms,
        end_ms=at_ms + took_ms,
        fixed=system.CHAT,
        own=(("gen_ai.usage.input_tokens", tokens), ("gen_ai.usage.output_tokens", 120)),
    )
    return at_ms + took_ms


def use_tool(
    request: Request, name: str, at_ms: float, work: Callable[[Piece, float], tuple[float, bool]]
) -> float:
    """Write one tool execution around its work, which tells its end and whether it fell back."""
    span_id = request.trace.new_id()
    inside = request.inside._replace(parent_id=span_id)
    end_ms, is_degraded = work(inside, at_ms + TOOL_MS)
    own: Attributes = (("orch.degraded", True), ("orch.fallback", "cache")) if is_degraded else ()
    tool(request.trace, request.inside, span_id, name, at_ms, end_ms + TOOL_MS, own=own)
    return end_ms + TOOL_MS


def call(request: Request, at: Piece, begin_ms: float, made: Call) -> tuple[float, bool]:
    """Write a call with its tries; return when it is over and whether no try was answered."""
    own, tries = made.own, [made.server_ms, made.again_ms]
    if made.fault:
        mark: Attributes = (
            ("orch.fault.id", made.fault),
            ("orch.fault.type", "abort"),
            ("orch.fault.target", made.server.service),
        )
        own, request.marks = (*own, *mark), mark
    at_ms = begin_ms
    for number, server_ms in enumerate(tries):
        if server_ms is None:
            break
        resent: Attributes = (("http.resend_count", number),) if number else ()
        attempt = _try(at_ms, 3.0 if made.fault else server_ms, made, (*own, *resent))
        exchange(request.trace, at, made.endpoint, attempt, made.server, key=request.visit.place)
        at_ms = attempt.end_ms
        if attempt.status == 200:
            return at_ms, False
        at_ms += 2.0
    return at_ms, True


def _try(begin_ms: float, server_ms: float, made: Call, own: Attributes) -> Attempt:
    served = (begin_ms + 0.8, begin_ms + 0.8 + server_ms)
    if made.fault:
        return Attempt(begin_ms, served[1] + 0.8, served, 503, own)
    if served[1] + 0.8 - begin_ms > made.timeout_ms:
        return Attempt(begin_ms, begin_ms + made.timeout_ms, served, None, own)
    return Attempt(begin_ms, served[1] + 0.8, served, 200, own)


def days() -> list[str]:
    """The days of both months as tickets.csv names them."""
    return [
        f"{cohort},{(first + timedelta(days=day)).date().isoformat()}"
        for cohort, first in MONTHS.items()
        for day in range(DAYS_A_MONTH)
    ]
