"""Intervals, grades and decisions: pure functions on arrays; formulas and sources in METHODS.md.

A call is never the independent unit: every function takes the unit of each value (conversation,
trace, or block of time), and its intervals respect that calls of one unit resemble each other.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property, lru_cache
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import special

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

LEVEL = 0.95
# A two-sided 90 % interval holds the two one-sided 95 % bounds.
ONE_SIDED = 0.90
# Expected independent units in the tail, and units in all, below which a percentile is not solid.
SOLID_TAIL_UNITS = 20
SOLID_UNITS = 200
INDICATIVE_TAIL_UNITS = 5
# With days as units their number alone decides.
SOLID_DAYS = 14
INDICATIVE_DAYS = 7
# Distinct units with an event, from which the rate of the event is solid.
SOLID_EVENT_UNITS = 10
# A pilot is proven when even the cautious end of its change is a drop of ten per cent.
PROVEN_RATIO = 0.90
NO_WORSE_RATIO = 1.05
# One seed and one set of weights for every bootstrap, so that the numbers of one report agree.
SEED = 20240229
REPLICATES = 500
BUCKETS = 100
# From so many units some of them, chosen by hash, tell how far values of one resemble each other.
ALIKE_UNITS = 20_000
# To find a few of more values than these is quicker than to sort them.
SORTED_VALUES = 100_000
# Whole numbers lie close together where there is one among so many.
MARKS_EACH = 64
# So many places a number cost less to carry along than numbers without gaps to make.
GAPS_EACH = 4
_SIDES: tuple[Literal["left"], Literal["right"]] = ("left", "right")
# Float noise must not turn ceil(200 * 0.95) into 191.
_EPSILON = 1e-9


class Grade(StrEnum):
    """How far a figure may be trusted."""

    SOLID = "solid"
    INDICATIVE = "indicative"
    INSUFFICIENT = "insufficient"


class Verdict(StrEnum):
    """What a before/after ratio may be called."""

    PROVEN = "proven"
    FASTER = "faster"
    NO_WORSE = "no worse"
    SLOWER = "slower"
    NOT_ENOUGH = "not enough evidence"


@dataclass(frozen=True)
class Estimate:
    """A figure with its interval; a missing bound is NaN."""

    value: float
    lower: float
    upper: float
    n: int
    n_eff: float
    units: int
    grade: Grade

    @property
    def is_bounded(self) -> bool:
        """Whether both bounds exist."""
        return math.isfinite(self.lower) and math.isfinite(self.upper)


NOTHING = Estimate(math.nan, math.nan, math.nan, 0, 0.0, 0, Grade.INSUFFICIENT)


@dataclass(frozen=True)
class Alike:
    """Values of some units: how far those of one unit resemble each other."""

    values: Floats
    units: Ints  # from 0
    weights: Floats | None
    unit_mass: Floats
    is_ordered: bool  # values ascend

    @cached_property
    def mass(self) -> Floats:
        """Cumulative weight of the values."""
        return _mass(len(self.values), self.weights)

    def below(self, mass: float) -> tuple[float, Floats]:
        """Return a rank in weight, capped below the whole, and how much of it is of each unit.

        Equal values share what is left of the rank, so that their order does not matter.
        """
        count, units = len(self.values), len(self.unit_mass)
        if not self.is_ordered:
            mass = float(min(max(mass, 1.0), count - 1.0))
            at = min(math.ceil(mass - _EPSILON * count), count) - 1
            value = np.partition(self.values, at)[at]
            less = _sums(self.units[self.values < value], None, units)
            same = _sums(self.units[self.values == value], None, units)
            return mass, less + (mass - less.sum()) / same.sum() * same
        mass = float(min(max(mass, self.mass[0]), self.mass[-2]))
        total = float(self.mass[-1])
        at = min(int(np.searchsorted(self.mass, mass - _EPSILON * total)), len(self.mass) - 1)
        first, last = (int(np.searchsorted(self.values, self.values[at], side)) for side in _SIDES)

        def summed(places: slice) -> Floats:
            weights = None if self.weights is None else self.weights[places]
            return _sums(self.units[places], weights, units)

        before = float(self.mass[first - 1]) if first else 0.0
        taken = (mass - before) / (float(self.mass[last - 1]) - before)
        same = taken * summed(slice(first, last))
        if 2 * first <= count:
            return mass, same + summed(slice(first))
        # What lies above is less to count.
        return mass, same + self.unit_mass - summed(slice(first, None))


@dataclass(frozen=True)
class Sample:
    """Values with the unit and weight of each; made by `sample`."""

    values: Floats  # in ascending order where weights differ
    units: Ints  # from 0, with gaps
    weights: Floats | None  # None: each value stands for as many as any other
    bucket: NDArray[np.integer] | None
    unit_count: int  # independent units

    @property
    def n(self) -> int:
        """How many values."""
        return len(self.values)

    @cached_property
    def ordered(self) -> Floats:
        """The values in ascending order."""
        return np.sort(self.values) if self.weights is None else self.values

    @cached_property
    def mass(self) -> Floats:
        """Cumulative weight of the ordered values: 1..n without sampling weights."""
        return _mass(self.n, self.weights)

    @cached_property
    def alike(self) -> Alike:
        """What tells how far values of one unit resemble each other."""
        x, unit, w = self.values, self.units, self.weights
        if self.bucket is not None and self.unit_count > ALIKE_UNITS:
            some = np.flatnonzero(self.bucket < max(1, BUCKETS * ALIKE_UNITS // self.unit_count))
            x, unit = x.take(some), codes(unit.take(some))
            w = None if w is None else w.take(some)
        unit_mass = _sums(unit, w)
        if w is None and len(x) <= SORTED_VALUES:
            order = np.argsort(x)
            return Alike(x.take(order), unit.take(order), None, unit_mass, is_ordered=True)
        return Alike(x, unit, w, unit_mass, is_ordered=w is not None)

    def at(self, masses: Sequence[float]) -> list[float]:
        """Return the values at ranks in weight."""
        if self.weights is not None or "ordered" in self.__dict__:
            places = np.searchsorted(self.mass, np.asarray(masses) - _EPSILON * self.mass[-1])
            return [float(each) for each in self.ordered[np.minimum(places, self.n - 1)]]
        # To find a few is quicker than to sort all.
        ranks = [math.ceil(mass - _EPSILON * self.n) - 1 for mass in masses]
        places = np.clip(ranks, 0, self.n - 1)
        return [float(each) for each in np.partition(self.values, np.unique(places))[places]]


def _mass(n: int, weights: Floats | None) -> Floats:
    return np.arange(1.0, n + 1) if weights is None else np.cumsum(weights)


def codes(units: ArrayLike) -> Ints:
    """Return units of any type as dense integers from 0, in the order of their names."""
    names = units if isinstance(units, pd.Series) else np.asarray(units)
    near = _near(np.asarray(names), MARKS_EACH)
    if near is None:
        return np.asarray(pd.factorize(names, sort=True)[0], dtype=np.intp)
    places, marks = near
    if marks.all():
        return places
    there = np.flatnonzero(marks)
    code_at = np.empty(len(marks), dtype=np.int32)
    code_at[there] = np.arange(len(there), dtype=np.int32)
    # Clipping never happens, and spares numpy a check of each place.
    return code_at.take(places, mode="clip").astype(np.intp)


class Apart(NamedTuple):
    """Units as integers from 0 that may have gaps, and how many differ."""

    code: Ints
    units: int


def apart(units: ArrayLike | Apart) -> Apart:
    """Return units of any type told apart, and as they are if they were before.

    Where only units have to be told apart this is quicker than `codes`.
    """
    if isinstance(units, Apart):
        return units
    near = _near(np.asarray(units), GAPS_EACH)
    if near is not None:
        return Apart(near[0], int(np.count_nonzero(near[1])))
    code = codes(units)
    return Apart(code, int(code.max()) + 1 if len(code) else 0)


def _near(numbers: NDArray[Any], most: int) -> tuple[Ints, NDArray[np.bool_]] | None:
    """Return numbers less the least of them, and a mark for each that is there; None if far apart.

    Numbers that lie close together are told apart by marks, without a hash or an order.
    """
    if numbers.dtype.kind not in "iu" or not len(numbers):
        return None
    least = int(numbers.min())
    spread = int(numbers.max()) - least + 1
    if spread > most * (len(numbers) + 16):
        return None
    places = numbers.astype(np.intp, copy=False)
    if least:
        places = places - least
    marks = np.zeros(spread, dtype=np.bool_)
    marks[places] = True
    return places, marks


def sample(
    values: ArrayLike,
    units: ArrayLike | Apart,
    weights: ArrayLike | None = None,
    *,
    bucket: ArrayLike | None = None,
) -> Sample:
    """Return values ready for percentiles.

    Args:
        values: Measurements, NaN left out.
        units: The independent unit of each value, of any type.
        weights: How many calls each value stands for; 1 without sampling.
        bucket: A hash of each value's unit, 0 to 99. Where it is told, about `ALIKE_UNITS` of very
            many units tell how far values of one unit resemble each other.

    Raises:
        ValueError: When a weight is not positive.
    """
    x = np.asarray(values, dtype=np.float64)
    w = np.broadcast_to(1.0, len(x)) if weights is None else np.asarray(weights, dtype=np.float64)
    if len(w) and not (w.min() > 0 and w.max() < math.inf):
        raise ValueError("A sampling weight must be a positive number; check tracestate `ot=th:`.")
    hashed = None if bucket is None else np.asarray(bucket)
    keep = ~np.isnan(x)
    if not keep.all():
        x, w = x[keep], w[keep]
        units = np.asarray(units.code if isinstance(units, Apart) else units)[keep]
        hashed = None if hashed is None else hashed[keep]
    unit, unit_count = apart(units)
    if len(w) == 0 or w.min() == w.max():
        return Sample(x, unit, None, hashed, unit_count)
    # Only differences between weights matter: their mean is made 1, so that ranks count calls.
    w = w * (len(w) / w.sum())
    # Between equal values only their weights can tell.
    order = np.argsort(x, kind="stable")
    hashed = None if hashed is None else hashed[order]
    return Sample(x[order], unit[order], w[order], hashed, unit_count)


@lru_cache(maxsize=65536)
def binomial_quantile(level: float, n: int, p: float) -> int:
    """Return the smallest k with P(Binomial(n, p) <= k) >= level."""
    low, high = -1, n
    while high - low > 1:
        middle = (low + high) // 2
        if special.bdtr(middle, n, p) >= level:
            high = middle
        else:
            low = middle
    return high


@lru_cache(maxsize=65536)
def _z(level: float) -> float:
    return float(special.ndtri((1 + level) / 2))


@lru_cache(maxsize=65536)
def _t(level: float, degrees: int) -> float:
    return float(special.stdtrit(degrees, (1 + level) / 2))


def grade(units: int, p: float) -> Grade:
    """Return the grade of a percentile from the number of units and the level alone."""
    tail = units * min(p, 1 - p) + _EPSILON
    if tail >= SOLID_TAIL_UNITS and units >= SOLID_UNITS:
        return Grade.SOLID
    return Grade.INDICATIVE if tail >= INDICATIVE_TAIL_UNITS else Grade.INSUFFICIENT


def grade_days(days: int) -> Grade:
    """Return the grade of a figure whose units are days."""
    if days >= SOLID_DAYS:
        return Grade.SOLID
    return Grade.INDICATIVE if days >= INDICATIVE_DAYS else Grade.INSUFFICIENT


def worse(*grades: Grade) -> Grade:
    """Return the least trusted of several grades."""
    return max(grades, key=list(Grade).index)


def _sums(code: Ints, weights: Floats | None, size: int = 0) -> Floats:
    return np.asarray(np.bincount(code, weights=weights, minlength=size), dtype=np.float64)


def design_effect(data: Sample, mass: float) -> float:
    """Return by how much clustering widens the variance of the share below a rank (at least 1).

    Args:
        data: The sorted sample.
        mass: The rank in weight, n * F; capped below the whole mass, where the share has no spread.
    """
    some = data.alike
    clusters = int(np.count_nonzero(some.unit_mass))
    if clusters < 2:
        return 1.0
    total = float(some.mass[-1]) if some.weights is not None else float(len(some.values))
    mass, below = some.below(
        mass * total / (data.n if data.weights is None else float(data.mass[-1]))
    )
    if mass <= 0:
        return 1.0
    share = mass / total
    spread = float(np.square(below - share * some.unit_mass).sum())
    variance = clusters / (clusters - 1) * spread / total**2
    return max(1.0, float(variance * len(some.values) / (share * (1 - share))))


def percentile(data: Sample, p: float, *, level: float = LEVEL, by_days: bool = False) -> Estimate:
    """Return a percentile with its cluster-adjusted order-statistic interval.

    The interval turns a confidence interval of the share of calls into one of the value, with an
    exact binomial of the effective sample size (METHODS.md, "percentile"). A bound that the sample
    cannot give is NaN.
    """
    return percentiles(data, [p], level=level, by_days=by_days)[0]


def percentiles(
    data: Sample, ps: Sequence[float], *, level: float = LEVEL, by_days: bool = False
) -> list[Estimate]:
    """Return several percentiles of one sample, each as `percentile` does."""
    if data.n == 0:
        return [NOTHING for _ in ps]
    ranks = [math.ceil(data.n * p - _EPSILON) for p in ps]
    bounds = [
        _bounds(data, p, rank, level) if data.unit_count > 1 else (math.nan, 0.0, math.inf)
        for p, rank in zip(ps, ranks, strict=True)
    ]
    wanted = sorted(
        {*ranks, *(each for _, *both in bounds for each in both if 0 < each < math.inf)}
    )
    found = dict(zip(wanted, data.at(wanted), strict=True))
    return [
        _percentile(data, p, found[rank], found.get(lower), found.get(upper), n_eff, by_days)
        for p, rank, (n_eff, lower, upper) in zip(ps, ranks, bounds, strict=True)
    ]


def _percentile(
    data: Sample,
    p: float,
    value: float,
    lower: float | None,
    upper: float | None,
    n_eff: float,
    by_days: bool,  # noqa: FBT001 - a private step of `percentiles`
) -> Estimate:
    clusters = data.unit_count
    graded = grade_days(clusters) if by_days else grade(clusters, p)
    if lower is None or upper is None:
        graded = Grade.INSUFFICIENT
    low, high = (math.nan if each is None else each for each in (lower, upper))
    return Estimate(value, low, high, data.n, n_eff, clusters, graded)


def _bounds(data: Sample, p: float, rank: int, level: float) -> tuple[float, float, float]:
    """Return the effective sample size and the ranks of both bounds of a percentile."""
    total, clusters = data.n, data.unit_count
    if clusters == total and data.weights is None:
        return float(total), *_ranks(total, total, p, level)
    inflation = (_z(level) / _t(level, clusters - 1)) ** 2

    def effective(deff: float) -> int:
        return math.floor(total / deff * inflation)

    deff = design_effect(data, rank)
    n_eff = effective(deff)
    lower, upper = _ranks(n_eff, total, p, level)
    cap = total - max(1, math.floor(total * (1 - p) / 4 + _EPSILON))
    deff_lower = max(deff, design_effect(data, lower)) if lower > 0 else deff
    deff_upper = max(deff, design_effect(data, min(upper, cap)))
    lower = _ranks(effective(deff_lower), total, p, level)[0]
    upper = _ranks(effective(deff_upper), total, p, level)[1]
    return float(n_eff), lower, upper


def _ranks(n_eff: int, total: int, p: float, level: float) -> tuple[float, float]:
    """Return the ranks (in mass) of the two bounds; 0 and infinity where there is none."""
    if n_eff < 1:
        return 0.0, math.inf
    tail = (1 - level) / 2
    low = binomial_quantile(tail, n_eff, p)
    high = binomial_quantile(1 - tail, n_eff, p) + 1
    lower = float(math.floor(total * low / n_eff + _EPSILON))
    upper = math.inf if high > n_eff else float(math.ceil(total * high / n_eff - _EPSILON))
    return lower, upper


def wilson(share: float, n_eff: float, *, level: float = LEVEL) -> tuple[float, float]:
    """Return Wilson's score interval of a share seen in `n_eff` independent observations."""
    z = _z(level)
    if share in (0.0, 1.0):
        edge = z * z / (n_eff + z * z)
        return (0.0, edge) if share == 0 else (1 - edge, 1.0)
    squared = z * z / n_eff
    middle = share + squared / 2
    half = z * math.sqrt(share * (1 - share) / n_eff + squared / (4 * n_eff))
    scale = 1 + squared
    return max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)


