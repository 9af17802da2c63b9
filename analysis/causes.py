"""What a change between two windows began at: slower work, a slower way, more calls, failures."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from analysis import stats
from analysis.engine import Model
from analysis.scope import Scope

# Fewer calls than this say little of what a call took before.
MIN_CALLS = 5
# Requests of the smaller side below which a ranking is only a hint, and from which it is solid.
INDICATIVE_REQUESTS = 30
SOLID_REQUESTS = 200
# A caller answers for a slow way when the rest of it got slower by at least this much of the way.
BUSY_RATIO = 0.5


@dataclass(frozen=True)
class Causes:
    """Places ranked by what they surely added to a request of the second window.

    `ranking` has one row a place (a service, agent, model, tool, store): place, cause and
    boundary_id of what added most, sure_ms (or sure_per_1000), by which it is ranked: the lower
    bounds of its parts, none below zero. `parts` has one row a place, cause, caller and callee:
    increase with its bounds, n_before and n_after (calls, or origins of failures), units_before
    and units_after (at most 100), grade. What requests of other kinds than before added is
    `mix`; the parts and it sum to `total`, exactly.
    """

    ranking: pd.DataFrame
    parts: pd.DataFrame
    mix: float
    total: float
    requests_before: int
    requests_after: int


def latency(model: Model, before: Scope, after: Scope) -> Causes:
    """Return which places made requests slower, in ms a request; a boundary scope is ignored.

    Calls made in the same outer handoff of the same operation are compared, so that more requests
    of a slow kind are no cause. METHODS.md, root causes, has the formulas.
    """
    return slower(*_asked(model, "path_parts", before, after))


def failures(model: Model, before: Scope, after: Scope) -> Causes:
    """Return where more failures of requests began, per 1,000 requests of the second window."""
    return failing(*_asked(model, "failure_parts", before, after))


def slower(before: pd.DataFrame, after: pd.DataFrame) -> Causes:
    """Return places ranked by the ms they surely added, from two answers of `path_parts`."""
    items = _items(before, after, ["operation", "outer_boundary_id", "boundary_id"])
    counts = [_requests(side, "calls") for side in (before, after)]
    if not all(counts):
        return _nothing("ms", counts)
    old, new = (_Side.of(items, side) for side in (0, 1))
    # Each side's own scatter, the other side as it is: bounds of few units are widened apart.
    moved = [_effects(old.still(), new, items), _effects(old, new.still(), items)]
    facts = items.facts
    caller = facts["caller_place"].where(facts["caller_place"] != "", facts["place"])
    keys = {
        "work": pd.MultiIndex.from_arrays([facts["place"], facts["place"]]),
        "handoff": pd.MultiIndex.from_arrays([caller, facts["place"]]),
        "calls": pd.MultiIndex.from_arrays([caller, caller]),
    }
    told = [
        _part(items, keys[cause], moved[0][cause], moved[1][cause], "ms").assign(cause=cause)
        for cause in keys
    ]
    parts = pd.concat(told, ignore_index=True)
    # A way that nobody saw, or calls whose number is given, are no part of a change.
    parts = parts[(parts["cause"] == "work") | (parts["increase_ms"] != 0)].reset_index(drop=True)
    parts["place"] = np.where(parts["cause"] == "handoff", parts["callee"], parts["caller"])
    busy = _is_of_caller(parts)
    parts.loc[busy, "place"] = parts.loc[busy, "caller"]
    total = float((new.work + new.handoff - old.work - old.handoff)[:, 0].sum())
    return _ranked(parts, total, "ms", counts)


def failing(before: pd.DataFrame, after: pd.DataFrame) -> Causes:
    """Return places ranked by the failures they surely added; two answers of `failure_parts`."""
    items = _items(before, after, ["operation", "boundary_id"])
    counts = [_requests(side, "requests") for side in (before, after)]
    if not all(counts):
        return _nothing("per_1000", counts)
    sides = []
    for side in (0, 1):
        failed, asked = (_sums(items, side, name) for name in ("failed", "weighed_requests"))
        of_operation = _grouped(asked, items.operation)
        sides.append((failed, of_operation))
    (failed_old, asked_old), (failed_new, asked_new) = sides
    share = asked_new / asked_new.sum(axis=0)

    def moved(still_old: slice, still_new: slice) -> stats.Floats:
        at = items.operation
        was = _over(failed_old, asked_old[at])[:, still_old]
        now = _over(failed_new, asked_new[at])[:, still_new]
        # An operation that was not asked before can have no more failures than before.
        added: stats.Floats = np.nan_to_num(1000 * share[at][:, still_new] * (now - was))
        return added

    every, data = slice(None), slice(0, 1)
    key = pd.MultiIndex.from_arrays([items.facts["place"], items.facts["place"]])
    parts = _part(items, key, moved(data, every), moved(every, data), "per_1000")
    parts = parts.assign(cause="failures", place=parts["callee"])
    parts = parts[parts["n_before"] + parts["n_after"] > 0].reset_index(drop=True)
    rates = [1000 * side[0][:, 0].sum() / np.maximum(side[1][:, 0].sum(), 1) for side in sides]
    return _ranked(parts, float(rates[1] - rates[0]), "per_1000", counts)


def _asked(model: Model, metric: str, before: Scope, after: Scope) -> list[pd.DataFrame]:
    return [
        model.ask(metric, replace(scope, boundary=None, agent=None)) for scope in (before, after)
    ]


def _requests(side: pd.DataFrame, column: str) -> int:
    return int(side.loc[side["boundary_id"].isna(), column].sum())


@dataclass(frozen=True)
class _Items:
    """What is compared: one item a handoff, in an operation and the handoff it was made in."""

    rows: pd.DataFrame
    facts: pd.DataFrame  # one row an item
    operation: stats.Ints
    boundary: stats.Ints  # numbered with its operation
    outer: stats.Ints  # its number among `boundary`; -1 for the entry, -2 where nobody knows it


def _items(before: pd.DataFrame, after: pd.DataFrame, key: list[str]) -> _Items:
    rows = pd.concat([before.assign(side=0), after.assign(side=1)], ignore_index=True)
    names = [name for name in (*key, "caller_place") if name in rows]
    rows[names] = rows[names].astype(object).where(rows[names].notna(), "")
    rows["item"] = rows.groupby(key, sort=True).ngroup()
    facts = rows.groupby("item")[[*names, "place"]].first()
    known = pd.MultiIndex.from_frame(facts[["operation", "boundary_id"]])
    distinct = known.unique()
    outer = np.full(len(facts), -1)
    if "outer_boundary_id" in facts:
        above = pd.MultiIndex.from_frame(facts[["operation", "outer_boundary_id"]])
        found = distinct.get_indexer(above)
        outer = np.where(facts["outer_boundary_id"] == "", -1, np.where(found < 0, -2, found))
    return _Items(
        rows,
        facts,
        stats.codes(facts["operation"]),
        np.asarray(distinct.get_indexer(known), dtype=np.intp),
        np.asarray(outer, dtype=np.intp),
    )


@dataclass(frozen=True)
class _Side:
    """Sums a request of one window, by item and replicate; the first replicate is the data."""

    calls: stats.Floats
    work: stats.Floats
    handoff: stats.Floats
    outer: stats.Floats  # calls of the outer handoff

    @classmethod
    def of(cls, items: _Items, side: int) -> "_Side":
        calls, work, handoff = (
            _sums(items, side, name) for name in ("weighed_calls", "work_ms", "handoff_ms")
        )
        is_entry = items.facts["boundary_id"].eq("").to_numpy()
        asked = _grouped(np.where(is_entry[:, None], calls, 0.0), items.operation)
        outer = np.full_like(calls, np.nan)
        inside = items.outer >= 0
        outer[inside] = _grouped(calls, items.boundary)[items.outer[inside]]
        outer[items.outer == -1] = asked[items.operation[items.outer == -1]]
        requests = asked.sum(axis=0)
        return cls(calls / requests, work / requests, handoff / requests, outer / requests)

    def still(self) -> "_Side":
        """Return the side as the data have it, in every replicate."""
        kept = (self.calls, self.work, self.handoff, self.outer)
        return _Side(*(np.repeat(sums[:, :1], sums.shape[1], axis=1) for sums in kept))


def _sums(items: _Items, side: int, column: str) -> stats.Floats:
    """Return the sums of one side by item and replicate; both sides' replicates are independent."""
    rows = items.rows[items.rows["side"] == side]
    place = rows["item"].to_numpy(np.intp) * stats.BUCKETS + rows["bucket"].to_numpy(np.intp)
    size = len(items.facts) * stats.BUCKETS
    filled = np.bincount(place, rows[column].to_numpy(np.float64), minlength=size)
    weights = np.roll(stats.replicate_weights(), side, axis=0)
    weights = np.vstack([np.ones(stats.BUCKETS), weights / weights.mean(axis=1, keepdims=True)])
    return np.asarray(filled.reshape(-1, stats.BUCKETS) @ weights.T, dtype=np.float64)


