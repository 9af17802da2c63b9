"""May two windows be compared: their design, unit, calendar, mix, versions, models, coverage."""

from collections.abc import Hashable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import pandas as pd

from analysis import phrases, stats

DAY_NS = 86_400 * 10**9
BLOCK_NS = 4 * 3_600 * 10**9
# Under a day from first to last request, days cannot serve as units; two are the least.
LEAST_DAYS = 2
# Days a side from which a change between different periods may be called proven.
PROOF_DAYS = 7
# Shares of operations that differ by more than this in all are standardised.
MIX_DISTANCE = 0.05
# More than this outside the operations both sides know: they did different work.
MIX_MISSING = 0.05
COVERAGE = 0.95
# A cohort rolled over takes minutes of overlap; a concurrent one shares most of its window.
CONCURRENT_OVERLAP = 0.5
# A day with less than this share of the usual requests was not seen whole.
PARTIAL_DAY = 0.5
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


class Design(StrEnum):
    """Whether both sides ran at the same time."""

    SEQUENTIAL = "sequential"
    CONCURRENT = "concurrent"


class Unit(StrEnum):
    """What varies independently."""

    DAY = "day"
    BLOCK = "4h block"
    CONVERSATION = "conversation"
    TRACE = "trace"


@dataclass(frozen=True)
class Check:
    """One condition of a fair comparison; None where it could not be decided or does not apply."""

    name: str
    ok: bool | None
    detail: str