def proportion(
    events: ArrayLike,
    units: ArrayLike | Apart,
    weights: ArrayLike | None = None,
    *,
    level: float = LEVEL,
) -> Estimate:
    """Return the share of true values with a cluster-adjusted Wilson interval.

    The effective sample size uses the number of units that hold an event, or a non-event where
    those are rarer, so that a share and its complement have mirrored intervals.
    """
    event = np.asarray(events)
    if len(event) == 0:
        return NOTHING
    code, _ = apart(units)
    w = (
        np.broadcast_to(1.0, len(event))
        if weights is None
        else np.asarray(weights, dtype=np.float64)
    )
    if event.dtype == np.bool_ and w.min() == w.max():
        hits, sizes, alike = alike_units(event, code)
        return proportion_of_counts(hits, sizes, len(event), units=alike, level=level)
    found = np.flatnonzero(event)
    mass = _sums(code, w)
    hits = _sums(code[found], event[found] * w[found], len(mass))
    return proportion_of_counts(hits, mass, len(event), level=level)


def alike_units(events: NDArray[np.bool_], code: Ints) -> tuple[Floats, Floats, Floats]:
    """Return events and size of units, and how many are alike in both; empty units are left out."""
    # Events are rare as a rule. Units without one are alike if they are of one size.
    sizes = np.bincount(code)
    hits = np.bincount(code[np.flatnonzero(events)], minlength=len(sizes))
    hit = np.flatnonzero(hits)
    others = np.bincount(sizes) - np.bincount(sizes[hit], minlength=int(sizes.max()) + 1)
    others[0] = 0
    size = np.flatnonzero(others)
    return (
        np.r_[hits[hit], np.zeros(len(size))],
        np.r_[sizes[hit], size].astype(np.float64),
        np.r_[np.ones(len(hit)), others[size]],
    )


