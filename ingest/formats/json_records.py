"""JSON records of any kind we know, one at a time: parses each and hands it to its walker."""

import json
import re
from typing import Any

import orjson

from ingest import redact
from ingest.formats import console, foreign, jaeger, otlp_json, zipkin
from ingest.formats.blocks import Block
from ingest.formats.columns import Columns
from ingest.formats.rows import Rows

_BOM = b"\xef\xbb\xbf"
_SURROGATE = re.compile("[\ud800-\udfff]")

# Zipkin spans wait for the end of their block, where halves that share an id find each other.
_Waiting = list[tuple[int, Any]]


def decode(block: Block, *, unit: str = "line") -> Columns:
    """Return the spans of all records; those that cannot be read are counted in `rejects`.

    Args:
        block: the records, each JSON text or blank.
        unit: what a record is called where it is no JSON: `line` or `record`.
    """
    rows = Rows()
    waiting: _Waiting = []
    for record, offset, data in block.records():
        bare = data.strip()
        if offset == 0:
            bare = bare.removeprefix(_BOM).strip()
        if not bare:
            continue
        try:
            document = parsed(bare)
        except ValueError as error:
            rows.rejects.add(
                f"the {unit} is not JSON",
                place=f"{unit} {record:,}, byte {offset:,} ({error})"[:300],
                mend=f"The {unit} may be cut or hold log text; export it again.",
                sample=redact.sample(bare, is_text=True),
            )
            continue
        _walk(document, rows, record, waiting)
    foreign.add(zipkin.parted(waiting), zipkin.converted, rows, name=zipkin.NAME)
    return rows.columns()


def parsed(data: bytes) -> Any:
    """Return a JSON value, also where a library wrote what is almost JSON.

    Bare NaN and Infinity and control characters in texts are taken as they stand; bytes that are no
    UTF-8 and halves of surrogate pairs become U+FFFD.

    Raises:
        ValueError: where it is no JSON for all that, or nested too deep.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        try:
            return _mended(json.loads(data.decode(errors="replace"), strict=False))
        except (ValueError, RecursionError):
            raise error from None


def _mended(value: Any) -> Any:
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_mended(item) for item in value]
    if isinstance(value, dict):
        return {_mended(key): _mended(item) for key, item in value.items()}
    return value


def _walk(document: Any, rows: Rows, record: int, waiting: _Waiting) -> None:
    if isinstance(document, list) and document:
        for item in document:
            # Zipkin's API answers with a list of traces, which are lists of spans.
            for each in item if isinstance(item, list) else [item]:
                _walk_object(each, rows, record, waiting)
    else:
        _walk_object(document, rows, record, waiting)


def _walk_object(document: Any, rows: Rows, record: int, waiting: _Waiting) -> None:
    if not isinstance(document, dict):
        otlp_json.refuse_unknown(document, rows, record)
    elif any(key in document for key in otlp_json.SCOPE_SPANS):
        otlp_json.walk_resource(document, rows, record)
    elif jaeger.is_trace(document):
        found = ((record, span) for span in jaeger.spans(document))
        foreign.add(found, jaeger.converted, rows, name=jaeger.NAME)
    elif jaeger.is_span(document):
        foreign.add([(record, document)], jaeger.converted, rows, name=jaeger.NAME)
    elif zipkin.is_span(document):
        waiting.append((record, document))
    elif console.is_span(document):
        foreign.add([(record, document)], console.converted, rows, name=console.NAME)
    else:
        otlp_json.walk(document, rows, record)
