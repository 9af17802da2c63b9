"""What agents and services are made of, when that changed, and which boundaries changed with it."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from analysis import boundary_changes, comparability, creep, samples, stats, tails
from analysis.engine import Model
from analysis.scope import Scope

# At most so many days on either side of a change are compared: what is further off is of others.
MAX_DAYS = 14
# Changes of one agent or service within a day are one moment: a roll-out takes its time.
ONE_MOMENT = pd.Timedelta(days=1)
QUANTILE = 0.95
_EPOCH = pd.Timestamp(0)
# From so many units with a failure on, both sides together, rates are compared.
MIN_FAILING_UNITS = boundary_changes.LEAST_FAILING_UNITS


def drift(model: Model, scope: Scope) -> pd.DataFrame:
    """Return what began or ended to be a part of an agent or service, one row a change.

    A part is a model, its parameters, a tool or handoff of an agent, or the version of a service.
    units_without are those before the first, or after the last; is_sure says that uses at random
    times would hardly leave so many (q of `creep.lateness`, both ways), after a week for tools and
    handoffs.
    """
    parts = model.ask("fingerprint_parts", scope)
    sides = [_side(parts, "began"), _side(parts, "ended")]
    frame = pd.concat(sides, ignore_index=True)
    units, without, uses = (
        frame[name].to_numpy(np.float64) for name in ("units", "units_without", "uses")
    )
    p, q = creep.lateness(units, without, uses)
    is_watched = (without >= creep.MIN_UNITS) & (
        frame["part"].isin(["model", "parameters", "version"])
        | (frame["days_without"] >= creep.MIN_DAYS)
    )
    frame = frame.assign(
        # the most that it can have been in, unseen
        without_ratio_upper=1 - 0.05 ** (1 / np.maximum(without, 1)),
        p_value=p,
        q_value=q,
        is_sure=is_watched & (q <= creep.FALSE_RATIO),
    )
    frame = frame[without > 0]
    order = ["is_sure", "changed_at", "who", "part", "value", "change"]
    return frame.sort_values(order, ascending=[False, *[True] * 5], ignore_index=True)


def moved(model: Model, scope: Scope) -> pd.DataFrame:
    """Return how p95 and failures of boundaries moved with each sure change, one row a boundary.

    A service's boundaries are those it calls or answers, an agent's those on its way. The sides end
    at the next change of the same agent or service, and `MAX_DAYS` away; they are judged as before
    and after (METHODS.md): by day, corrected for their number. In time only, so no cause is proven.
    """
    changes = drift(model, scope)
    changes = changes[changes["is_sure"]].sort_values("changed_at", kind="stable")
    facts = model.ask("boundaries", scope)
    near = model.ask("boundary_services", scope)
    found = [
        _seen(model, scope, period)
        for who, some in changes.groupby("who", sort=True)
        for period in _periods(str(who), some, _boundaries(near, str(who)))
    ]
    seen = [each for each in found if each is not None]
    if not seen:
        return pd.DataFrame(columns=_CHANGE)
    sides = _sides(model, scope, seen)
    frames = []
    for place, (period, window) in enumerate(seen):
        before, after = (
            {name: told[place][side] for name, told in sides.items() if place in told}
            for side in (0, 1)
        )
        moved_ = boundary_changes.compared(
            facts, before, after, window, QUANTILE, stats.NO_WORSE_RATIO
        )
        frames.append(
            moved_.assign(
                who=period.who,
                what=period.what,
                changed_at=period.at,
                unit=str(window.unit),
                before_days=window.before_days,
                after_days=window.after_days,
            )
        )
    # The reasons speak of a baseline and a pilot.
    frame = pd.concat(frames, ignore_index=True).drop(columns="reason")
    return frame[[*_CHANGE, *frame.columns.difference(_CHANGE, sort=False)]]


@dataclass(frozen=True)
class _Period:
    """A change of an agent or service, the boundaries it may show at, and how far it is watched."""

    who: str
    what: str
    at: pd.Timestamp
    since: pd.Timestamp
    until: pd.Timestamp
    boundaries: frozenset[str]


def _periods(who: str, changes: pd.DataFrame, boundaries: set[str]) -> list[_Period]:
    moments = _moments(changes)
    starts = [pd.Timestamp.min, *(at for at, _ in moments[:-1])]
    ends = [*(at for at, _ in moments[1:]), pd.Timestamp.max]
    return [
        _Period(
            who,
            what,
            at,
            max(start, at - _reach(at, -1)),
            min(end, at + _reach(at, 1)),
            frozenset(boundaries),
        )
        for (at, what), start, end in zip(moments, starts, ends, strict=True)
    ]


def _seen(
    model: Model, scope: Scope, period: _Period
) -> tuple[_Period, comparability.Windows] | None:
    """Return a period with how its sides lie in time; None where one of them has no call."""
    with model.relations(scope) as cursor:
        sides = cursor.execute(
            """
            SELECT
                started_at >= ?  AS is_after,
                min(started_at),
                max(started_at),
                count(DISTINCT started_at::DATE)
            FROM calls
            WHERE boundary_no IN (
                    SELECT boundary_no FROM boundaries WHERE boundary_id IN (SELECT unnest(?))
                )
                AND started_at >= ?
                AND started_at < ?
            GROUP BY is_after
            ORDER BY is_after
            """,
            [period.at, sorted(period.boundaries), period.since, period.until],
        ).fetchall()
    if len(sides) < 2:
        return None
    before, after = (comparability.Extent(*side) for _, *side in sides)
    return period, comparability.in_sequence(before, after)


def _sides(
    model: Model, scope: Scope, seen: list[tuple[_Period, comparability.Windows]]
) -> dict[str, dict[int, tuple[boundary_changes.Calls, boundary_changes.Calls]]]:
    """Return by boundary what its calls say before and after each period's change, by place."""

    def told(
        key: samples.Key, calls: pd.DataFrame
    ) -> dict[int, tuple[boundary_changes.Calls, boundary_changes.Calls]]:
        start_ns = calls["start_ns"].to_numpy()
        answers = {}
        for place, (period, window) in enumerate(seen):
            if key[0] in period.boundaries:
                since, at, until = (
                    (moment - _EPOCH) // pd.Timedelta(1, "ns")
                    for moment in (period.since, period.at, period.until)
                )
                is_after = start_ns >= at
                before = calls[(start_ns >= since) & ~is_after]
                after = calls[is_after & (start_ns < until)]
                answers[place] = (
                    boundary_changes.told(before, window, QUANTILE),
                    boundary_changes.told(after, window, QUANTILE),
                )
        return answers

    by = {"boundary_id": "boundary_id"}
    found = samples.each(model, scope, ["start_ns", "client_ms", "is_error"], told, by=by)
    return {name: answers for (name,), answers in found.items()}