def proportion_of_counts(
    events: ArrayLike,
    sizes: ArrayLike,
    n: int | None = None,
    *,
    units: ArrayLike | None = None,
    level: float = LEVEL,
) -> Estimate:
    """Return a share from the events and the size of each unit.

    Args:
        events: Events (or their weight) of each unit.
        sizes: Observations (or their weight) of each unit.
        n: Observations in all, where sizes are weights.
        units: How many units of these events and this size there are; one unless told.
        level: Confidence of the two-sided interval.
    """
    hits, size = np.asarray(events, dtype=np.float64), np.asarray(sizes, dtype=np.float64)
    of_each = None if units is None else np.asarray(units, dtype=np.float64)

    def summed(figures: Floats) -> float:
        return float(figures.sum() if of_each is None else (figures * of_each).sum())

    def counted(is_meant: NDArray[np.bool_]) -> int:
        return int(np.count_nonzero(is_meant) if of_each is None else of_each[is_meant].sum())

    is_there = size > 0 if of_each is None else of_each > 0
    total = summed(size)
    if total <= 0:
        return NOTHING
    count = round(total) if n is None else n
    clusters = counted(size > 0)
    share = min(1.0, max(0.0, summed(hits) / total))
    event_units = min(counted(hits > 0), counted(size - hits > _EPSILON))
    if event_units == 0:
        n_eff = float(clusters)
    elif clusters == count and size[is_there].max() == size[is_there].min():
        n_eff = float(count)
    else:
        deff = 1.0
        if clusters > 1:
            spread = summed(np.square(hits - share * size))
            variance = clusters / (clusters - 1) * spread / total**2
            deff = max(1.0, variance * count / (share * (1 - share)))
        # One unit with events shows no spread: the least known is one degree of freedom.
        n_eff = count / deff * (_z(level) / _t(level, max(event_units - 1, 1))) ** 2
    if clusters < 2:
        return Estimate(share, math.nan, math.nan, count, n_eff, clusters, Grade.INSUFFICIENT)
    lower, upper = wilson(share, n_eff, level=level)
    graded = Grade.SOLID if event_units >= SOLID_EVENT_UNITS else Grade.INDICATIVE
    return Estimate(share, lower, upper, count, n_eff, clusters, graded)


