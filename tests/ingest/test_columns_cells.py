"""Rows do not depend on the chunk they came in, and every choice follows the order of trust."""

import json
import secrets
import string
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.attributes import find, gather, select
from ingest.cells import _AT_ONCE, _FUNCTIONS
from ingest.conventions import COLUMNS, Column, Meaning
from ingest.formats.columns import Columns
from ingest.formats.rows import Entries, Rows
from ingest.normalize import IngestConfig, normalize
from ingest.redact import MAX_TEXT_CHARACTERS, error_code, sha256

START_NS = 1_780_000_000_000_000_000
Pairs = Sequence[tuple[str, str | None]]


@dataclass(frozen=True)
class Drawn:
    """A span as a decoder would see it."""

    attributes: Pairs = ()
    resource: Pairs = ()
    events: Sequence[tuple[str, Pairs]] = ()
    parent: str | None = None
    trace: str = f"{1:032x}"
    span: str = f"{1:016x}"
    name: str = "n"
    state: str | None = None
    status: int = 0
    message: str | None = None
    links: Sequence[tuple[str, str]] = ()


def columns(spans: Sequence[Drawn]) -> Columns:
    """Return the spans as one chunk, each with a resource of its own."""
    rows = Rows()
    rows.scopes.append(("drawn", "1", 0))
    for at, span in enumerate(spans):
        for entries, pairs in (
            (rows.of_spans, span.attributes),
            (rows.of_resources, span.resource),
        ):
            _extend(entries, pairs)
        rows.resources.append(len(span.resource))
        for name, pairs in span.events:
            rows.events.append((at, START_NS, name, len(pairs)))
            _extend(rows.of_events, pairs)
        rows.links += [(at, trace, linked, 0) for trace, linked in span.links]
        times = (START_NS, START_NS + 2_000_000)
        own = (span.trace, span.span, span.parent, span.state, 0, span.name, 1, *times)
        rows.spans.append(
            (*own, span.status, span.message, 0, 0, 0, 1, at, 0, len(span.attributes))
        )
    return rows.columns()


def _extend(entries: Entries, pairs: Pairs) -> None:
    entries.keys += [key for key, _ in pairs]
    entries.values += [value for _, value in pairs]


def rows_of(spans: Sequence[Drawn], **config: Any) -> list[dict[str, Any]]:
    table = normalize(columns(spans), cohort="a", digest="d", config=IngestConfig(**config))
    rows: list[dict[str, Any]] = table.to_pylist(maps_as_pydicts="strict")
    return rows


def row_of(**fields: Any) -> dict[str, Any]:
    (row,) = rows_of([Drawn(**fields)])
    return row


NAMED = sorted(
    {key if isinstance(key, str) else key.name for column in COLUMNS for key in column.keys}
)
KEYS = st.sampled_from([*NAMED, "app.note", "input.value.sha256", "", "cohort", "url.query"])
VALUES = st.one_of(
    st.none(),
    st.sampled_from(["", "unknown", "7", "-3", "2.5", "1e3", "[1, 2]", '["a", "b c"]', "true"]),
    st.sampled_from(["https://u:p@h:1/a?b=1", "SELECT 'x'", "x" * 3_000, "HTTP 503", "a\0b"]),
    st.text(max_size=12),
    st.integers(0, 10**19).map(str),
)
PAIRS = st.lists(st.tuples(KEYS, VALUES), max_size=6)
SPANS = st.builds(
    Drawn,
    attributes=PAIRS,
    resource=st.lists(st.tuples(KEYS, VALUES), max_size=3),
    events=st.lists(st.tuples(st.sampled_from(["exception", "note"]), PAIRS), max_size=2),
    parent=st.sampled_from([None, "", "0" * 16, f"{1:016x}", f"{2:016x}", "odd"]),
    name=st.sampled_from(["n", "", "/a.B/c", "execute_tool t", "Bearer abcdefgh1234"]),
    status=st.sampled_from([0, 1, 2, 9]),
    message=st.sampled_from([None, "", "Error code: 429 - x", "no"]),
)


