"""Attributes of a chunk as flat arrays, owner, key, value, and the columns chosen from them."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from ingest import conventions, credentials, redact
from ingest.cells import NAMES, byte_lengths, convert, on_distinct, without_nul
from ingest.conventions import Column, Key
from ingest.formats.columns import Pairs
from ingest.formats.otlp_json import as_text
from ingest.treatments import How, treatment

Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

Found = dict[str, list[tuple[int, Key]]]  # column -> codes of its keys, most trusted first


@dataclass(frozen=True)
class Attributes:
    """Entries in the order of their owners, each key once an owner; owners count from 0 to `size`.

    `by_key` holds the entries sorted by key and owner; those of key `k` start at `starts[k]`.
    """

    size: int
    owners: Integers
    codes: Integers  # into keys
    keys: list[str]  # sorted, each once
    values: pa.StringArray
    by_key: Integers = field(repr=False)
    starts: Integers = field(repr=False)  # len(keys) + 1 positions in by_key
    suspects: Flags | None = field(repr=False)  # entries that may hold a secret, if any does
    used: Flags = field(repr=False)  # entries that a column holds whole

    def entries(self, code: int) -> Integers:
        """Return the positions of a key's entries, by owner."""
        return self.by_key[self.starts[code] : self.starts[code + 1]]


def gather(pairs: Pairs) -> Attributes:
    """Return the pairs of `len(pairs.counts)` owners; of a key given twice the last value stays."""
    names: list[str] = pairs.keys.dictionary.to_pylist()
    codes = pairs.keys.indices.to_numpy(zero_copy_only=False)
    owners = np.repeat(np.arange(len(pairs.counts)), pairs.counts)
    values = without_nul(pairs.values)
    if any(key in conventions.EXPANDED for key in names):
        owners, codes, names, values = _expanded(owners, codes, names, values)
    given = [_key(name) for name in names]
    keys = sorted(set(given))
    ranks = {key: rank for rank, key in enumerate(keys)}
    codes = np.array([ranks[key] for key in given], dtype=np.int64)[codes] if keys else codes
    by_key = _sorted_by(codes, len(keys))
    again = np.zeros(len(codes), dtype=bool)
    again[by_key[:-1]] = (codes[by_key[1:]] == codes[by_key[:-1]]) & (
        owners[by_key[1:]] == owners[by_key[:-1]]
    )
    if again.any():
        owners, codes, values = owners[~again], codes[~again], values.filter(pa.array(~again))
        by_key = _sorted_by(codes, len(keys))
    return Attributes(
        len(pairs.counts),
        owners,
        codes,
        keys,
        values,
        by_key,
        np.searchsorted(codes[by_key], np.arange(len(keys) + 1)),
        _suspects(values, codes, keys),
        np.zeros(len(codes), dtype=bool),
    )


@lru_cache(maxsize=20_000)
def _key(name: str) -> str:
    return redact.name(name.replace("\0", "\ufffd"))


def _sorted_by(codes: Integers, keys: int) -> Integers:
    # numpy sorts 16-bit integers by radix: ten times faster, and linear.
    return np.argsort(codes.astype(np.uint16) if keys < 1 << 16 else codes, kind="stable")


def _suspects(values: pa.StringArray, codes: Integers, keys: list[str]) -> Flags | None:
    # What the key alone makes safe, and what is long enough to be content, needs no look.
    is_plain = np.array([treatment(key) == How.PLAIN for key in keys] or [False])
    lengths = byte_lengths(values)
    rows = np.flatnonzero(
        (lengths >= credentials.MIN_BYTES)
        & (lengths <= 4 * redact.MAX_TEXT_CHARACTERS)
        & is_plain[codes]
    )
    if not len(rows):
        return None
    texts = values.take(pa.array(rows)).dictionary_encode()
    of_texts = credentials.suspects(texts.dictionary)
    if not pc.any(of_texts).as_py():
        return None
    result = np.zeros(len(values), dtype=bool)
    result[rows] = of_texts.take(texts.indices).to_numpy(zero_copy_only=False)
    return result


def _expanded(
    owners: Integers, codes: Integers, names: list[str], values: pa.Array
) -> tuple[Integers, Integers, list[str], pa.Array]:
    more: list[tuple[int, str, str]] = []
    for key in conventions.EXPANDED:
        if key not in names:
            continue
        for row in np.flatnonzero(codes == names.index(key)):
            try:
                members = orjson.loads(values[row].as_py() or "")
            except orjson.JSONDecodeError:
                continue
            if isinstance(members, dict):
                more += [
                    (owners[row], f"{key}.{name}", as_text(member))
                    for name, member in members.items()
                    if isinstance(member, int | float)
                ]
    if not more:
        return owners, codes, names, values
    places = {name: code for code, name in enumerate(names)}
    for _, name, _ in more:
        places.setdefault(name, len(places))
    all_owners = np.concatenate([owners, [owner for owner, _, _ in more]])
    order = np.argsort(all_owners, kind="stable")
    all_values = pa.concat_arrays([values, pa.array([text for _, _, text in more], pa.string())])
    return (
        all_owners[order],
        np.concatenate([codes, [places[name] for _, name, _ in more]])[order],
        list(places),
        all_values.take(pa.array(order)),
    )