def independent(events: int, n: int, *, level: float = LEVEL) -> Estimate:
    """Return a share of independent observations with Wilson's interval."""
    if n == 0:
        return NOTHING
    lower, upper = wilson(events / n, n, level=level)
    graded = Grade.SOLID if min(events, n - events) >= SOLID_EVENT_UNITS else Grade.INDICATIVE
    return Estimate(events / n, lower, upper, n, float(n), n, graded)


def difference(before: Estimate, after: Estimate) -> tuple[float, float, float]:
    """Return after minus before of two shares with Newcombe's interval: (value, lower, upper)."""
    moved = after.value - before.value
    lower = moved - math.hypot(after.value - after.lower, before.upper - before.value)
    upper = moved + math.hypot(after.upper - after.value, before.value - before.lower)
    return moved, lower, upper


def ratio(before: Estimate, after: Estimate) -> tuple[float, float, float]:
    """Return after over before with the MOVER interval on logarithms: (value, lower, upper).

    A bound is NaN where an interval that it needs is open, or a figure that it needs is zero.
    """
    if not (before.value > 0 and after.value > 0):
        return math.nan, math.nan, math.nan
    moved = math.log(after.value / before.value)
    lower = moved - math.hypot(
        _log_gap(after.value, after.lower), _log_gap(before.upper, before.value)
    )
    upper = moved + math.hypot(
        _log_gap(after.upper, after.value), _log_gap(before.value, before.lower)
    )
    return math.exp(moved), _exp(lower), _exp(upper)