@settings(max_examples=25, deadline=None)
@given(st.lists(SPANS, min_size=1, max_size=8), st.booleans())
def test_a_chunk_s_rows_are_those_of_its_spans_one_by_one(
    spans: list[Drawn], keep_content: bool
) -> None:
    together = rows_of(spans, keep_content=keep_content)
    assert together == [row for span in spans for row in rows_of([span], keep_content=keep_content)]


@settings(max_examples=25, deadline=None)
@given(SPANS, st.randoms(use_true_random=False))
def test_the_order_of_different_attributes_changes_nothing(span: Drawn, order: Any) -> None:
    once = list(dict(span.attributes).items())
    mixed = order.sample(once, len(once))
    given_ = [Drawn(attributes=once), Drawn(attributes=mixed)]
    first, second = rows_of(given_)
    assert first == second


PLAIN = [column for column in COLUMNS if column.meaning is Meaning.TEXT and len(column.keys) > 1]
WORDS = st.text(string.ascii_lowercase, max_size=4)


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_the_most_trusted_usable_key_fills_a_column(data: st.DataObject) -> None:
    column: Column = data.draw(st.sampled_from(PLAIN))
    keys = [key for key in column.keys if isinstance(key, str)]
    owners = data.draw(
        st.lists(st.dictionaries(st.sampled_from([*keys, "x"]), WORDS), min_size=1, max_size=6)
    )
    chunk = gather(columns([Drawn(attributes=list(own.items())) for own in owners]).of_spans)
    found = find(chunk, (column,))
    plain = [key for key in keys if key != "operation.name"]
    expected = [
        next((own[key] for key in plain if own.get(key) and own[key] not in column.missing), None)
        for own in owners
    ]
    if column.name in found and len(plain) == len(column.keys):
        cells, made_of = select(chunk, column, found[column.name])
        assert cells.to_pylist() == expected
        assert sorted(chunk.owners[made_of]) == [
            at for at, cell in enumerate(expected) if cell is not None
        ]


@pytest.mark.parametrize(
    ("fields", "quality", "parent"),
    [
        ({"parent": f"{2:016x}"}, None, f"{2:016x}"),
        ({"parent": "0" * 16}, None, None),
        ({"parent": f"{1:016x}"}, ["self_parent"], None),
        ({"parent": "abc"}, ["invalid_parent"], None),
        ({"links": [("x", f"{1:016x}")]}, ["invalid_link"], None),
        ({"links": [(f"{1:032x}", f"{1:016x}")]}, None, None),
    ],
)
def test_a_wrong_parent_or_link_costs_only_itself_and_is_told(
    fields: dict[str, Any], quality: list[str] | None, parent: str | None
) -> None:
    row = row_of(**fields)
    assert (row["quality"], row["parent_span_id"]) == (quality, parent)


@pytest.mark.parametrize("written", ["00000000000000AB", "AAAAAAAAAKs="])
def test_a_trace_id_of_64_bits_is_padded(written: str) -> None:
    assert row_of(trace=written)["trace_id"] == f"{0xAB:032x}"


def test_other_lengths_and_zeros_are_no_ids() -> None:
    for trace in ("0" * 32, "0" * 16, "abc", "g" * 32, "é" * 16, "a" * 33):
        chunk = columns([Drawn(trace=trace)])
        assert normalize(chunk, cohort="a", digest="d").num_rows == 0
        assert chunk.rejects.total == 1


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Error code: 429 - {'error': 1}", 429),
        ("status code 503", 503),
        ("HTTP 502 from upstream", 502),
        ("HTTP/1.1 404", 404),
        ("401 Client Error: Unauthorized for url", 401),
        ("status=500", 500),
        ("took 500 ms", None),
        ("status code 200", None),
        ("port 443", None),
    ],
)
def test_a_message_names_a_status_by_few_words_only(text: str, code: int | None) -> None:
    assert error_code(text) == code