def find(attributes: Attributes, columns: tuple[Column, ...]) -> Found:
    """Return which keys here feed which of the columns, in order of trust."""
    plan, patterns = _plan(columns)
    found: dict[str, list[tuple[int, int, Key]]] = {}
    is_there = np.diff(attributes.starts) > 0
    for code, name in enumerate(attributes.keys):
        if not is_there[code]:
            continue
        for column, trust, key in plan.get(name, ()):
            found.setdefault(column, []).append((trust, code, key))
        for column, trust in patterns(name):
            found.setdefault(column, []).append((trust, code, Key(name)))
    return {
        column: [(code, key) for _, code, key in sorted(keys, key=lambda entry: entry[:2])]
        for column, keys in found.items()
    }


@lru_cache(maxsize=64)
def _plan(
    columns: tuple[Column, ...],
) -> tuple[dict[str, list[tuple[str, int, Key]]], Callable[[str], list[tuple[str, int]]]]:
    plan: dict[str, list[tuple[str, int, Key]]] = {}
    for column in columns:
        for trust, key in enumerate(column.keys):
            made = Key(key) if isinstance(key, str) else key
            plan.setdefault(made.name, []).append((column.name, trust, made))
    loose = [
        (column.name, 1_000 + trust, re.compile(pattern))
        for column in columns
        for trust, pattern in enumerate(column.patterns)
    ]

    @lru_cache(maxsize=20_000)
    def patterns(name: str) -> list[tuple[str, int]]:
        named = {column for column, _, _ in plan.get(name, ())}
        first: dict[str, int] = {}
        for column, trust, pattern in loose:
            if column not in named and pattern.search(name):
                first.setdefault(column, trust)
        return list(first.items())

    return plan, patterns


def select(
    attributes: Attributes, column: Column, keys: list[tuple[int, Key]]
) -> tuple[pa.Array, Integers]:
    """Return the column's cell of every owner, from its most trusted usable key.

    Beside the cells stand the entries they were made of.
    """
    if len(keys) == 1:
        ((code, key),) = keys
        rows = attributes.entries(code)
        cells = _cells(attributes, rows, column, key)
        if len(rows) == attributes.size:
            return cells, rows[_is_valid(cells)] if cells.null_count else rows
        pick = np.full(attributes.size, -1, dtype=np.int64)
        pick[attributes.owners[rows]] = np.arange(len(rows))
        if cells.null_count:
            rows = rows[_is_valid(cells)]
        return cells.take(pa.array(pick, mask=pick < 0)), rows
    pick = np.full(attributes.size, -1, dtype=np.int64)
    parts: list[pa.Array] = []
    made_of: list[Integers] = []
    taken = 0
    for code, key in keys:
        rows = attributes.entries(code)
        rows = rows[pick[attributes.owners[rows]] < 0]
        if not len(rows):
            continue
        cells = _cells(attributes, rows, column, key)
        usable = np.flatnonzero(_is_valid(cells))
        pick[attributes.owners[rows[usable]]] = taken + usable
        parts.append(cells)
        made_of.append(rows[usable])
        taken += len(rows)
    cells = pa.concat_arrays(parts)
    return cells.take(pa.array(pick, mask=pick < 0)), np.concatenate(made_of)


def _is_valid(array: pa.Array) -> Flags:
    valid: Flags = array.is_valid().to_numpy(zero_copy_only=False)
    return valid


def _cells(attributes: Attributes, rows: Integers, column: Column, key: Key) -> pa.Array:
    texts = attributes.values.take(pa.array(rows))
    if attributes.suspects is not None and (key.meaning or column.meaning) in NAMES:
        texts = _without_secrets(texts, attributes.suspects[rows])
    return convert(texts, column, key)


def _without_secrets(texts: pa.StringArray, suspects: Flags) -> pa.StringArray:
    if not suspects.any():
        return texts
    # A text that is nothing but a secret fills no column; its length and hash stay in the map.
    return pc.replace_with_mask(
        texts,
        pa.array(suspects),
        on_distinct(texts.filter(pa.array(suspects)), _named, pa.string()),
    )


def _named(text: str) -> str | None:
    masked = credentials.masked(text, is_named=True)
    return None if masked == "?" else masked
