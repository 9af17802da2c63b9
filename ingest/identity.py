"""Ids, times and enums, however they were encoded, in one form; what is wrong is pointed out."""

import base64
import binascii
import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ingest.cells import byte_lengths, on_distinct, text_bytes

Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

KINDS = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
STATUSES = ("UNSET", "OK", "ERROR")

NO_TIME = -1
OUT_OF_RANGE = -2
_LARGEST = 2**63 - 1

# OTLP flags: bit 8 says that bit 9 is meant, bit 9 that the parent lives in another process.
_KNOWS_REMOTE = 0x100
_IS_REMOTE = 0x200

_HEX_DIGITS = re.compile(rb"[0-9A-Fa-f]+")
_THRESHOLD = re.compile(r"(?:^|,)\s*ot=(?:[^,]*;)?th:([0-9a-f]{1,14})(?:[;,]|\s*$)")


def hex_ids(array: pa.StringArray, digits: int) -> tuple[pa.StringArray, Flags, Flags]:
    """Return ids as lower-case hex, which are ids, and which stand for none.

    An id has `digits` digits and not all of them are zero; null, empty and all zero stand for
    none. Base64, as protobuf's own JSON mapping writes bytes, is told from hex by its length, and
    so are trace ids of 64 bits, which are padded with zeros on the left. What is neither stays as
    it was.
    """
    lengths = byte_lengths(array)
    is_odd = (lengths != digits) & (lengths != 0)
    if is_odd.any():
        odd = array.filter(pa.array(is_odd))
        mended = on_distinct(odd, lambda text: _mended(text, digits), pa.string())
        array = pc.replace_with_mask(array, pa.array(is_odd), mended)
        lengths = byte_lengths(array)
    is_full = lengths == digits
    data = text_bytes(array if is_full.all() else array.filter(pa.array(is_full)))
    is_hex = _HEX[data].reshape(-1, digits).all(axis=1)
    is_zero = (data == ord("0")).reshape(-1, digits).all(axis=1)
    if _UPPER[data].any():
        array = pc.ascii_lower(array)
    is_id, is_none = np.zeros(len(array), dtype=bool), lengths == 0
    is_id[is_full], is_none[is_full] = is_hex & ~is_zero, is_zero
    return array, is_id, is_none


_HEX = np.zeros(256, dtype=bool)
_HEX[list(b"0123456789abcdefABCDEF")] = True
_UPPER = np.zeros(256, dtype=bool)
_UPPER[list(b"ABCDEF")] = True
_SHORT_DIGITS = 16
_IS_HEX = re.compile(r"[0-9a-fA-F]+")


def _mended(text: str, digits: int) -> str:
    if len(text) > 2 * digits:
        return text
    found = _from_base64(text, digits)
    if digits == 2 * _SHORT_DIGITS:
        if found == text:
            found = _from_base64(text, _SHORT_DIGITS)
        if len(found) == _SHORT_DIGITS and _IS_HEX.fullmatch(found):
            return found.zfill(digits)
    return found


def _from_base64(text: str, digits: int) -> str:
    bare = text.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        decoded = base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except (binascii.Error, ValueError):
        return text
    if len(decoded) * 2 == digits:
        return decoded.hex()
    # A text of hex digits that was taken for bytes and encoded once more.
    is_hex = len(decoded) == digits and _HEX_DIGITS.fullmatch(decoded) is not None
    return decoded.decode().lower() if is_hex else text


def integer(raw: object) -> int:
    """Return a JSON number or its text as an exact integer.

    Raises:
        ValueError: for anything that is not a whole number.
    """
    if raw.__class__ is int:
        return raw
    if isinstance(raw, str):
        return int(raw)
    if isinstance(raw, float) and raw.is_integer():
        return int(raw)
    raise ValueError(f"{raw!r} is not a whole number")


def nanoseconds(raw: Sequence[Any]) -> Integers:
    """Return times as int64, exactly; NO_TIME or OUT_OF_RANGE where there is none to return."""
    try:
        return _checked(np.array([int(value) for value in raw], dtype=np.int64))
    except (TypeError, ValueError, OverflowError):
        return np.array([_one_time(value) for value in raw], dtype=np.int64)


def _checked(times: Integers) -> Integers:
    return np.where(times > 0, times, np.where(times == 0, NO_TIME, OUT_OF_RANGE))


def _one_time(value: object) -> int:
    if value is None or value == "":
        return NO_TIME
    try:
        time = integer(value)
    except (ValueError, OverflowError):
        return OUT_OF_RANGE
    if time == 0:
        return NO_TIME
    return time if 0 < time <= _LARGEST else OUT_OF_RANGE


def counts(raw: Sequence[object]) -> Integers:
    """Return counters and bit fields as int64, 0 where there is none."""
    if not any(raw):
        return np.zeros(len(raw), dtype=np.int64)
    if set(map(type, raw)) == {int}:
        with suppress(OverflowError):
            return np.maximum(np.array(raw, dtype=np.int64), 0)
    return np.array([_one_count(value) if value else 0 for value in raw], dtype=np.int64)


def _one_count(value: object) -> int:
    try:
        count = integer(value)
    except (ValueError, OverflowError):
        return 0
    return count if 0 <= count <= _LARGEST else 0


def enums(raw: Sequence[object], names: tuple[str, ...]) -> pa.Array:
    """Return enum values given as number, digits or name as the bare name.

    A number without a name stays as its digits; what is neither number nor name is 0's name.
    """
    try:
        found = {value: _enum(value, names) for value in set(raw)}
        return pa.array([found[value] for value in raw], pa.string())
    except TypeError:  # a list or an object where a number belongs
        return pa.array([_enum(_hashable(value), names) for value in raw], pa.string())


def _hashable(value: object) -> object:
    return value if value.__class__ in (int, str) else None


def _enum(value: object, names: tuple[str, ...]) -> str:
    text = "" if value is None else str(value)[:40].upper()
    text = text.removeprefix("SPAN_KIND_").removeprefix("STATUS_CODE_")
    if text in names:
        return text
    if not text.isascii() or not text.removeprefix("-").isdecimal():
        return names[0]
    number = int(text)
    return names[number] if 0 <= number < len(names) else str(number)


def is_parent_remote(flags: Integers) -> pa.Array:
    """Return what the flags say of the parent, null where the exporter did not say."""
    return pa.array((flags & _IS_REMOTE) != 0, mask=(flags & _KNOWS_REMOTE) == 0)


def weights(trace_state: pa.Array) -> pa.Array:
    """Return how many spans each stands for: 2^56 / (2^56 - T) where tracestate has `ot=th:T`.

    Source: OpenTelemetry specification, TraceState probability sampling.
    """
    if trace_state.null_count == len(trace_state):
        return pa.repeat(1.0, len(trace_state))
    return pc.fill_null(on_distinct(trace_state, _weight, pa.float64()), 1.0)


def _weight(trace_state: str) -> float:
    found = _THRESHOLD.search(trace_state)
    if found is None:
        return 1.0
    threshold = int(found[1].ljust(14, "0"), 16)
    return 2.0**56 / (2**56 - threshold)
