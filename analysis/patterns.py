"""Ways of calling that cost time on the critical path, ranked by what they cost a request."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from analysis import stats, tails
from analysis.engine import Model
from analysis.means import mean
from analysis.scope import Scope

_KEY = ["cohort", "pattern", "boundary_id", "other_boundary_id"]


def ranked(model: Model, scope: Scope) -> pd.DataFrame:
    """Return one row a cohort, pattern and place in the tree, dearest first.

    cost_ms is ms of critical path a request of the cohort, requests without the pattern included,
    with its bootstrap interval; `found` is how often it was seen, `most` its greatest size.
    Patterns overlap: their costs are not to be added.
    """
    scope = replace(scope, boundary=None, agent=None)
    asked = model.ask("request_counts", scope)
    facts = model.ask("boundary_names", scope).drop_duplicates("boundary_id")
    names = facts.set_index("boundary_id")["boundary"]
    frame = pd.DataFrame(_costs(model.ask("pattern_costs", scope), asked), columns=_COLUMNS)
    frame["boundary"] = frame["boundary_id"].map(names)
    frame["other_boundary"] = frame["other_boundary_id"].map(names)
    order = ["cohort", "cost_ms", "pattern", "boundary_id", "other_boundary_id"]
    return frame.sort_values(order, ascending=[True, False, True, True, True], ignore_index=True)


def kinds(model: Model, scope: Scope) -> pd.DataFrame:
    """Return the share of critical time by cohort and kind of handoff; shares add up to one.

    The rows `models` and `not models` say the same of two sides. The unit is the conversation.
    """
    scope = replace(scope, boundary=None, agent=None)
    told = model.ask("path_kinds", scope)
    asked = model.ask("request_counts", scope)
    sides = told.assign(kind=np.where(told["is_model"], "models", "not models"))
    rows = []
    for cohort, of_cohort in told.groupby("cohort"):
        size = asked[asked["cohort"] == cohort]
        whole = _buckets(of_cohort, "self_ms")
        for frame in (of_cohort, sides[sides["cohort"] == cohort]):
            for kind, some in frame.groupby("kind"):
                part = _buckets(some, "self_ms")
                share = mean(part, whole, int(size["requests"].sum()), int(size["units"].sum()))
                rows.append(
                    {"cohort": cohort, "kind": kind, "self_ms": part.sum(), "n": share.n}
                    | {"units": share.units}
                    | tails.columns("share_ratio", share)
                )
    columns = ["cohort", "kind", "self_ms", "n", "units", *tails.columns("share_ratio", _NONE)]
    return pd.DataFrame(rows, columns=columns)


_NONE = stats.NOTHING
_COLUMNS = [
    *_KEY,
    "found",
    "requests",
    "calls",
    "most",
    "example_trace_id",
    "n",
    "units",
    *tails.columns("cost_ms", _NONE),
]


def _costs(told: pd.DataFrame, asked: pd.DataFrame) -> list[dict[str, object]]:
    sizes = {
        cohort: (_buckets(some, "weighed"), int(some["requests"].sum()), int(some["units"].sum()))
        for cohort, some in asked.groupby("cohort")
    }
    keys = told[_KEY].astype(object).where(told[_KEY].notna(), "")
    figures = {name: told[name].to_numpy() for name in ("found", "requests", "calls", "most")}
    cost_ms, bucket = told["cost_ms"].to_numpy(np.float64), told["bucket"].to_numpy(np.intp)
    examples = told["example_trace_id"].to_numpy(dtype=object)
    rows = []
    indices: Any = keys.groupby(_KEY).indices
    for key, at in indices.items():
        weighed, requests, units = sizes[key[0]]
        cost = mean(stats.bucket_sums(cost_ms[at], bucket[at]), weighed, requests, units)
        rows.append(
            dict(zip(_KEY, (part or None for part in key), strict=True))
            | {name: int(figures[name][at].sum()) for name in ("found", "requests", "calls")}
            | {"most": int(figures["most"][at].max()), "n": cost.n, "units": cost.units}
            | {"example_trace_id": examples[at[0]]}
            | tails.columns("cost_ms", cost)
        )
    return rows


def _buckets(frame: pd.DataFrame, column: str) -> stats.Floats:
    return stats.bucket_sums(frame[column], frame["bucket"].to_numpy(np.intp))