@dataclass(frozen=True)
class Windows:
    """How two sides lie in time, and the independent unit that follows from it."""

    design: Design
    unit: Unit
    before_days: int
    after_days: int

    @property
    def may_prove(self) -> bool:
        """Whether the windows are long enough for the word proven."""
        return (
            self.design is Design.CONCURRENT or min(self.before_days, self.after_days) >= PROOF_DAYS
        )

    def units(self, frame: pd.DataFrame) -> stats.Ints:
        """Return the independent unit of each row of samples."""
        if self.unit is Unit.DAY:
            return stats.codes(frame["start_ns"] // DAY_NS)
        if self.unit is Unit.BLOCK:
            return stats.codes(frame["start_ns"] // BLOCK_NS)
        return stats.codes(frame["unit_id"])


def windows(before: pd.DataFrame, after: pd.DataFrame) -> Windows:
    """Return design and unit of two sides of requests, neither of them empty."""
    (first, last), (start, end) = _ends(before), _ends(after)
    overlap = min(last, end) - max(first, start)
    days = (before["start_ns"] // DAY_NS).nunique(), (after["start_ns"] // DAY_NS).nunique()
    if overlap > 0 and overlap >= CONCURRENT_OVERLAP * max(last - first, end - start):
        talks = bool(before["is_conversation"].any() or after["is_conversation"].any())
        return Windows(Design.CONCURRENT, Unit.CONVERSATION if talks else Unit.TRACE, *days)
    long = min(days) >= LEAST_DAYS and min(last - first, end - start) >= DAY_NS
    return Windows(Design.SEQUENTIAL, Unit.DAY if long else Unit.BLOCK, *days)


def mix_weights(before: pd.DataFrame, after: pd.DataFrame) -> tuple[stats.Floats, stats.Floats]:
    """Return weights that give both sides the operations of the baseline in equal shares.

    A row of an operation that only one side knows weighs 0. Where the shares hardly differ, every
    weight is the row's own.
    """
    own = before["weight"].to_numpy(np.float64), after["weight"].to_numpy(np.float64)
    was, now = _shares(before), _shares(after)
    if _distance(was, now) <= MIX_DISTANCE:
        return own
    factor = {name: was[name] / now[name] for name in was.index.intersection(now.index)}
    known = before["operation"].isin(factor).to_numpy(np.float64)
    return own[0] * known, own[1] * after["operation"].map(factor).fillna(0).to_numpy(np.float64)


def checks(
    before: pd.DataFrame,
    after: pd.DataFrame,
    window: Windows,
    facts: pd.DataFrame,
    coverage: pd.DataFrame,
) -> list[Check]:
    """Return every condition of a fair comparison that needs no percentile.

    Args:
        before: Requests of the baseline.
        after: Requests of the pilot.
        window: Design and unit.
        facts: The boundaries of both sides.
        coverage: Traces and complete traces by cohort.
    """
    sides = before["cohort"].iloc[0], after["cohort"].iloc[0]
    return [
        _design(window),
        *(_calendar(before, after) if window.design is Design.SEQUENTIAL else ()),
        mix(before, after),
        _versions(before, after),
        _models(facts, *sides),
        _coverage(coverage, *sides),
        _sampling(before, after),
    ]


def mix(before: pd.DataFrame, after: pd.DataFrame) -> Check:
    """Return whether both sides did the same work; False means they cannot be compared."""
    was, now = _shares(before), _shares(after)
    missing = max(was[~was.index.isin(now.index)].sum(), now[~now.index.isin(was.index)].sum())
    distance = _distance(was, now)
    if missing > MIX_MISSING:
        detail = f"{phrases.percent(missing)} of requests are of operations only one side has."
        return Check("mix of operations", ok=False, detail=detail)
    if distance > MIX_DISTANCE:
        detail = f"Shares differ by {phrases.percent(distance)}; standardised to the baseline's."
        return Check("mix of operations", ok=None, detail=detail)
    detail = f"Shares of operations differ by {phrases.percent(distance)} in all."
    return Check("mix of operations", ok=True, detail=detail)


def _ends(frame: pd.DataFrame) -> tuple[int, int]:
    return int(frame["start_ns"].min()), int(frame["start_ns"].max())


def _shares(frame: pd.DataFrame) -> "pd.Series[float]":
    weight = frame.groupby("operation")["weight"].sum()
    return weight / weight.sum()


def _distance(was: "pd.Series[float]", now: "pd.Series[float]") -> float:
    return float(was.sub(now, fill_value=0).abs().sum() / 2)


def _design(window: Windows) -> Check:
    if window.design is Design.CONCURRENT:
        return Check("design", ok=True, detail="Both sides ran at the same time.")
    detail = (
        f"Different periods: the unit is the {window.unit}. "
        "A concurrent pilot would rule out that time made the difference."
    )
    return Check("design", ok=None, detail=detail)


def _calendar(before: pd.DataFrame, after: pd.DataFrame) -> list[Check]:
    was, now = _by_day(before), _by_day(after)
    partial = [day for side in (was, now) for day in side.index[side < PARTIAL_DAY * side.median()]]
    weekdays = [sorted(_weekday(day) for day in side.index) for side in (was, now)]
    days = f"{len(was)} days before, {len(now)} after"
    return [
        Check(
            "days a side",
            ok=min(len(was), len(now)) >= PROOF_DAYS,
            detail=f"{days}; {PROOF_DAYS} a side are the least for the word proven.",
        ),
        Check("equal length", ok=len(was) == len(now), detail=f"{days}."),
        Check(
            "whole days",
            ok=not partial,
            detail=f"Days with under half the usual requests: {_dates(partial)}.",
        ),
        Check(
            "same weekdays",
            ok=weekdays[0] == weekdays[1],
            detail=" against ".join(", ".join(_WEEKDAYS[i] for i in side) for side in weekdays)
            + ".",
        ),
    ]


def _by_day(frame: pd.DataFrame) -> "pd.Series[int]":
    return frame.groupby(frame["start_ns"] // DAY_NS).size()


def _weekday(day: Hashable) -> int:
    return (int(str(day)) + 3) % 7  # 1970-01-01 was a Thursday


def _dates(days: list[Hashable]) -> str:
    return ", ".join(str(pd.Timestamp(int(str(day)) * DAY_NS).date()) for day in days) or "none"


def _versions(before: pd.DataFrame, after: pd.DataFrame) -> Check:
    sides = [sorted(frame["service_version"].dropna().unique()) for frame in (before, after)]
    said = [", ".join(side) or "not said" for side in sides]
    detail = f"Before: {said[0]}; after: {said[1]}."
    if not all(sides):
        return Check("versions", ok=None, detail=detail)
    return Check("versions", ok=all(len(side) == 1 for side in sides), detail=detail)


def _models(facts: pd.DataFrame, baseline: str, pilot: str) -> Check:
    models = facts[facts["kind"] == "model"]
    was, now = (
        sorted(models.loc[models["cohort"] == side, "callee"].unique())
        for side in (baseline, pilot)
    )
    if not was and not now:
        return Check("models", ok=None, detail="No model calls on either side.")
    if was == now:
        return Check("models", ok=True, detail=f"The same on both sides: {', '.join(was)}.")
    detail = f"Before: {', '.join(was) or 'none'}; after: {', '.join(now) or 'none'}."
    return Check("models", ok=False, detail=detail)


def _coverage(coverage: pd.DataFrame, baseline: str, pilot: str) -> Check:
    shares = []
    for side in (baseline, pilot):
        rows = coverage[coverage["cohort"] == side]
        traces = int(rows["traces"].sum())
        shares.append(int(rows["complete_traces"].sum()) / traces if traces else 0.0)
    detail = (
        f"Traces without missing spans: {phrases.percent(shares[0])} before, "
        f"{phrases.percent(shares[1])} after."
    )
    return Check("coverage", ok=min(shares) >= COVERAGE, detail=detail)


def _sampling(before: pd.DataFrame, after: pd.DataFrame) -> Check:
    if (before["weight"] == 1).all() and (after["weight"] == 1).all():
        return Check("sampling", ok=True, detail="Every trace counts once.")
    return Check("sampling", ok=None, detail="Sampled traces; each counts by its sampling weight.")