def _log_gap(high: float, low: float) -> float:
    return math.log(high / low) if high > 0 and low > 0 else math.nan


def _exp(value: float) -> float:
    return math.inf if value > 700 else math.exp(value)


def decide(
    lower: float,
    upper: float,
    upper_one_sided: float,
    *,
    proven: float = PROVEN_RATIO,
    margin: float = NO_WORSE_RATIO,
) -> Verdict:
    """Return what a ratio after/before may be called; open bounds prove nothing.

    A word needs the interval that is shown, too: its one-sided bound exists a little earlier.
    """
    if upper_one_sided <= proven and math.isfinite(upper):
        return Verdict.PROVEN
    if upper < 1:
        return Verdict.FASTER
    if upper_one_sided <= margin and math.isfinite(upper):
        return Verdict.NO_WORSE
    return Verdict.SLOWER if lower > 1 else Verdict.NOT_ENOUGH


def p_value(interval: Callable[[float], tuple[float, float]], *, null: float = 1.0) -> float:
    """Return 1 minus the confidence level at which an interval touches the null.

    Args:
        interval: Bounds at a two-sided confidence level; an open bound holds everything.
        null: The value that means no change.
    """

    def holds(level: float) -> bool:
        lower, upper = interval(level)
        return not (lower > null or upper < null)

    low, high = 0.0, 1 - 1e-6
    if not holds(high):
        return 1e-6
    for _ in range(16):
        middle = (low + high) / 2
        if holds(middle):
            high = middle
        else:
            low = middle
    return min(1.0, 1 - low)


