"""Attributes and values of OTLP's JSON as text, the same text for every encoding."""

import base64
import binascii
from typing import Any

import orjson

from ingest.formats.rows import Entries
from ingest.identity import integer

Json = dict[str, Any]

# What a wrong type in a span raises on the way; anything else is a fault of ours.
MALFORMED = (KeyError, TypeError, ValueError, AttributeError, RecursionError, binascii.Error)


def listed(value: object, name: str) -> list[Any]:
    """Return a list as it is, and null as an empty one.

    Raises:
        TypeError: where it is anything else.
    """
    if value is None:
        return []
    if not isinstance(value, list):
        raise TypeError(f"{name} is not a list")
    return value


def pairs_of(attributes: list[Json] | None, into: Entries) -> int:
    """Append a list of OTLP attributes to `into` and return how many there were."""
    if not attributes:
        return 0
    keys = [key_of(attribute) for attribute in listed(attributes, "attributes")]
    values = [text_of(attribute.get("value")) for attribute in attributes]
    into.keys.extend(keys)
    into.values.extend(values)
    return len(attributes)


def key_of(attribute: Json) -> str:
    """Return an attribute's key, empty where it has none.

    Raises:
        TypeError: where it is no text.
    """
    key = attribute.get("key")
    if key is None:
        return ""
    if not isinstance(key, str):
        raise TypeError("an attribute's key is not a text")
    return key


def text_of(value: Json | None) -> str | None:
    """Return an OTLP value as text: numbers in digits, lists and maps as JSON, unset as null.

    Raises:
        ValueError: where a number is none, or bytes are not base64.
    """
    plain = _plain(value)
    if plain is None or plain.__class__ is str:
        return plain
    return as_text(plain)


def as_text(plain: object) -> str:
    """Return a plain value as the text the lake holds, the same for every encoding."""
    if plain.__class__ is bool:
        return "true" if plain else "false"
    if plain.__class__ is int:
        return str(plain)
    if plain.__class__ is float:
        return repr(plain)
    return orjson.dumps(plain, default=str).decode()


def _plain(value: Json | None) -> object:
    if not value:
        return None
    for key, raw in value.items():
        if raw is None:
            continue
        match key:
            case "stringValue" | "string_value":
                if raw.__class__ is not str:
                    raise TypeError("a stringValue is not a text")
                return raw
            case "intValue" | "int_value":
                return integer(raw)
            case "boolValue" | "bool_value":
                return raw if raw.__class__ is bool else str(raw).lower() == "true"
            case "doubleValue" | "double_value":
                return float(raw)
            case "arrayValue" | "array_value":
                return [_plain(item) for item in raw.get("values") or ()]
            case "kvlistValue" | "kvlist_value":
                return {key_of(item): _plain(item.get("value")) for item in raw.get("values") or ()}
            case "bytesValue" | "bytes_value":
                padded = raw.replace("-", "+").replace("_", "/") + "=" * (-len(raw) % 4)
                return base64.b64encode(base64.b64decode(padded, validate=True)).decode()
            case _:
                continue
    return None
