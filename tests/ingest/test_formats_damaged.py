"""Cut or damaged dumps keep what is whole, say what is not, and never break the reader."""

import bz2
import gzip
import io
import json
import lzma
import random
from collections.abc import Callable, Iterable

import pytest
import zstandard
from dump_drawn import (
    bare_resources,
    console,
    decoded,
    jaeger,
    jaeger_traces,
    packed,
    tempo_json,
    wrapped,
    zipkin,
)
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ingest_drawn import Span, delimited, json_lines, message, request

from ingest.errors import MalformedDump
from ingest.formats import json_documents, json_scan
from ingest.formats.inflate import Reader
from ingest.report import Rejects

SPANS = [
    Span(span=at, name=f"step {at}", attributes={"n": at, "note": 'a "b\\'}) for at in (1, 2, 3)
]

DUMPS: dict[str, bytes] = {
    "lines": json_lines(SPANS, a_line=1),
    "pretty": json.dumps(request(SPANS), indent=2).encode(),
    "documents": b"\n".join(json.dumps(request([span]), indent=1).encode() for span in SPANS),
    "list": json.dumps([request([span]) for span in SPANS]).encode(),
    "resources": bare_resources(SPANS),
    "tempo": tempo_json(SPANS),
    "jaeger": jaeger(SPANS),
    "jaeger list": json.dumps(jaeger_traces(SPANS)).encode(),
    "zipkin": zipkin(SPANS),
    "console": console(SPANS),
    "message": message(SPANS),
    "delimited": delimited(SPANS, a_message=1),
    "tempo protobuf": wrapped(message(SPANS)),
    "packed": packed(SPANS, is_json=False),
    "packed json": packed(SPANS, is_json=True),
    "gzip": gzip.compress(json_lines(SPANS), mtime=0),
    "zstd": zstandard.compress(json_lines(SPANS)),
}
TEXTS = [name for name, data in DUMPS.items() if data[:1] in (b"{", b"[")]


def outcome(data: bytes) -> tuple[int, int, list[str]]:
    """Return spans, refusals and reasons; a dump refused as a whole is one refusal."""
    try:
        spans, refused, reasons = decoded(data)
    except MalformedDump as error:
        reason, mend = str(error).split("\nHint: ")
        return 0, 1, [reason, mend]
    return len(spans), refused, reasons


@pytest.mark.slow
@pytest.mark.parametrize("name", DUMPS)
def test_cut_at_any_byte_a_dump_keeps_what_came_before_and_says_so(name: str) -> None:
    assert_kept_when_cut(name, range(len(DUMPS[name]) + 1))


@pytest.mark.parametrize("name", DUMPS)
def test_cut_somewhere_a_dump_keeps_what_came_before_and_says_so(name: str) -> None:
    length = len(DUMPS[name])
    assert_kept_when_cut(name, [*sorted(random.Random(name).sample(range(length), 40)), length])


def assert_kept_when_cut(name: str, cuts: Iterable[int]) -> None:
    whole, most = DUMPS[name], 0
    for cut in cuts:
        spans, _, reasons = outcome(whole[:cut])
        assert spans <= len(SPANS)
        # What a longer piece holds, a shorter one may not; never the other way round.
        assert spans >= most
        most = spans
        is_at_an_edge = spans > 0 and name in ("documents", "console", "lines", "resources")
        is_at_an_edge |= name in ("delimited", "packed", "packed json") and spans > 0
        assert spans == len(SPANS) or reasons or is_at_an_edge
    assert most == len(SPANS)


@pytest.mark.parametrize(
    ("name", "kept"),
    [("documents", 2), ("list", 2), ("zipkin", 2), ("console", 2), ("delimited", 2)],
)
def test_cut_in_the_last_record_only_that_one_is_lost(name: str, kept: int) -> None:
    whole = DUMPS[name]
    spans, refused, _ = outcome(whole[: int(len(whole) * 0.9)])
    assert (spans, refused) == (kept, 1)


@pytest.mark.parametrize("name", DUMPS)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_changed_bytes_never_break_the_reader(name: str, data: st.DataObject) -> None:
    changed = bytearray(DUMPS[name])
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(changed) - 1))
        match data.draw(st.sampled_from(["set", "insert", "delete"])):
            case "set":
                changed[place] = data.draw(st.integers(0, 255))
            case "insert":
                changed[place:place] = data.draw(st.binary(max_size=5))
            case _:
                del changed[place : place + data.draw(st.integers(1, 9))]
    outcome(bytes(changed))


def structure_of(text: bytes) -> list[int]:
    """Return the places of brackets, commas and colons outside strings, a byte at a time."""
    found, is_text, is_escaped = [], False, False
    for place, byte in enumerate(text):
        if is_text:
            if is_escaped:
                is_escaped = False
            elif byte == ord("\\"):
                is_escaped = True
            elif byte == ord('"'):
                is_text = False
        elif byte == ord('"'):
            is_text = True
        elif byte in b"{}[],:":
            found.append(place)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", TEXTS)
def test_a_lost_bracket_comma_or_colon_loses_no_span_in_silence(name: str) -> None:
    whole = DUMPS[name]
    for place in structure_of(whole):
        spans, refused, _ = outcome(whole[:place] + whole[place + 1 :])
        assert spans == len(SPANS) or refused


