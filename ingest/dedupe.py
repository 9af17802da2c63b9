"""Which spans of a load does somebody else hold already, and do they say the same?

The first copy stays: the lake's before the load's, an earlier source's before a later one's, an
earlier row before a later one. Equal ids with equal content hash and times are a duplicate, else a
conflict. Ids are compared whole; the mixed word only finds whom to compare.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ingest import keys
from ingest.keys import BUCKETS, Keys, KeyStore, Words

Flags = npt.NDArray[np.bool_]
Ranks = npt.NDArray[np.int64]

# Keys compared at once: 32 bytes each, and about 100 more while they are sorted.
KEYS_AT_ONCE = 500_000

_MAX_FILTER_BITS = 24
_RANK_OF_SOURCE = 2**32
_IN_LAKE = -1


@dataclass(frozen=True)
class Copies:
    """What one source holds that is somewhere else already, by place in the source."""

    is_copy: Flags
    duplicates: int
    conflicts: int
    first_conflict: int | None  # its place


def within(run: Keys) -> tuple[Flags, Flags]:
    """Return which rows of one run are copies of an earlier row, and which of those conflict."""
    is_copy, is_conflict = np.zeros(len(run), dtype=bool), np.zeros(len(run), dtype=bool)
    rows = np.flatnonzero(_is_repeated(keys.mixed(run)))
    copies, conflicts = _compared(run[rows], rows)
    is_copy[copies], is_conflict[conflicts] = True, True
    return is_copy, is_conflict


def across(sources: Sequence[KeyStore], lake: Callable[[], Iterator[Keys]]) -> list[Copies]:
    """Return each source's copies of spans in the lake and in the sources before it.

    Args:
        sources: the keys of the load, in the order in which the first copy is to be kept.
        lake: starts an iteration over the keys that the lake holds on the days that matter.
    """
    flags = [np.zeros(source.rows, dtype=bool) for source in sources]
    conflicts = [0] * len(sources)
    first: list[int | None] = [None] * len(sources)
    for run, ranks, known in _shares(sources, lake):
        words = keys.mixed(run)
        held = _held(known, words)
        is_asked = _is_repeated(words) | _is_among(words, keys.mixed(held))
        asked = np.concatenate([held, run[is_asked]])
        order = np.concatenate([np.full(len(held), _IN_LAKE), ranks[is_asked]])
        copies, conflicting = _compared(asked, order)
        for at, places in _by_source(copies):
            flags[at][places] = True
        for at, places in _by_source(conflicting):
            conflicts[at] += len(places)
            before = first[at]
            lowest = int(places.min())
            first[at] = lowest if before is None else min(before, lowest)
    return [
        Copies(is_copy, int(is_copy.sum()) - conflicts[at], conflicts[at], first[at])
        for at, is_copy in enumerate(flags)
    ]


def _shares(
    sources: Sequence[KeyStore], lake: Callable[[], Iterator[Keys]]
) -> Iterator[tuple[Keys, Ranks, Iterator[Keys]]]:
    """Yield shares of the load's keys that memory holds, their ranks, and the lake's keys."""
    total = sum(source.rows for source in sources)
    if total <= KEYS_AT_ONCE:
        # The lake may be far larger than the load: it streams past and nothing of it is stored.
        yield *_gathered(sources, 0, BUCKETS), lake()
        return
    store = KeyStore()
    try:
        for run in lake():
            store.append(run)
        step = max(1, BUCKETS * KEYS_AT_ONCE // total)
        for start in range(0, BUCKETS, step):
            end = min(start + step, BUCKETS)
            yield *_gathered(sources, start, end), store.share(start, end)
    finally:
        store.close()


def _gathered(sources: Sequence[KeyStore], start: int, end: int) -> tuple[Keys, Ranks]:
    runs, ranks = [np.empty((0, 4), dtype=np.uint64)], [np.empty(0, dtype=np.int64)]
    for at, source in enumerate(sources):
        for run in source.share(start, end):
            runs.append(run)
            ranks.append(keys.places(run) + at * _RANK_OF_SOURCE)
    return np.concatenate(runs), np.concatenate(ranks)


def _held(known: Iterator[Keys], words: Words) -> Keys:
    """Return those of the lake's keys that are, by their mixed word, among ours."""
    # One in 16 of the others passes at first, so that few have to be looked up.
    shift = np.uint64(64 - min(len(words).bit_length() + 4, _MAX_FILTER_BITS))
    is_ours = np.zeros(2 ** (64 - int(shift)), dtype=bool)
    is_ours[words >> shift] = True
    found = [np.empty((0, 4), dtype=np.uint64)]
    for run in known:
        mixed = keys.mixed(run)
        near = np.flatnonzero(is_ours[mixed >> shift])
        found.append(run[near])
    held = np.concatenate(found)
    return held[_is_among(keys.mixed(held), words)]


def _is_among(words: Words, others: Words) -> Flags:
    if not len(words) or not len(others):
        return np.zeros(len(words), dtype=bool)
    others = np.sort(others)
    places = np.searchsorted(others, words)
    found: Flags = others[np.minimum(places, len(others) - 1)] == words
    return found


def _is_repeated(words: Words) -> Flags:
    order = np.argsort(words)
    is_same = np.zeros(len(words) + 1, dtype=bool)
    is_same[1:-1] = words[order[1:]] == words[order[:-1]] if len(words) else False
    result = np.empty(len(words), dtype=bool)
    result[order] = is_same[1:] | is_same[:-1]
    return result


def _compared(run: Keys, ranks: Ranks) -> tuple[Ranks, Ranks]:
    """Return the ranks of rows that are copies of one of a lower rank, and of those in conflict."""
    order = np.lexsort((ranks, run[:, keys.SPAN], run[:, keys.LOW], run[:, keys.HIGH]))
    ids, said, ranks = run[order, : keys.NOTE], keys.said(run[order]), ranks[order]
    is_first = np.ones(len(order), dtype=bool)
    is_first[1:] = (ids[1:] != ids[:-1]).any(axis=1)
    leader = np.maximum.accumulate(np.where(is_first, np.arange(len(order)), 0))
    is_copy = ~is_first & (ranks > _IN_LAKE)
    return ranks[is_copy], ranks[is_copy & (said != said[leader])]


def _by_source(ranks: Ranks) -> Iterator[tuple[int, Ranks]]:
    of_rank = ranks // _RANK_OF_SOURCE
    for at in np.unique(of_rank):
        yield int(at), ranks[of_rank == at] % _RANK_OF_SOURCE
