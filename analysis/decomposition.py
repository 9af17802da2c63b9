"""Which kinds of handoff a change came from: of the mean exactly, of a percentile by swapping."""

import math
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import pandas as pd

from analysis import stats, words
from analysis.comparability import Windows
from analysis.engine import Model
from analysis.scope import Scope

MODEL = "model"
OTHER = "other"
# Each further kind doubles the sets that are swapped.
MOST_KINDS = 5
# A swap of fewer requests moves a p95 by chance alone.
MIN_REQUESTS = 1000
DOMINANT_RATIO = 0.5
# As few days as may prove anything.
LEAST_UNITS = stats.INDICATIVE_DAYS
# The fall of a p95 that essays call a success; it says nothing of who brought it about.
RULE_OF_THUMB = (0.10, 0.15)


@dataclass(frozen=True)
class Decomposition:
    """A change of the mean request in ms, and of a percentile, by what requests waited for.

    `kinds` has one row a kind of handoff: before_ms and after_ms a request, change_ms with bounds,
    quantile_ms (what the percentile moved by it, the average over every order of swapping). The
    changes of the kinds plus `mix_ms` are `total_ms`, exactly; those of the percentile plus
    `residual_ms` are `quantile_total_ms`. Shares are NaN where the total may be no
    change, and bounds where a side has fewer than seven units.
    """

    kinds: pd.DataFrame
    mix_ms: float
    total_ms: float
    total_lower: float
    total_upper: float
    quantile: float
    quantile_total_ms: float
    residual_ms: float
    other_ratio: float  # of the mean's change, what did not come from models
    other_ratio_lower: float
    other_ratio_upper: float
    other_quantile_ratio: float
    requests: tuple[int, int]


def decompose(
    model: Model,
    scope: Scope,
    before: pd.DataFrame,
    after: pd.DataFrame,
    window: Windows,
    p: float,
) -> Decomposition:
    """Return what a change between two cohorts came from.

    Args:
        model: The lake's model.
        scope: Narrows both sides alike; its cohort, boundary and agent are ignored.
        before: The requests of the cohort before, as `request_latencies` tells them.
        after: Those of the cohort after.
        window: Design and unit of the comparison.
        p: The percentile to be swapped.
    """
    sides = []
    for requests in (before, after):
        whole = replace(scope, cohort=requests["cohort"].iloc[0], boundary=None, agent=None)
        sides.append(_wide(model.ask("request_kinds", whole), requests, window))
    kinds = sorted({*sides[0].columns, *sides[1].columns} - set(_FACTS))
    was, now = (side.reindex(columns=[*_FACTS, *kinds], fill_value=0.0) for side in sides)
    return split(was, now, p)


def split(before: pd.DataFrame, after: pd.DataFrame, p: float) -> Decomposition:
    """Return what a change came from; sides have `operation`, `bucket`, `weight`, ms by kind."""
    kinds = [name for name in before.columns if name not in _FACTS]
    place, operations = pd.factorize(pd.concat([before["operation"], after["operation"]]))
    places = np.split(place, [len(before)])
    sums = [
        _sums(side, of, len(operations), kinds)
        for side, of in zip((before, after), places, strict=True)
    ]
    # The first replicate is the data as they are.
    drawn = [_replicates(side, turn) for turn, side in enumerate(sums)]
    changes, mix = _kitagawa(*drawn)
    total = changes.sum(axis=1) + mix
    # Replicates of a few units all look alike: their interval would be far too narrow.
    if min(side["bucket"].nunique() for side in (before, after)) < LEAST_UNITS:
        changes[1:], total[1:] = math.nan, math.nan
    means = [side[0, :, 1:].sum(axis=0) / side[0, :, 0].sum() for side in drawn]
    swapped, moved, residual = swap(before, after, kinds, p)
    frame = pd.DataFrame(
        {
            "kind": kinds,
            "before_ms": means[0],
            "after_ms": means[1],
            "change_ms": changes[0],
            "change_ms_lower": _bounds(changes)[0],
            "change_ms_upper": _bounds(changes)[1],
            "quantile_ms": swapped,
        }
    ).sort_values("change_ms", key=np.abs, ascending=False, kind="stable", ignore_index=True)
    lower, upper = (float(bound) for bound in _bounds(total))
    shares = (math.nan,) * 4
    if lower > 0 or upper < 0:
        is_other = np.array([kind != MODEL for kind in kinds])
        ratio = changes[:, is_other].sum(axis=1) / total
        by_swap = swapped[is_other].sum() / moved if moved else math.nan
        least, most = (float(bound) for bound in _bounds(ratio))
        shares = (float(ratio[0]), least, most, float(by_swap))
    return Decomposition(
        frame, float(mix[0]), float(total[0]), lower, upper, p, moved, residual, *shares,
        requests=(len(before), len(after)),
    )  # fmt: skip


