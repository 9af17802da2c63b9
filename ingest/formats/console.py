"""What Python's console span exporter prints, said as OTLP; times are whole microseconds there."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from ingest.formats.foreign import Converted, attributes
from ingest.formats.otlp_values import Json

NAME = "the Python console exporter"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STATE = re.compile(r"\{key=(.*?), value=(.*?)\}")


def is_span(document: Json) -> bool:
    """Say whether the object is a span as the exporter prints it."""
    context = document.get("context")
    return isinstance(context, dict) and "trace_id" in context


def converted(span: Json) -> Converted:
    """Return a span as OTLP.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: where it is no such span.
    """
    context, status = span["context"], span.get("status") or {}
    scope = span.get("instrumentation_scope") or span.get("instrumentation_info") or {}
    resource = (span.get("resource") or {}).get("attributes")
    return Converted(
        attributes(resource),
        (scope.get("name"), scope.get("version")),
        {
            "traceId": _id(context.get("trace_id")),
            "spanId": _id(context.get("span_id")),
            "parentSpanId": _id(span.get("parent_id")),
            "traceState": _state(context.get("trace_state")),
            "name": span.get("name"),
            "kind": str(span.get("kind")).removeprefix("SpanKind."),
            "startTimeUnixNano": _time(span.get("start_time")),
            "endTimeUnixNano": _time(span.get("end_time")),
            "status": {
                "code": str(status.get("status_code")).removeprefix("StatusCode."),
                "message": status.get("description"),
            },
            "attributes": attributes(span.get("attributes")),
            "events": [
                {
                    "timeUnixNano": _time(event.get("timestamp")),
                    "name": event.get("name"),
                    "attributes": attributes(event.get("attributes")),
                }
                for event in span.get("events") or ()
            ],
            "links": [
                {
                    "traceId": _id(link["context"].get("trace_id")),
                    "spanId": _id(link["context"].get("span_id")),
                    "attributes": attributes(link.get("attributes")),
                }
                for link in span.get("links") or ()
            ],
        },
    )


def _id(text: Any) -> Any:
    return text.removeprefix("0x") if isinstance(text, str) else text


def _time(text: Any) -> int | None:
    if not isinstance(text, str):
        return None
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1_000


def _state(text: Any) -> str | None:
    """Return a trace state from its Python representation, `['{key=a, value=b}']`."""
    if not isinstance(text, str):
        return None
    return ",".join(f"{key}={value}" for key, value in _STATE.findall(text)) or None