def _effects(old: _Side, new: _Side, items: _Items) -> dict[str, stats.Floats]:
    """Return ms a request that each item added: by slower work, a slower way, more calls.

    What a call took before is said by the same item, else by the handoff wherever it was made, else
    by the calls after: a call never made before is not slower, there are more of it.
    """
    effects = {"calls": np.zeros_like(new.calls)}
    before = items.rows[items.rows["side"] == 0].groupby("item")["calls"].sum()
    is_known = before.reindex(items.facts.index, fill_value=0).to_numpy() >= MIN_CALLS
    calls = _grouped(old.calls, items.boundary)
    for name in ("work", "handoff"):
        was, now = getattr(old, name), getattr(new, name)
        usual = np.where(is_known[:, None], _over(was, old.calls), np.nan)
        anywhere = _over(_grouped(was, items.boundary), calls)[items.boundary]
        usual = np.where(np.isnan(usual), anywhere, usual)
        usual = np.nan_to_num(np.where(np.isnan(usual), _over(now, new.calls), usual))
        effects[name] = now - new.calls * usual
        expected = new.outer * _over(old.calls, old.outer)
        effects["calls"] += np.nan_to_num((new.calls - expected) * usual)
    return effects


def _part(
    items: _Items,
    key: pd.MultiIndex,
    of_after: stats.Floats,
    of_before: stats.Floats,
    unit: str,
) -> pd.DataFrame:
    """Return one row a caller and callee: the sum of its items' effects, bounds, sizes, grade."""
    ends = key.unique()
    group = np.asarray(ends.get_indexer(key), dtype=np.intp)
    frame = pd.DataFrame({"caller": ends.get_level_values(0), "callee": ends.get_level_values(1)})
    after, before = _grouped(of_after, group), _grouped(of_before, group)
    worst = pd.Series(of_after[:, 0]).groupby(group).idxmax()
    frame["boundary_id"] = items.facts["boundary_id"].to_numpy()[worst]
    rows = items.rows.assign(part=group[items.rows["item"]])
    count = "calls" if "calls" in rows else "origins"
    rows = rows[rows[count] > 0]
    for side, name in ((0, "before"), (1, "after")):
        told = rows[rows["side"] == side].groupby("part")
        frame[f"n_{name}"] = told[count].sum().reindex(frame.index, fill_value=0)
        # A bucket holds one unit or more: never more units than there are.
        frame[f"units_{name}"] = told["bucket"].nunique().reindex(frame.index, fill_value=0)
    value = after[:, 0]
    tail = (1 - stats.LEVEL) / 2
    gaps = [
        np.abs(np.quantile(sums[:, 1:], [tail, 1 - tail], axis=1) - value)
        for sums in (before, after)
    ]
    wider = [_wider(frame[f"units_{name}"].to_numpy()) for name in ("before", "after")]
    requests = [_requests_of(items, side) for side in (0, 1)]
    if unit == "per_1000":
        # None seen does not mean none: a side without a failure may have had as many as this.
        for side, name, end in ((0, "before", 0), (1, "after", 1)):
            is_none = frame[f"units_{name}"].to_numpy() == 0
            gaps[side][end][is_none] = 1000 * stats.wilson(0.0, requests[side])[1]
            wider[side][is_none] = 1.0
    frame["value"] = value
    frame["sure"] = np.maximum(0.0, value - np.hypot(gaps[0][0], gaps[1][0]))
    lower, upper = (
        np.hypot(_times(gaps[0][end], wider[0]), _times(gaps[1][end], wider[1])) for end in (0, 1)
    )
    frame["lower"] = np.where(np.isfinite(lower), value - lower, np.nan)
    frame["upper"] = np.where(np.isfinite(upper), value + upper, np.nan)
    frame["grade"] = [
        str(_grade(min(requests), is_bounded))
        for is_bounded in frame[["lower", "upper"]].notna().all(axis=1)
    ]
    return frame.rename(
        columns={
            "value": f"increase_{unit}",
            "lower": f"increase_{unit}_lower",
            "upper": f"increase_{unit}_upper",
            "sure": f"sure_{unit}",
        }
    )


