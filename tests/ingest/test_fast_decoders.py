"""The fast decoders and the walkers read the same spans out of any bytes, whole or damaged."""

import json
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ingest_drawn import DUMPS, START_NS, Span, json_lines, many, message, request

from ingest.formats import (
    json_attributes,
    json_columns,
    json_records,
    otlp_protobuf,
    protobuf_columns,
    wire,
)
from ingest.formats import (
    json_lines as lines,
)
from ingest.formats.blocks import Block, whole
from ingest.formats.columns import Columns
from ingest.normalize import normalize

Told = tuple[pa.Table, dict[str, int]]


def said(parts: list[Columns]) -> Told:
    """Return the rows of all parts in the dump's order, and how often each reason struck."""
    tables = [normalize(columns, cohort="a", digest="0" * 64) for columns in parts]
    table = pa.concat_tables(tables).sort_by("source_record") if tables else pa.table({})
    reasons: dict[str, int] = {}
    for columns in parts:
        for reject in columns.rejects:
            reasons[reject.reason] = reasons.get(reject.reason, 0) + reject.count
    return table.combine_chunks(), reasons


def assert_same(fast: list[Columns], slow: Columns) -> None:
    (table, reasons), (expected, expected_reasons) = said(fast), said([slow])
    if table.num_columns:
        assert table.num_rows == expected.num_rows
        for name in expected.column_names if expected.num_rows else ():
            assert table[name].equals(expected[name]), name
    else:
        assert not expected.num_rows
    assert reasons == expected_reasons


def of_lines(data: bytes) -> Block:
    return lines._block(data, 1, 0)


def of_messages(messages: list[bytes]) -> Block:
    ends = np.cumsum([len(each) for each in messages])
    starts = ends - np.array([len(each) for each in messages])
    return Block(b"".join(messages), starts, ends, 1, 0)


def compact(spans: list[Span], *, ascii_only: bool = False) -> bytes:
    text = json.dumps(request(spans), separators=(",", ":"), ensure_ascii=ascii_only)
    return text.encode(errors="surrogatepass")


@settings(max_examples=40, deadline=None)
@given(DUMPS, st.booleans())
def test_json_as_the_collector_writes_it_is_the_walker_s(spans: list[Span], odd: bool) -> None:
    block = of_lines(b"\n".join(compact(spans[at : at + 3], ascii_only=odd) for at in (0, 3, 6)))
    fast = json_columns.decode(block)
    assert_same(fast, json_records.decode(block))