@pytest.mark.parametrize("name", ["documents", "console"])
def test_a_lost_quote_costs_the_record_it_stands_in(name: str) -> None:
    whole = DUMPS[name]
    quotes = [place for place, byte in enumerate(whole) if byte == ord('"')]
    for place in random.Random(5).sample(quotes, 40):
        spans, refused, _ = outcome(whole[:place] + whole[place + 1 :])
        assert spans == 2
        assert refused >= 1


VALUES = st.recursive(
    st.one_of(st.text('a"\\{}[],: \n', max_size=6), st.integers(), st.booleans(), st.none()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.text('ab"\\{}[]', max_size=3), inner, max_size=3),
    ),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text('ab"\\{}[]', max_size=3), VALUES, max_size=3)


class Trickle(io.BytesIO):
    """A stream that gives a few bytes at a time."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(size if size and size > 0 else 3, 3))


def framed(text: bytes) -> tuple[list[tuple[int, bytes]], Rejects]:
    rejects = Rejects()
    reader = Reader(Trickle(text), name="dump", size=len(text))
    found = [
        (offset, data)
        for block in json_documents.blocks(reader, rejects)
        for _, offset, data in block.records()
    ]
    return found, rejects


@settings(deadline=None)
@given(
    documents=st.lists(OBJECTS, max_size=5),
    indent=st.sampled_from([None, 0, 2]),
    gap=st.sampled_from(["", "\n", " \r\n", ",\n", "\x1e"]),
    block_bytes=st.sampled_from([1, 7, 64, 1 << 20]),
)
@example([{"a": [{"b": "]"}]}], 2, "\n", 1)
def test_records_are_cut_where_a_parser_would_cut_them(
    documents: list[dict[str, object]], indent: int | None, gap: str, block_bytes: int
) -> None:
    texts = [json.dumps(each, indent=indent) for each in documents]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_documents, "BLOCK_BYTES", block_bytes)
        for whole in (gap.join(texts), "[" + ",".join(texts) + "]"):
            found, rejects = framed(whole.encode())
            assert [data.decode() for _, data in found] == texts
            assert [whole.encode()[at : at + len(data)] for at, data in found] == [
                data for _, data in found
            ]
            assert list(rejects) == []


@settings(deadline=None)
@given(elements=st.lists(OBJECTS, max_size=5), block_bytes=st.sampled_from([8, 64]))
def test_a_document_too_large_to_hold_is_cut_into_its_elements(
    elements: list[dict[str, object]], block_bytes: int
) -> None:
    texts = [json.dumps(each) for each in elements]
    listed = ", ".join(texts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_documents, "BLOCK_BYTES", block_bytes)
        for whole in (
            '{"resourceSpans": [%s]}',
            '{"trace": {"batches": [%s]}, "status": "complete"}',
            '{"data": [%s], "total": 0}',
        ):
            found, rejects = framed((whole % listed).encode())
            assert list(rejects) == []
            said = [json.loads(data) for _, data in found]
            whole_document = json.loads(whole % listed)
            assert said in (elements, [whole_document]) or (not elements and not said)
        found, _ = framed(f'{{"batches": [{listed}], "resourceLogs": [1]}}'.encode())
        assert b"resourceLogs" in found[-1][1]


@settings(deadline=None)
@given(text=st.text('ab"\\{}[]\n', max_size=60), cut=st.integers(0, 60))
def test_brackets_are_found_as_a_reader_of_single_bytes_finds_them(text: str, cut: int) -> None:
    data = text.encode()
    expected, is_text, is_escaped = [], False, False
    for place, byte in enumerate(data):
        if byte == ord("\n"):
            is_text = is_escaped = False
        elif byte == ord("\\"):
            is_escaped = not is_escaped
            continue
        elif byte == ord('"'):
            is_text = is_text if is_escaped else not is_text
        elif byte in b"{}[]" and not is_text:
            expected.append(place)
        is_escaped = False
    first, rest = data[:cut], data[cut:]
    bare = first.rstrip(b"\\")
    found, state = json_scan.scan(bare, json_scan.State())
    more, _ = json_scan.scan(first[len(bare) :] + rest, state)
    assert [*found.at.tolist(), *more.at.tolist()] == expected


BOMBS: dict[str, Callable[[bytes], bytes]] = {
    "zstd": zstandard.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "gzip in gzip": lambda data: gzip.compress(gzip.compress(data)),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_of_any_compression_is_stopped(name: str) -> None:
    with pytest.raises(MalformedDump, match="inflates more than"):
        decoded(BOMBS[name](json_lines(SPANS) + b" " * (80 << 20)))


@pytest.mark.parametrize(
    "data",
    [b'{"resourceSpans":' + b"[" * 300_000, b"[" * 300_000, b'{"a":' * 60_000, b"[{" * 100_000],
    ids=["lists", "bare lists", "objects", "both"],
)
def test_brackets_without_end_are_refused_in_one_go(data: bytes) -> None:
    rejects = Rejects()
    reader = Reader(io.BytesIO(data), name="deep", size=len(data))
    blocks = list(json_documents.blocks(reader, rejects))
    assert not blocks
    assert 1 <= rejects.total <= 3
