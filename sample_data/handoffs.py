"""The handoffs every part of the system makes: HTTP, SQL, Redis, tools and models."""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from sample_data import system
from sample_data.record import Failure, Kind, Piece, Trace
from sample_data.system import Attributes, Endpoint, Host, Query, Value


class Attempt(NamedTuple):
    """One HTTP exchange by the true clock; no status means the caller stopped waiting."""

    begin_ms: float
    end_ms: float
    served: tuple[float, float] | None  # None: the server never saw it
    status: int | None
    own: Attributes = ()


@lru_cache
def _asks(language: str, endpoint: Endpoint) -> Attributes:
    host, port = endpoint.server.split(":")
    if language == "python":
        return (("http.method", endpoint.method),)
    return (
        ("http.request.method", endpoint.method),
        ("server.address", host),
        ("server.port", int(port)),
    )


@lru_cache
def _serves(language: str, endpoint: Endpoint) -> Attributes:
    host, port = endpoint.server.split(":")
    if language == "python":
        return (
            ("http.method", endpoint.method),
            ("http.scheme", "http"),
            ("http.host", endpoint.server),
            ("http.route", endpoint.route),
            ("http.flavor", "1.1"),
            ("net.host.port", int(port)),
        )
    return (
        ("http.request.method", endpoint.method),
        ("url.scheme", "http"),
        ("http.route", endpoint.route),
        ("server.address", host),
        ("server.port", int(port)),
    )


def _told(language: str, status: int | None) -> Attributes:
    if status is None:
        return ()
    return (("http.status_code" if language == "python" else "http.response.status_code", status),)


def _failed(language: str, status: int | None, *, threshold: int) -> Failure | None:
    if status is None:
        return Failure("httpx.ReadTimeout" if language == "python" else "timeout", "timed out")
    return Failure(str(status)) if status >= threshold else None


def ask(
    trace: Trace, at: Piece, span_id: bytes, endpoint: Endpoint, attempt: Attempt, key: Value = ""
) -> Piece:
    """Write the client side of an exchange; return where its server side belongs."""
    language = at.host.language
    url = "http.url" if language == "python" else "url.full"
    trace.add(
        at,
        span_id,
        scope={"python": system.HTTPX, "java": system.JAVA_HTTP}.get(language, system.NODE_HTTP),
        name=endpoint.method,
        kind=Kind.CLIENT,
        begin_ms=attempt.begin_ms,
        end_ms=attempt.end_ms,
        fixed=_asks(language, endpoint),
        own=(
            (url, endpoint.url(key)),
            *_told(language, attempt.status),
            *attempt.own,
        ),
        failure=_failed(language, attempt.status, threshold=400),
    )
    return Piece(at.host, span_id, at.trace_id)


def serve(
    trace: Trace,
    at: Piece,
    span_id: bytes,
    endpoint: Endpoint,
    served: tuple[float, float],
    *,
    status: int = 200,
    key: Value = "",
    own: Attributes = (),
) -> None:
    """Write the server side of an exchange."""
    language = at.host.language
    path = endpoint.route.replace("{id}", str(key))
    trace.add(
        at,
        span_id,
        scope={"python": system.FASTAPI, "java": system.TOMCAT}.get(language, system.NODE_HTTP),
        name=f"{endpoint.method} {endpoint.route}",
        kind=Kind.SERVER,
        begin_ms=served[0],
        end_ms=served[1],
        fixed=_serves(language, endpoint),
        own=(
            ("http.target" if language == "python" else "url.path", path),
            *_told(language, status),
            *own,
        ),
        failure=_failed(language, status, threshold=500),
    )


def exchange(
    trace: Trace,
    at: Piece,
    endpoint: Endpoint,
    attempt: Attempt,
    server: Host | None,
    *,
    key: Value = "",
) -> bytes:
    """Write both sides of an exchange, or one where the server sends no spans.

    Returns the server span's id, empty without one.
    """
    asked = ask(trace, at, trace.new_id(), endpoint, attempt, key)
    if server is None or attempt.served is None:
        return b""
    span_id = trace.new_id()
    serve(
        trace,
        asked._replace(host=server),
        span_id,
        endpoint,
        attempt.served,
        status=attempt.status or 200,
        key=key,
    )
    return span_id


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
    for refusal in range(refusals):
        resent = (("http.resend_count", refusal),) if refusal else ()
        end_ms = at_ms + gateway_ms + 4.0
        made.append(
            Attempt(at_ms, end_ms, (at_ms + gateway_ms / 2, end_ms - gateway_ms / 2), 429,
                    resent + mark)
        )  # fmt: skip
        at_ms = end_ms + backoff_ms * (1 + refusal)
    resent = (("http.resend_count", refusals),) if refusals else ()
    end_ms = at_ms + gateway_ms + model_ms
    made.append(
        Attempt(at_ms, end_ms, (at_ms + gateway_ms / 2, end_ms - gateway_ms / 2), 200, resent)
    )
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