def test_canonical_records_never_reach_the_walkers(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(block: Block) -> Columns:
        raise AssertionError(f"{len(block.starts)} records were left to the walker")

    monkeypatch.setattr(json_records, "decode", refuse)
    monkeypatch.setattr(otlp_protobuf, "decode", refuse)
    spans = [
        Span(
            attributes={"a": 'q"\n', "b": 2.5, "c": True, "d": ["stop"], "e": b"x", "f": -3},
            events=(("exception", {"exception.type": "E"}),),
            links=((1, 2),),
            status=2,
            message="it failed",
        ),
        *many(30),
    ]
    assert sum(map(len, json_columns.decode(of_lines(compact(spans))))) == 31
    assert sum(map(len, protobuf_columns.decode(of_messages([message(spans)])))) == 31


@settings(max_examples=40, deadline=None)
@given(DUMPS)
def test_protobuf_is_the_walker_s(spans: list[Span]) -> None:
    block = of_messages([message(spans[at : at + 3]) for at in (0, 3, 6, 9)])
    assert_same(protobuf_columns.decode(block), otlp_protobuf.decode(block))


EDITS = st.lists(
    st.tuples(st.integers(0, 10**6), st.integers(0, 255), st.sampled_from(["set", "cut", "put"])),
    min_size=1,
    max_size=3,
)


def edited(data: bytes, edits: list[tuple[int, int, str]]) -> bytes:
    bytes_of = bytearray(data)
    for place, byte, what in edits:
        at = place % (len(bytes_of) + 1)
        if what == "put":
            bytes_of.insert(at, byte)
        elif what == "cut":
            del bytes_of[at : at + 1 + byte % 3]
        elif at < len(bytes_of):
            bytes_of[at] = byte
    return bytes(bytes_of)


@pytest.mark.slow
@settings(max_examples=80, deadline=None)
@given(DUMPS, EDITS)
def test_damaged_json_costs_both_decoders_the_same(
    spans: list[Span], edits: list[tuple[int, int, str]]
) -> None:
    good = compact(many(2))
    damaged = edited(compact(spans[:3]), edits).replace(b"\n", b" ")
    block = of_lines(b"\n".join([good, damaged, good]))
    assert_same(json_columns.decode(block), json_records.decode(block))


@settings(max_examples=80, deadline=None)
@given(DUMPS, EDITS)
def test_damaged_protobuf_costs_both_decoders_the_same(
    spans: list[Span], edits: list[tuple[int, int, str]]
) -> None:
    block = of_messages([message(many(2)), edited(message(spans[:3]), edits), message(many(2))])
    assert_same(protobuf_columns.decode(block), otlp_protobuf.decode(block))


def attribute(value: str, *, key: str = '"k"') -> bytes:
    span = (
        f'{{"traceId":"{"1" * 32}","spanId":"{"1" * 16}","name":"x",'
        f'"startTimeUnixNano":"{START_NS}","endTimeUnixNano":"{START_NS}",'
        f'"attributes":[{{"key":{key},"value":{value}}}]}}'
    )
    return f'{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{span}]}}]}}]}}'.encode()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ('{"stringValue":""}', ""),
        ('{"stringValue":"a\\"b\\\\"}', 'a"b\\'),
        ('{"stringValue":"\\\\\\\\\\""}', '\\\\"'),
        ('{"stringValue":"{\\"key\\":\\"x\\",\\"value\\":{"}', '{"key":"x","value":{'),
        ('{"stringValue":"}}]"}', "}}]"),
        ('{"intValue":"-5"}', "-5"),
        ('{"intValue":"-9223372036854775808"}', "-9223372036854775808"),
        ('{"intValue":9223372036854775807}', "9223372036854775807"),
        ('{"intValue":"007"}', "7"),
        ('{"intValue":"+7"}', "7"),
        ('{"intValue":"-0"}', "0"),
        ('{"intValue":"1_0"}', "10"),
        ('{"boolValue":true}', "true"),
        ('{"boolValue":false}', "false"),
        ('{"doubleValue":1}', "1.0"),
        ('{"doubleValue":1e-7}', "1e-07"),
        ('{"doubleValue":-0.0}', "-0.0"),
        ('{"doubleValue":"NaN"}', "nan"),
        ('{"arrayValue":{"values":[{"stringValue":"stop"},{"intValue":"2"}]}}', '["stop",2]'),
        ('{"kvlistValue":{"values":[{"key":"a","value":{"boolValue":true}}]}}', '{"a":true}'),
        ('{"bytesValue":"AAE="}', "AAE="),
        ("{}", None),
        ("null", None),
    ],
)
def test_every_kind_of_value_has_one_text_in_both_decoders(value: str, text: str | None) -> None:
    block = of_lines(attribute(value))
    (fast,) = json_columns.decode(block)
    slow = json_records.decode(block)
    assert fast.of_spans.values.to_pylist() == slow.of_spans.values.to_pylist() == [text]
    assert_same([fast], slow)


@pytest.mark.parametrize(
    "line",
    [
        attribute('{"stringValue":"x"}', key="7"),
        attribute('{"stringValue":7}'),
        attribute('{"intValue":"x"}'),
        attribute('{"boolValue":"yes"}'),
        attribute('{"doubleValue":"x"}'),
        attribute('{"stringValue":"x"},"more":1'),
        attribute('{"stringValue":"x"}').replace(b'"key"', b'"KEY"'),
        attribute('{"stringValue":"x"}').replace(b'"name":"x"', b'"name":null'),
        attribute('{"stringValue":"x"}').replace(b'"name":"x"', b'"name":"\\ud800"'),
        attribute('{"stringValue":"\xff"}'),
        attribute('{"stringValue":"a\tb"}'),
        attribute('{"stringValue":"x"}').replace(b'"attributes":[', b'"attributes":[ '),
        attribute('{"stringValue":"x"}').replace(b'"attributes":[', b'"attributes":[{},'),
        attribute('{"stringValue":"x"}').replace(b'"spans":[', b'"spans":[null,'),
        attribute('{"stringValue":"x"}').replace(b"traceId", b"trace_id"),
        b'{"resourceSpans":[]}',
        b'{"resourceSpans":null}',
        b"[" * 2_000,
        b"",
    ],
)
def test_what_is_not_canonical_is_left_to_the_walker(line: bytes) -> None:
    block = of_lines(b"\n".join([compact(many(3)), line, compact(many(3))]))
    assert_same(json_columns.decode(block), json_records.decode(block))