def swap(
    before: pd.DataFrame, after: pd.DataFrame, kinds: list[str], p: float
) -> tuple[stats.Floats, float, float]:
    """Return by how much each kind moved a percentile, the whole move, and what is left of it.

    Each request before keeps its rank in a kind and takes the time of that rank after. A kind's
    share is its Shapley value: what it moves on average over every order in which kinds are
    swapped. What no swap moves is the residual: how the kinds go together. NaN below 1,000
    requests a side, or where requests are weighted unequally.
    """
    is_weighted = any(np.ptp(side["weight"].to_numpy(np.float64)) > 0 for side in (before, after))
    if min(len(before), len(after)) < MIN_REQUESTS or is_weighted:
        return np.full(len(kinds), math.nan), math.nan, math.nan
    was = before[kinds].to_numpy(np.float64)
    now = np.column_stack(
        [_mapped(was[:, k], after[kind].to_numpy()) for k, kind in enumerate(kinds)]
    )
    players = _players(was, now)
    moves_ms = [(now[:, members] - was[:, members]).sum(axis=1) for members in players]
    # Of few swaps each is made of another and one more.
    swapped: dict[tuple[int, ...], stats.Floats] = {(): was.sum(axis=1)}
    for size in range(1, len(players) + 1):
        for chosen in combinations(range(len(players)), size):
            swapped[chosen] = swapped[chosen[:-1]] + moves_ms[chosen[-1]]
    values = {chosen: _quantile(total, p) for chosen, total in swapped.items()}
    found = np.zeros(len(players))
    count = len(players)
    for player in range(count):
        for chosen, value in values.items():
            if player in chosen:
                continue
            weight = math.factorial(len(chosen)) * math.factorial(count - len(chosen) - 1)
            joined = tuple(sorted((*chosen, player)))
            found[player] += weight / math.factorial(count) * (values[joined] - value)
    told = np.zeros(len(kinds))
    for player, members in enumerate(players):
        # The small kinds are swapped as one; their share follows the sizes of their moves.
        moves = np.abs((now - was)[:, members].mean(axis=0)) + 1e-12
        told[members] = found[player] * moves / moves.sum()
    moved = _quantile(after[kinds].to_numpy(np.float64).sum(axis=1), p) - values[()]
    return told, float(moved), float(moved - told.sum())


def dominance(found: Decomposition, *, is_proven: bool) -> tuple[bool, str]:
    """Return whether what is not a model surely dominated a change, and the sentence behind it."""
    low, high = RULE_OF_THUMB
    bar = (
        f"A fall of {words.percent(low)} to {words.percent(high)}, which is often taken for "
        "success, is a rule of thumb: it says nothing of what brought it about."
    )
    if math.isnan(found.other_ratio):
        return False, f"The mean may not have changed, so no share of it is said. {bar}"
    said = (
        f"{words.percent(found.other_ratio)} of the change of the mean "
        f"{words.percent_interval(found.other_ratio_lower, found.other_ratio_upper)} did not come "
        "from models"
    )
    is_most = found.other_ratio_lower > DOMINANT_RATIO
    is_most_of_tail = found.other_quantile_ratio > DOMINANT_RATIO
    if is_proven and is_most and is_most_of_tail:
        return True, f"Orchestration was the dominant factor: {said}. {bar}"
    missing = [
        *([] if is_proven else ["the change is not proven"]),
        *([] if is_most else ["its lower bound is not above half"]),
        *([] if is_most_of_tail else ["of the percentile it is not shown to be more than half"]),
    ]
    return False, f"{said}; dominant is not said, for {' and '.join(missing)}. {bar}"


_FACTS = ["operation", "bucket", "weight"]
_ASKED = ["operation", "unit_id", "started_at", "weight"]


