"""Tells for which share of the time, not of the requests, a limit was kept."""

import numpy as np
from numpy.typing import ArrayLike

from analysis import stats

BUCKET_NS = 10 * 10**9
DAY_NS = 86_400 * 10**9
BLOCK_NS = 4 * 3_600 * 10**9


def kept(
    start_ns: ArrayLike, duration_ms: ArrayLike, limit_ms: float, weights: ArrayLike | None = None
) -> stats.Estimate:
    """Return the mean share of requests under way that keep a limit, over buckets of ten seconds.

    A request counts in every bucket that it runs in, and a bucket in which none runs does not
    count. So a stall weighs as long as it lasts, though who waits for an answer sends few requests
    meanwhile. The unit is the calendar day, below two days the block of four hours; `n` counts
    buckets.

    Args:
        start_ns: When each request began, ns since 1970.
        duration_ms: How long it took.
        limit_ms: What it may take.
        weights: How many requests each stands for.
    """
    begun = np.asarray(start_ns, dtype=np.int64)
    took = np.asarray(duration_ms, dtype=np.float64)
    weight = np.ones(len(begun)) if weights is None else np.asarray(weights, dtype=np.float64)
    if len(begun) == 0:
        return stats.NOTHING
    first = begun // BUCKET_NS
    ended = begun + np.rint(took * 1e6).astype(np.int64)
    after = np.maximum(ended - 1, begun) // BUCKET_NS + 1
    # Sums change only where a request begins or ends, and where a unit does.
    length = DAY_NS if ended.max() - begun.min() >= 2 * DAY_NS else BLOCK_NS
    steps = length // BUCKET_NS
    firsts = np.unique(np.concatenate([first, after]))
    turns = np.unique(firsts // steps)
    edges = np.unique(np.concatenate([firsts, turns * steps, (turns + 1) * steps]))

    def running(mass: stats.Floats) -> stats.Floats:
        change = np.bincount(np.searchsorted(edges, first), weights=mass, minlength=len(edges))
        change -= np.bincount(np.searchsorted(edges, after), weights=mass, minlength=len(edges))
        return np.asarray(np.cumsum(change)[:-1], dtype=np.float64)

    # Counted without weights, so that rounding makes no request out of nothing.
    is_used = running(np.ones(len(begun))) > 0.5
    all_mass, good_mass = running(weight), running(weight * (took <= limit_ms))
    sizes = np.diff(edges) * is_used
    share = np.clip(np.divide(good_mass, all_mass, where=is_used, out=np.zeros(len(sizes))), 0, 1)
    unit = stats.codes(edges[:-1] // steps)
    return stats.proportion_of_counts(
        np.bincount(unit, weights=share * sizes), np.bincount(unit, weights=sizes)
    )
