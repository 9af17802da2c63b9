"""What real exporters and hand-made dumps do to fields, and what becomes of it."""

import base64
import json
from typing import Any

import pytest
from dump_drawn import decoded, jaeger_span, jaeger_traces, wrapped, zipkin_span
from ingest_drawn import START_NS, Span, json_span, message, request
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ingest.formats import otlp_protobuf
from ingest.formats.blocks import whole


def one(changed: dict[str, Any]) -> dict[str, Any]:
    """Return how a span with these fields changed is read."""
    document = request([Span()])
    document["resourceSpans"][0]["scopeSpans"][0]["spans"][0].update(changed)
    spans, refused, reasons = decoded(json.dumps(document).encode())
    assert (len(spans), refused) == (1, 0), reasons
    return spans[0]


def attribute(value: object) -> list[dict[str, object]]:
    return [{"key": "k", "value": value}]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"intValue": "9223372036854775807"}, "9223372036854775807"),
        ({"intValue": -9223372036854775808}, "-9223372036854775808"),
        ({"int_value": 7}, "7"),
        ({"doubleValue": "NaN"}, "nan"),
        ({"doubleValue": "-Infinity"}, "-inf"),
        ({"doubleValue": 3}, "3.0"),
        ({"boolValue": "true"}, "true"),
        ({"string_value": "x"}, "x"),
        ({"stringValue": None, "intValue": "1"}, "1"),
        ({"array_value": {"values": [{"string_value": "a"}, {}]}}, '["a",null]'),
        ({"kvlistValue": {"values": [{"key": "a", "value": {"boolValue": False}}]}}, '{"a":false}'),
        ({"bytesValue": "_-8"}, "/+8="),
        ({"newKindOfValue": 1}, None),
        ({}, None),
        (None, None),
        ({"stringValue": "a\0b"}, "a\0b"),
    ],
)
def test_values_are_read_as_text_exactly(value: object, text: str | None) -> None:
    assert one({"attributes": attribute(value)})["attributes"] == {"k": text}


@pytest.mark.parametrize("nothing", [None, [], {}])
def test_fields_may_be_null_or_empty(nothing: object) -> None:
    empty = [] if nothing == {} else nothing
    read = one(
        {
            "attributes": empty,
            "events": empty,
            "links": empty,
            "status": None if nothing == [] else nothing,
            "parentSpanId": None,
            "traceState": None,
            "kind": None,
            "droppedAttributesCount": None,
        }
    )
    assert (read["kind"], read["status"], read["attributes"]) == ("UNSPECIFIED", "UNSET", {})


def test_unknown_fields_are_skipped_and_unknown_kinds_are_kept() -> None:
    read = one({"someDay": {"x": [1]}, "kind": 9, "status": {"code": "STATUS_CODE_ERROR"}})
    assert (read["kind"], read["status"]) == ("9", "ERROR")


@pytest.mark.parametrize(
    "written",
    [
        lambda digits: digits,
        str.upper,
        lambda digits: base64.b64encode(bytes.fromhex(digits)).decode(),
        lambda digits: base64.b64encode(bytes.fromhex(digits)).decode().rstrip("="),
    ],
)
def test_ids_may_be_hex_or_base64(written: Any) -> None:
    trace, span = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    read = one({"traceId": written(trace), "spanId": written(span)})
    again = one({"traceId": trace, "spanId": span})
    for field, digits in (("trace_id", 32), ("span_id", 16)):
        text = read[field].lower()
        if len(text) != digits:
            text = base64.b64decode(read[field] + "=" * (-len(read[field]) % 4)).hex()
        assert text == again[field]


def test_almost_json_is_read() -> None:
    text = json.dumps(request([Span(attributes={"a": "x", "b": 1.5})]))
    for before, after in (
        ("1.5", "NaN"),
        ("1.5", "-Infinity"),
        ('"x"', '"\\ud800"'),
        ('"x"', '"\t\0"'),
        ('"name": "work"', '"name": "twice", "name": "work"'),
    ):
        assert before in text
        spans, refused, _ = decoded(text.replace(before, after).encode())
        assert (len(spans), refused, spans[0]["name"]) == (1, 0, "work")
    spans, refused, _ = decoded(text.encode().replace(b'"x"', b'"\xff\xfe"'))
    assert (spans[0]["attributes"]["a"], refused) == ("\ufffd\ufffd", 0)


