"""The benchmark measures what it says: its dumps, and the naive way beside ours."""

import json
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

import agent_dumps
import measure
import naive
from agent_dumps import SPANS_A_REQUEST, Encoding
from agent_traces import SERVICES

from ingest.lake import Lake
from ingest.load import load

SPANS = 24 * SPANS_A_REQUEST


@pytest.fixture(scope="module")
def dumps(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dumps")
    return {
        (encoding, is_long): agent_dumps.write(
            folder / f"{is_long}.{encoding}", encoding, SPANS, is_long=is_long
        )
        for encoding in Encoding
        for is_long in (False, True)
    }


@pytest.fixture(scope="module")
def spans(dumps):
    return list(naive.spans_of_json(dumps[Encoding.JSON, False]))


def test_ids_are_distinct_and_traces_have_8_to_15_spans(spans):
    sizes = Counter(span["trace_id"] for span in spans).values()

    assert len(spans) == SPANS
    assert len({span["span_id"] for span in spans}) == SPANS
    assert set(sizes) <= set(range(8, 16))
    assert len(set(sizes)) > 3


def test_parents_and_linked_spans_are_in_the_same_trace(spans):
    there = {(span["trace_id"], span["span_id"]) for span in spans}
    named = {(span["trace_id"], span["parent_span_id"]) for span in spans if span["parent_span_id"]}
    linked = {link[:2] for span in spans for link in span["links"]}

    assert linked
    assert named | linked <= there


def test_durations_of_requests_are_log_normal_around_seconds(spans):
    seconds = np.array(
        [(each["end_ns"] - each["start_ns"]) / 1e9 for each in spans if not each["parent_span_id"]]
    )

    assert 2 < np.median(seconds) < 8
    assert 0.6 < np.log(seconds).std() < 1.2


def test_spans_are_of_eight_services_and_of_every_kind_of_work(spans):
    keys = Counter(key for span in spans for key in span["attributes"])
    events = {event[1] for span in spans for event in span["events"]}

    assert {span["resource"]["service.name"] for span in spans} == set(SERVICES)
    assert {span["kind"] for span in spans} == {1, 2, 3, 4, 5}
    assert 10 < keys.total() / SPANS < 12
    assert {"exception", "gen_ai.choice"} <= events
    for key in ("gen_ai.usage.input_tokens", "gen_ai.tool.name", "db.query.text", "url.full"):
        assert keys[key] > SPANS / 50


def test_a_span_takes_about_510_bytes_of_protobuf_and_1040_of_json(dumps):
    protobuf, lines = (dumps[encoding, False].stat().st_size / SPANS for encoding in Encoding)

    assert 500 < protobuf < 530
    assert 1_020 < lines < 1_070


def test_the_json_is_what_a_parser_would_write_compactly(dumps):
    for is_long in (False, True):
        for line in dumps[Encoding.JSON, is_long].read_text().splitlines():
            document = json.loads(line)
            again = json.dumps(document, ensure_ascii=False, separators=(",", ":"))

            assert again == line


def test_the_protobuf_is_what_the_published_classes_would_write(dumps):
    for is_long in (False, True):
        for message in naive.messages(dumps[Encoding.PROTOBUF, is_long]):
            again = ExportTraceServiceRequest.FromString(message)

            assert again.SerializeToString(deterministic=True) == message


def test_long_messages_have_2_to_8_kb_with_quotes_lines_and_letters_of_the_world(dumps):
    texts = [
        span["attributes"]["gen_ai.input.messages"]
        for span in naive.spans_of_json(dumps[Encoding.JSON, True])
        if "gen_ai.input.messages" in span["attributes"]
    ]
    sizes = [len(text.encode()) for text in texts]

    assert len(set(texts)) == len(texts) > SPANS / 10
    assert 2_000 < min(sizes) < 3_000
    assert 7_000 < max(sizes) < 10_000
    assert all(mark in "".join(texts) for mark in ('\\"', "\\n", "東京", "🙂"))


def test_the_same_size_is_the_same_dump_and_requests_must_be_whole(dumps, tmp_path):
    dump = dumps[Encoding.PROTOBUF, False]

    again = agent_dumps.write(tmp_path / "again.binpb", Encoding.PROTOBUF, SPANS)

    assert again.read_bytes() == dump.read_bytes()
    with pytest.raises(ValueError, match="not a multiple of 125"):
        agent_dumps.write(tmp_path / "odd.binpb", Encoding.PROTOBUF, SPANS + 1)


@pytest.mark.parametrize("is_long", [False, True], ids=["usual", "long"])
def test_both_encodings_hold_the_same_spans(dumps, tmp_path, is_long):
    fingerprints = set()
    for encoding in Encoding:
        report = load([dumps[encoding, is_long]], tmp_path / encoding, cohort="bench")
        fingerprints.add(Lake(tmp_path / encoding).fingerprint())

        assert report.kept == report.read == SPANS
    assert len(fingerprints) == 1


@pytest.mark.parametrize("encoding", Encoding)
@pytest.mark.parametrize("is_long", [False, True], ids=["usual", "long"])
def test_the_naive_way_keeps_the_same_spans_and_cells_as_ours(dumps, tmp_path, encoding, is_long):
    dump = dumps[encoding, is_long]
    load([dump], tmp_path / "lake", cohort=measure.COHORT)
    measure.naive_whole(dump, tmp_path / "naive")

    found = measure.same(tmp_path / "lake", tmp_path / "naive")

    assert found == {"spans": SPANS}