def pairs(model: Model, scope: Scope) -> pd.DataFrame:
    """Return how often calls of each pair of versions failed, one row a cohort, boundary and pair.

    error_change is the pair's rate less that of all other pairs at the boundary, with Newcombe's
    interval. mixed_calls fell in an hour in which several versions answered at the boundary.
    """
    told = model.ask("version_pairs", scope)
    key = ["cohort", "boundary_id", "caller_version", "callee_version"]
    rows = []
    for values, some in told.groupby(key, sort=True):
        here = told[(told["cohort"] == values[0]) & (told["boundary_id"] == values[1])]
        others = here.drop(index=some.index)
        mine, rest = _failed(some), _failed(others)
        change, lower, upper = stats.difference(rest, mine)
        failing = sum(
            int(side.loc[side["unit_failed"] > 0, "units"].sum()) for side in (some, others)
        )
        label = "too few"
        if failing >= MIN_FAILING_UNITS and not np.isnan(lower):
            label = "more failures" if lower > 0 else "fewer failures" if upper < 0 else "alike"
        rows.append(
            dict(zip(key, values, strict=True))
            | {
                name: some[name].iloc[0]
                for name in ("boundary", "caller_service", "callee_service")
            }
            | {
                "calls": _sum(some, "unit_calls"),
                "failed": _sum(some, "unit_failed"),
                "mixed_calls": int(some["mixed_calls"].iloc[0]),
                "units": int(some["units"].sum()),
            }
            | tails.columns("error_ratio", mine)
            | {"error_change": change, "error_change_lower": lower, "error_change_upper": upper}
            | {"label": label if len(others) else "only pair"}
            | {name: some[name].iloc[0] for name in _PAIR_ENDS}
        )
    return pd.DataFrame(rows, columns=[*key, *_PAIRS])


