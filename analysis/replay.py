"""What requests would have taken had the calls of a boundary been faster, kept, at once or cut."""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pandas as pd

from analysis import stats
from analysis.ancestry import NOBODY, Flags, Places, along, tops
from analysis.engine import Model
from analysis.means import mean
from analysis.scope import Scope

# Each level of a tree is one round of numpy; deeper requests are left as they were, and counted.
MAX_DEPTH = 500

LIMITS = (
    "Assumes the same calls afterwards, no feedback of load, that who ended inside its caller was "
    "waited for, and that a call waited only for the one that ended last before it."
)


@dataclass(frozen=True)
class Change:
    """What happens to each call of a boundary; the first that is set applies, then `parallel`.

    `timeout_ms`: a call that runs longer is cut there, and `fallback_ms` more are spent.
    `cached_ratio`: this share of the calls, by their hash, takes `hit_ms`.
    `factor`: each call takes this times as long. `parallel`: calls of one caller that followed each
    other begin when the first of them did.
    """

    timeout_ms: float | None = None
    fallback_ms: float = 0.0
    cached_ratio: float | None = None
    hit_ms: float = 0.0
    factor: float | None = None
    parallel: bool = False


@dataclass(frozen=True)
class Replay:
    """Durations of the requests of a scope before and after a change, all in ms.

    `figures` has one row a figure (p50_ms, p95_ms, p99_ms): before and after with their bounds.
    `saved_ms` is the mean saved a request, over all requests of the scope. `given_up` counts
    calls that went well and were cut.
    """

    figures: pd.DataFrame
    saved_ms: stats.Estimate
    requests: int
    replayed: int
    too_deep: int
    calls: int
    changed: int
    given_up: int
    limits: str = LIMITS


def what_if(model: Model, scope: Scope, boundary: str, change: Change) -> Replay:
    """Return what a change of one boundary would have done to the requests of a scope.

    Only requests that made such a call are replayed; the others keep their durations. Of more than
    200,000 requests, as many are taken by the hash of their trace.
    """
    scope = replace(scope, boundary=None, agent=None, service=None)
    requests = model.ask("replay_requests", scope)
    spans = model.ask("replay_spans", replace(scope, boundary=boundary))
    told = replayed(spans, change)
    after = requests["request_id"].map(told.durations_ms).fillna(requests["duration_ms"])
    units, weights = requests["unit_id"], requests["weight"].to_numpy(np.float64)
    sides = [
        stats.sample(values.to_numpy(np.float64), units, weights)
        for values in (requests["duration_ms"], after)
    ]
    rows = []
    for name, p in (("p50_ms", 0.5), ("p95_ms", 0.95), ("p99_ms", 0.99)):
        before, now = (stats.percentile(side, p) for side in sides)
        rows.append(
            {
                "figure": name,
                "before": before.value,
                "before_lower": before.lower,
                "before_upper": before.upper,
                "after": now.value,
                "after_lower": now.lower,
                "after_upper": now.upper,
                "grade": str(stats.worse(before.grade, now.grade)),
            }
        )
    bucket = stats.buckets(units)
    gained = (requests["duration_ms"] - after).to_numpy(np.float64)
    saved = mean(
        stats.bucket_sums(gained * weights, bucket),
        stats.bucket_sums(weights, bucket),
        len(requests),
        units.nunique(),
    )
    return Replay(
        pd.DataFrame(rows),
        saved,
        len(requests),
        len(told.durations_ms),
        told.too_deep,
        told.calls,
        told.changed,
        told.given_up,
    )


@dataclass(frozen=True)
class Replayed:
    """New durations by request, and what was changed on the way."""

    durations_ms: dict[int, float]
    too_deep: int
    calls: int
    changed: int
    given_up: int


def replayed(spans: pd.DataFrame, change: Change) -> Replayed:
    """Return the new duration of each request, from an answer of `replay_spans`.

    A span begins after the sibling that ended last before it, with the same gap, or with the same
    offset from its caller; a caller ends after the last of those who ended inside it, with the same
    gap. Without a change every request takes what it took.
    """
    if spans.empty:
        return Replayed({}, 0, 0, 0, 0)
    tree = _tree(spans)
    is_call = spans["boundary_id"].notna().to_numpy()
    is_well = is_call & ~spans["is_error"].fillna(value=False).to_numpy(dtype=np.bool_)
    new, is_cut = _lengths(tree, is_call, change)
    head = _heads(tree, is_call) if change.parallel else np.full(len(is_call), NOBODY)
    lasting = _walked(tree, new, head)
    done = tree.is_root & ~tree.is_deep
    # A run of calls at once is changed but for its first.
    is_changed = is_call & ((~np.isnan(new) & (new != tree.length)) | (head != NOBODY))
    return Replayed(
        dict(zip(tree.ids[done].tolist(), (lasting[done] / 1e6).tolist(), strict=True)),
        int((tree.is_root & tree.is_deep).sum()),
        int(is_call.sum()),
        int(is_changed.sum()),
        int((is_cut & is_well).sum()),
    )


@dataclass(frozen=True)
class _Tree:
    """Spans of requests as places: who is above, who ended last before, and the gaps, in ns."""

    ids: Places
    up: Places
    before: Places
    depth: Places
    is_root: Flags
    is_inside: Flags  # ended inside its caller, who therefore waited for it
    is_deep: Flags
    length: stats.Floats
    offset: stats.Floats  # from the end of who was before, else from the caller's begin
    rest: stats.Floats  # from the end of the last inside to the caller's own end


