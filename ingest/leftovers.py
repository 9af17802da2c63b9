"""What no column holds of the attributes, made safe: content to length and hash, secrets gone."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ingest import conventions, credentials, redact
from ingest.attributes import Attributes, distinct
from ingest.cells import byte_lengths, digests, on_distinct, queries, without_secrets
from ingest.treatments import How, treatment

Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Entries:
    """Safe entries of `size` owners, sorted by owner; values are told by their place in `texts`."""

    size: int
    owners: Integers
    codes: Integers  # into names
    names: list[str]
    texts: pa.StringArray
    places: Integers


def _url(text: str) -> str:
    return redact.cut(redact.url(text), redact.MAX_TEXT_CHARACTERS)


def _by(function: Callable[[str], str | None]) -> Callable[[pa.StringArray], pa.StringArray]:
    return lambda array: on_distinct(array, function, pa.string())


_REWRITES: dict[How, Callable[[pa.StringArray], pa.StringArray]] = {
    How.PERSON: digests,
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
    owners, codes, places = attributes.owners[rows], codes[rows], attributes.places[rows]
    texts = attributes.texts
    how = treatments[codes]
    if attributes.suspects is not None:
        how[(how == How.PLAIN) & attributes.suspects[rows]] = How.SUSPECT
    limit = redact.MAX_KEPT_CHARACTERS if keep_content else redact.MAX_TEXT_CHARACTERS
    is_free = (how == How.PLAIN) | (how == How.SUSPECT) | (how == How.SAID)
    said = is_free & _are_longer(texts, limit)[places]
    if not keep_content:
        said |= how == How.SAID
    null = len(texts) - 1
    said &= places != null
    names = [prefix + key for key in keys]
    shown = ~said
    made = [texts]
    total = len(texts)
    for rewrite, rewritten in _REWRITES.items():
        chosen = np.flatnonzero((how == rewrite) & shown)
        if not len(chosen):
            continue
        each, ranks = distinct(places[chosen], len(texts))
        part = rewritten(texts.take(pa.array(each)))
        if rewrite == How.URL:
            part = without_secrets(part, is_named=False)
        places[chosen] = total + ranks
        if rewrite == How.SUSPECT:
            # What is nothing but a secret leaves its length and hash, like content.
            is_whole = pc.equal(part, "?").to_numpy(zero_copy_only=False)[ranks]
            whole = chosen[is_whole]
            said[whole], shown[whole] = True, False
            places[whole] = each[ranks[is_whole]]
        made.append(part)
        total += len(part)
    if not said.any():
        return _by_owner(
            Entries(attributes.size, owners, codes, names, pa.concat_arrays(made), places)
        )
    each, ranks = distinct(places[said], len(texts))
    raw = texts.take(pa.array(each))
    made += [pc.utf8_length(raw).cast(pa.string()), digests(raw)]
    # A hash that a column holds already is not told once more.
    told = np.array([key in conventions.DIGESTED for key in keys])
    untold = ~(told[codes[said]] & attributes.used[rows[said]])
    parts = [
        (owners[said], codes[said] + len(keys), total + ranks),
        (
            owners[said][untold],
            codes[said][untold] + 2 * len(keys),
            total + len(raw) + ranks[untold],
        ),
    ]
    if keep_content:
        made.append(pc.utf8_slice_codeunits(raw, 0, limit))
        is_long = how[said] != How.SUSPECT
        places[said] = np.where(is_long, total + 2 * len(raw) + ranks, null)
        shown[np.flatnonzero(said)[is_long]] = True
    parts.append((owners[shown], codes[shown], places[shown]))
    names += [f"{prefix}{key}{suffix}" for suffix in (".length", ".sha256") for key in keys]
    owners, codes, places = (np.concatenate(column) for column in zip(*parts, strict=True))
    return _by_owner(Entries(attributes.size, owners, codes, names, pa.concat_arrays(made), places))


def _are_longer(texts: pa.StringArray, characters: int) -> Flags:
    are_longer: Flags = byte_lengths(texts) > characters
    if are_longer.any():
        found = pc.utf8_length(texts.filter(pa.array(are_longer)))
        are_longer[are_longer] = pc.greater(found, characters).to_numpy(zero_copy_only=False)
    return are_longer


def _by_owner(entries: Entries) -> Entries:
    """Sort by owner and key; of equal names the first stays, which is the one made here."""
    owners, codes, names = entries.owners, entries.codes, entries.names
    ranks = {name: rank for rank, name in enumerate(dict.fromkeys(names))}
    if len(ranks) < len(names):
        codes = np.array([ranks[name] for name in names], dtype=np.int64)[codes]
        names = list(ranks)
        _, order = np.unique(owners * len(names) + codes, return_index=True)
    else:
        at = owners * max(len(names), 1) + codes
        if (at[1:] > at[:-1]).all():
            return entries
        order = np.argsort(at, kind="stable")
    return Entries(
        entries.size, owners[order], codes[order], names, entries.texts, entries.places[order]
    )


def repeated(entries: Entries, owners: Integers) -> Entries:
    """Return the entries anew for each position of `owners`, which names an owner here."""
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
        entries.texts,
        entries.places[rows],
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
        (only,) = filled
        owners, codes, texts, places = only.owners, only.codes, only.texts, only.places
    else:
        owners = np.concatenate([part.owners for part in filled])
        codes = np.concatenate(
            [np.array([names[name] for name in part.names])[part.codes] for part in filled]
        )
        texts = pa.concat_arrays([part.texts for part in filled])
        firsts = np.cumsum([0, *(len(part.texts) for part in filled[:-1])])
        places = np.concatenate(
            [first + part.places for first, part in zip(firsts, filled, strict=True)]
        )
        if len(names) < sum(len(part.names) for part in filled):
            _, order = np.unique(owners * len(names) + codes, return_index=True)
        else:
            order = np.argsort(owners, kind="stable")
        owners, codes, places = owners[order], codes[order], places[order]
    starts = np.searchsorted(owners, np.arange(size + 1)).astype(np.int32)
    keys = pa.array(list(names), pa.string()).take(pa.array(codes))
    return pa.MapArray.from_arrays(pa.array(starts), keys, texts.take(pa.array(places)))
