"""How a percentile moved from one sample to another, and what that may be called."""

import math
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from analysis import stats, words
from analysis.comparability import Design, Unit, Windows
from analysis.contracts import DEFAULT_QUANTILE
from analysis.stats import Verdict
from analysis.tails import columns


@dataclass(frozen=True)
class Change:
    """How a percentile moved from one sample to another."""

    quantile: float
    before: stats.Estimate
    after: stats.Estimate
    ratio: float
    lower: float
    upper: float
    upper_one_sided: float
    label: Verdict
    n_needed: float  # calls a side that would show a drop of ten per cent; NaN when decided
    samples: tuple[stats.Sample, stats.Sample] | None = None

    def interval(self, level: float) -> tuple[float, float]:
        """Return the ratio's interval at another confidence level."""
        if self.samples is None:
            return math.nan, math.nan
        return _interval(*self.samples, self.quantile, level)


@dataclass(frozen=True)
class Side:
    """A percentile of one side, with its interval at both levels that a verdict asks for."""

    two_sided: stats.Estimate
    one_sided: stats.Estimate


def side(data: stats.Sample, p: float, window: Windows) -> Side:
    """Return a percentile of one side; of 4-hour blocks its grade is insufficient."""
    found = stats.percentile(data, p, by_days=window.unit is Unit.DAY)
    if window.unit is Unit.BLOCK:
        found = replace(found, grade=stats.Grade.INSUFFICIENT)
    return Side(found, stats.percentile(data, p, level=stats.ONE_SIDED))


def change(
    before: stats.Sample, after: stats.Sample, p: float, window: Windows, *, margin: float
) -> Change:
    """Return how one percentile moved, with the label its intervals allow."""
    found = between(side(before, p, window), side(after, p, window), p, window, margin=margin)
    return replace(found, samples=(before, after))


def between(before: Side, after: Side, p: float, window: Windows, *, margin: float) -> Change:
    """Return how a percentile moved between two sides that were measured already."""
    was, now = before.two_sided, after.two_sided
    ratio, lower, upper = stats.ratio(was, now)
    one_sided = stats.ratio(before.one_sided, after.one_sided)[2]
    label = stats.decide(lower, upper, one_sided, margin=margin)
    is_weak = stats.Grade.INSUFFICIENT in (was.grade, now.grade)
    if label is Verdict.PROVEN and (is_weak or not window.may_prove):
        label = Verdict.FASTER if upper < 1 else Verdict.NO_WORSE
    needed = stats.n_needed(was, p) if label is Verdict.NOT_ENOUGH else math.nan
    return Change(p, was, now, ratio, lower, upper, one_sided, label, needed)


def sampled(
    frame: pd.DataFrame,
    window: Windows,
    column: str = "duration_ms",
    weights: stats.Floats | None = None,
) -> stats.Sample:
    """Return a column of calls or requests ready for percentiles; weights of 0 leave rows out."""
    own = frame["weight"].to_numpy(np.float64) if weights is None else weights
    keep = own > 0
    values = frame[column].to_numpy(np.float64)
    return stats.sample(values[keep], window.units(frame)[keep], own[keep])


def explain(moved: Change, window: Windows, margin: float) -> str:
    """Return one sentence that says what a change is and how far it is known."""
    name = words.quantile(moved.quantile)
    if moved.label is Verdict.NOT_ENOUGH:
        return _open(moved, window, name)
    interval = words.change_interval(moved.lower, moved.upper)
    said = f"{name} {words.moved(moved.ratio)} {interval}"
    if moved.label is Verdict.PROVEN:
        return f"{said}, proven at least 10\u202f%."
    if moved.label is Verdict.FASTER:
        if moved.upper_one_sided <= stats.PROVEN_RATIO:
            if window.may_prove:
                return f"{said}; too little of this percentile was seen to call it proven."
            days = min(window.before_days, window.after_days)
            return (
                f"{said}; {days} days a side are too few to call it proven. "
                "A concurrent pilot needs no more days."
            )
        return f"{said}: faster, at least 10\u202f% not proven."
    if moved.label is Verdict.NO_WORSE:
        return f"{said}: a rise beyond {words.percent(margin - 1)} is ruled out."
    return f"{said}: slower."


def _open(moved: Change, window: Windows, name: str) -> str:
    have = min(moved.before.n, moved.after.n)
    if math.isnan(moved.ratio):
        return f"{name} cannot be compared: one side has no calls."
    said = f"{name} {words.moved(moved.ratio)}"
    if not (math.isfinite(moved.lower) and math.isfinite(moved.upper)):
        units = min(moved.before.units, moved.after.units)
        return (
            f"{said}, without an interval: {words.count(have)} on a side, "
            f"in {words.counted(units, 'unit')} ({window.unit}), are too few."
        )
    said += f" {words.change_interval(moved.lower, moved.upper)}, which settles nothing"
    if not math.isfinite(moved.n_needed):
        return f"{said}."
    need = f"about {words.count(moved.n_needed)} a side would show a drop of 10\u202f%"
    if window.design is Design.SEQUENTIAL and window.before_days:
        days = math.ceil(moved.n_needed / moved.before.n * window.before_days)
        need += f" ({words.counted(days, 'day')} at this traffic)"
    return f"{said}: {need}, {words.count(have)} are there."


def row(moved: Change, label: Verdict, reason: str) -> dict[str, object]:
    """Return a change as the columns its frames have."""
    return {
        "quantile": moved.quantile,
        **columns("before_ms", moved.before),
        **columns("after_ms", moved.after),
        "ratio": moved.ratio,
        "ratio_lower": moved.lower,
        "ratio_upper": moved.upper,
        "upper_one_sided": moved.upper_one_sided,
        "label": str(label),
        "reason": reason,
        "n_needed": moved.n_needed,
    }


def _interval(
    before: stats.Sample, after: stats.Sample, p: float, level: float
) -> tuple[float, float]:
    was, now = (stats.percentile(data, p, level=level) for data in (before, after))
    return stats.ratio(was, now)[1:]


NOTHING = Change(
    quantile=DEFAULT_QUANTILE,
    before=stats.NOTHING,
    after=stats.NOTHING,
    ratio=math.nan,
    lower=math.nan,
    upper=math.nan,
    upper_one_sided=math.nan,
    label=Verdict.NOT_ENOUGH,
    n_needed=math.nan,
)
COLUMNS = list(row(NOTHING, Verdict.NOT_ENOUGH, ""))
