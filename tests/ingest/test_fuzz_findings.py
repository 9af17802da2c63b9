"""What the fuzzer found once stays found: each case broke the reader and does no more."""

import numpy as np
import pytest
from ingest_drawn import Span, message

from ingest.formats import otlp_protobuf, protobuf_columns
from ingest.formats.blocks import whole

MODEL = b"\x12\x03\x0a\x01m"  # field 2, three bytes: an AnyValue with the text "m"


@pytest.mark.parametrize(
    "value",
    [
        b"\x12\x03\x00\x00m",  # an AnyValue whose field has the number 0
        b"\x12\x03\x02\x01m",
        b"\x12\x03\x0b\x01m",
        b"\x12\x03\x0a\x02m",
        b"\x12\x03\x18\xff\xff",
        b"\x12\x03\x21\x00\x00",
        b"\x12\x04\x0a\x01m",
        b"\x0a\x03\x0a\x01m",
    ],
)
def test_a_value_that_is_none_is_refused_by_both_decoders_alike(value: bytes) -> None:
    good = message([Span(attributes={"gen_ai.request.model": "m"})])
    assert good.count(MODEL) == 1
    block = whole(good.replace(MODEL, value), first=1, offset=0)
    fast = protobuf_columns.decode(block)
    slow = otlp_protobuf.decode(block)
    assert sum(map(len, fast)) == len(slow)
    assert sum(columns.rejects.total for columns in fast) == slow.rejects.total
    for columns in fast:
        assert columns.of_spans.values.equals(slow.of_spans.values)
        assert np.array_equal(columns.of_spans.counts, slow.of_spans.counts)


@pytest.mark.parametrize("length", [b"\x05", b"\xea\x64", b"\xff\xff\xff\xff\x07", b"\x80\x80"])
def test_a_length_that_leads_out_of_the_message_is_no_end(length: bytes) -> None:
    good = message([Span(service="desk")])
    value = b"\x0a\x04desk"
    assert good.count(value) == 1
    broken = good.replace(value, (b"\x0a" + length + b"desk")[: len(value)])
    block = whole(broken, first=1, offset=0)
    slow = otlp_protobuf.decode(block)
    fast = protobuf_columns.decode(block)
    assert sum(map(len, fast)) == len(slow)
    assert sum(columns.rejects.total for columns in fast) == slow.rejects.total == 1


def test_a_damaged_resource_without_spans_is_told_by_both_decoders() -> None:
    good = message([Span(service="desk")])
    broken = b"\x0a\x04\x0a\x02\x18\xff"
    block = whole(good + broken, first=1, offset=0)
    slow = otlp_protobuf.decode(block)
    fast = protobuf_columns.decode(block)
    assert sum(map(len, fast)) == len(slow)
    assert sum(columns.rejects.total for columns in fast) == slow.rejects.total == 1
