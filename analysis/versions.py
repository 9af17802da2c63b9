"""What agents and services are made of, when that changed, and which boundaries changed with it."""

from dataclasses import replace

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
    if changes.empty:
        return pd.DataFrame(columns=_CHANGE)
    calls = _calls(model, scope)
    facts = model.ask("boundaries", scope)
    near = model.ask("boundary_services", scope)
    frames = []
    for who, some in changes.groupby("who", sort=True):
        here = [calls[name] for name in sorted(_boundaries(near, str(who)) & calls.keys())]
        if not here:
            continue
        mine = pd.concat(here, ignore_index=True)
        moments = _moments(some)
        ends = [*(at for at, _ in moments[1:]), pd.Timestamp.max]
        start = pd.Timestamp.min
        for (at, what), end in zip(moments, ends, strict=True):
            before = _between(mine, max(start, at - _reach(at, -1)), at)
            after = _between(mine, at, min(end, at + _reach(at, 1)))
            start = at
            if before.empty or after.empty:
                continue
            window = comparability.windows(before, after)
            found = boundary_changes.of_frames(
                facts, before, after, window, QUANTILE, stats.NO_WORSE_RATIO
            )
            frames.append(
                found.assign(
                    who=who,
                    what=what,
                    changed_at=at,
                    unit=str(window.unit),
                    before_days=window.before_days,
                    after_days=window.after_days,
                )
            )
    if not frames:
        return pd.DataFrame(columns=_CHANGE)
    # The reasons speak of a baseline and a pilot.
    frame = pd.concat(frames, ignore_index=True).drop(columns="reason")
    return frame[[*_CHANGE, *frame.columns.difference(_CHANGE, sort=False)]]


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


def _calls(model: Model, scope: Scope) -> dict[str, pd.DataFrame]:
    """Return the calls of each boundary: one side is before the other, so their days are units."""
    wanted = ["started_at", "client_ms", "is_error"]
    by = {"boundary_id": "boundary_id"}
    found = samples.each(model, scope, wanted, lambda _, calls: calls, by=by)
    names = pd.CategoricalDtype([name for (name,) in found])
    return {
        name: calls.drop(columns=["unit_id", "bucket"]).assign(
            boundary_id=pd.Categorical.from_codes(
                np.full(len(calls), place, dtype=np.int32), dtype=names
            )
        )
        for place, ((name,), calls) in enumerate(found.items())
    }


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


def _between(calls: pd.DataFrame, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
    return calls[(calls["started_at"] >= start) & (calls["started_at"] < end)]


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