def _wide(told: pd.DataFrame, requests: pd.DataFrame, window: Windows) -> pd.DataFrame:
    """Return a row a request that is told of, in the order of their ids, with ms by kind."""
    ids, place = np.unique(told["request_id"].to_numpy(), return_inverse=True)
    known = requests["request_id"].to_numpy()
    # Those told of are fewer, as a rule: each request looks for itself among them.
    at = np.minimum(np.searchsorted(ids, known), len(ids) - 1)
    told_of = np.flatnonzero(ids[at] == known)
    row = np.empty(len(ids), dtype=np.intp)
    row[at[told_of]] = told_of
    facts = requests[_ASKED].iloc[row]
    kind, names = pd.factorize(told["kind"], sort=True)
    self_ms = told["self_ms"].to_numpy(np.float64)
    wide = np.bincount(place * len(names) + kind, self_ms, minlength=len(ids) * len(names))
    return pd.DataFrame(
        {
            "operation": facts["operation"].to_numpy(),
            "bucket": window.units(facts) % stats.BUCKETS,
            "weight": facts["weight"].to_numpy(np.float64),
            **dict(zip(names, wide.reshape(len(ids), -1).T, strict=True)),
        }
    )


def _sums(
    side: pd.DataFrame, operation: stats.Ints, operations: int, kinds: list[str]
) -> stats.Floats:
    """Return sums by bucket, operation and (requests, ms of each kind)."""
    place = side["bucket"].to_numpy(np.intp) * operations + operation
    weight = side["weight"].to_numpy(np.float64)
    size = stats.BUCKETS * operations
    columns = [weight, *(weight * side[kind].to_numpy(np.float64) for kind in kinds)]
    filled = [np.bincount(place, column, minlength=size) for column in columns]
    sums = np.stack(filled, axis=-1).reshape(stats.BUCKETS, operations, -1)
    return np.asarray(sums, dtype=np.float64)


def _replicates(sums: stats.Floats, turn: int) -> stats.Floats:
    weights = np.roll(stats.replicate_weights(), turn, axis=0)
    weights = np.vstack([np.ones(stats.BUCKETS), weights / weights.mean(axis=1, keepdims=True)])
    return np.asarray(np.tensordot(weights, sums, axes=1))


def _kitagawa(before: stats.Floats, after: stats.Floats) -> tuple[stats.Floats, stats.Floats]:
    """Return by replicate the change of each kind at a common mix, and what the mix changed.

    An operation that one side does not have changed the mix alone.
    """
    counts = before[..., 0], after[..., 0]
    shares = [count / count.sum(axis=1, keepdims=True) for count in counts]
    with np.errstate(invalid="ignore", divide="ignore"):
        means = [side[..., 1:] / side[..., :1] for side in (before, after)]
    was, now = (
        np.where(np.isfinite(mean), mean, other)
        for mean, other in ((means[0], means[1]), (means[1], means[0]))
    )
    was, now = np.nan_to_num(was), np.nan_to_num(now)
    common = (shares[0] + shares[1])[..., None] / 2
    within = (common * (now - was)).sum(axis=1)
    mix = ((shares[1] - shares[0])[..., None] * (was + now) / 2).sum(axis=(1, 2))
    return within, mix


def _bounds(replicates: stats.Floats) -> tuple[stats.Floats, stats.Floats]:
    tail = (1 - stats.LEVEL) / 2
    if np.isnan(replicates[1:]).all():
        nothing = np.full(replicates.shape[1:], math.nan)
        return nothing, nothing
    lower, upper = np.nanquantile(replicates[1:], [tail, 1 - tail], axis=0)
    return np.asarray(lower), np.asarray(upper)


def _mapped(was: stats.Floats, after: stats.Floats) -> stats.Floats:
    """Return the times after at the mid-ranks of the times before."""
    order = np.argsort(was)
    ordered = was[order]
    begins = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    lengths = np.diff(np.r_[begins, len(ordered)])
    # Hazen's quantiles of sorted values; numpy's own would look for every rank anew.
    place = (2 * begins + lengths) / 2 / len(was) * len(after) - 0.5
    at_rank = np.interp(place, np.arange(len(after)), np.sort(after))
    mapped = np.empty(len(was))
    mapped[order] = np.repeat(at_rank, lengths)
    return mapped


def _players(was: stats.Floats, now: stats.Floats) -> list[list[int]]:
    """Return the kinds that are swapped one by one, and the smallest ones together."""
    moves = np.abs(now - was).mean(axis=0)
    order = [int(place) for place in np.argsort(-moves, kind="stable")]
    if len(order) <= MOST_KINDS:
        return [[place] for place in order]
    return [[place] for place in order[: MOST_KINDS - 1]] + [order[MOST_KINDS - 1 :]]


def _quantile(values: stats.Floats, p: float) -> float:
    place = min(len(values), max(1, math.ceil(len(values) * p - 1e-9))) - 1
    return float(np.partition(values, place)[place])
