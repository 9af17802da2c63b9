"""Spans that other tools wrote, said as OTLP JSON says them, for the one walker to read."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import orjson

from ingest.formats.otlp_json import sample_of, walk_resource
from ingest.formats.otlp_values import MALFORMED, Json
from ingest.formats.rows import Rows


@dataclass(frozen=True)
class Converted:
    """One span as OTLP: attributes of its resource, name and version of its scope, the span."""

    resource: list[Json]
    scope: tuple[Any, Any]
    span: Json


def add(
    found: Iterable[tuple[int, Any]], convert: Callable[[Any], Converted], rows: Rows, *, name: str
) -> None:
    """Append spans to `rows`; each comes with its record, and those `convert` fails on are counted.

    Spans of one record, resource and scope share them.
    """
    groups: dict[tuple[int, bytes], tuple[Converted, list[Json]]] = {}
    for record, span in found:
        try:
            made = convert(span)
            key = record, orjson.dumps([made.resource, made.scope])
        except MALFORMED as error:
            rows.rejects.add(
                f"the span is not what {name} describes",
                place=f"record {record:,} ({type(error).__name__}: {error})"[:300],
                mend=f"Compare it with a span that {name} exports.",
                sample=sample_of(span),
            )
            continue
        groups.setdefault(key, (made, []))[1].append(made.span)
    for (record, _), (first, spans) in groups.items():
        scope = {"name": first.scope[0], "version": first.scope[1]}
        walk_resource(
            {
                "resource": {"attributes": first.resource},
                "scopeSpans": [{"scope": scope, "spans": spans}],
            },
            rows,
            record,
        )


def attributes(plain: Json | None) -> list[Json]:
    """Return a plain JSON object as OTLP attributes."""
    return [{"key": key, "value": value_of(value)} for key, value in (plain or {}).items()]


def value_of(plain: object) -> Json | None:
    """Return a plain JSON value as an OTLP value.

    Raises:
        TypeError: where it is no JSON value.
    """
    match plain:
        case None:
            return None
        case bool():
            return {"boolValue": plain}
        case str():
            return {"stringValue": plain}
        case int():
            return {"intValue": plain}
        case float():
            return {"doubleValue": plain}
        case list():
            return {"arrayValue": {"values": [value_of(item) for item in plain]}}
        case dict():
            return {"kvlistValue": {"values": attributes(plain)}}
        case _:
            raise TypeError(f"{plain!r} is no JSON value")


def padded(text: Any, digits: int) -> Any:
    """Return a hex id with zeros before it up to `digits`; what is no such id as it is."""
    if not isinstance(text, str) or not text or len(text) >= digits:
        return text
    return text.zfill(digits)
