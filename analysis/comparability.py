"""May two windows be compared: their design, unit, calendar, mix, versions, models, coverage."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import numpy as np
import pandas as pd

from analysis import stats, words

DAY = pd.Timedelta(days=1)
# Under a day from first to last request, days cannot serve as units; two are the least.
LEAST_DAYS = 2
# Days a side from which a change between different periods may be called proven.
PROOF_DAYS = 7
COVERAGE = 0.95
# A cohort rolled over takes minutes of overlap; a concurrent one shares most of its window.
CONCURRENT_OVERLAP = 0.5
# A day with less than this share of the usual requests was not seen whole.
PARTIAL_DAY = 0.5
BUSY_DAY = 30
# Hours of one class are alike enough: night, morning, afternoon, evening in UTC.
HOURS_A_CLASS = 6
# Windows of one length, up to this share; calendars of one kind, up to this distance.
LENGTH_GAP = 0.10
WEEKDAY_DISTANCE = 0.10
HOUR_DISTANCE = 0.10


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
class Extent:
    """How far one side reaches, and on how many days it was seen."""

    first: datetime
    last: datetime
    days: int


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
            return stats.codes(days(frame))
        if self.unit is Unit.BLOCK:
            return stats.codes(frame["started_at"].dt.floor("4h"))
        return stats.codes(frame["unit_id"])


def windows(before: pd.DataFrame, after: pd.DataFrame) -> Windows:
    """Return design and unit of two sides of requests, neither of them empty."""
    (first, last), (start, end) = _ends(before), _ends(after)
    overlap = min(last, end) - max(first, start)
    lengths = _day_count(before), _day_count(after)
    if overlap > pd.Timedelta(0) and overlap >= CONCURRENT_OVERLAP * max(last - first, end - start):
        talks = any(side["conversation_id"].notna().any() for side in (before, after))
        alone = not talks or all(_is_one_trace_each(side) for side in (before, after))
        return Windows(Design.CONCURRENT, Unit.TRACE if alone else Unit.CONVERSATION, *lengths)
    return in_sequence(Extent(first, last, lengths[0]), Extent(start, end, lengths[1]))


def in_sequence(before: Extent, after: Extent) -> Windows:
    """Return the unit of two sides of which one ran after the other."""
    lengths = before.days, after.days
    long = min(lengths) >= LEAST_DAYS and all(
        side.last - side.first >= DAY for side in (before, after)
    )
    return Windows(Design.SEQUENTIAL, Unit.DAY if long else Unit.BLOCK, *lengths)


def _is_one_trace_each(side: pd.DataFrame) -> bool:
    """Return whether no unit holds two traces."""
    return "trace_no" in side and (stats.apart(side["unit_id"]).units == side["trace_no"].nunique())


def days(frame: pd.DataFrame) -> "pd.Series[pd.Timestamp]":
    """Return the UTC day each row started on."""
    floored: pd.Series[pd.Timestamp] = frame["started_at"].dt.floor("D")
    return floored


def _day_count(frame: pd.DataFrame) -> int:
    day = frame["started_at"].to_numpy().astype("datetime64[D]")
    return stats.apart(day.astype(np.int64)).units


def checks(
    before: pd.DataFrame,
    after: pd.DataFrame,
    window: Windows,
    facts: pd.DataFrame,
    versions: pd.DataFrame,
    coverage: pd.DataFrame,
) -> list[Check]:
    """Return every condition of a fair comparison that needs no percentile.

    Args:
        before: Requests of the baseline.
        after: Requests of the pilot.
        window: Design and unit.
        facts: The boundaries of both sides.
        versions: Services and their versions by cohort.
        coverage: Traces and complete traces by cohort.
    """
    sides = before["cohort"].iloc[0], after["cohort"].iloc[0]
    return [
        _design(window),
        *(_calendar(before, after) if window.design is Design.SEQUENTIAL else ()),
        _versions(versions, *sides),
        _models(facts, *sides),
        _coverage(coverage, *sides),
        _sampling(before, after),
    ]


def _ends(frame: pd.DataFrame) -> tuple[pd.Timestamp, pd.Timestamp]:
    return frame["started_at"].min(), frame["started_at"].max()


def _design(window: Windows) -> Check:
    if window.design is Design.CONCURRENT:
        return Check("design", ok=True, detail="Both sides ran at the same time.")
    detail = (
        f"Different periods: the unit is the {window.unit}. "
        "A concurrent pilot would rule out that time made the difference."
    )
    return Check("design", ok=None, detail=detail)


def _calendar(before: pd.DataFrame, after: pd.DataFrame) -> list[Check]:
    spans = [
        pd.date_range(days(side).min(), days(side).max(), freq="D") for side in (before, after)
    ]
    seen = [days(side).nunique() for side in (before, after)]
    partial = [day for side in (before, after) for day in _partial_edges(side)]
    weekdays = [np.bincount(span.day_of_week, minlength=7) / len(span) for span in spans]
    distance = float(np.abs(weekdays[0] - weekdays[1]).sum() / 2)
    hours = [
        np.bincount(side["started_at"].dt.hour // HOURS_A_CLASS, minlength=24 // HOURS_A_CLASS)
        / len(side)
        for side in (before, after)
    ]
    apart = float(np.abs(hours[0] - hours[1]).sum() / 2)
    return [
        Check(
            "days a side",
            ok=min(seen) >= PROOF_DAYS,
            detail=f"{words.counted(seen[0], 'day')} with requests before, {seen[1]} after; "
            f"{PROOF_DAYS} a side are the least for the word proven.",
        ),
        Check(
            "equal length",
            ok=abs(len(spans[0]) - len(spans[1])) <= LENGTH_GAP * max(map(len, spans)),
            detail=f"{words.counted(len(spans[0]), 'day')} before, {len(spans[1])} after.",
        ),
        Check(
            "whole days",
            ok=not partial,
            detail=f"First or last days with under half the usual requests: {_dates(partial)}.",
        ),
        Check(
            "same weekdays",
            ok=distance <= WEEKDAY_DISTANCE,
            detail=f"Shares of weekdays differ by {words.percent(distance)} in all.",
        ),
        Check(
            "same hours",
            ok=apart <= HOUR_DISTANCE,
            detail=f"Shares of the hours of the day differ by {words.percent(apart)} in all.",
        ),
    ]


def _partial_edges(frame: pd.DataFrame) -> list[pd.Timestamp]:
    """Return the first and last day where too little of the usual day was seen."""
    counts = frame.groupby(days(frame)).size()
    usual = float(counts.median())
    # A handful of requests a day varies by half from chance alone.
    if usual < BUSY_DAY:
        return []
    edges = dict.fromkeys((counts.index[0], counts.index[-1]))
    return [day for day in edges if counts[day] < PARTIAL_DAY * usual]


def _dates(found: list[pd.Timestamp]) -> str:
    return ", ".join(str(day.date()) for day in found) or "none"


def _versions(versions: pd.DataFrame, baseline: str, pilot: str) -> Check:
    was, now = (
        versions[versions["cohort"] == side].groupby("service")["service_version"].agg(sorted)
        for side in (baseline, pilot)
    )
    if was.empty or now.empty:
        return Check("versions", ok=None, detail="No service says its version.")
    mixed = sorted({name for side in (was, now) for name in side.index if len(side[name]) > 1})
    if mixed:
        detail = f"More than one version on one side: {', '.join(mixed)}."
        return Check("versions", ok=False, detail=detail)
    changed = [
        f"{name} {was[name][0]} → {now[name][0]}"
        for name in was.index.intersection(now.index)
        if was[name] != now[name]
    ]
    detail = f"One version a service on each side; changed: {', '.join(changed) or 'none'}."
    return Check("versions", ok=True, detail=detail)


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
        f"Complete traces: {words.percent(shares[0])} before, {words.percent(shares[1])} after."
    )
    return Check("coverage", ok=min(shares) >= COVERAGE, detail=detail)


def _sampling(before: pd.DataFrame, after: pd.DataFrame) -> Check:
    if (before["weight"] == 1).all() and (after["weight"] == 1).all():
        return Check("sampling", ok=True, detail="Every trace counts once.")
    return Check("sampling", ok=None, detail="Sampled traces; each counts by its sampling weight.")
