"""Text of attributes -> typed cells, a column at a time; each distinct text is looked at once."""

import hashlib
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from ingest import credentials, query_text, redact
from ingest.conventions import Column, Key, Meaning

_PLAIN_WHOLE = re.compile(r"-?[0-9]{1,18}")
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


def are_not_utf8(array: pa.StringArray) -> npt.NDArray[np.bool_]:
    """Return which texts are no UTF-8, as can be where they were cut from raw bytes."""
    are_bad = np.zeros(len(array), dtype=bool)
    try:
        array.validate(full=True)
    except pa.ArrowInvalid:
        for row in range(len(array)):
            try:
                array[row : row + 1].validate(full=True)
            except pa.ArrowInvalid:
                are_bad[row] = True
    return are_bad


def on_distinct(array: pa.Array, function: Callable[[str], Any], to: pa.DataType) -> pa.Array:
    """Return `function` of every text, computed once per distinct text; null stays null."""
    encoded = array.dictionary_encode()
    results = pa.array([function(text) for text in encoded.dictionary.to_pylist()], to)
    return results.take(encoded.indices)


def on_bytes(
    array: pa.StringArray, function: Callable[[memoryview], Any], to: pa.DataType
) -> pa.Array:
    """Return `function` of the bytes of every text; null stays null.

    Texts of messages are long: they are read where they stand.
    """
    if not len(array):
        return pa.array([], to)
    offsets = np.frombuffer(array.buffers()[1], np.int32)[array.offset :][: len(array) + 1].tolist()
    data = memoryview(array.buffers()[2] or b"")
    found = [function(data[start:end]) for start, end in pairwise(offsets)]
    if array.null_count:
        return pc.if_else(array.is_valid(), pa.array(found, to), None)
    return pa.array(found, to)


def digests(array: pa.StringArray) -> pa.StringArray:
    """Return `redact.sha256` of every text; null stays null."""
    return on_bytes(array, _digest, pa.string())


def _digest(text: memoryview | bytes) -> str:
    return hashlib.sha256(text).hexdigest()[: redact.HASH_DIGITS]


def byte_lengths(array: pa.StringArray) -> npt.NDArray[np.int32]:
    """Return how many bytes each text has, 0 where it is null."""
    if not len(array):
        return np.zeros(0, dtype=np.int32)
    offsets = np.frombuffer(array.buffers()[1], dtype=np.int32)
    lengths = np.diff(offsets[array.offset : array.offset + len(array) + 1])
    if array.null_count:
        lengths[array.is_null().to_numpy(zero_copy_only=False)] = 0
    return lengths


def text_bytes(array: pa.StringArray) -> npt.NDArray[np.uint8]:
    """Return the bytes of all texts, one after another."""
    _, offsets, data = array.buffers()
    if data is None or not len(array):
        return np.zeros(0, dtype=np.uint8)
    edges = np.frombuffer(offsets, dtype=np.int32)
    first, last = int(edges[array.offset]), int(edges[array.offset + len(array)])
    return np.frombuffer(data, np.uint8, last - first, first)


def without_nul(array: pa.StringArray) -> pa.StringArray:
    """Return the texts with U+FFFD for every NUL: engines take it for the end of a text."""
    if (text_bytes(array) != 0).all():
        return array
    return pc.replace_substring(array, "\0", "\ufffd")


def without_empty(array: pa.StringArray) -> pa.StringArray:
    """Return the texts with null for every empty one."""
    is_empty = byte_lengths(array) == 0
    if int(is_empty.sum()) == array.null_count:
        return array
    return pc.if_else(pa.array(is_empty), None, array)


def without_secrets(array: pa.StringArray, *, is_named: bool = True) -> pa.StringArray:
    """Return texts of which what `credentials.masked` changes is masked; null stays null."""
    encoded = array.dictionary_encode()
    each = encoded.dictionary
    suspects = credentials.suspects(each)
    if not pc.any(suspects).as_py():
        return array
    found = each.filter(suspects).to_pylist()
    mended = [credentials.masked(text, is_named=is_named) for text in found]
    return pc.replace_with_mask(each, suspects, pa.array(mended, pa.string())).take(encoded.indices)


# A query without comments, quoted names or escapes, in which it is certain what a literal is.
_SIMPLE_QUERY = r"^(?:-?[\s\w!&()*+,.:;<=>?^|~]|'[^'\\]*')*$"
_LITERAL = r"(?:'[^'\\]*')+|\b\d[\w.]*"


