"""Attributes of a chunk as flat arrays, owner, key, value: chosen for columns and redacted."""

import re
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from ingest import conventions, query_text, redact
from ingest.cells import convert, on_distinct
from ingest.conventions import Column, Key
from ingest.formats.columns import Pairs
from ingest.formats.otlp_json import as_text

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Attributes:
    """Entries sorted by owner and key, each key once an owner; owners count from 0 to `size`."""

    size: int
    owners: Integers
    codes: Integers  # into keys
    keys: list[str]  # sorted
    values: pa.Array
    used: npt.NDArray[np.bool_] = field(repr=False)  # entries that a column holds whole

    def starts(self) -> Integers:
        """Return where each owner's entries start, and the end: size + 1 positions."""
        return np.searchsorted(self.owners, np.arange(self.size + 1))


def gather(pairs: Pairs) -> Attributes:
    """Return the pairs of `len(pairs.counts)` owners; of a key given twice the last value stays."""
    names: list[str] = pairs.keys.dictionary.to_pylist()
    codes = pairs.keys.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    owners = np.repeat(np.arange(len(pairs.counts)), pairs.counts)
    return _sorted(len(pairs.counts), *_expanded(owners, codes, names, pairs.values))


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
    return (
        np.concatenate([owners, [owner for owner, _, _ in more]]),
        np.concatenate([codes, [places[name] for _, name, _ in more]]),
        list(places),
        pa.concat_arrays([values, pa.array([value for _, _, value in more], pa.string())]),
    )


def _sorted(
    size: int, owners: Integers, codes: Integers, names: list[str], values: pa.Array
) -> Attributes:
    ranks = np.empty(len(names), dtype=np.int64)
    by_name = sorted(range(len(names)), key=names.__getitem__)
    ranks[by_name] = np.arange(len(names))
    ranked = ranks[codes] if len(codes) else codes
    order_key = owners * max(len(names), 1) + ranked
    order = np.argsort(order_key, kind="stable")
    ordered = order_key[order]
    last = np.ones(len(order), dtype=bool)
    last[:-1] = ordered[1:] != ordered[:-1]
    order = order[last]
    return Attributes(
        size,
        owners[order],
        ranked[order],
        [names[code] for code in by_name],
        values.take(pa.array(order)),
        np.zeros(len(order), dtype=bool),
    )


def select(attributes: Attributes, column: Column) -> tuple[pa.Array, Integers] | None:
    """Return the column's cell of every owner, from its most trusted usable key, or None.

    Beside the cells stand the entries they were made of. None means that no key of the column
    occurs here.
    """
    found = _codes_of(attributes, column)
    if not found:
        return None
    pick = np.full(attributes.size, -1, dtype=np.int64)
    cells: list[pa.Array] = []
    rows_taken: list[Integers] = []
    taken = 0
    for code, key in reversed(found):
        rows = np.flatnonzero(attributes.codes == code)
        converted = convert(attributes.values.take(pa.array(rows)), column, key)
        usable = converted.is_valid().to_numpy(zero_copy_only=False)
        pick[attributes.owners[rows[usable]]] = taken + np.flatnonzero(usable)
        cells.append(converted)
        rows_taken.append(rows)
        taken += len(rows)
    chosen = pick >= 0
    made_of = np.concatenate(rows_taken)[pick[chosen]]
    return pa.concat_arrays(cells).take(pa.array(pick, mask=~chosen)), made_of


def _codes_of(attributes: Attributes, column: Column) -> list[tuple[int, Key]]:
    places = _places(tuple(attributes.keys))
    found = []
    for key in column.keys:
        name = key if isinstance(key, str) else key.name
        if name in places:
            found.append((places[name], Key(name) if isinstance(key, str) else key))
    if not column.patterns:
        return found
    named = {key.name for _, key in found}
    for pattern in column.patterns:
        found += [
            (code, Key(name))
            for name, code in places.items()
            if name not in named and _matches(pattern, name)
        ]
    return found


@lru_cache(maxsize=64)
def _places(keys: tuple[str, ...]) -> dict[str, int]:
    return {key: code for code, key in enumerate(keys)}


@lru_cache(maxsize=100_000)
def _matches(pattern: str, key: str) -> bool:
    return re.search(pattern, key) is not None


@lru_cache(maxsize=20_000)
def _treatment(key: str) -> str:
    for treatment, patterns in (
        ("drop", conventions.DROPPED + conventions.URL_QUERIES),
        ("content", conventions.CONTENT),
        ("person", conventions.PERSONS),
        ("url", conventions.URLS),
        ("message", conventions.MESSAGES),
        ("query", conventions.QUERIES),
    ):
        if any(re.search(pattern, key) for pattern in patterns):
            return treatment
    return ""


