"""How often work was for nobody: tries in retry storms, calls left behind, time-outs at odds."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd

from analysis import samples, stats, tails
from analysis.engine import Model
from analysis.means import mean
from analysis.scope import Scope
from analysis.timeshare import BLOCK_NS, DAY_NS

WINDOW_NS = 5 * 60 * 10**9  # of the metric `retry_storms`


def in_storms(model: Model, scope: Scope) -> pd.DataFrame:
    """Return the share of each boundary's tries that were made in retry storms.

    Whoever is caught in a storm is caught together, so the unit is the calendar day, below two days
    of traces the block of four hours.
    """
    found = model.ask("retry_storms", replace(scope, boundary=None, agent=None))
    at = found["window_at"].astype("datetime64[ns]").astype("int64") // WINDOW_NS
    stormy = {
        key: some.to_numpy(np.int64)
        for key, some in at.groupby([found["cohort"], found["boundary_id"]])
    }

    def answer(key: samples.Key, calls: pd.DataFrame) -> dict[str, object]:
        start_ns = calls["start_ns"].to_numpy(np.int64)
        window = start_ns // WINDOW_NS
        is_in = np.isin(window, stormy.get((str(key[0]), str(key[1])), ()))
        tries = calls["tries"].to_numpy(np.float64) * calls["weight"].to_numpy(np.float64)
        length = DAY_NS if np.ptp(start_ns) >= 2 * DAY_NS else BLOCK_NS
        unit = stats.codes(start_ns // length)
        count = int(calls["tries"].sum())
        share = stats.proportion_of_counts(
            np.bincount(unit, tries * is_in), np.bincount(unit, tries), count
        )
        storms = len(np.unique(window[is_in]))
        return {"tries": count, "storms": storms, **_told("storm_ratio", share)}

    return _by_boundary(model, scope, ["tries", "start_ns"], answer, _STORMS)


def left_behind(model: Model, scope: Scope) -> pd.DataFrame:
    """Return how often a callee worked on when its caller had gone, and what began only then.

    abandoned_ratio is the share of the calls seen by both sides, abandoned_ms the mean over these
    of what the callee worked for nobody; late_ratio is the share of all calls of the boundary that
    were made when their caller's own caller had given up.
    """

    def answer(_: samples.Key, calls: pd.DataFrame) -> dict[str, object]:
        seen = calls[calls["is_seen_whole"]]
        bucket = stats.buckets(seen["unit_id"])
        weight = seen["weight"].to_numpy(np.float64)
        lost = mean(
            stats.bucket_sums(seen["abandoned_ms"].to_numpy(np.float64) * weight, bucket),
            stats.bucket_sums(weight, bucket),
            len(seen),
            seen["unit_id"].nunique(),
        )
        return {
            "calls": len(calls),
            "abandoned": int(seen["is_given_up"].sum()),
            "late": int(calls["is_late"].sum()),
            **_told("abandoned_ratio", _share(seen, "is_given_up")),
            **_told("abandoned_ms", lost),
            **_told("late_ratio", _share(calls, "is_late")),
        }

    columns = ["is_seen_whole", "is_given_up", "abandoned_ms", "is_late"]
    return _by_boundary(model, scope, columns, answer, _LEFT)


def at_odds(model: Model, scope: Scope) -> pd.DataFrame:
    """Return how often a boundary is allowed at least the time that its caller is allowed.

    Tries count with it. The share is of the calls of which both time-outs are told.
    """

    def answer(_: samples.Key, calls: pd.DataFrame) -> dict[str, object]:
        told = calls[calls["is_allowed"]]
        return {
            "calls": len(calls),
            "at_odds": int(told["is_at_odds"].sum()),
            **_told("at_odds_ratio", _share(told, "is_at_odds")),
        }

    frame = _by_boundary(model, scope, ["is_allowed", "is_at_odds"], answer, _ODDS)
    return frame[frame["at_odds_ratio_n"] > 0].reset_index(drop=True)


def _by_boundary(
    model: Model,
    scope: Scope,
    columns: list[str],
    answer: Callable[[samples.Key, pd.DataFrame], dict[str, object]],
    names: list[str],
) -> pd.DataFrame:
    # What a call was made in is another boundary's.
    whole = replace(scope, boundary=None, agent=None)
    told = samples.each(model, whole, columns, answer, metric="call_waste")
    asked = model.ask("boundaries", scope)
    rows = [
        {"cohort": row.cohort, "boundary_id": row.boundary_id, "boundary": row.boundary}
        | told[row.cohort, row.boundary_id]
        for row in asked.itertuples()
    ]
    return pd.DataFrame(rows, columns=["cohort", "boundary_id", "boundary", *names])


def _share(calls: pd.DataFrame, column: str) -> stats.Estimate:
    return stats.proportion(calls[column], calls["unit_id"], calls["weight"])


def _told(name: str, estimate: stats.Estimate) -> dict[str, object]:
    return tails.columns(name, estimate) | {
        f"{name}_n": estimate.n,
        f"{name}_units": estimate.units,
    }


_STORMS = ["tries", "storms", *_told("storm_ratio", stats.NOTHING)]
_LEFT = [
    *("calls", "abandoned", "late"),
    *_told("abandoned_ratio", stats.NOTHING),
    *_told("abandoned_ms", stats.NOTHING),
    *_told("late_ratio", stats.NOTHING),
]
_ODDS = ["calls", "at_odds", *_told("at_odds_ratio", stats.NOTHING)]
