"""Jaeger's JSON, as its UI and API export it, said as OTLP.

Source: OpenTelemetry specification, OpenTelemetry to Jaeger Transformation, read backwards.
"""

from collections.abc import Iterator
from typing import Any

from ingest.formats.foreign import Converted, attributes, padded, value_of
from ingest.formats.otlp_values import Json
from ingest.identity import integer

NAME = "Jaeger"

_KINDS = ("internal", "server", "client", "producer", "consumer")
_TYPES = {
    "int64": "intValue",
    "float64": "doubleValue",
    "bool": "boolValue",
    "binary": "bytesValue",
}
# Tags that stand for a field of OTLP.
_FIELD_TAGS = frozenset(
    {
        *("otel.status_code", "otel.status_description", "otel.scope.name", "otel.scope.version"),
        *("otel.library.name", "otel.library.version", "w3c.tracestate", "internal.span.format"),
        *("otel.dropped_attributes_count", "otel.dropped_events_count"),
        "otel.dropped_links_count",
    }
)


def is_trace(document: Json) -> bool:
    """Say whether the object is a trace or holds some: `{data}`, `{spans, processes}`."""
    if "data" in document:
        return isinstance(document["data"], (list, dict)) and "resourceSpans" not in document
    return isinstance(document.get("spans"), list) and (
        "processes" in document or "traceID" in document
    )


def is_span(document: Json) -> bool:
    """Say whether the object is a span by itself, with its process inside."""
    return "traceID" in document and "spanID" in document


def spans(document: Json) -> Iterator[Any]:
    """Yield the spans of a trace, or of all traces under `data`, each with its process inside."""
    data = document.get("data")
    if data is not None:
        for trace in data if isinstance(data, list) else [data]:
            if isinstance(trace, dict) and isinstance(trace.get("spans"), list):
                yield from spans(trace)
            else:
                yield trace
        return
    processes = document.get("processes")
    for span in document["spans"]:
        if not isinstance(span, dict) or not isinstance(processes, dict):
            yield span
            continue
        process = processes.get(span.get("processID"))
        yield span if process is None else {**span, "process": process}


def converted(span: Json) -> Converted:
    """Return a span with its process as OTLP.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: where it is no such span.
    """
    if not is_span(span):
        raise KeyError("traceID, spanID")
    process = span.get("process") or {}
    service = process.get("serviceName")
    resource = attributes({"service.name": service} if service else {})
    resource += [_attribute(tag) for tag in process.get("tags") or ()]
    tags = {tag["key"]: tag.get("value") for tag in span.get("tags") or ()}
    kind = str(tags.get("span.kind", "")).lower()
    status, is_error_told = _status(tags)
    taken = set(_FIELD_TAGS)
    taken |= {"span.kind"} if kind in _KINDS else set()
    taken |= {"error"} if is_error_told else set()
    start = integer(span.get("startTime") or 0) * 1_000
    parent, links = _references(span)
    duration = span.get("duration")
    return Converted(
        resource,
        (
            tags.get("otel.scope.name", tags.get("otel.library.name")),
            tags.get("otel.scope.version", tags.get("otel.library.version")),
        ),
        {
            "traceId": padded(span["traceID"], 32),
            "spanId": padded(span["spanID"], 16),
            "parentSpanId": parent,
            "traceState": tags.get("w3c.tracestate"),
            "flags": integer(span.get("flags") or 0) & 0xFF,
            "name": span.get("operationName"),
            "kind": _KINDS.index(kind) + 1 if kind in _KINDS else 0,
            "startTimeUnixNano": start,
            "endTimeUnixNano": None if duration is None else start + integer(duration) * 1_000,
            "status": status,
            "droppedAttributesCount": tags.get("otel.dropped_attributes_count"),
            "droppedEventsCount": tags.get("otel.dropped_events_count"),
            "droppedLinksCount": tags.get("otel.dropped_links_count"),
            "attributes": [
                _attribute(tag) for tag in span.get("tags") or () if tag["key"] not in taken
            ],
            "events": [_event(log) for log in span.get("logs") or ()],
            "links": links,
        },
    )


def _attribute(tag: Json) -> Json:
    value, field = tag.get("value"), _TYPES.get(str(tag.get("type")).lower())
    if value is None or field is None:
        return {"key": tag["key"], "value": value_of(value)}
    return {"key": tag["key"], "value": {field: value}}


def _status(tags: Json) -> tuple[Json, bool]:
    """Return the status, and whether the tag `error` says no more than it."""
    error = tags.get("error")
    is_error = str(error).lower() == "true"
    is_flag = is_error or str(error).lower() == "false"
    code = tags.get("otel.status_code")
    if code is None and error is not None and (is_error or not is_flag):
        code = "ERROR"
    return {"code": code, "message": tags.get("otel.status_description")}, is_flag


def _references(span: Json) -> tuple[str | None, list[Json]]:
    """Return the parent's id and the links: the first CHILD_OF of the same trace is the parent."""
    parent, links = None, []
    for reference in span.get("references") or ():
        is_near = reference.get("traceID") in (None, "", span["traceID"])
        if parent is None and is_near and reference.get("refType") == "CHILD_OF":
            parent = padded(reference["spanID"], 16)
            continue
        trace_id = reference.get("traceID") or span["traceID"]
        links.append({"traceId": padded(trace_id, 32), "spanId": padded(reference["spanID"], 16)})
    return parent or padded(span.get("parentSpanID"), 16), links


def _event(log: Json) -> Json:
    fields = log.get("fields") or ()
    name = next((field.get("value") for field in fields if field["key"] == "event"), None)
    return {
        "timeUnixNano": integer(log.get("timestamp") or 0) * 1_000,
        "name": name if isinstance(name, str) else "",
        "attributes": [
            _attribute(field)
            for field in fields
            if field["key"] != "event" or not isinstance(name, str)
        ],
    }
