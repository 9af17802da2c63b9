"""What goes in comes out, once, in whatever shape and order it was handed over."""

import gzip
import io
import json
import random
import zlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ingest_drawn import DUMPS, Span, delimited, json_lines, json_span, many, message, request

from ingest.errors import CohortError, SourceError
from ingest.lake import Lake
from ingest.load import LoadReport, Progress, load

DRAWN = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def rows_of(lake: Path) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for file in Lake(lake).files():
        rows += pq.ParquetFile(file).read().to_pylist()
    return sorted(rows, key=lambda row: (str(row["trace_id"]), str(row["span_id"])))


def said(lake: Path) -> list[dict[str, object]]:
    return [
        {name: cell for name, cell in row.items() if not name.startswith("source_")}
        for row in rows_of(lake)
    ]


def ingest(
    folder: Path, data: bytes, *, name: str = "dump", cohort: str = "baseline"
) -> LoadReport:
    return load([(name, io.BytesIO(data))], folder, cohort=cohort)


def assert_balanced(report: LoadReport) -> None:
    for source in report.sources:
        assert source.read == source.kept + source.duplicates + source.rejected
        assert source.rejected == sum(reject.count for reject in source.reasons)
        assert source.kept == sum(source.days.values())


ENCODINGS = {
    "json lines": json_lines,
    "json lines, gzip": lambda spans: gzip.compress(json_lines(spans)),
    "json lines, zlib": lambda spans: zlib.compress(json_lines(spans)),
    "json lines, two gzip members": lambda spans: (
        gzip.compress(json_lines(spans)[:100]) + gzip.compress(json_lines(spans)[100:])
    ),
    "json lines, CRLF, BOM, blank lines": lambda spans: (
        b"\xef\xbb\xbf" + json_lines(spans).replace(b"\n", b"\r\n\r\n")
    ),
    "pretty document": lambda spans: json.dumps(request(spans), indent=2).encode(),
    "list of requests": lambda spans: json.dumps([request([span]) for span in spans]).encode(),
    "documents in a row": lambda spans: b"\n".join(
        json.dumps(request([span]), indent=1).encode() for span in spans
    ),
    "protobuf message": message,
    "protobuf message, gzip": lambda spans: gzip.compress(message(spans)),
    "protobuf, length-prefixed": delimited,
    "protobuf, length-prefixed, gzip": lambda spans: gzip.compress(delimited(spans)),
}


@pytest.mark.parametrize("encoding", ENCODINGS)
@settings(parent=DRAWN, max_examples=4)
@given(spans=DUMPS)
def test_every_encoding_of_the_same_spans_gives_the_same_lake(
    tmp_path_factory: pytest.TempPathFactory, encoding: str, spans: list[Span]
) -> None:
    plain, other = tmp_path_factory.mktemp("plain"), tmp_path_factory.mktemp("other")
    ingest(plain, json_lines(spans))
    report = ingest(other, ENCODINGS[encoding](spans))
    assert report.kept == len(spans)
    assert said(other) == said(plain)


@DRAWN
@given(spans=DUMPS, again=st.integers(0, 5), order=st.randoms(use_true_random=False))
def test_order_and_repetition_of_spans_change_nothing(
    tmp_path_factory: pytest.TempPathFactory, spans: list[Span], again: int, order: random.Random
) -> None:
    once, shuffled = tmp_path_factory.mktemp("once"), tmp_path_factory.mktemp("shuffled")
    ingest(once, json_lines(spans))
    mixed = [*spans, *spans[:again]]
    order.shuffle(mixed)
    report = ingest(shuffled, json_lines(mixed, a_line=2))
    assert_balanced(report)
    assert (report.kept, report.duplicates) == (len(spans), len(mixed) - len(spans))
    assert said(shuffled) == said(once)


@DRAWN
@given(spans=DUMPS, cut=st.floats(0, 1), is_gzip=st.booleans(), is_json=st.booleans())
def test_a_dump_cut_anywhere_keeps_what_was_whole_and_says_so(
    tmp_path_factory: pytest.TempPathFactory,
    spans: list[Span],
    cut: float,
    is_gzip: bool,
    is_json: bool,
) -> None:
    whole = json_lines(spans, a_line=1) if is_json else delimited(spans, a_message=1)
    data = gzip.compress(whole) if is_gzip else whole
    part = data[: int(cut * len(data))]
    report = ingest(tmp_path_factory.mktemp("lake"), part)
    assert_balanced(report)
    assert report.kept <= len(spans)
    if report.kept < len(spans) and len(part) > 20:
        reasons = [reject for source in report.sources for reject in source.reasons]
        at_an_edge = not is_gzip and (part.endswith(b"\n") or not is_json)
        assert reasons or at_an_edge