def test_a_code_in_a_message_counts_only_for_a_failed_span_without_a_status() -> None:
    message = "Error code: 429"
    event = ("exception", [("exception.type", "E"), ("exception.message", message)])
    assert row_of(message=message)["error_code"] is None
    assert row_of(message=message, status=2)["error_code"] == 429
    assert row_of(events=[event])["error_code"] == 429
    given_status = [("http.response.status_code", "500")]
    assert row_of(message=message, status=2, attributes=given_status)["error_code"] is None


def test_the_time_of_the_first_answer_is_told_from_the_start() -> None:
    key = "langfuse.observation.completion_start_time"
    row = row_of(attributes=[(key, '"2026-05-28T20:26:40.001500Z"')])
    assert row["first_chunk_ms"] == pytest.approx(1.5)
    assert row_of(attributes=[(key, '"2026-05-28T21:00:00Z"')])["first_chunk_ms"] is None


TOKENS = st.sampled_from(
    [
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ6cXgifQ.c2lnbmF0dXJl",
        "sk-zqxzqxzqxzqxzqxzqxzq",
        "AKIAZQXZQXZQXZQXZQXZ",
        "ghp_zqxzqxzqxzqxzqxzqxzqxzqx",
        "Bearer zqxzqxzqx1",
        "password=zqxzqx1",
        "-----BEGIN PRIVATE KEY-----\nzqx\n-----END PRIVATE KEY-----",
        "postgres://zqx:zqx@db/x",
        "0123456789abcdef0123456789abcdef01234567",
        "Zq3xKk9LmP0aBc7DdE2fGhI5jJl8MnO1pQr4StU6vWx",
    ]
)


@settings(max_examples=25, deadline=None)
@given(TOKENS, st.sampled_from(["app.unlisted", "note", "langgraph.x"]), st.booleans())
def test_what_looks_like_a_secret_stays_out_under_any_key(
    token: str, key: str, is_within: bool
) -> None:
    text = f"with {token} inside" if is_within else token
    own = [(key, text)]
    row = row_of(attributes=own, resource=own, events=[("e", own)], state=f"v={token},ot=th:8")
    assert token not in str(row)
    assert "zqx" not in str({**row, "trace_state": None}).lower()
    assert row["trace_state"] == "ot=th:8"
    if not is_within and row["attributes"].get(key) is None:
        assert row["attributes"][f"{key}.sha256"] == sha256(token)


def test_secrets_in_names_and_columns_are_masked() -> None:
    token = "sk-" + "zqx" * 8
    row = row_of(
        name=f"call {token}",
        message=f"denied {token}",
        attributes=[("gen_ai.request.model", token), ("http.route", f"/a/{token}")],
    )
    assert "zqx" not in str(row)
    assert (row["name"], row["request_model"], row["http_route"]) == ("call ?", None, "/a/?")


@pytest.mark.parametrize(
    "key",
    [
        *("http.request.header.x-custom", "http.response.header.location", "rpc.grpc.metadata.x"),
        *("process.command_line", "graphql.variables.a", "mcp.tool.arguments", "my.tool.result"),
        *("db.query.parameter.0", "db.operation.parameter.a", "process.environment_variable.HOME"),
        *("code.source", "faas.document.name", "aws.request.payload", "log.body", "url.fragment"),
        *("output.text", "messaging.kafka.message.payload", "app.prompt", "x.client_secret"),
    ],
)
def test_payloads_headers_and_parameters_stay_out(key: str) -> None:
    own = [(key, "zqx secret")]
    assert "zqx" not in str(row_of(attributes=own, resource=own, events=[("e", own)]))