def _side(parts: pd.DataFrame, change: str) -> pd.DataFrame:
    is_begin = change == "began"
    at = parts["first_at"] if is_begin else parts["last_at"]
    away = at - parts["watched_since"] if is_begin else parts["watched_until"] - at
    return pd.DataFrame(
        {
            **{name: parts[name] for name in ("who", "part", "value")},
            "change": change,
            "changed_at": at,
            "day": at.dt.floor("D"),
            "trace_id": parts["first_trace_id" if is_begin else "last_trace_id"],
            **{name: parts[name] for name in ("calls", "uses", "units")},
            "units_without": parts["units_before" if is_begin else "units_after"],
            "days_without": away.dt.total_seconds() / 86_400,
        }
    )


def _boundaries(near: pd.DataFrame, who: str) -> set[str]:
    """Return the boundaries on an agent's way, or on either side of a service."""
    kind, _, name = who.partition(":")
    columns = ["agents"] if kind == "agent" else ["caller_services", "callee_services"]
    return {
        str(row["boundary_id"])
        for row in near.to_dict("records")
        if any(name in (row[column] if row[column] is not None else ()) for column in columns)
    }


def _moments(changes: pd.DataFrame) -> list[tuple[pd.Timestamp, str]]:
    """Return when something changed, and what, in order of time; changes within a day are one.

    What began dates a moment: between the last of the old and the first of the new nothing is seen.
    """
    is_new = changes["changed_at"].diff() >= ONE_MOMENT
    moments: list[tuple[pd.Timestamp, str]] = []
    for _, some in changes.groupby(is_new.cumsum(), sort=True):
        begun = some.loc[some["change"] == "began", "changed_at"]
        at = begun.min() if len(begun) else some["changed_at"].max() + pd.Timedelta(microseconds=1)
        said = "; ".join(some["part"] + " " + some["value"] + " " + some["change"])
        moments.append((at, said))
    return moments


def _reach(at: pd.Timestamp, sign: int) -> pd.Timedelta:
    """Return how far a side reaches, to the edge of a day: no day is cut but the change's own."""
    edge = at.floor("D") if sign > 0 else at.ceil("D")
    return pd.Timedelta(days=MAX_DAYS) - sign * (at - edge)


def _failed(some: pd.DataFrame) -> stats.Estimate:
    """Return the share of failed calls; a unit that met several pairs counts for each."""
    if some.empty:
        return stats.NOTHING
    calls = _sum(some, "unit_calls")
    told = stats.proportion_of_counts(
        some["unit_weighed_failed"], some["unit_weighed"], calls, units=some["units"]
    )
    return replace(told, n=calls)


def _sum(some: pd.DataFrame, column: str) -> int:
    return int((some[column] * some["units"]).sum())


_CHANGE = ["who", "what", "changed_at", "unit", "before_days", "after_days"]
_NAMES = ("boundary", "caller_service", "callee_service")
_PAIR_ENDS = ("first_mixed_at", "last_mixed_at", "first_at", "last_at", "first_trace_id")
_PAIRS = [
    *(*_NAMES, "calls", "failed", "mixed_calls", "units"),
    *tails.columns("error_ratio", stats.NOTHING),
    *("error_change", "error_change_lower", "error_change_upper", "label"),
    *_PAIR_ENDS,
]