def ratio_p_value(value: float, lower: float, upper: float) -> float:
    """Return the p-value of "no change" for a ratio from its 95 % interval, normal on logarithms.

    1 where the bound that faces 1 is open: such a ratio cannot be told from no change.
    """
    if math.isnan(value) or value == 1:
        return math.nan if math.isnan(value) else 1.0
    gap = _log_gap(upper, value) if value < 1 else _log_gap(value, lower)
    if math.isnan(gap):
        return 1.0
    distance = abs(math.log(value))
    return 2 * float(special.ndtr(-distance / gap * _z(LEVEL))) if gap > 0 else 0.0


def false_discovery(p_values: Sequence[float]) -> list[float]:
    """Return Benjamini-Hochberg q-values in the order of the p-values; NaN stays NaN."""
    p = np.asarray(p_values, dtype=np.float64)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    q = np.full(len(p), np.nan)
    running = 1.0
    for place in range(len(order), 0, -1):
        running = min(running, p[order[place - 1]] * len(order) / place)
        q[order[place - 1]] = running
    return [float(value) for value in q]


def least_n(p: float, *, level: float = LEVEL) -> int:
    """Return the effective calls that give a percentile both bounds: p^n <= (1 - level) / 2."""
    rarer = max(p, 1 - p)
    return math.ceil(math.log((1 - level) / 2) / math.log(rarer) - _EPSILON)


