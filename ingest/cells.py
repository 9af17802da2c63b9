"""Text of attributes -> typed cells, a column at a time; each distinct text is looked at once."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from ingest import query_text, redact
from ingest.conventions import Column, Key, Meaning

_LEVELS = ((21, "FATAL"), (17, "ERROR"), (13, "WARN"), (9, "INFO"), (5, "DEBUG"), (0, "TRACE"))


def texts(values: Sequence[object]) -> pa.Array:
    """Return the values as an Arrow string array; what is no text becomes null."""
    try:
        return pa.array(values, pa.string())
    except (pa.ArrowException, UnicodeEncodeError, TypeError):
        return pa.array(
            [
                value.encode(errors="replace").decode() if isinstance(value, str) else None
                for value in values
            ],
            pa.string(),
        )


def on_distinct(array: pa.Array, function: Callable[[str], Any], to: pa.DataType) -> pa.Array:
    """Return `function` of every text, computed once per distinct text; null stays null."""
    encoded = array.dictionary_encode()
    results = pa.array([function(text) for text in encoded.dictionary.to_pylist()], to)
    return results.take(encoded.indices)


def convert(array: pa.Array, column: Column, key: Key) -> pa.Array:
    """Return the cells that attribute texts under `key` make in `column`; unusable ones null."""
    meaning = key.meaning or column.meaning
    array = pc.if_else(pc.equal(array, ""), None, array)
    if column.missing:
        low = pc.utf8_lower(array)
        is_missing = pc.is_in(low, value_set=pa.array(sorted(column.missing), pa.string()))
        array = pc.if_else(is_missing, None, array)
    if key.name == "operation.name":
        # Others use this key for anything; only Vercel's values say what kind of work it was.
        array = pc.if_else(pc.starts_with(array, "ai."), array, None)
    if meaning in (Meaning.INTEGER, Meaning.NUMBER):
        return _numbers(array, key, is_whole=meaning is Meaning.INTEGER)
    function, to = _FUNCTIONS[meaning]
    if function is not None:
        array = on_distinct(array, function, to)
    if column.renames:
        array = on_distinct(array, lambda text: column.renames.get(text, text), pa.string())
    return array


def _numbers(array: pa.Array, key: Key, *, is_whole: bool) -> pa.Array:
    plain = pc.match_substring_regex(array, r"^-?\d{1,18}$")
    if is_whole and key.shift == 0 and pc.all(plain, min_count=0).as_py() is not False:
        return array.cast(pa.int64())
    shifted = on_distinct(array, lambda text: _number(text, key), pa.float64())
    if not is_whole:
        return shifted
    return on_distinct(array, lambda text: _whole(text, key), pa.int64())


def _number(text: str, key: Key) -> float | None:
    try:
        value = float(_first_item(text)) * key.scale + key.shift
    except ValueError:
        return None
    return value if np.isfinite(value) else None


def _whole(text: str, key: Key) -> int | None:
    value = _number(text, key)
    if value is None or not -(2**53) < value < 2**53:
        return None
    return int(value) if value == int(value) else None


def _first_item(text: str) -> str:
    items = _items(text) if text[:1] in ("[", "(") else [text]
    return items[0] if items else ""


def _items(text: str) -> list[str]:
    """Return a JSON list, a Python tuple or a text with blanks and commas as its items."""
    if text[:1] == "[":
        try:
            return [
                item if isinstance(item, str) else str(item)
                for item in orjson.loads(text)
                if item is not None and item != ""
            ]
        except orjson.JSONDecodeError:
            pass
    bare = text.strip("[]()")
    return [item.strip("'\"") for item in bare.replace(",", " ").split() if item.strip("'\"")]


def _boolean(text: str) -> bool | None:
    return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}.get(
        text.lower()
    )


def _joined(text: str) -> str | None:
    return ",".join(_items(text)) or None if text[:1] in ("[", "(") else text


def _last_part(text: str) -> str:
    if text.startswith("arn:"):
        return text.rpartition(":")[2].rpartition("/")[2]
    if "://" in text:
        return redact.url(text).rstrip("/").rpartition("/")[2]
    return text


def _log_level(text: str) -> str:
    if not text.isdecimal():
        return text.upper()
    return next(name for least, name in _LEVELS if int(text) >= least)


def _finish(text: str) -> str | None:
    return _first_item(text).lower().replace("-", "_") or None


def _epoch_ns(text: str) -> int | None:
    try:
        value = float(text)
    except ValueError:
        try:
            return int(datetime.fromisoformat(text).timestamp() * 1_000_000) * 1_000
        except (ValueError, OverflowError):
            return None
    # Seconds by the convention; some libraries write milliseconds.
    scale = 1_000_000_000 if value < 1e11 else 1_000_000
    return int(value) * scale if 0 < value < 1e14 else None


def _canonical(text: str) -> str:
    try:
        return redact.sha256(orjson.dumps(orjson.loads(text), option=orjson.OPT_SORT_KEYS).decode())
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return redact.sha256(text)


def _messages(text: str) -> list[Any] | None:
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    if isinstance(document, dict) and isinstance(document.get("messages"), list):
        document = document["messages"]
    return document if isinstance(document, list) else None


def _last_user(text: str) -> str | None:
    for message in reversed(_messages(text) or []):
        if isinstance(message, dict) and message.get("role") in ("user", "human"):
            said = message.get("content") or message.get("parts")
            return redact.sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS).decode())
    return None


def _length(text: str) -> int | None:
    found = _messages(text)
    return len(found) if found is not None else None


def _envoy_fault(text: str) -> str | None:
    flags = text.split(",")
    return "latency" if "DI" in flags else "abort" if "FI" in flags else None


_FUNCTIONS: dict[Meaning, tuple[Callable[[str], Any] | None, pa.DataType]] = {
    Meaning.TEXT: (None, pa.string()),
    Meaning.LOWER: (str.lower, pa.string()),
    Meaning.UPPER: (str.upper, pa.string()),
    Meaning.BOOLEAN: (_boolean, pa.bool_()),
    Meaning.TEXTS: (lambda text: _items(text) or None, pa.list_(pa.string())),
    Meaning.JOINED: (_joined, pa.string()),
    Meaning.HASHED: (redact.sha256, pa.string()),
    Meaning.MESSAGE: (redact.message, pa.string()),
    Meaning.QUERY: (query_text.mask, pa.string()),
    Meaning.URL_PATH: (redact.url_path, pa.string()),
    Meaning.HOST: (redact.host, pa.string()),
    Meaning.PORT: (redact.port, pa.int64()),
    Meaning.LAST_PART: (_last_part, pa.string()),
    Meaning.LOG_LEVEL: (_log_level, pa.string()),
    Meaning.FINISH: (_finish, pa.string()),
    Meaning.EPOCH_NS: (_epoch_ns, pa.int64()),
    Meaning.DIGEST: (redact.sha256, pa.string()),
    Meaning.CANONICAL: (_canonical, pa.string()),
    Meaning.LAST_USER: (_last_user, pa.string()),
    Meaning.LENGTH: (_length, pa.int64()),
    Meaning.ENVOY_FAULT: (_envoy_fault, pa.string()),
}
