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

    Values are told by the place of their text in `texts`: most stand in many entries, and each is
    looked at once. `by_key` holds the entries sorted by key and owner; those of key `k` start at
    `starts[k]`.
    """

    size: int
    owners: Integers
    codes: Integers  # into keys
    keys: list[str]  # sorted, each once
    texts: pa.StringArray  # each once; the last is null
    places: Integers  # of each entry's value, in texts
    by_key: Integers = field(repr=False)
    starts: Integers = field(repr=False)  # len(keys) + 1 positions in by_key
    suspects: Flags | None = field(repr=False)  # entries that may hold a secret, if any does
    used: Flags = field(repr=False)  # entries that a column holds whole

    def entries(self, code: int) -> Integers:
        """Return the positions of a key's entries, by owner."""
        return self.by_key[self.starts[code] : self.starts[code + 1]]

    def values(self, rows: Integers) -> pa.StringArray:
        """Return the values of these entries."""
        return self.texts.take(pa.array(self.places[rows]))


def distinct(places: Integers, size: int) -> tuple[Integers, Integers]:
    """Return the places that occur, ascending, and where each of `places` stands among them.

    Args:
        places: numbers from 0 to `size`, exclusive.
        size: how many there may be; memory and time grow with it.
    """
    occurs = np.zeros(size, dtype=bool)
    occurs[places] = True
    found = np.flatnonzero(occurs)
    if len(found) == 1:
        return found, np.zeros(len(places), dtype=np.int64)
    rank = np.empty(size, dtype=np.int64)
    rank[found] = np.arange(len(found))
    return found, rank[places]


def gather(pairs: Pairs) -> Attributes:
    """Return the pairs of `len(pairs.counts)` owners; of a key given twice the last value stays."""
    names: list[str] = pairs.keys.dictionary.to_pylist()
    codes = pairs.keys.indices.to_numpy(zero_copy_only=False)
    owners = np.repeat(np.arange(len(pairs.counts)), pairs.counts)
    values = pairs.values
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
    encoded = values.dictionary_encode()
    texts = pa.concat_arrays([without_nul(encoded.dictionary), pa.nulls(1, pa.string())])
    places = pc.fill_null(encoded.indices, len(texts) - 1).to_numpy().astype(np.int64)
    return Attributes(
        len(pairs.counts),
        owners,
        codes,
        keys,
        texts,
        places,
        by_key,
        np.searchsorted(codes[by_key], np.arange(len(keys) + 1)),
        _suspects(texts, places, codes, keys),
        np.zeros(len(codes), dtype=bool),
    )


@lru_cache(maxsize=20_000)
def _key(name: str) -> str:
    return redact.name(name.replace("\0", "\ufffd"))


def _sorted_by(codes: Integers, keys: int) -> Integers:
    # numpy sorts 16-bit integers by radix: ten times faster, and linear.
    return np.argsort(codes.astype(np.uint16) if keys < 1 << 16 else codes, kind="stable")


def _suspects(
    texts: pa.StringArray, places: Integers, codes: Integers, keys: list[str]
) -> Flags | None:
    # What the key alone makes safe, and what is long enough to be content, needs no look.
    is_plain = np.array([treatment(key) == How.PLAIN for key in keys] or [False])
    lengths = byte_lengths(texts)
    is_asked = (lengths >= credentials.MIN_BYTES) & (lengths <= 4 * redact.MAX_TEXT_CHARACTERS)
    rows = np.flatnonzero(is_asked[places] & is_plain[codes])
    if not len(rows):
        return None
    asked, ranks = distinct(places[rows], len(texts))
    of_texts = credentials.suspects(texts.take(pa.array(asked)))
    if not pc.any(of_texts).as_py():
        return None
    result = np.zeros(len(places), dtype=bool)
    result[rows] = of_texts.to_numpy(zero_copy_only=False)[ranks]
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
    pick = np.full(attributes.size, -1, dtype=np.int64)
    parts: list[pa.Array] = []
    made_of: list[Integers] = []
    taken = 0
    for code, key in keys:
        rows = attributes.entries(code)
        if parts:
            rows = rows[pick[attributes.owners[rows]] < 0]
        if not len(rows):
            continue
        cells, ranks = _cells(attributes, rows, column, key)
        if cells.null_count:
            is_usable = _is_valid(cells)[ranks]
            rows, ranks = rows[is_usable], ranks[is_usable]
        pick[attributes.owners[rows]] = taken + ranks
        parts.append(cells)
        made_of.append(rows)
        taken += len(cells)
    cells = parts[0] if len(parts) == 1 else pa.concat_arrays(parts)
    is_empty = pick < 0
    picked = pa.array(pick, mask=is_empty) if is_empty.any() else pa.array(pick)
    return cells.take(picked), made_of[0] if len(made_of) == 1 else np.concatenate(made_of)


def _is_valid(array: pa.Array) -> Flags:
    valid: Flags = array.is_valid().to_numpy(zero_copy_only=False)
    return valid


def _cells(
    attributes: Attributes, rows: Integers, column: Column, key: Key
) -> tuple[pa.Array, Integers]:
    """Return the cells that the distinct values of some entries make, and each entry's of them."""
    places, ranks = distinct(attributes.places[rows], len(attributes.texts))
    texts = attributes.texts.take(pa.array(places))
    if attributes.suspects is not None and (key.meaning or column.meaning) in NAMES:
        # Whether a text is suspect hangs on itself and the key alone.
        suspects = np.zeros(len(places), dtype=bool)
        suspects[ranks] = attributes.suspects[rows]
        texts = _without_secrets(texts, suspects)
    return convert(texts, column, key), ranks


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