def is_content(key: str) -> bool:
    """Say whether an attribute holds what people or models said."""
    return _treatment(key) == "content"


_REWRITES = {
    "person": redact.sha256,
    "url": redact.url,
    "message": redact.message,
    "query": query_text.mask,
}


def leftovers(attributes: Attributes, *, keep_content: bool, prefix: str = "") -> Attributes:
    """Return what no column holds, made safe: content as length and hash, secrets gone."""
    treatments = np.array([_treatment(key) for key in attributes.keys] or [""])
    kept_too = np.array([key in conventions.KEPT_TOO for key in attributes.keys] or [False])
    codes = attributes.codes
    of_rows = treatments[codes]
    is_free = ~attributes.used | kept_too[codes] | (of_rows == "content")
    lengths = pc.fill_null(pc.utf8_length(attributes.values), 0).to_numpy(zero_copy_only=False)
    said = (of_rows == "content") | ((of_rows == "") & (lengths > redact.MAX_TEXT_CHARACTERS))
    if keep_content:
        said[:] = False
    plain = is_free & ~said & ~np.isin(of_rows, ["drop", *_REWRITES])
    parts = [_part(attributes, plain, attributes.values)]
    for treatment, function in _REWRITES.items():
        chosen = is_free & ~said & (of_rows == treatment)
        if chosen.any():
            part = attributes.values.filter(pa.array(chosen))
            parts.append(_part(attributes, chosen, on_distinct(part, function, pa.string())))
    names = [prefix + key for key in attributes.keys]
    chosen = is_free & said & attributes.values.is_valid().to_numpy(zero_copy_only=False)
    if chosen.any():
        part = attributes.values.filter(pa.array(chosen))
        size = pa.array(lengths[chosen]).cast(pa.string())
        hashed = on_distinct(part, redact.sha256, pa.string())
        for suffix, values in ((".length", size), (".sha256", hashed)):
            owners, of, _ = _part(attributes, chosen, values)
            parts.append((owners, of + len(names), values))
            names = [*names, *(f"{prefix}{key}{suffix}" for key in attributes.keys)]
    owners = np.concatenate([part[0] for part in parts])
    order = np.argsort(owners, kind="stable")
    return Attributes(
        attributes.size,
        owners[order],
        np.concatenate([part[1] for part in parts])[order],
        names,
        pa.concat_arrays([part[2] for part in parts]).take(pa.array(order)),
        np.zeros(len(order), dtype=bool),
    )


def _part(
    attributes: Attributes, chosen: npt.NDArray[np.bool_], values: pa.Array
) -> tuple[Integers, Integers, pa.Array]:
    if len(values) == len(chosen):
        values = values.filter(pa.array(chosen))
    return attributes.owners[chosen], attributes.codes[chosen], values


def repeated(attributes: Attributes, owners: Integers) -> Attributes:
    """Return the entries anew for each position of `owners`, which names an owner here."""
    starts = attributes.starts()
    counts = starts[owners + 1] - starts[owners]
    total = int(counts.sum())
    ends = np.cumsum(counts)
    rows = np.arange(total) - np.repeat(ends - counts, counts) + np.repeat(starts[owners], counts)
    return Attributes(
        len(owners),
        np.repeat(np.arange(len(owners)), counts),
        attributes.codes[rows],
        attributes.keys,
        attributes.values.take(pa.array(rows)),
        np.zeros(total, dtype=bool),
    )


def as_map(*parts: Attributes) -> pa.Array:
    """Return the entries of all parts as one map an owner; of equal keys the first part's stays."""
    names: dict[str, int] = {}
    codes = []
    for part in parts:
        places = [names.setdefault(key, len(names)) for key in part.keys]
        codes.append(np.asarray(places, dtype=np.int64)[part.codes])
    owners = np.concatenate([part.owners for part in parts])
    values = pa.concat_arrays([part.values for part in parts])
    all_codes = np.concatenate(codes)
    if len(names) < sum(len(part.keys) for part in parts):
        _, first = np.unique(owners * max(len(names), 1) + all_codes, return_index=True)
        owners, all_codes, values = owners[first], all_codes[first], values.take(pa.array(first))
    elif len(parts) > 1:
        order = np.argsort(owners, kind="stable")
        owners, all_codes, values = owners[order], all_codes[order], values.take(pa.array(order))
    starts = np.searchsorted(owners, np.arange(parts[0].size + 1)).astype(np.int32)
    keys = pa.array(list(names), pa.string()).take(pa.array(all_codes))
    return pa.MapArray.from_arrays(pa.array(starts), keys, values)