@pytest.mark.parametrize("depth", [90, 300, 900, 5_000])
def test_deep_nesting_never_breaks_the_reader(depth: int) -> None:
    value = '{"arrayValue":{"values":[' * depth + "{}" + "]}}" * depth
    span = json.dumps(json_span(Span(span=2))).replace(
        '"attributes": []', f'"attributes": [{{"key": "k", "value": {value}}}]'
    )
    good = json.dumps(request([Span()]))
    bad = json.dumps(request([])).replace("[]", f'[{{"scopeSpans":[{{"spans":[{span}]}}]}}]')
    for text in (f"{good}\n{bad}\n", f"[{good},{bad}]", f"[{'[' * depth}{']' * depth},{good}]"):
        spans, refused, _ = decoded(text.encode())
        assert len(spans) + refused == 2
        assert spans


def test_a_bad_scope_or_resource_costs_its_own_spans_and_counts_them() -> None:
    document = request([Span(span=1), Span(span=2)])
    scopes = document["resourceSpans"][0]["scopeSpans"]
    scopes.insert(
        0, {"scope": {"attributes": 7}, "spans": [json_span(Span(span=at)) for at in (3, 4)]}
    )
    scopes.insert(0, "not a scope")
    document["resourceSpans"].append({"resource": 5, "scopeSpans": [{"spans": [{}, {}, {}]}]})
    spans, refused, _ = decoded(json.dumps(document).encode())
    assert (len(spans), refused) == (2, 1 + 2 + 3)


def test_spans_under_old_and_new_names_together_are_all_read() -> None:
    new, old = request([Span(span=1)]), request([Span(span=2)])
    resource = new["resourceSpans"][0]
    resource["instrumentationLibrarySpans"] = old["resourceSpans"][0]["scopeSpans"]
    new["batches"] = request([Span(span=3)])["resourceSpans"]
    assert len(decoded(json.dumps(new).encode())[0]) == 3


def test_jaeger_says_parents_links_and_errors_in_its_own_way() -> None:
    span = jaeger_span(Span(span=5))
    span["traceID"], span["spanID"] = "1f", "2"
    span["tags"] = [
        {"key": "error", "type": "bool", "value": True},
        {"key": "count", "type": "int64", "value": 9007199254740993},
        {"key": "raw", "type": "binary", "value": "AQI="},
        {"key": "untyped", "value": ["a"]},
        {"key": "span.kind", "type": "string", "value": "consumer"},
    ]
    span["references"] = [
        {"refType": "CHILD_OF", "traceID": "ff", "spanID": "9"},
        {"refType": "FOLLOWS_FROM", "traceID": "1f", "spanID": "8"},
        {"refType": "CHILD_OF", "traceID": "1f", "spanID": "7"},
    ]
    process = {"serviceName": "old", "tags": [{"key": "host", "type": "string", "value": "h"}]}
    trace = {"traceID": "1f", "spans": [span], "processes": {span["processID"]: process}}
    ((read,), refused, _) = decoded(json.dumps(trace).encode())
    assert refused == 0
    assert (read["trace_id"], read["span_id"]) == (f"{0x1F:032x}", f"{2:016x}")
    assert (read["parent_span_id"], read["links"]) == (f"{7:016x}", 2)
    assert (read["status"], read["kind"]) == ("ERROR", "CONSUMER")
    assert read["attributes"] == {"count": "9007199254740993", "raw": "AQI=", "untyped": '["a"]'}
    assert read["resource"] == {"service.name": "old", "host": "h"}
    assert (read["start"], read["end"]) == (START_NS, START_NS + 5_000_000)
    span["references"], span["parentSpanID"] = [], "7"
    assert decoded(json.dumps(trace).encode())[0][0]["parent_span_id"] == f"{7:016x}"


