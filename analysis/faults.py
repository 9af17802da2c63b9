"""How far failures reach, what becomes of them, and what retries and hidden ones cost."""

from dataclasses import replace

import numpy as np
import pandas as pd

from analysis import stats, tails
from analysis.engine import Model
from analysis.means import mean
from analysis.scope import Scope


def reach(model: Model, scope: Scope) -> pd.DataFrame:
    """Return one row a cohort and boundary with a failure: whom it reached, and what became of it.

    reached_ratio: requests of the cohort that met one. escape_ratio: failures that began here and
    reached a user, by weight. absorbed_ratio: failing calls that their caller kept to itself.
    The unit is the conversation, else the trace. Containment is one minus escape.
    """
    whole = replace(scope, boundary=None, agent=None)
    met = model.ask("blast_radius", whole)
    sizes = {
        str(cohort): some for cohort, some in model.ask("request_sizes", whole).groupby("cohort")
    }
    names = _names(model, whole)
    met["boundary_id"] = met["boundary_id"].astype(object).where(met["boundary_id"].notna(), "")
    rows = []
    for (cohort, boundary), some in met.groupby(["cohort", "boundary_id"], sort=True):
        of_cohort = sizes[str(cohort)]
        began, failing = some["origins"] > 0, some["failing_calls"] > 0
        rows.append(
            {
                "cohort": cohort,
                "boundary_id": boundary or None,
                "boundary": names.get(str(boundary)),
                "failures": int(some["failures"].sum()),
                "requests": int(some["requests"].sum()),
                "visible_requests": int(some["visible_requests"].sum()),
                "conversations": int(some["conversation_id"].nunique()),
                "of_conversations": int(of_cohort["conversations"].sum()),
                "tenants": len(_names_in(some["tenants"])),
                "of_tenants": int(of_cohort["tenants"].max()),
                "operations": sorted(_names_in(some["operations"])),
                **_told("reached_ratio", _reached(some, of_cohort)),
                **_told(
                    "escape_ratio",
                    stats.proportion_of_counts(
                        some.loc[began, "visible_weight"], some.loc[began, "origins"]
                    ),
                ),
                **_told(
                    "absorbed_ratio",
                    stats.proportion_of_counts(
                        some.loc[failing, "absorbed"], some.loc[failing, "failing_calls"]
                    ),
                ),
            }
        )
    frame = pd.DataFrame(rows, columns=_REACH)
    return frame.sort_values(
        ["cohort", "visible_requests", "requests", "boundary_id"],
        ascending=[True, False, False, True],
        ignore_index=True,
    )


def retries(model: Model, scope: Scope) -> pd.DataFrame:
    """Return tries a logical call, one row a cohort and boundary, the most wasteful first.

    tries_ratio is 1 where nothing is tried again; retry_ms and retry_cost_usd are sums.
    """
    told = model.ask("retries", scope)
    names = _names(model, scope)
    rows = []
    for (cohort, boundary), some in told.groupby(["cohort", "boundary_id"], sort=True):
        factor = mean(
            _by_bucket(some, "weighed_tries"),
            _by_bucket(some, "weighed_logical"),
            int(some["logical"].sum()),
            int(some["units"].max()),
        )
        sums = {name: int(some[name].sum()) for name in ("calls", "logical", "tries", "retried")}
        rows.append(
            {"cohort": cohort, "boundary_id": boundary, "boundary": names.get(str(boundary))}
            | sums
            | {name: float(some[name].sum()) for name in ("retry_ms", "retry_cost_usd")}
            | _told("tries_ratio", factor)
        )
    frame = pd.DataFrame(rows, columns=_RETRIES)
    order = ["cohort", "retry_ms", "boundary_id"]
    return frame.sort_values(order, ascending=[True, False, True], ignore_index=True)


def hidden(model: Model, scope: Scope) -> pd.DataFrame:
    """Return failures in requests that went well, by cohort, boundary, class and outcome.

    path_ms is what they made a request of the cohort wait, on the critical path, with its interval;
    client_ms and cost_usd are sums over what failed.
    """
    whole = replace(scope, boundary=None, agent=None)
    told = model.ask("hidden_errors", whole)
    asked = model.ask("request_counts", whole)
    names = _names(model, whole)
    key = ["cohort", "boundary_id", "error_class", "outcome"]
    told[key] = told[key].astype(object).where(told[key].notna(), "")
    rows = []
    for values, some in told.groupby(key, sort=True):
        size = asked[asked["cohort"] == values[0]]
        waited = mean(
            _by_bucket(some, "path_ms"),
            _by_bucket(size, "weighed"),
            int(size["requests"].sum()),
            int(size["units"].sum()),
        )
        rows.append(
            dict(zip(key, (value or None for value in values), strict=True))
            | {"boundary": names.get(str(values[1]))}
            | {name: int(some[name].sum()) for name in ("failures", "requests")}
            | {name: float(some[name].sum()) for name in ("client_ms", "cost_usd")}
            | {"example_trace_id": some["example_trace_id"].min()}
            | _told("path_ms", waited)
        )
    frame = pd.DataFrame(rows, columns=[*key, *_HIDDEN])
    order = ["cohort", "path_ms", "failures", *key[1:]]
    return frame.sort_values(order, ascending=[True, False, False, *[True] * 3], ignore_index=True)


def _reached(met: pd.DataFrame, of_cohort: pd.DataFrame) -> stats.Estimate:
    """Return the share of requests that met a failure; units that met none count by their size."""
    hit = met["of_requests"].value_counts()
    sizes = of_cohort.set_index("requests")["units"]
    return stats.proportion_of_counts(
        [*met["requests"], *([0] * len(sizes))],
        [*met["of_requests"], *sizes.index],
        units=[*([1] * len(met)), *(sizes - hit.reindex(sizes.index, fill_value=0))],
    )


def _names_in(lists: pd.Series) -> set[str]:
    # Few lists differ, however many rows have them.
    return {name for some in {tuple(each) for each in lists} for name in some}


def _told(name: str, estimate: stats.Estimate) -> dict[str, object]:
    return tails.columns(name, estimate) | {
        f"{name}_n": estimate.n,
        f"{name}_units": estimate.units,
    }


def _names(model: Model, scope: Scope) -> dict[str, str]:
    facts = model.ask("boundary_names", scope).drop_duplicates("boundary_id")
    return dict(zip(facts["boundary_id"], facts["boundary"], strict=True))


def _by_bucket(frame: pd.DataFrame, column: str) -> stats.Floats:
    filled = frame[column].fillna(0.0)
    return stats.bucket_sums(filled, frame["bucket"].to_numpy(np.intp))


_REACH = [
    "cohort",
    "boundary_id",
    "boundary",
    "failures",
    "requests",
    "visible_requests",
    "conversations",
    "of_conversations",
    "tenants",
    "of_tenants",
    "operations",
    *_told("reached_ratio", stats.NOTHING),
    *_told("escape_ratio", stats.NOTHING),
    *_told("absorbed_ratio", stats.NOTHING),
]
_RETRIES = [
    *("cohort", "boundary_id", "boundary", "calls", "logical", "tries", "retried"),
    *("retry_ms", "retry_cost_usd"),
    *_told("tries_ratio", stats.NOTHING),
]
_HIDDEN = [
    *("boundary", "failures", "requests", "client_ms", "cost_usd", "example_trace_id"),
    *_told("path_ms", stats.NOTHING),
]