def test_the_same_file_twice_changes_nothing_and_the_report_says_so(tmp_path: Path) -> None:
    data = json_lines(many(30))
    ingest(tmp_path, data)
    before = Lake(tmp_path).fingerprint(), Lake(tmp_path).ledger()
    report = ingest(tmp_path, data, name="copy under another name")
    assert report.sources[0].already
    assert (report.read, report.kept) == (0, 0)
    assert (Lake(tmp_path).fingerprint(), Lake(tmp_path).ledger()) == before


def test_the_same_file_may_enter_two_cohorts(tmp_path: Path) -> None:
    data = json_lines(many(30))
    assert ingest(tmp_path, data, cohort="baseline").kept == 30
    assert ingest(tmp_path, data, cohort="pilot").kept == 30


def test_a_copy_that_says_something_else_is_a_conflict_and_the_first_stays(tmp_path: Path) -> None:
    ingest(tmp_path, json_lines([Span(name="first"), Span(span=2)]))
    report = ingest(tmp_path, json_lines([Span(name="second"), Span(span=2), Span(span=3)]))
    assert_balanced(report)
    assert (report.kept, report.duplicates, report.conflicts) == (1, 1, 1)
    (reject,) = report.sources[0].reasons
    assert "same ids" in reject.reason
    assert "record 1" in reject.place
    assert [row["name"] for row in rows_of(tmp_path)] == ["first", "work", "work"]


def test_a_folder_is_read_file_by_file_and_strangers_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "dumps"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.json").write_bytes(json_lines(many(5, seed=1)))
    (folder / "deep" / "b.bin").write_bytes(message(many(5, seed=2)))
    (folder / "LICENSE").write_text("Permission is hereby granted")
    (folder / "labels.jsonl").write_text('{"turn": 1}\n{"turn": 2}\n')
    report = load([folder], tmp_path / "lake", cohort="baseline")
    assert_balanced(report)
    named = {Path(source.name).name: source for source in report.sources}
    assert {name: source.kept for name, source in named.items()} == {
        "a.json": 5,
        "b.bin": 5,
        "LICENSE": 0,
        "labels.jsonl": 0,
    }
    assert "neither OTLP" in named["LICENSE"].reasons[0].reason
    assert named["labels.jsonl"].reasons[0].count == 2
    assert Lake(tmp_path / "lake").ledger().num_rows == 4
    assert len(Lake(tmp_path / "lake").files()) == 1


def test_a_bad_span_and_a_bad_line_are_refused_alone_with_their_place(tmp_path: Path) -> None:
    good = request([Span(span=1)])
    spans = good["resourceSpans"][0]["scopeSpans"][0]["spans"]
    for span, changed in (
        (2, {"traceId": "zz"}),
        (3, {"traceId": "0" * 32}),
        (4, {"endTimeUnixNano": "1"}),
        (5, {"endTimeUnixNano": None}),
        (6, {"startTimeUnixNano": str(2**63)}),
        (7, {"attributes": [{"key": 7}]}),
        (8, {"attributes": [{"key": "n", "value": {"intValue": "many"}}]}),
        (9, {"startTimeUnixNano": []}),
    ):
        spans.append({**json_span(Span(span=span)), **changed})
    spans.append("not a span")
    lines = [json.dumps(good), "{broken", "[]", "7", json.dumps(request([Span(span=99)]))]
    report = ingest(tmp_path, "\n".join(lines).encode())
    assert_balanced(report)
    assert report.kept == 2
    assert report.rejected == 12
    places = {reject.reason: reject.place for reject in report.sources[0].reasons}
    assert places["the line is not JSON"].startswith("line 2")
    assert places["the span ends before it starts"].startswith("record 1")
    assert all(reject.mend for reject in report.sources[0].reasons)


