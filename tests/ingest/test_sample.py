"""A sample of a refused record shows its shape and nothing it says."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.redact import MAX_SAMPLE_CHARACTERS, sample

SHAPES = [
    (b'{"traceId": "abc", "mail": [1.5e3, true, null]}', '{"traceId": "?", "?": [?, true, null]}'),
    (b'{"key":"user.email","value":{"stringValue":"a\\"b"}}',
     '{"key":"?","value":{"stringValue":"?"}}'),
    (b"hello sk-123, true love\x00\x07!", "? ?, true ? ?"),
    (b'half of it", "name": "x', '? ? ?"?"?"?"?'),
    ("naïve “quote”\r\n".encode(), "? ?"),
    (b"truely 'eve smith'", "? ? ?"),
    (b"", ""),
]  # fmt: skip


@pytest.mark.parametrize(("data", "shape"), SHAPES)
def test_a_text_s_shape_is_its_fields_and_brackets(data: bytes, shape: str) -> None:
    assert sample(data, is_text=True) == shape


def test_bytes_show_their_length_and_the_first_four() -> None:
    assert sample(bytes(range(200)) * 10, is_text=False) == "2,000 bytes, starting 00 01 02 03"
    assert sample(b"", is_text=False) == "0 bytes"


SECRETS = st.text(st.characters(exclude_categories=("Cs",)), min_size=1).map("zqx{}xqz".format)


@given(st.recursive(SECRETS, lambda inner: st.lists(inner) | st.dictionaries(SECRETS, inner)))
def test_no_text_of_a_document_survives(document: object) -> None:
    for text in (json.dumps(document), json.dumps(document, ensure_ascii=False), str(document)):
        assert "zqx" not in sample(text.encode(), is_text=True)
        # A record cut anywhere turns inside and outside of quotes around.
        assert "zqx" not in sample(text.encode()[3:], is_text=True)


@given(st.binary(max_size=6_000), st.booleans())
def test_no_bytes_raise_and_a_sample_is_one_short_printable_line(
    data: bytes, is_text: bool
) -> None:
    shown = sample(data, is_text=is_text)
    assert len(shown) <= MAX_SAMPLE_CHARACTERS
    assert shown.isprintable()
