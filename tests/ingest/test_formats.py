"""The same spans are the same rows, whoever wrote them down and however they were packed."""

import bz2
import gzip
import io
import json
import lzma
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import zstandard
from dump_drawn import (
    ANY,
    CARRIED_BY_JAEGER,
    CARRIED_BY_ZIPKIN,
    bare_resources,
    console,
    console_span,
    jaeger,
    jaeger_span,
    jaeger_traces,
    old_json,
    packed,
    snake,
    tempo_json,
    wrapped,
    zipkin,
    zipkin_lines,
    zipkin_span,
)
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from ingest_drawn import Span, delimited, json_lines, message, request

from ingest.lake import Lake
from ingest.load import load

DRAWN = settings(
    max_examples=4,
    deadline=None,
    # A lake is made for every example: shrinking one takes minutes.
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


# A console exporter tells no scope; the hash of a span's content covers it.
NO_SCOPE = ("scope_", "content_hash")


def rows(folder: Path, data: bytes, *, without: tuple[str, ...] = ()) -> list[dict[str, object]]:
    report = load([("dump", io.BytesIO(data))], folder, cohort="baseline")
    assert [source.reasons for source in report.sources] == [[]]
    found = [
        row for file in Lake(folder).files() for row in pq.ParquetFile(file).read().to_pylist()
    ]
    kept = [
        {name: cell for name, cell in row.items() if not name.startswith(("source_", *without))}
        for row in found
    ]
    return sorted(kept, key=lambda row: (str(row["trace_id"]), str(row["span_id"])))


Encoder = Callable[[Sequence[Span]], bytes]
PACKED: dict[str, Encoder] = {
    "zstd": lambda spans: zstandard.compress(json_lines(spans)),
    "zstd, frames and a skippable one": lambda spans: (
        zstandard.compress(json_lines(spans[:1]))
        + b"\x50\x2a\x4d\x18\x04\0\0\0note"
        + zstandard.compress(json_lines(spans[1:]))
    ),
    "bzip2": lambda spans: bz2.compress(json_lines(spans)),
    "xz": lambda spans: lzma.compress(delimited(spans)),
    "bare deflate": lambda spans: deflated(json_lines(spans)),
    "bare deflate of protobuf": lambda spans: deflated(message(spans)),
    "gzip in zstd": lambda spans: zstandard.compress(gzip.compress(message(spans))),
    "messages of zstd": lambda spans: packed(spans, is_json=False),
    "messages of zstd, JSON": lambda spans: packed(spans, is_json=True),
}
WRITTEN: dict[str, Encoder] = {
    "Tempo, batches": tempo_json,
    "Tempo, trace": lambda spans: tempo_json(spans, key="trace"),
    "Tempo, protobuf": lambda spans: wrapped(message(spans)),
    "before 1.0": old_json,
    "snake case": lambda spans: json.dumps(snake(request(spans))).encode(),
    "ResourceSpans a line": bare_resources,
    "upper case ids": lambda spans: json.dumps(
        _ids(request(spans), lambda text: text.upper())
    ).encode(),
    "one document a line, in a list": lambda spans: (
        b"[\n" + b",\n".join(json.dumps(request([span])).encode() for span in spans) + b"\n]\n"
    ),
    "documents in a row on one line": lambda spans: b" ".join(
        json.dumps(request([span])).encode() for span in spans
    ),
    "pretty, unindented": lambda spans: json.dumps(request(spans), indent=0).encode(),
    "pretty, CRLF": lambda spans: (
        json.dumps(request(spans), indent=2).replace("\n", "\r\n").encode()
    ),
    "BOM and a list": lambda spans: b"\xef\xbb\xbf" + json.dumps([request(spans)]).encode(),
}


def _ids(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, list):
        return [_ids(item, change) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: change(item) if key in ("traceId", "spanId", "parentSpanId") else _ids(item, change)
        for key, item in value.items()
    }


@pytest.mark.parametrize("encoding", [*PACKED, *WRITTEN])
@DRAWN
@given(spans=ANY)
def test_every_way_to_pack_or_write_otlp_gives_the_same_rows(
    tmp_path_factory: pytest.TempPathFactory, encoding: str, spans: list[Span]
) -> None:
    plain, other = tmp_path_factory.mktemp("plain"), tmp_path_factory.mktemp("other")
    encode = {**PACKED, **WRITTEN}[encoding]
    assert rows(other, encode(spans)) == rows(plain, json_lines(spans))


JAEGER: dict[str, Encoder] = {
    "the UI's file": jaeger,
    "pretty": lambda spans: json.dumps(json.loads(jaeger(spans)), indent=4).encode(),
    "one trace a line": lambda spans: b"".join(
        json.dumps(trace).encode() + b"\n" for trace in jaeger_traces(spans)
    ),
    "a bare list of traces": lambda spans: json.dumps(jaeger_traces(spans)).encode(),
    "spans with their process": lambda spans: b"\n".join(
        json.dumps({**jaeger_span(span), "process": {"serviceName": span.service}}).encode()
        for span in spans
    ),
}


@pytest.mark.parametrize("encoding", JAEGER)
@DRAWN
@given(spans=CARRIED_BY_JAEGER)
def test_jaeger_json_gives_the_rows_of_otlp(
    tmp_path_factory: pytest.TempPathFactory, encoding: str, spans: list[Span]
) -> None:
    plain, other = tmp_path_factory.mktemp("plain"), tmp_path_factory.mktemp("other")
    assert rows(other, JAEGER[encoding](spans)) == rows(plain, json_lines(spans))


@pytest.mark.parametrize("encode", [zipkin, zipkin_lines])
@DRAWN
@given(spans=CARRIED_BY_ZIPKIN)
def test_zipkin_json_gives_the_rows_of_otlp(
    tmp_path_factory: pytest.TempPathFactory, encode: Encoder, spans: list[Span]
) -> None:
    plain, other = tmp_path_factory.mktemp("plain"), tmp_path_factory.mktemp("other")
    assert rows(other, encode(spans)) == rows(plain, json_lines(spans))


@DRAWN
@given(spans=CARRIED_BY_JAEGER)
def test_the_python_console_exporter_gives_the_rows_of_otlp_but_the_scope(
    tmp_path_factory: pytest.TempPathFactory, spans: list[Span]
) -> None:
    plain, other = tmp_path_factory.mktemp("plain"), tmp_path_factory.mktemp("other")
    assert rows(other, console(spans), without=NO_SCOPE) == rows(
        plain, json_lines(spans), without=NO_SCOPE
    )


@DRAWN
@given(spans=CARRIED_BY_ZIPKIN, order=st.randoms(use_true_random=False))
def test_records_of_every_kind_may_stand_in_one_file(
    tmp_path_factory: pytest.TempPathFactory, spans: list[Span], order: Any
) -> None:
    plain, other = tmp_path_factory.mktemp("plain"), tmp_path_factory.mktemp("other")
    writers: list[Callable[[Span], Any]] = [
        lambda span: request([span]),
        lambda span: request([span])["resourceSpans"][0],
        lambda span: {"batches": request([span])["resourceSpans"]},
        lambda span: jaeger_traces([span])[0],
        lambda span: [zipkin_span(span)],
        console_span,
    ]
    records = [json.dumps(order.choice(writers)(span)).encode() for span in spans]
    assert rows(other, b"\n".join(records) + b"\n", without=NO_SCOPE) == rows(
        plain, json_lines(spans), without=NO_SCOPE
    )
