"""HTTP exchanges: a client span and, where the server is instrumented, a server span."""

from functools import lru_cache
from typing import NamedTuple

from sample_data import system
from sample_data.record import Failure, Kind, Piece, Trace
from sample_data.system import Attributes, Endpoint, Host, Value


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
