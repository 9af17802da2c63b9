"""OTLP as parsed JSON: walks one document and appends raw values to `Rows`."""

from typing import Any

import orjson

from ingest import redact
from ingest.formats.otlp_values import MALFORMED, Json, as_text, key_of, listed, pairs_of, text_of
from ingest.formats.rows import Rows

__all__ = ["MALFORMED", "as_text", "pairs_of", "text_of"]

BAD_SPAN = "the span is not what OTLP describes"
BAD_RESOURCE = "a resource's spans are not what OTLP describes"

# Older exporters and Tempo say the same under other names.
RESOURCE_SPANS = ("resourceSpans", "resource_spans", "batches")
SCOPE_SPANS = (
    "scopeSpans",
    "scope_spans",
    "instrumentationLibrarySpans",
    "instrumentation_library_spans",
)
_SCOPES = ("scope", "instrumentationLibrary", "instrumentation_library")
_OTHER_SIGNALS = {
    "resourceMetrics": "metrics",
    "resource_metrics": "metrics",
    "resourceLogs": "logs",
    "resource_logs": "logs",
    "resourceProfiles": "profiles",
    "resource_profiles": "profiles",
}

_SNAKE = frozenset(
    {
        *("trace_id", "span_id", "parent_span_id", "trace_state", "start_time_unix_nano"),
        *("end_time_unix_nano", "time_unix_nano", "dropped_attributes_count"),
        *("dropped_events_count", "dropped_links_count"),
    }
)


def walk(document: Json, rows: Rows, record: int) -> None:
    """Append every span of one request to `rows`; what cannot be read is counted there."""
    place = f"record {record:,}"
    trace = document.get("trace")
    if isinstance(trace, dict):
        document = trace
    has_other_signal = False
    for key, signal in _OTHER_SIGNALS.items():
        if key in document:
            has_other_signal = True
            rows.rejects.add(
                f"the record holds {signal}, not traces",
                place=place,
                mend="Point the exporter's traces pipeline at this file.",
                sample=sample_of(document),
            )
    lists = [document[key] for key in RESOURCE_SPANS if document.get(key) is not None]
    if not any(isinstance(each, list) for each in lists):
        if not has_other_signal:
            refuse_unknown(document, rows, record)
        return
    for found in lists:
        for resource_spans in found if isinstance(found, list) else [found]:
            walk_resource(resource_spans, rows, record)


def refuse_unknown(document: object, rows: Rows, record: int) -> None:
    """Count a record that is JSON, but of no kind we know."""
    is_object = isinstance(document, dict)
    rows.rejects.add(
        "the record has no resourceSpans" if is_object else "the record is JSON but not an object",
        place=f"record {record:,}",
        mend='Export traces as OTLP JSON, one ExportTraceServiceRequest {"resourceSpans": [...]} a '
        "record; Jaeger, Zipkin, Tempo and Python console exports are read as well.",
        sample=sample_of(document),
    )


def walk_resource(resource_spans: Any, rows: Rows, record: int) -> None:
    """Append every span of one ResourceSpans to `rows`; what cannot be read is counted there."""
    try:
        resource = resource_spans.get("resource") or {}
        pairs = pairs_of(resource.get("attributes"), rows.of_resources)
        scopes = [
            scope_spans
            for key in SCOPE_SPANS
            for scope_spans in listed(resource_spans.get(key), "scopeSpans")
        ]
    except MALFORMED as error:
        _refuse(BAD_RESOURCE, error, resource_spans, rows, record)
        return
    index = len(rows.resources)
    rows.resources.append(pairs)
    for scope_spans in scopes:
        try:
            _walk_scope(scope_spans, rows, record, index)
        except MALFORMED as error:
            _refuse(BAD_RESOURCE, error, scope_spans, rows, record)


def _walk_scope(scope_spans: Json, rows: Rows, record: int, resource: int) -> None:
    spans = listed(scope_spans.get("spans"), "spans")
    scope: Json = next((scope_spans[key] for key in _SCOPES if scope_spans.get(key)), {})
    pairs = pairs_of(scope.get("attributes"), rows.of_scopes)
    index = len(rows.scopes)
    rows.scopes.append((scope.get("name"), scope.get("version"), pairs))
    for span in spans:
        mark = rows.mark()
        try:
            _walk_span(span, rows, record, resource, index)
        except MALFORMED as error:
            rows.rewind(mark)
            _refuse(BAD_SPAN, error, span, rows, record)


def _refuse(reason: str, error: Exception, what: Any, rows: Rows, record: int) -> None:
    rows.rejects.add(
        reason,
        place=f"record {record:,} ({type(error).__name__}: {error})"[:300],
        mend="Compare it with the OTLP JSON encoding.",
        count=max(1, _spans_in(what)) if reason == BAD_RESOURCE else 1,
        sample=sample_of(what),
    )


def _spans_in(what: object) -> int:
    """Return how many spans a ResourceSpans or ScopeSpans holds, as far as it can be told."""
    if not isinstance(what, dict):
        return 0
    spans = what.get("spans")
    below = [each for key in SCOPE_SPANS for each in _if_list(what.get(key))]
    return len(_if_list(spans)) + sum(map(_spans_in, below))


def _if_list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def sample_of(value: object) -> str:
    """Return the masked shape of a parsed value."""
    try:
        return redact.sample(orjson.dumps(value, default=str), is_text=True)
    except TypeError:
        return ""


def _walk_span(span: Json, rows: Rows, record: int, resource: int, scope: int) -> None:
    if not _SNAKE.isdisjoint(span):
        span = _camel(span)
    get = span.get
    index = len(rows.spans)
    attributes = get("attributes")
    count = 0
    if attributes:
        of_spans = rows.of_spans
        add_key, add_value = of_spans.keys.append, of_spans.values.append
        for attribute in listed(attributes, "attributes"):
            value = attribute.get("value")
            if value is None:
                text = None
            else:
                text = value.get("stringValue")
                if text.__class__ is not str:
                    text = text_of(value)
            add_key(key_of(attribute))
            add_value(text)
        count = len(attributes)
    for event in listed(get("events"), "events"):
        fields = event if _SNAKE.isdisjoint(event) else _camel(event)
        pairs = pairs_of(fields.get("attributes"), rows.of_events)
        rows.events.append((index, fields.get("timeUnixNano"), fields.get("name"), pairs))
    for link in listed(get("links"), "links"):
        fields = link if _SNAKE.isdisjoint(link) else _camel(link)
        pairs = pairs_of(fields.get("attributes"), rows.of_links)
        ids = fields.get("traceId"), fields.get("spanId")
        rows.links.append((index, *ids, pairs))
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


def _camel(fields: Json) -> Json:
    plain = {key: value for key, value in fields.items() if "_" not in key and value is not None}
    return {_camel_name(key): value for key, value in fields.items() if "_" in key} | plain


def _camel_name(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(part.capitalize() for part in tail)