def queries(array: pa.StringArray) -> pa.StringArray:
    """Return `query_text.mask` of query texts; null stays null.

    Queries with their values written into them are all different, so where it is certain what a
    literal is, all are masked at once. What `mask` would do beyond that is to trim.
    """
    lengths = byte_lengths(array)
    is_simple = pc.fill_null(pc.match_substring_regex(array, _SIMPLE_QUERY), True)
    is_simple = pc.and_(is_simple, pa.array(lengths <= query_text.MAX_CHARACTERS))
    if not pc.any(is_simple).as_py():
        return on_distinct(array, query_text.mask, pa.string())
    masked = pc.ascii_trim_whitespace(pc.replace_substring_regex(array, _LITERAL, "?"))
    if pc.all(is_simple).as_py():
        return masked
    is_odd = pc.invert(is_simple)
    odd = on_distinct(array.filter(is_odd), _mask_again, pa.string())
    return pc.replace_with_mask(masked, is_odd, odd)


def _mask_again(text: str) -> str:
    return _mask_once(text) if len(text) <= _MAX_REMEMBERED else query_text.mask(text)


# Queries with holders for their values come again in every chunk.
_MAX_REMEMBERED = 1_024
_mask_once = lru_cache(maxsize=4_096)(query_text.mask)


# A path already, which `redact.url_path` leaves as it is: no host before it, no query behind it.
_BARE_PATH = r"^/(?:[^/?#][^?#]*)?$"


def _paths(array: pa.StringArray) -> pa.StringArray:
    is_bare = pc.fill_null(pc.match_substring_regex(array, _BARE_PATH), True)
    is_bare = pc.and_(is_bare, pa.array(byte_lengths(array) <= redact.MAX_TEXT_CHARACTERS))
    if pc.all(is_bare, min_count=0).as_py():
        return array
    is_odd = pc.invert(is_bare)
    odd = on_distinct(array.filter(is_odd), _path, pa.string())
    return pc.replace_with_mask(array, is_odd, odd)


def names(array: pa.StringArray) -> pa.StringArray:
    """Return names of spans, events or scopes, cut and without secrets; null stays null."""
    array = without_nul(array)
    encoded = array.dictionary_encode()
    each = encoded.dictionary
    suspects = pc.or_(
        credentials.suspects(each),
        pc.greater(pc.binary_length(each), redact.MAX_NAME_CHARACTERS),
    )
    if not pc.any(suspects).as_py():
        return array
    mended = [redact.name(text) for text in each.filter(suspects).to_pylist()]
    return pc.replace_with_mask(each, suspects, pa.array(mended, pa.string())).take(encoded.indices)


# Cells of these meanings are shown as written: none is as long as content or holds a secret.
NAMES = frozenset(
    {
        Meaning.TEXT,
        Meaning.LOWER,
        Meaning.UPPER,
        Meaning.TEXTS,
        Meaning.JOINED,
        Meaning.LAST_PART,
        Meaning.LOG_LEVEL,
        Meaning.FINISH,
    }
)
_LISTS = frozenset({Meaning.TEXTS, Meaning.JOINED})


def convert(array: pa.StringArray, column: Column, key: Key) -> pa.Array:
    """Return the cells that attribute texts under `key` make in `column`; unusable ones null.

    A text longer than content may be is no name and fills no column that shows it as written.
    """
    meaning = key.meaning or column.meaning
    array = without_empty(array)
    if meaning in NAMES:
        array = _short(array, MAX_LIST_BYTES if meaning in _LISTS else redact.MAX_TEXT_CHARACTERS)
    if column.missing and (byte_lengths(array) <= max(map(len, column.missing))).any():
        says_nothing = pa.array(sorted(column.missing), pa.string())
        array = pc.if_else(pc.is_in(pc.utf8_lower(array), value_set=says_nothing), None, array)
    if key.name == "operation.name":
        # Others use this key for anything; only Vercel's values say what kind of work it was.
        array = pc.if_else(pc.starts_with(array, "ai."), array, None)
    if meaning in (Meaning.INTEGER, Meaning.NUMBER):
        return _numbers(array, key, is_whole=meaning is Meaning.INTEGER)
    function, to = _FUNCTIONS[meaning]
    if meaning in _AT_ONCE:
        array = _AT_ONCE[meaning](array)
    elif function is not None:
        array = on_distinct(array, function, to)
    if meaning in (Meaning.URL_PATH, Meaning.HOST):
        array = without_secrets(array)
    if column.renames:
        array = on_distinct(array, lambda text: column.renames.get(text, text), pa.string())
    return array


MAX_LIST_BYTES = 65_536


def _short(array: pa.StringArray, most: int) -> pa.StringArray:
    is_long = byte_lengths(array) > most
    return pc.if_else(pa.array(is_long), None, array) if is_long.any() else array


_DIGITS = np.zeros(256, dtype=bool)
_DIGITS[list(b"0123456789")] = True
_DECIMAL = _DIGITS.copy()
_DECIMAL[list(b".-eE")] = True