def n_needed(before: Estimate, p: float, *, change: float = 0.10) -> float:
    """Return the calls a window needs to see a change of a percentile with 80 % power.

    Where the percentile has no interval yet, the least calls that would give it one.
    """
    if before.n == 0:
        return math.nan
    if before.is_bounded and before.lower > 0:
        standard_error = math.log(before.upper / before.lower) / (2 * _z(LEVEL))
        z_sum = _z(LEVEL) + float(special.ndtri(0.8))
        wanted = z_sum * math.sqrt(2) * standard_error / abs(math.log(1 - change))
        return float(math.ceil(before.n * wanted**2))
    effective = before.n_eff if before.n_eff >= 1 else 1.0
    return float(math.ceil(before.n * max(least_n(p) / effective, 1.0)))


def n_to_decide(measured: Estimate, limit: float, *, level: float = ONE_SIDED) -> float:
    """Return the observations from which a share this far from a limit is decided.

    Wilson's interval inverts the score test, so the size is exact; infinite at the limit itself.
    """
    if measured.n == 0 or math.isnan(measured.value):
        return math.nan
    gap = abs(measured.value - limit)
    if gap < 1e-12:
        return math.inf
    effective = _z(level) ** 2 * limit * (1 - limit) / gap**2
    effective = max(effective, 1.0)
    return float(math.ceil(measured.n * effective / max(measured.n_eff, _EPSILON)))


def binomial_bounds(events: int, n: int, *, level: float = ONE_SIDED) -> tuple[float, float]:
    """Return the exact Clopper-Pearson interval of a share of independent observations."""
    if n == 0:
        return 0.0, 1.0
    tail = (1 - level) / 2
    lower = 0.0 if events == 0 else float(special.betaincinv(events, n - events + 1, tail))
    upper = 1.0 if events == n else float(special.betaincinv(events + 1, n - events, 1 - tail))
    return lower, upper


@lru_cache(maxsize=1)
def replicate_weights() -> Floats:
    """Return the weights every bootstrap shares, one row a replicate, one column a bucket."""
    return np.random.default_rng(SEED).exponential(size=(REPLICATES, BUCKETS))


@lru_cache(maxsize=1)
def _scaled_weights() -> Floats:
    """Return the weights in rows of mean one, which keep sums in the size of the data."""
    weights = replicate_weights()
    return np.asarray(weights / weights.mean(axis=1, keepdims=True))


def buckets(units: ArrayLike) -> Ints:
    """Return the bucket of each value, 0 to 99: a hash of its unit."""
    names = np.asarray(units)
    if len(names) == 0:
        return np.zeros(0, dtype=np.intp)
    distinct, code = np.unique(names.astype(str), return_inverse=True)
    hashed = pd.util.hash_array(distinct.astype(object), categorize=False)
    return np.asarray(hashed % np.uint64(BUCKETS), dtype=np.intp)[code]


def bucket_sums(values: ArrayLike, bucket: Ints) -> Floats:
    """Return the sum of values in each of the hundred buckets."""
    return _sums(bucket, np.asarray(values, dtype=np.float64), BUCKETS)


def bootstrap(
    statistic: Callable[[Floats], Floats], sums: Floats, *, level: float = LEVEL
) -> tuple[float, float]:
    """Return a Bayesian bootstrap interval of a figure made of sums.

    Args:
        statistic: From replicate sums (replicate, quantity) to one figure a replicate.
        sums: Sums by (bucket, quantity).
        level: Confidence of the two-sided interval.
    """
    figures = statistic(_scaled_weights() @ sums)
    figures = figures[np.isfinite(figures)]
    if len(figures) == 0 or np.count_nonzero(sums.any(axis=1)) < 2:
        return math.nan, math.nan
    tail = (1 - level) / 2
    lower, upper = np.quantile(figures, [tail, 1 - tail])
    return float(lower), float(upper)


def biased(estimate: Estimate) -> Estimate:
    """Return a figure of a sample kept for its outcome: its grade can only be insufficient."""
    return replace(estimate, grade=Grade.INSUFFICIENT)