def test_huge_and_odd_values_are_cut_or_hashed() -> None:
    huge = "y" * 5_000_000
    row = row_of(
        name=huge,
        attributes=[
            *(("service.name", huge), ("gen_ai.request.model", huge), ("db.statement", huge)),
            *(("url.full", "http://h/" + huge), ("", "empty"), ("a\0b", "c\0d"), (huge, "v")),
        ],
    )
    longest = max(len(cell) for cell in row.values() if isinstance(cell, str))
    assert longest <= 65_536
    assert all(
        len(key) < 1_200 and len(value) <= MAX_TEXT_CHARACTERS + 100
        for key, value in row["attributes"].items()
    )
    assert row["request_model"] is None
    assert row["attributes"]["gen_ai.request.model.sha256"] == sha256(huge)
    assert f"{len(huge):,} characters" in row["name"]
    assert row["attributes"]["a\ufffdb"] == "c\ufffdd"
    assert row["attributes"][""] == "empty"


def test_a_key_like_one_we_make_gives_way_to_ours() -> None:
    own = [("input.value", "said"), ("input.value.sha256", "forged"), ("cohort", "b")]
    row = row_of(attributes=own)
    assert row["attributes"]["input.value.sha256"] == sha256("said")
    assert (row["cohort"], row["attributes"]["cohort"]) == ("a", "b")


def test_kept_content_ends_after_a_mebibyte_and_tells_its_length() -> None:
    said = "s" * (1 << 20) + "end"
    (row,) = rows_of([Drawn(attributes=[("input.value", said)])], keep_content=True)
    assert row["attributes"]["input.value"] == said[: 1 << 20]
    assert row["attributes"]["input.value.length"] == str(len(said))


def test_many_attributes_and_many_keys_all_arrive() -> None:
    many = [(f"app.k{at}", str(at)) for at in range(10_000)]
    spans = [Drawn(attributes=many), *(Drawn(attributes=many[at : at + 1]) for at in range(5_000))]
    rows = rows_of(spans)
    assert rows[0]["attributes"] == dict(many)
    assert all(row["attributes"] == dict(many[at : at + 1]) for at, row in enumerate(rows[1:]))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.text(max_size=40), min_size=2, max_size=12))
def test_different_texts_have_different_hashes_wherever_they_stand(texts: list[str]) -> None:
    rows = rows_of([Drawn(attributes=[("app.x", text or None)]) for text in texts])
    named = {}
    for text, row in zip(texts, rows, strict=True):
        assert (
            named.setdefault(text.replace("\0", "\ufffd"), row["content_hash"])
            == (row["content_hash"])
        )
    assert len(set(named.values())) == len(named)


def test_random_keys_of_an_api_are_found_whatever_their_digits() -> None:
    tokens = [secrets.token_hex(size) for size in (20, 24, 32) for _ in range(20)]
    rows = rows_of([Drawn(attributes=[("app.x", token)]) for token in tokens])
    assert all(token not in str(row) for token, row in zip(tokens, rows, strict=True))


TEXTS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["/a", "//a/b", "/a?b", "/", "a/b#c", "http://u:p@h:1/x?y", "/" + "x" * 3_000]),
    st.builds(
        lambda role, said, more: json.dumps([{"role": role, "content": said}, *more]),
        st.sampled_from(["user", "human", "system"]),
        st.text(max_size=8),
        st.lists(st.sampled_from([1, {}, {"role": "user", "parts": [1]}]), max_size=3),
    ),
)


@settings(deadline=None)
@given(st.lists(st.none() | TEXTS, max_size=12))
@pytest.mark.parametrize("meaning", sorted(_AT_ONCE))
def test_a_column_read_at_once_holds_what_each_text_gives(
    meaning: Meaning, texts: list[str | None]
) -> None:
    function, to = _FUNCTIONS[meaning]
    assert function is not None
    cells = _AT_ONCE[meaning](pa.array(texts, pa.string()))
    assert cells.type == to
    assert cells.to_pylist() == [None if text is None else function(text) for text in texts]