def test_a_bad_jaeger_or_zipkin_span_costs_itself() -> None:
    trace = jaeger_traces([Span(span=1), Span(span=2)])[0]
    trace["spans"][0]["startTime"] = "soon"
    trace["spans"] += [7, {"spanID": "1"}, None]
    spans, refused, _ = decoded(json.dumps({"data": [trace, "no trace"]}).encode())
    assert (len(spans), refused) == (1, 5)
    bad = {**zipkin_span(Span(span=3)), "duration": "long"}
    spans, refused, _ = decoded(json.dumps([zipkin_span(Span()), bad, {"id": "1"}]).encode())
    assert (len(spans), refused) == (1, 2)


def test_halves_of_a_zipkin_call_that_share_an_id_become_client_and_server() -> None:
    client = {**zipkin_span(Span(span=2, parent=1, kind=3)), "kind": "CLIENT"}
    server = {
        **zipkin_span(Span(span=2, parent=1, kind=2, service="ledger")),
        "shared": True,
    }
    inside = zipkin_span(Span(span=3, parent=2, service="ledger"))
    beside = zipkin_span(Span(span=4, parent=2, service="desk"))
    for order in ([client, server, inside, beside], [inside, beside, server, client]):
        spans, refused, _ = decoded(json.dumps(order).encode())
        assert refused == 0
        by_kind = {span["kind"]: span for span in spans}
        made = by_kind["SERVER"]["span_id"]
        assert by_kind["CLIENT"]["span_id"] == f"{2:016x}"
        assert by_kind["SERVER"]["parent_span_id"] == f"{2:016x}"
        assert made not in {f"{at:016x}" for at in range(5)}
        parents = {span["span_id"]: span["parent_span_id"] for span in spans}
        assert parents[f"{3:016x}"] == made
        assert parents[f"{4:016x}"] == f"{2:016x}"


def test_zipkin_says_errors_and_peers_in_its_own_way() -> None:
    span = zipkin_span(Span())
    span["tags"] = {"error": "it broke"}
    span["remoteEndpoint"] = {"serviceName": "bank", "ipv4": "10.0.0.1", "port": 80}
    ((read,), _, _) = decoded(json.dumps([span]).encode())
    assert (read["status"], read["message"]) == ("ERROR", "it broke")
    assert read["attributes"] == {
        "peer.service": "bank",
        "network.peer.address": "10.0.0.1",
        "network.peer.port": "80",
    }


def test_protobuf_texts_that_are_no_utf8_cost_nothing() -> None:
    data = message([Span(name="work"), Span(span=2, name="good")]).replace(b"work", b"w\xff\xffk")
    spans, refused, _ = decoded(data)
    assert sorted(span["name"] for span in spans) == ["good", "w\ufffd\ufffdk"]
    assert refused == 0


def test_protobuf_of_exporters_before_one_is_read() -> None:
    data = message([Span()])
    parsed = ExportTraceServiceRequest.FromString(data)
    scope = parsed.resource_spans[0].scope_spans[0].SerializeToString()
    resource = parsed.resource_spans[0].resource.SerializeToString()
    # Field 1000, length-delimited: tag 8002.
    old = wrapped(resource) + b"\xc2\x3e" + wrapped(scope)[1:]
    assert decoded(wrapped(old)) == decoded(data)


def test_other_signals_in_protobuf_are_told_apart() -> None:
    metrics, logs = ExportMetricsServiceRequest(), ExportLogsServiceRequest()
    metric = metrics.resource_metrics.add().scope_metrics.add().metrics.add(name="n" * 16)
    metric.gauge.data_points.add(as_int=4, time_unix_nano=6)
    log = logs.resource_logs.add().scope_logs.add().log_records.add(time_unix_nano=5)
    log.body.string_value = "said"
    for other, word in ((metrics, "metrics"), (logs, "logs")):
        columns = otlp_protobuf.decode(whole(other.SerializeToString(), first=1, offset=0))
        assert len(columns) == 0
        (reject,) = columns.rejects
        assert reject.reason == f"the message holds {word}, not traces"
