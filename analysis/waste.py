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

WINDOW_NS = 5 * 60 * 10**9  # of the sample `storm_blocks`


def in_storms(model: Model, scope: Scope) -> pd.DataFrame:
    """Return the share of each boundary's tries that were made in retry storms.

    Whoever is caught in a storm is caught together, so the unit is the calendar day, below two days
    of traces the block of four hours.
    """

    def answer(blocks: pd.DataFrame) -> dict[str, object]:
        windows = int(blocks["last_window_no"].max() - blocks["first_window_no"].min())
        is_long = windows * WINDOW_NS >= 2 * DAY_NS
        unit = stats.codes(blocks["block_no"] // (DAY_NS // BLOCK_NS if is_long else 1))
        count = int(blocks["tries"].sum())
        share = stats.proportion_of_counts(
            np.bincount(unit, blocks["weighed_stormy"]),
            np.bincount(unit, blocks["weighed_tries"]),
            count,
        )
        storms = int(blocks["storms"].sum())
        return {"tries": count, "storms": storms, **_told("storm_ratio", share)}

    return _by_boundary(model, scope, "storm_blocks", answer, _STORMS)


def left_behind(model: Model, scope: Scope) -> pd.DataFrame:
    """Return how often a callee worked on when its caller had gone, and what began only then.

    abandoned_ratio is the share of the calls seen by both sides, abandoned_ms the mean over these
    of what the callee worked for nobody; late_ratio is the share of all calls of the boundary that
    were made when their caller's own caller had given up. Units are taken together in a hundred
    buckets.
    """

    def answer(told: pd.DataFrame) -> dict[str, object]:
        lost = mean(
            _buckets(told, "abandoned_ms"),
            _buckets(told, "weighed_seen"),
            int(told["seen"].sum()),
            seen := int(told["seen_units"].max()),
        )
        units = int(told["units"].max())
        return {
            **{name: int(told[name].sum()) for name in ("abandoned", "late")},
            **_told("abandoned_ratio", _share(told, "abandoned", "seen", seen)),
            **_told("abandoned_ms", lost),
            **_told("late_ratio", _share(told, "late", "calls", units)),
        }

    return _by_boundary(model, scope, "left_behind", answer, _LEFT)


def at_odds(model: Model, scope: Scope) -> pd.DataFrame:
    """Return how often a boundary is allowed at least the time that its caller is allowed.

    Tries count with it. The share is of the calls of which both time-outs are told; units are taken
    together in a hundred buckets.
    """

    def answer(told: pd.DataFrame) -> dict[str, object]:
        share = _share(told, "at_odds", "calls", int(told["units"].sum()))
        return {"at_odds": int(told["at_odds"].sum()), **_told("at_odds_ratio", share)}

    return _by_boundary(model, scope, "at_odds", answer, _ODDS)


def _by_boundary(
    model: Model,
    scope: Scope,
    metric: str,
    answer: Callable[[pd.DataFrame], dict[str, object]],
    names: list[str],
) -> pd.DataFrame:
    # What a call was made in is another boundary's.
    frame = model.ask(metric, _whole(scope))
    told = dict(iter(frame.groupby(list(samples.BOUNDARY), observed=True)))
    asked = model.ask("boundaries", scope)
    rows = [
        {name: getattr(row, name) for name in _OF_ALL} | answer(told[row.cohort, row.boundary_id])
        for row in asked.itertuples()
        if (row.cohort, row.boundary_id) in told
    ]
    return pd.DataFrame(rows, columns=[*_KEY, *names])


def _whole(scope: Scope) -> Scope:
    return replace(scope, boundary=None, agent=None)


def _buckets(told: pd.DataFrame, column: str) -> stats.Floats:
    return stats.bucket_sums(told[column], told["bucket"].to_numpy(np.intp))


def _share(told: pd.DataFrame, part: str, whole: str, units: int) -> stats.Estimate:
    share = stats.proportion_of_counts(
        told[f"weighed_{part}"], told[f"weighed_{whole}"], int(told[whole].sum())
    )
    return replace(share, units=units)


def _told(name: str, estimate: stats.Estimate) -> dict[str, object]:
    return tails.columns(name, estimate) | {
        f"{name}_n": estimate.n,
        f"{name}_units": estimate.units,
    }


_KEY = ["cohort", "boundary_id", "boundary"]
_OF_ALL = [*_KEY, "calls"]
_STORMS = ["tries", "storms", *_told("storm_ratio", stats.NOTHING)]
_LEFT = [
    *("calls", "abandoned", "late"),
    *_told("abandoned_ratio", stats.NOTHING),
    *_told("abandoned_ms", stats.NOTHING),
    *_told("late_ratio", stats.NOTHING),
]
_ODDS = ["calls", "at_odds", *_told("at_odds_ratio", stats.NOTHING)]
