"""OTLP as parsed JSON: walks one document and appends raw values to `Rows`."""

import base64
import binascii
from typing import Any

import orjson

from ingest.formats.rows import Entries, Rows
from ingest.identity import integer

BAD_SPAN = "the span is not what OTLP describes"

# Older exporters and Tempo say the same under other names.
_RESOURCE_SPANS = ("resourceSpans", "resource_spans", "batches")
_SCOPE_SPANS = (
    "scopeSpans",
    "scope_spans",
    "instrumentationLibrarySpans",
    "instrumentation_library_spans",
)
_OTHER_SIGNALS = {
    "resourceMetrics": "metrics",
    "resource_metrics": "metrics",
    "resourceLogs": "logs",
    "resource_logs": "logs",
    "resourceProfiles": "profiles",
}

Json = dict[str, Any]

# What a wrong type in a span raises on the way; anything else is a fault of ours.
MALFORMED = (KeyError, TypeError, ValueError, AttributeError, RecursionError, binascii.Error)


def walk(document: Any, rows: Rows, record: int) -> None:
    """Append every span of one request to `rows`; what cannot be read is counted there."""
    place = f"record {record:,}"
    if not isinstance(document, dict):
        rows.rejects.add(
            "the record is JSON but not an object",
            place=place,
            mend='Each record must be an ExportTraceServiceRequest: {"resourceSpans": [...]}.',
        )
        return
    trace = document.get("trace")
    if isinstance(trace, dict):
        document = trace
    known = _first(document, _RESOURCE_SPANS)
    for key, signal in _OTHER_SIGNALS.items():
        if key in document:
            rows.rejects.add(
                f"the record holds {signal}, not traces",
                place=place,
                mend="Point the exporter's traces pipeline at this file.",
            )
            if known is None:
                return
    if not isinstance(known, list):
        rows.rejects.add(
            "the record has no resourceSpans",
            place=place,
            mend="Export traces as OTLP JSON: one ExportTraceServiceRequest a line.",
        )
        return
    for resource_spans in known:
        try:
            _walk_resource(resource_spans, rows, record)
        except MALFORMED as error:
            rows.rejects.add(
                "a resource's spans are not what OTLP describes",
                place=f"{place} ({type(error).__name__}: {error})",
                mend="Compare the record with the OTLP JSON encoding.",
            )


def _walk_resource(resource_spans: Json, rows: Rows, record: int) -> None:
    resource_index = len(rows.resources)
    before = len(rows.of_resources.keys)
    resource = resource_spans.get("resource")
    if resource:
        pairs_of(resource.get("attributes"), rows.of_resources)
    rows.resources.append(len(rows.of_resources.keys) - before)
    for scope_spans in _first(resource_spans, _SCOPE_SPANS) or ():
        scope_index = len(rows.scopes)
        scope = (
            scope_spans.get("scope")
            or scope_spans.get("instrumentationLibrary")
            or scope_spans.get("instrumentation_library")
            or {}
        )
        pairs = pairs_of(scope.get("attributes"), rows.of_scopes)
        rows.scopes.append((scope.get("name"), scope.get("version"), pairs))
        for span in scope_spans.get("spans") or ():
            mark = rows.mark()
            try:
                _walk_span(span, rows, record, resource_index, scope_index)
            except MALFORMED as error:
                rows.rewind(mark)
                rows.rejects.add(
                    BAD_SPAN,
                    place=f"record {record:,} ({type(error).__name__}: {error})"[:300],
                    mend="Compare the span with the OTLP JSON encoding.",
                )