def _numbers(array: pa.StringArray, key: Key, *, is_whole: bool) -> pa.Array:
    lengths = byte_lengths(array)
    data = text_bytes(array)
    if is_whole:
        if not key.shift and lengths.max(initial=0) <= 18 and _DIGITS[data].all():
            return array.cast(pa.int64())
        return on_distinct(array, lambda text: _whole(text, key), pa.int64())
    if _DECIMAL[data].all():
        with suppress(pa.ArrowInvalid):
            values = array.cast(pa.float64()).to_numpy(zero_copy_only=False)
            values = values * key.scale + key.shift
            return pa.array(values, mask=~np.isfinite(values))
    return on_distinct(array, lambda text: _number(text, key), pa.float64())


def _number(text: str, key: Key) -> float | None:
    try:
        value = float(_first_item(text)) * key.scale + key.shift
    except ValueError:
        return None
    return value if np.isfinite(value) else None


def _whole(text: str, key: Key) -> int | None:
    if not key.shift and _PLAIN_WHOLE.fullmatch(text):
        return int(text)
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
    text = text.strip('"')
    try:
        value = float(text)
    except ValueError:
        return _iso_ns(text)
    # Seconds by the convention; some libraries write milliseconds.
    scale = 1_000_000_000 if value < 1e11 else 1_000_000
    return int(value) * scale if 0 < value < 1e14 else None


_ISO = re.compile(r"(.{10}[T ]\d{2}:\d{2}:\d{2})(?:[.,](\d{1,9})\d*)?(.*)")


def _iso_ns(text: str) -> int | None:
    found = _ISO.fullmatch(text)
    if found is None:
        return None
    try:
        time = datetime.fromisoformat(found[1] + found[3])
    except ValueError:
        return None
    time = time if time.tzinfo else time.replace(tzinfo=UTC)
    try:
        seconds = int(time.timestamp())
    except OverflowError:
        return None
    return seconds * 1_000_000_000 + int((found[2] or "").ljust(9, "0")) if seconds > 0 else None


def _host(text: str) -> str | None:
    host = redact.host(text)
    # No name in the DNS is longer.
    return host if host and len(host) <= 255 else None


def _path(text: str) -> str | None:
    path = redact.url_path(text)
    return path and redact.cut(path, redact.MAX_TEXT_CHARACTERS)


def _canonical(text: str | memoryview) -> str:
    try:
        said = orjson.dumps(orjson.loads(text), option=orjson.OPT_SORT_KEYS)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return redact.sha256(text) if isinstance(text, str) else _digest(text)
    return _digest(said)


def _messages(text: str | memoryview) -> list[Any] | None:
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    if isinstance(document, dict) and isinstance(document.get("messages"), list):
        document = document["messages"]
    return document if isinstance(document, list) else None


def _last_user(text: str | memoryview) -> str | None:
    for message in reversed(_messages(text) or []):
        if isinstance(message, dict) and message.get("role") in ("user", "human"):
            said = message.get("content") or message.get("parts")
            return _digest(orjson.dumps(said, option=orjson.OPT_SORT_KEYS))
    return None


def _length(text: str | memoryview) -> int | None:
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
    Meaning.URL_PATH: (_path, pa.string()),
    Meaning.HOST: (_host, pa.string()),
    Meaning.PORT: (redact.port, pa.int64()),
    Meaning.LAST_PART: (_last_part, pa.string()),
    Meaning.LOG_LEVEL: (_log_level, pa.string()),
    Meaning.FINISH: (_finish, pa.string()),
    Meaning.EPOCH_NS: (_epoch_ns, pa.int64()),
    Meaning.DIGEST: (redact.sha256, pa.string()),
    Meaning.CANONICAL: (_canonical, pa.string()),
    Meaning.LAST_USER: (_last_user, pa.string()),
    Meaning.LENGTH: (_length, pa.int64()),
    Meaning.ERROR_CODE: (redact.error_code, pa.int64()),
    Meaning.ENVOY_FAULT: (_envoy_fault, pa.string()),
}

# The same for a column at once.
_AT_ONCE: dict[Meaning, Callable[[pa.StringArray], pa.Array]] = {
    Meaning.HASHED: digests,
    Meaning.DIGEST: digests,
    Meaning.CANONICAL: lambda array: on_bytes(array, _canonical, pa.string()),
    Meaning.LAST_USER: lambda array: on_bytes(array, _last_user, pa.string()),
    Meaning.LENGTH: lambda array: on_bytes(array, _length, pa.int64()),
    Meaning.QUERY: queries,
    Meaning.URL_PATH: _paths,
}