def _tree(spans: pd.DataFrame) -> _Tree:
    ids, start, end, root = (
        spans[name].to_numpy(np.int64) for name in ("node_id", "start_ns", "end_ns", "request_id")
    )
    above = spans["parent_id"].to_numpy(np.int64)
    up = np.asarray(pd.Index(ids).get_indexer(pd.Index(above)), dtype=np.int64)
    up = np.where(ids == root, NOBODY, up)
    # What hangs in nobody of the request takes no part.
    is_lost = (up == NOBODY) & (ids != root)
    depth = along(up, (up != NOBODY).astype(np.int64), np.add)
    is_aside = spans["is_aside"].to_numpy(np.bool_) | is_lost
    is_inside = (up != NOBODY) & ~is_aside
    is_inside[is_inside] = end[is_inside] <= end[up[is_inside]]
    before = _before(up, start, end, is_aside)
    last = np.full(len(ids), np.iinfo(np.int64).min)
    np.maximum.at(last, up[is_inside], end[is_inside])
    rest = np.where(last == np.iinfo(np.int64).min, np.nan, end - last)
    since = np.where(before == NOBODY, start[up], end[before])
    deepest = pd.Series(depth).groupby(root).transform("max").to_numpy()
    return _Tree(
        ids,
        up,
        before,
        depth,
        ids == root,
        is_inside,
        deepest > MAX_DEPTH,
        (end - start).astype(np.float64),
        (start - since).astype(np.float64),
        rest,
    )


def _before(up: Places, start: Places, end: Places, is_aside: Flags) -> Places:
    """Return the sibling that ended last before each span began, or -1."""
    ending = np.flatnonzero(~is_aside)
    who = np.concatenate([ending, np.arange(len(up))])
    times = np.concatenate([end[ending], start])
    is_begin = np.arange(len(who)) >= len(ending)
    # At one instant an end comes before a begin, but for who ends where it began.
    turn = np.where(is_begin, 1, np.where(start[who] == end[who], 2, 0))
    order = np.lexsort((who, turn, times, up[who]))
    who, is_begin = who[order], is_begin[order]
    latest = np.maximum.accumulate(np.where(is_begin, -1, np.arange(len(who))))
    ended = np.where(latest < 0, NOBODY, who[np.maximum(latest, 0)])
    before = np.full(len(up), NOBODY)
    before[who[is_begin]] = ended[is_begin]
    is_sibling = (before != NOBODY) & (up != NOBODY) & (up[before] == up)
    return np.where(is_sibling, before, NOBODY)


def _lengths(tree: _Tree, is_call: Flags, change: Change) -> tuple[stats.Floats, Flags]:
    """Return how long each changed call lasts, NaN elsewhere, and which of them were cut."""
    new = np.full(len(is_call), np.nan)
    is_cut = np.zeros(len(is_call), dtype=np.bool_)
    if change.timeout_ms is not None:
        is_cut = is_call & (tree.length > change.timeout_ms * 1e6)
        new[is_cut] = (change.timeout_ms + change.fallback_ms) * 1e6
    elif change.cached_ratio is not None:
        # Ids are hashes: which calls hit is the same for every share that holds them.
        is_hit = is_call & (tree.ids % 1_000_003 < change.cached_ratio * 1_000_003)
        new[is_hit] = np.minimum(change.hit_ms * 1e6, tree.length[is_hit])
    elif change.factor is not None:
        new[is_call] = tree.length[is_call] * change.factor
    return new, is_cut


def _heads(tree: _Tree, is_call: Flags) -> Places:
    """Return the first of the run of calls that each call followed, -1 for the first itself."""
    follows = is_call & (tree.before != NOBODY)
    follows[follows] = is_call[tree.before[follows]]
    first, _ = tops(np.where(follows, tree.before, NOBODY))
    return np.where(follows, first, NOBODY)


def _walked(tree: _Tree, new: stats.Floats, head: Places) -> stats.Floats:
    """Return how long each span lasts, the deepest first, a level of all requests at a time."""
    lasting = tree.length.copy()
    reach = np.full(len(lasting), -np.inf)
    place = np.full(len(lasting), NOBODY)
    longest = np.arange(len(lasting))
    run = np.where(head == NOBODY, longest, head)
    earlier = np.where(head == NOBODY, tree.before, tree.before[head])
    offset = np.where(head == NOBODY, tree.offset, tree.offset[head])
    order = np.argsort(-tree.depth, kind="stable")
    order = order[~tree.is_deep[order]]
    ends = np.flatnonzero(np.diff(tree.depth[order], prepend=-1, append=-1))
    for first, last in pairwise(ends):
        level = order[first:last]
        waited = np.isfinite(reach[level])
        lasting[level[waited]] = reach[level[waited]] + tree.rest[level[waited]]
        lasting[level] = np.where(np.isnan(new[level]), lasting[level], new[level])
        # Who came after a run of calls waits for the longest of them, now that they run at once.
        by_length = level[np.lexsort((lasting[level], run[level]))]
        longest[run[by_length]] = by_length
        before = earlier[level]
        before = np.where(before == NOBODY, NOBODY, longest[run[before]])
        place[level] = np.arange(len(level))
        since = np.where(before == NOBODY, 0.0, lasting[before])
        up = np.where(before == NOBODY, NOBODY, place[before])
        begins = along(up, offset[level] + since, np.add)
        inside = tree.is_inside[level]
        np.maximum.at(reach, tree.up[level[inside]], (begins + lasting[level])[inside])
    return lasting
