"""What no column holds of the attributes, made safe: content to length and hash, secrets gone."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ingest import conventions, credentials, redact
from ingest.attributes import Attributes
from ingest.cells import byte_lengths, on_distinct, queries, without_secrets
from ingest.treatments import How, treatment

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Entries:
    """Safe entries of `size` owners, sorted by owner."""

    size: int
    owners: Integers
    codes: Integers  # into names
    names: list[str]
    values: pa.StringArray


def _url(text: str) -> str:
    return redact.cut(redact.url(text), redact.MAX_TEXT_CHARACTERS)


def _by(function: Callable[[str], str | None]) -> Callable[[pa.StringArray], pa.StringArray]:
    return lambda array: on_distinct(array, function, pa.string())


_REWRITES: dict[How, Callable[[pa.StringArray], pa.StringArray]] = {
    How.PERSON: _by(redact.sha256),
    How.URL: _by(_url),
    How.MESSAGE: _by(redact.message),
    How.QUERY: queries,
    How.SUSPECT: _by(credentials.masked),
}


def leftovers(attributes: Attributes, *, keep_content: bool, prefix: str = "") -> Entries:
    """Return what no column holds, made safe: content as length and hash, secrets gone.

    With `keep_content` content stays as it is, up to 1 MiB; secrets, persons, URLs and query text
    are treated as ever.
    """
    keys = attributes.keys
    treatments = np.array([treatment(key) for key in keys] or [How.PLAIN], dtype=np.int8)
    kept_too = np.array([key in conventions.KEPT_TOO for key in keys] or [False])
    gone = treatments == How.DROP
    stays = (kept_too | (treatments == How.SAID)) & ~gone
    codes = attributes.codes
    rows = np.flatnonzero(~(attributes.used | gone[codes]) | stays[codes])
    owners, codes = attributes.owners[rows], codes[rows]
    values = attributes.values.take(pa.array(rows))
    how = treatments[codes]
    if attributes.suspects is not None:
        how[(how == How.PLAIN) & attributes.suspects[rows]] = How.SUSPECT
    limit = redact.MAX_KEPT_CHARACTERS if keep_content else redact.MAX_TEXT_CHARACTERS
    is_free = (how == How.PLAIN) | (how == How.SUSPECT) | (how == How.SAID)
    said = is_free & (byte_lengths(values) > limit)
    if said.any():
        characters = pc.utf8_length(values.filter(pa.array(said)))
        said[said] = pc.greater(characters, limit).to_numpy(zero_copy_only=False)
    if not keep_content:
        said |= how == How.SAID
    if values.null_count:
        said &= values.is_valid().to_numpy(zero_copy_only=False)
    names = [prefix + key for key in keys]
    shown = ~said
    for rewrite, rewritten in _REWRITES.items():
        chosen = (how == rewrite) & shown
        if not chosen.any():
            continue
        part = rewritten(values.filter(pa.array(chosen)))
        if rewrite == How.URL:
            part = without_secrets(part, is_named=False)
        if rewrite == How.SUSPECT:
            # What is nothing but a secret leaves its length and hash, like content.
            whole = np.flatnonzero(chosen)[pc.equal(part, "?").to_numpy(zero_copy_only=False)]
            said[whole], shown[whole] = True, False
        values = pc.replace_with_mask(values, pa.array(chosen), part)
    if not said.any():
        return _by_owner(attributes.size, owners, codes, names, values)
    raw = attributes.values.take(pa.array(rows[said]))
    if keep_content:
        cut = pc.utf8_slice_codeunits(raw, 0, limit)
        is_long = how[said] != How.SUSPECT
        values = pc.replace_with_mask(
            values, pa.array(said), pc.if_else(pa.array(is_long), cut, None)
        )
        shown[np.flatnonzero(said)[is_long]] = True
    size = pc.utf8_length(raw).cast(pa.string())
    hashed = on_distinct(raw, redact.sha256, pa.string())
    parts = [
        (owners[said], codes[said] + len(keys), size),
        (owners[said], codes[said] + 2 * len(keys), hashed),
        (owners[shown], codes[shown], values.filter(pa.array(shown))),
    ]
    names += [f"{prefix}{key}{suffix}" for suffix in (".length", ".sha256") for key in keys]
    return _by_owner(
        attributes.size,
        np.concatenate([part[0] for part in parts]),
        np.concatenate([part[1] for part in parts]),
        names,
        pa.concat_arrays([part[2] for part in parts]),
    )


def _by_owner(
    size: int, owners: Integers, codes: Integers, names: list[str], values: pa.StringArray
) -> Entries:
    """Sort by owner and key; of equal names the first stays, which is the one made here."""
    places = {name: place for place, name in enumerate(dict.fromkeys(names))}
    if len(places) < len(names):
        codes = np.array([places[name] for name in names], dtype=np.int64)[codes]
        names = list(places)
        _, first = np.unique(owners * len(names) + codes, return_index=True)
        return Entries(size, owners[first], codes[first], names, values.take(pa.array(first)))
    at = owners * max(len(names), 1) + codes
    if (at[1:] > at[:-1]).all():
        return Entries(size, owners, codes, names, values)
    order = np.argsort(at, kind="stable")
    return Entries(size, owners[order], codes[order], names, values.take(pa.array(order)))


def repeated(entries: Entries, owners: Integers) -> Entries:
    """Return the entries anew for each position of `owners`, which names an owner here."""
    if not len(entries.owners):
        nothing = np.zeros(0, dtype=np.int64)
        return Entries(len(owners), nothing, nothing, [], entries.values)
    starts = np.searchsorted(entries.owners, np.arange(entries.size + 1))
    counts = starts[owners + 1] - starts[owners]
    total = int(counts.sum())
    ends = np.cumsum(counts)
    rows = np.arange(total) - np.repeat(ends - counts, counts) + np.repeat(starts[owners], counts)
    return Entries(
        len(owners),
        np.repeat(np.arange(len(owners)), counts),
        entries.codes[rows],
        entries.names,
        entries.values.take(pa.array(rows)),
    )


def as_map(*parts: Entries) -> pa.MapArray:
    """Return the entries of all parts as one map an owner; of equal keys the first part's stays."""
    size = parts[0].size
    filled = [part for part in parts if len(part.owners)] or [parts[0]]
    names: dict[str, int] = {}
    for part in filled:
        for name in part.names:
            names.setdefault(name, len(names))
    if len(filled) == 1:
        owners, codes, values = filled[0].owners, filled[0].codes, filled[0].values
    else:
        owners = np.concatenate([part.owners for part in filled])
        codes = np.concatenate(
            [np.array([names[name] for name in part.names])[part.codes] for part in filled]
        )
        values = pa.concat_arrays([part.values for part in filled])
        if len(names) < sum(len(part.names) for part in filled):
            _, order = np.unique(owners * len(names) + codes, return_index=True)
        else:
            order = np.argsort(owners, kind="stable")
        owners, codes, values = owners[order], codes[order], values.take(pa.array(order))
    starts = np.searchsorted(owners, np.arange(size + 1)).astype(np.int32)
    keys = pa.array(list(names), pa.string()).take(pa.array(codes))
    return pa.MapArray.from_arrays(pa.array(starts), keys, values)