def _requests_of(items: _Items, side: int) -> int:
    rows = items.rows[(items.rows["side"] == side) & (items.rows["boundary_id"] == "")]
    return int(rows["calls" if "calls" in rows else "requests"].sum())


def _wider(units: stats.Ints) -> stats.Floats:
    """Return by how much the bootstrap of so few units is too narrow, infinite below two.

    Student's quantile over the normal one, and what exponential weights take from the variance.
    """
    tail = (1 + stats.LEVEL) / 2
    enough = np.maximum(units, 2)
    student = special.stdtrit(enough - 1, tail) / special.ndtri(tail)
    wider = student * np.sqrt((enough + 1) / (enough - 1))
    return np.where(units < 2, np.inf, wider)


def _grade(requests: int, is_bounded: bool) -> stats.Grade:  # noqa: FBT001 - a fact, not a switch
    if requests < INDICATIVE_REQUESTS or not is_bounded:
        return stats.Grade.INSUFFICIENT
    return stats.Grade.SOLID if requests >= SOLID_REQUESTS else stats.Grade.INDICATIVE


def _is_of_caller(parts: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Return which ways the caller answers for.

    The way lies between two. It is the callee's, unless the rest of the caller got surely slower by
    more than the rest of the callee, and by half as much as this way: who is busy is late for all.
    """
    ways = parts[parts["cause"] == "handoff"]
    work = parts[parts["cause"] == "work"].set_index("callee")["sure_ms"]
    rest = work.add(ways.groupby("caller")["sure_ms"].sum(), fill_value=0.0)
    rest = rest.add(ways.groupby("callee")["sure_ms"].sum(), fill_value=0.0)
    caller, callee = (
        rest.reindex(parts[end]).fillna(0.0).to_numpy() - parts["sure_ms"]
        for end in ("caller", "callee")
    )
    is_busy = (caller > callee) & (caller >= BUSY_RATIO * parts["sure_ms"])
    return np.asarray(is_busy & (parts["cause"] == "handoff"), dtype=np.bool_)


def _ranked(parts: pd.DataFrame, total: float, unit: str, counts: list[int]) -> Causes:
    sure, increase = f"sure_{unit}", f"increase_{unit}"
    order = [sure, increase, "place", "cause", "caller", "callee"]
    parts = parts.sort_values(order, ascending=[False, False, *[True] * 4], ignore_index=True)
    parts["boundary_id"] = parts["boundary_id"].replace("", None)
    first = ["place", "cause", "caller", "callee", "boundary_id", increase]
    parts = parts[[*first, *(name for name in parts if name not in first)]]
    ranking = parts.groupby("place", sort=False).agg(
        **{sure: (sure, "sum")}, cause=("cause", "first"), boundary_id=("boundary_id", "first")
    )
    ranking = ranking.sort_values(sure, ascending=False, kind="stable").reset_index()
    return Causes(ranking, parts, total - float(parts[increase].sum()), total, *counts)


def _nothing(unit: str, counts: list[int]) -> Causes:
    ranking = pd.DataFrame(columns=["place", f"sure_{unit}", "cause", "boundary_id"])
    return Causes(ranking, pd.DataFrame(), np.nan, np.nan, *counts)


def _times(gap: stats.Floats, wider: stats.Floats) -> stats.Floats:
    """Return the widened distance to a bound; without scatter there is nothing to widen."""
    return np.multiply(gap, wider, out=np.zeros_like(gap), where=gap > 0)


def _grouped(values: stats.Floats, group: stats.Ints) -> stats.Floats:
    """Return the sums of the rows of each group, a row a group."""
    sums = np.zeros((int(group.max(initial=-1)) + 1, values.shape[1]))
    np.add.at(sums, group, values)
    return sums


def _over(part: stats.Floats, whole: stats.Floats) -> stats.Floats:
    return np.divide(part, whole, out=np.full_like(part, np.nan), where=whole > 0)
