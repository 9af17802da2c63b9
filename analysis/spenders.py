"""Tells who spent the time of requests that broke their SLA: sums along the critical path."""

from dataclasses import replace

import numpy as np
import pandas as pd

from analysis import compliance, means, stats
from analysis.contracts import Contracts
from analysis.engine import Model
from analysis.scope import Scope
from analysis.tails import columns

# The entry's own work, outside any handoff.
OWN = ""


def of_late(model: Model, contracts: Contracts | None, scope: Scope) -> pd.DataFrame:
    """Return what late requests of the judged cohort spent where, one row a boundary, most extra.

    spent_ms is the mean over late requests of what they waited for the boundary on their critical
    path, calls at once counted once; usual_ms the same over requests on time, operation by
    operation in the proportions of the late ones; extra_ms their difference. Each column adds up
    over the rows, spent_ms to the mean duration of late requests. boundary_id is None for the
    entry's own work. The question is about whole requests: a boundary or an agent in the scope is
    ignored.
    """
    sla_ms = contracts.sla.limit_ms if contracts else None
    if sla_ms is None:
        return pd.DataFrame(columns=_COLUMNS)
    scope = replace(compliance.judged(model, contracts, scope), boundary=None, agent=None)
    names = model.ask("boundaries", scope).drop_duplicates("boundary_id")
    known = names.set_index("boundary_id")[["boundary", "kind"]].to_dict("index")
    requests = model.ask("request_latencies", scope)
    frames = []
    path = model.ask("blame", scope)
    for cohort, some in requests.groupby("cohort", sort=True):
        told = split(some, path, sla_ms)
        frames.append(told.assign(cohort=cohort))
    if not frames:
        return pd.DataFrame(columns=_COLUMNS)
    frame = pd.concat(frames, ignore_index=True)
    about = [known.get(boundary, {}) for boundary in frame["boundary_id"]]
    frame["boundary"] = [each.get("boundary") for each in about]
    frame["kind"] = [each.get("kind") for each in about]
    frame["boundary_id"] = frame["boundary_id"].astype(object).replace(OWN, None)
    return frame[_COLUMNS]


def split(requests: pd.DataFrame, path: pd.DataFrame, sla_ms: float) -> pd.DataFrame:
    """Return boundary_id, late, spent_ms with its interval, usual_ms, extra_ms, share_ratio.

    Args:
        requests: request_id, unit_id, operation, duration_ms, is_failed, weight.
        path: request_id, boundary_id, self_ms; sums to the request's duration.
        sla_ms: From when a request is late, failed or not.
    """
    is_late = (requests["duration_ms"] > sla_ms).to_numpy()
    on_time = requests[~is_late & ~requests["is_failed"].astype(bool).to_numpy()]
    late = requests[is_late].assign(bucket=stats.buckets(requests.loc[is_late, "unit_id"]))
    path = path.assign(boundary_id=path["boundary_id"].astype(object).fillna(OWN))
    columns_used = ["request_id", "operation", "weight"]
    spent = path.merge(late[[*columns_used, "bucket"]], on="request_id", suffixes=("_path", ""))
    spent["mass"] = spent["self_ms"] * spent["weight"]
    usual = path.merge(on_time[columns_used], on="request_id", suffixes=("_path", ""))
    usual["mass"] = usual["self_ms"] * usual["weight"]
    each_usual = usual.groupby(["operation", "boundary_id"])["mass"].sum().reset_index()
    mass_on_time = on_time.groupby("operation")["weight"].sum()
    mass_late = late.groupby("operation")["weight"].sum()
    total = float(late["weight"].sum())
    factor = (mass_late / total).reindex(mass_on_time.index).fillna(0.0) / mass_on_time
    each_usual["usual_ms"] = each_usual["mass"] * each_usual["operation"].map(factor)
    expected = each_usual[each_usual["usual_ms"] > 0].groupby("boundary_id")["usual_ms"].sum()
    whole = stats.bucket_sums(late["weight"], late["bucket"].to_numpy(np.intp))
    rows = []
    for boundary in sorted({*spent["boundary_id"], *expected.index}):
        mine = spent[spent["boundary_id"] == boundary]
        part = stats.bucket_sums(mine["mass"], mine["bucket"].to_numpy(np.intp))
        waited = means.mean(part, whole, len(late), late["unit_id"].nunique())
        usual_ms = float(expected.get(boundary, 0.0))
        rows.append(
            {
                "boundary_id": boundary,
                "late": len(late),
                **columns("spent_ms", waited),
                "usual_ms": usual_ms,
                "extra_ms": waited.value - usual_ms,
            }
        )
    frame = pd.DataFrame(rows, columns=[name for name in _COLUMNS if name in _SPLIT])
    frame["share_ratio"] = frame["spent_ms"] / frame["spent_ms"].sum()
    return frame.sort_values(
        ["extra_ms", "boundary_id"], ascending=[False, True], ignore_index=True
    )


_SPLIT = (
    *("boundary_id", "late", *columns("spent_ms", stats.NOTHING)),
    *("usual_ms", "extra_ms", "share_ratio"),
)
_COLUMNS = ["cohort", "boundary", "kind", *_SPLIT]