def test_other_signals_are_told_apart(tmp_path: Path) -> None:
    report = ingest(tmp_path, b'{"resourceLogs": []}\n{"resourceMetrics": [{}]}\n')
    assert [reject.reason for reject in report.sources[0].reasons] == [
        "the record holds logs, not traces",
        "the record holds metrics, not traces",
    ]


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "empty"),
        (b" \n\n ", "empty"),
        (gzip.compress(b"", mtime=0), "empty"),
        (b"\x28\xb5\x2f\xfd....", "zstd"),
        (b"PK\x03\x04....", "zip"),
        (b"PAR1....", "Parquet"),
        (b"\x89PNG\r\n\x1a\n", "picture"),
        ("{}".encode("utf-16"), "UTF-16"),
        ("{}".encode("utf-16-le"), "UTF-16"),
        (b"hello", "neither"),
        (bytes(range(1, 200)), "neither"),
        (gzip.compress(gzip.compress(gzip.compress(b"{}", mtime=0), mtime=0), mtime=0), "twice"),
        (b"\x00\x00\x00\x09\x28\xb5\x2f\xfd.....", "zstd"),
        (b"\x0a\xff\xff\xff", "protobuf"),
    ],
)
def test_what_is_no_dump_is_refused_in_one_sentence(
    tmp_path: Path, content: bytes, word: str
) -> None:
    (source,) = ingest(tmp_path, content).sources
    assert (source.read, source.rejected) == (1, 1)
    assert word in source.reasons[0].reason
    assert "\n" not in source.reasons[0].reason
    assert source.reasons[0].mend


def test_a_bomb_is_stopped_and_leaves_nothing(tmp_path: Path) -> None:
    packer = zlib.compressobj(9, wbits=31)
    line = json_lines([Span()])
    blank = b" " * (1 << 20)
    parts = [packer.compress(line), *(packer.compress(blank) for _ in range(300)), packer.flush()]
    bomb = b"".join(parts)
    assert len(bomb) < 1 << 20
    (source,) = ingest(tmp_path, bomb).sources
    assert "inflates more than" in source.reasons[0].reason
    assert source.kept == 0
    assert Lake(tmp_path).files() == []


def test_an_absent_path_is_one_clear_sentence(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"nowhere\.json: no such file or folder"):
        load([tmp_path / "nowhere.json"], tmp_path / "lake", cohort="baseline")


@pytest.mark.parametrize("cohort", ["", "Pilot", "a/b", "../x", "a" * 64, "day=1"])
def test_a_cohort_that_cannot_name_a_folder_is_refused_before_reading(
    tmp_path: Path, cohort: str
) -> None:
    with pytest.raises(CohortError, match="cannot name a cohort"):
        ingest(tmp_path, json_lines(many(3)), cohort=cohort)


def test_progress_ends_at_the_size_of_the_dump(tmp_path: Path) -> None:
    data = gzip.compress(json_lines(many(100)))
    seen: list[Progress] = []
    load([("dump", io.BytesIO(data))], tmp_path, cohort="a", progress=seen.append)
    assert (seen[-1].bytes_read, seen[-1].bytes_total, seen[-1].spans) == (
        len(data),
        len(data),
        100,
    )


def test_the_ledger_holds_the_report(tmp_path: Path) -> None:
    report = ingest(tmp_path, json_lines([*many(30), *many(4)]), name="may.jsonl")
    (row,) = Lake(tmp_path).ledger().to_pylist()
    assert row["name"] == "may.jsonl"
    assert [row[name] for name in ("read", "kept", "duplicates", "rejected")] == [34, 30, 4, 0]
    assert json.loads(row["days"]) == report.days
    assert row["ingested_at"].tzinfo is not None


def test_files_hold_whole_days_sorted_by_trace(tmp_path: Path) -> None:
    spans = many(200, days=3)
    random.Random(1).shuffle(spans)
    ingest(tmp_path, json_lines(spans))
    files = Lake(tmp_path).files()
    assert len(files) == 3
    for file in files:
        table = pq.ParquetFile(file).read()
        keys = list(zip(table["trace_id"].to_pylist(), table["start_ns"].to_pylist(), strict=True))
        assert keys == sorted(keys)
        assert isinstance(table.schema.field("start_ns").type, pa.DataType)
