"""Zipkin's JSON, version 2, said as OTLP.

Client and server of one call may share a span id in Zipkin. The server's half then becomes a span
of its own: its id is made from the shared one, the client's half is its parent, and spans of its
service below the shared id are its children, as far as they stand in the same block of the dump.

Source: OpenTelemetry specification, OpenTelemetry to Zipkin Transformation, read backwards.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

from ingest.formats.foreign import Converted, attributes, padded
from ingest.formats.otlp_values import Json
from ingest.identity import integer

NAME = "Zipkin"

_KINDS = ("SERVER", "CLIENT", "PRODUCER", "CONSUMER")
_FIELD_TAGS = frozenset(
    {
        *("otel.status_code", "otel.status_description", "otel.scope.name", "otel.scope.version"),
        *("otel.library.name", "otel.library.version", "w3c.tracestate"),
        *("otel.dropped_attributes_count", "otel.dropped_events_count"),
        "otel.dropped_links_count",
    }
)


def is_span(document: Json) -> bool:
    """Say whether the object is a Zipkin span."""
    return "traceId" in document and "id" in document and "spanId" not in document


def parted(found: Sequence[tuple[int, Any]]) -> list[tuple[int, Any]]:
    """Return spans, each with its record, with ids of their own for halves that share one."""
    clients = {_ids(span) for _, span in found if _kind(span) == "CLIENT"}
    servers = {
        _ids(span): _service(span)
        for _, span in found
        if _kind(span) == "SERVER" and (span.get("shared") is True or _ids(span) in clients)
    }
    if not servers:
        return list(found)
    return [(record, _parted(span, servers)) for record, span in found]


def _parted(span: Any, servers: dict[tuple[str, str], str]) -> Any:
    if not isinstance(span, dict):
        return span
    trace_id, span_id = _ids(span)
    if _kind(span) == "SERVER" and (trace_id, span_id) in servers:
        return {**span, "id": _server_id(trace_id, span_id), "parentId": span_id}
    parent = padded(span.get("parentId"), 16)
    if isinstance(parent, str) and servers.get((trace_id, parent.lower())) == _service(span):
        return {**span, "parentId": _server_id(trace_id, parent.lower())}
    return span


def _server_id(trace_id: str, span_id: str) -> str:
    return hashlib.sha256(f"{trace_id} {span_id} server".encode()).hexdigest()[:16]


def _ids(span: Any) -> tuple[str, str]:
    if not isinstance(span, dict):
        return "", ""
    trace_id, span_id = padded(span.get("traceId"), 32), padded(span.get("id"), 16)
    return str(trace_id).lower(), str(span_id).lower()


def _kind(span: Any) -> str:
    return str(span.get("kind")).upper() if isinstance(span, dict) else ""


def _service(span: Json) -> str:
    endpoint = span.get("localEndpoint")
    return str(endpoint.get("serviceName")).lower() if isinstance(endpoint, dict) else ""


def converted(span: Json) -> Converted:
    """Return a span as OTLP.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: where it is no such span.
    """
    local, remote = span.get("localEndpoint") or {}, span.get("remoteEndpoint") or {}
    tags = dict(span.get("tags") or {})
    status, is_error_told = _status(tags)
    start = integer(span.get("timestamp") or 0) * 1_000
    duration = span.get("duration")
    told = {key: value for key, value in tags.items() if key not in _FIELD_TAGS}
    if is_error_told:
        told.pop("error", None)
    kind = _kind(span)
    service = local.get("serviceName")
    return Converted(
        attributes({"service.name": service} if service else {}),
        (
            tags.get("otel.scope.name", tags.get("otel.library.name")),
            tags.get("otel.scope.version", tags.get("otel.library.version")),
        ),
        {
            "traceId": padded(span["traceId"], 32),
            "spanId": padded(span["id"], 16),
            "parentSpanId": padded(span.get("parentId"), 16),
            "traceState": tags.get("w3c.tracestate"),
            "name": span.get("name"),
            # Zipkin has no word for work inside a service: it leaves the kind out.
            "kind": _KINDS.index(kind) + 2 if kind in _KINDS else 1,
            "startTimeUnixNano": start,
            "endTimeUnixNano": None if duration is None else start + integer(duration) * 1_000,
            "status": status,
            "droppedAttributesCount": tags.get("otel.dropped_attributes_count"),
            "droppedEventsCount": tags.get("otel.dropped_events_count"),
            "droppedLinksCount": tags.get("otel.dropped_links_count"),
            "attributes": attributes({**_endpoints(local, remote), **told}),
            "events": [
                {
                    "timeUnixNano": integer(annotation.get("timestamp") or 0) * 1_000,
                    "name": annotation.get("value"),
                }
                for annotation in span.get("annotations") or ()
            ],
        },
    )


def _endpoints(local: Json, remote: Json) -> Json:
    told = {
        "network.local.address": local.get("ipv4") or local.get("ipv6"),
        "network.local.port": local.get("port"),
        "peer.service": remote.get("serviceName"),
        "network.peer.address": remote.get("ipv4") or remote.get("ipv6"),
        "network.peer.port": remote.get("port"),
    }
    return {key: value for key, value in told.items() if value}


def _status(tags: Json) -> tuple[Json, bool]:
    """Return the status, and whether the tag `error` says no more than it."""
    code, message = tags.get("otel.status_code"), tags.get("otel.status_description")
    error = tags.get("error")
    if error is None or error == "false":
        return {"code": code, "message": message}, error is not None
    text = str(error)
    if message is None and text not in ("", "true"):
        message = text
    return {"code": code or "ERROR", "message": message}, True