def _walk_span(span: Json, rows: Rows, record: int, resource: int, scope: int) -> None:
    if "trace_id" in span or "start_time_unix_nano" in span:
        span = _camel(span)
    get = span.get
    index = len(rows.spans)
    attributes = get("attributes")
    count = 0
    if attributes:
        of_spans = rows.of_spans
        add_key, add_value = of_spans.keys.append, of_spans.values.append
        for attribute in attributes:
            value = attribute.get("value")
            if value is None:
                text = None
            else:
                text = value.get("stringValue")
                if text.__class__ is not str:
                    text = text_of(value)
            key = attribute["key"]
            if key.__class__ is not str:
                raise TypeError("an attribute's key is not a text")
            add_key(key)
            add_value(text)
        count = len(attributes)
    for event in get("events") or ():
        if "time_unix_nano" in event:
            event = _camel(event)
        pairs = pairs_of(event.get("attributes"), rows.of_events)
        rows.events.append((index, event.get("timeUnixNano"), event.get("name"), pairs))
    for link in get("links") or ():
        if "trace_id" in link:
            link = _camel(link)
        pairs = pairs_of(link.get("attributes"), rows.of_links)
        rows.links.append((index, link.get("traceId"), link.get("spanId"), pairs))
    status = get("status") or _NO_STATUS
    rows.spans.append(
        (
            get("traceId"),
            get("spanId"),
            get("parentSpanId"),
            get("traceState"),
            get("flags"),
            get("name"),
            get("kind"),
            get("startTimeUnixNano"),
            get("endTimeUnixNano"),
            status.get("code"),
            status.get("message"),
            get("droppedAttributesCount"),
            get("droppedEventsCount"),
            get("droppedLinksCount"),
            record,
            resource,
            scope,
            count,
        )
    )


_NO_STATUS: Json = {}


def pairs_of(attributes: list[Json] | None, into: Entries) -> int:
    """Append a list of OTLP attributes to `into` and return how many there were."""
    if not attributes:
        return 0
    keys = [attribute["key"] for attribute in attributes]
    if any(key.__class__ is not str for key in keys):
        raise TypeError("an attribute's key is not a text")
    values = [text_of(attribute.get("value")) for attribute in attributes]
    into.keys.extend(keys)
    into.values.extend(values)
    return len(attributes)


def text_of(value: Json | None) -> str | None:
    """Return an OTLP value as text: numbers in digits, lists and maps as JSON, unset as null.

    Raises:
        ValueError: where a number is none, or bytes are not base64.
    """
    plain = _plain(value)
    if plain is None or plain.__class__ is str:
        return plain
    return as_text(plain)


def as_text(plain: object) -> str:
    """Return a plain value as the text the lake holds, the same for every encoding."""
    if plain.__class__ is bool:
        return "true" if plain else "false"
    if plain.__class__ is int:
        return str(plain)
    if plain.__class__ is float:
        return repr(plain)
    return orjson.dumps(plain, default=str).decode()


def _plain(value: Json | None) -> object:
    if not value:
        return None
    for key, raw in value.items():
        if raw is None:
            continue
        match key:
            case "stringValue" | "string_value":
                if raw.__class__ is not str:
                    raise TypeError("a stringValue is not a text")
                return raw
            case "intValue" | "int_value":
                return integer(raw)
            case "boolValue" | "bool_value":
                return raw if raw.__class__ is bool else str(raw).lower() == "true"
            case "doubleValue" | "double_value":
                return float(raw)
            case "arrayValue" | "array_value":
                return [_plain(item) for item in raw.get("values") or ()]
            case "kvlistValue" | "kvlist_value":
                return {
                    str(item["key"]): _plain(item.get("value")) for item in raw.get("values") or ()
                }
            case "bytesValue" | "bytes_value":
                padded = raw.replace("-", "+").replace("_", "/") + "=" * (-len(raw) % 4)
                return base64.b64encode(base64.b64decode(padded, validate=True)).decode()
            case _:
                continue
    return None


def _first(document: Json, keys: tuple[str, ...]) -> Any:
    for key in keys:
        found = document.get(key)
        if found is not None:
            return found
    return None


def _camel(fields: Json) -> Json:
    return {_camel_name(key): value for key, value in fields.items()}


def _camel_name(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(part.capitalize() for part in tail)
