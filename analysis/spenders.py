"""Tells who spent the time of requests that broke their SLA: sums along the critical path."""

from dataclasses import replace

import numpy as np
import pandas as pd

from analysis import compliance, coverage, means, stats
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
    names = model.ask("boundary_names", scope).drop_duplicates("boundary_id")
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
    return coverage.lowered("spenders", frame[_COLUMNS], model, scope)


def split(requests: pd.DataFrame, path: pd.DataFrame, sla_ms: float) -> pd.DataFrame:
    """Return boundary_id, late, spent_ms with its interval, usual_ms, extra_ms, share_ratio.

    Args:
        requests: request_id, unit_id, bucket, operation, duration_ms, is_failed, weight.
        path: request_id, boundary_id, self_ms; sums to the request's duration.
        sla_ms: From when a request is late, failed or not.
    """
    is_late = (requests["duration_ms"] > sla_ms).to_numpy()
    is_usual = ~is_late & ~requests["is_failed"].astype(bool).to_numpy()
    weight = requests["weight"].to_numpy(np.float64)
    operation, _ = pd.factorize(requests["operation"])
    place, names = pd.factorize(path["boundary_id"].astype(object).fillna(OWN), sort=True)
    of = pd.Index(requests["request_id"]).get_indexer(path["request_id"])
    place, of, self_ms = place[of >= 0], of[of >= 0], path["self_ms"].to_numpy(np.float64)[of >= 0]
    late = requests[is_late]
    bucket = np.zeros(len(requests), dtype=np.intp)
    bucket[is_late] = late["bucket"]
    mass = self_ms * weight[of]
    spent = _summed(place, bucket[of], np.where(is_late[of], mass, 0.0), len(names), stats.BUCKETS)
    whole = stats.bucket_sums(weight[is_late], bucket[is_late])
    # On-time requests in the proportions of the late ones, operation by operation.
    kinds = int(operation.max(initial=-1)) + 1
    on_time = np.bincount(operation, np.where(is_usual, weight, 0.0), kinds)
    lateness = np.bincount(operation, np.where(is_late, weight, 0.0), kinds) / max(
        whole.sum(), 1e-9
    )
    factor = np.divide(lateness, on_time, out=np.zeros(kinds), where=on_time > 0)
    usual = np.where(is_usual[of], mass, 0.0) * factor[operation[of]]
    usual_ms = np.bincount(place, usual, len(names))
    is_met = np.bincount(place, is_late[of], len(names)) > 0
    units = late["unit_id"].nunique()
    rows = []
    for at in np.flatnonzero(is_met | (usual_ms > 0)):
        waited = means.mean(spent[at], whole, len(late), units)
        rows.append(
            {
                "boundary_id": str(names[int(at)]),
                "late": len(late),
                **columns("spent_ms", waited),
                "usual_ms": usual_ms[at],
                "extra_ms": waited.value - usual_ms[at],
            }
        )
    frame = pd.DataFrame(rows, columns=[name for name in _COLUMNS if name in _SPLIT])
    frame["share_ratio"] = frame["spent_ms"] / frame["spent_ms"].sum()
    return frame.sort_values(
        ["extra_ms", "boundary_id"], ascending=[False, True], ignore_index=True
    )


def _summed(
    row: stats.Ints, column: stats.Ints, values: stats.Floats, rows: int, columns: int
) -> stats.Floats:
    """Return the sums of values by row and column."""
    sums = np.bincount(row * columns + column, weights=values, minlength=rows * columns)
    return sums.reshape(rows, columns).astype(np.float64)


_SPLIT = (
    *("boundary_id", "late", *columns("spent_ms", stats.NOTHING)),
    *("usual_ms", "extra_ms", "share_ratio"),
)
_COLUMNS = ["cohort", "boundary", "kind", *_SPLIT]