def test_a_wide_span_among_narrow_ones_is_read_whole() -> None:
    wide = Span(span=77, attributes={f"k{at}": at for at in range(3_000)})
    block = of_messages([message([wide, *many(5)])])
    (fast,) = protobuf_columns.decode(block)
    assert_same([fast], otlp_protobuf.decode(block))
    assert len(fast.of_spans.keys) > 3_000


@settings(deadline=None)
@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=20))
def test_numbers_of_any_length_are_read_in_lock_step(values: list[int]) -> None:
    encoded = [_varint(value) for value in values]
    data = np.frombuffer(b"".join([*encoded, wire.ROOM]), np.uint8)
    ends = np.cumsum([len(each) for each in encoded])
    starts = ends - [len(each) for each in encoded]
    read, sizes = wire.varints_and_sizes(data, starts)
    assert read.astype(np.uint64).tolist() == values
    assert sizes.tolist() == [len(each) for each in encoded]


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


@pytest.mark.parametrize(
    "decode", [json_columns.decode, protobuf_columns.decode], ids=["json", "protobuf"]
)
def test_a_block_without_spans_gives_none(decode: Callable[[Block], list[Columns]]) -> None:
    empty = b'{"resourceSpans":[]}' if decode is json_columns.decode else b""
    assert sum(map(len, decode(whole(empty, first=1, offset=0)))) == 0


@example(size=1)
@given(st.integers(1, 400))
def test_lines_are_numbered_whatever_the_block(size: int) -> None:
    data = json_lines(many(20), a_line=2)
    cut = data.rfind(b"\n", 0, size) + 1
    first = of_lines(data[:cut])
    second = lines._block(data[cut:], 1 + len(first.starts) * bool(cut), cut)
    numbers = [number for block in (first, second) for number, _, line in block.records() if line]
    assert numbers == list(range(1, 11))


@settings(max_examples=200, deadline=None)
@example([("0", "00001"), ("0", "00010"), ("0", "0"), ("12345678", "1"), ("0", "1234567890123456")])
@given(st.lists(st.tuples(st.integers(0, 10**9).map(str), st.text("0123456789", min_size=1))))
def test_decimals_of_any_length_are_written_as_python_writes_them(
    parts: list[tuple[str, str]],
) -> None:
    texts = [f"{sign}{whole}.{rest}" for whole, rest in parts for sign in ("", "-")]
    listed = ",".join(f'{{"key":"k","value":{{"doubleValue":{text}}}}}' for text in texts)
    pairs = json_attributes.parse([f"[{listed}]".encode()])
    assert pairs.values.to_pylist() == [repr(float(text)) for text in texts]


ESCAPES = st.lists(
    st.sampled_from(
        [
            "a",
            "é",
            "\\\\",
            '\\"',
            "\\/",
            "\\n",
            "\\t",
            "\\b",
            "\\f",
            "\\r",
            "\\u0041",
            "\\ud83d\\ude00",
        ]
    ),
    max_size=6,
).map("".join)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(ESCAPES, ESCAPES)))
def test_escapes_are_undone_in_keys_and_values_wherever_they_stand(
    pairs: list[tuple[str, str]],
) -> None:
    listed = [f'{{"key":"{key}","value":{{"stringValue":"{value}"}}}}' for key, value in pairs]
    found = json_attributes.parse([f"[{','.join(listed)}]".encode(), b"[]"])
    assert found.keys.to_pylist() == [json.loads(f'"{key}"') for key, _ in pairs]
    assert found.values.to_pylist() == [json.loads(f'"{value}"') for _, value in pairs]
