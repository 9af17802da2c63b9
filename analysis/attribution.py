"""Which boundary answers for every failed or late user request, adding up exactly."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from analysis import stats
from analysis.engine import Model
from analysis.scope import Scope

UNATTRIBUTED = ""
# So many requests show what is meant; the list of all is a question to the lake.
EVIDENCE = 3
_NOTHING = 1e-12


@dataclass(frozen=True)
class Attribution:
    """Bad user requests per 1,000, split over boundaries.

    `by_boundary` has one row a boundary: boundary_id, failed_per_1000, late_per_1000 and their sum
    bad_per_1000, each with its bounds; failed_with_per_1000 and late_with_per_1000, the requests it
    has any part in; request_ids, up to three of which it has most of, and the same of the failed
    and of the late ones. The sum of bad_per_1000 plus
    `unattributed_per_1000` is `total_per_1000`.
    """

    by_boundary: pd.DataFrame
    unattributed_per_1000: float
    total_per_1000: float
    requests: int
    units: int


def attribute(model: Model, scope: Scope, sla_ms: float | None) -> Attribution:
    """Return the bad requests of a scope with one cohort, by the boundary that answers for them.

    The question is about whole requests: a boundary or an agent in the scope is ignored.
    """
    scope = replace(scope, boundary=None, agent=None)
    return split(
        model.ask("request_latencies", scope),
        model.ask("failure_weights", scope),
        _NO_PATH if sla_ms is None else model.ask("blame", scope),
        sla_ms,
    )


def split(
    requests: pd.DataFrame, origins: pd.DataFrame, path: pd.DataFrame, sla_ms: float | None
) -> Attribution:
    """Return bad requests per 1,000 split over boundaries.

    A failed request is split over the origins of its failure. A late one (beyond the SLA, not
    failed) is split by how far each boundary exceeded its median on the critical path of that
    operation's on-time requests. What no boundary explains stays unattributed. Without an SLA no
    request is late.

    Args:
        requests: request_id, unit_id, bucket, operation, duration_ms, is_failed, weight.
        origins: request_id, boundary_id, failed_share; shares of a failed request sum to one.
        path: request_id, boundary_id, self_ms; sums to the request's duration.
        sla_ms: From when a request is late.
    """
    if requests.empty:
        return Attribution(pd.DataFrame(columns=_COLUMNS), np.nan, np.nan, 0, 0)
    is_failed = requests["is_failed"].astype(bool)
    failed = requests.loc[is_failed, ["request_id"]]
    origins = origins[origins["request_id"].isin(failed["request_id"])]
    parts = [_parts(failed, origins, "failed_share").assign(column=0)]
    if sla_ms is not None:
        late = requests[~is_failed & (requests["duration_ms"] > sla_ms)]
        on_time = requests[~is_failed & (requests["duration_ms"] <= sla_ms)]
        excess = _excess(requests, on_time, late, path)
        parts.append(_parts(late[["request_id"]], excess, "excess").assign(column=1))
    return _summed(requests, pd.concat(parts, ignore_index=True))


def _parts(bad: pd.DataFrame, claims: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return one request split over what claims it; what nobody claims is unattributed.

    Failure shares are kept as they are and topped up to one; excesses are scaled to one.
    """
    claims = claims.assign(boundary_id=claims["boundary_id"].fillna(UNATTRIBUTED))
    claims = claims.groupby(["request_id", "boundary_id"])[column].sum().reset_index()
    claimed = claims.groupby("request_id")[column].transform("sum")
    scale = claimed if column == "excess" else np.maximum(claimed, 1.0)
    claims = claims.assign(share=claims[column] / scale)[["request_id", "boundary_id", "share"]]
    held = bad["request_id"].map(claims.groupby("request_id")["share"].sum()).fillna(0.0)
    # What rounding leaves of a request is nobody's.
    rest = bad.assign(boundary_id=UNATTRIBUTED, share=(1 - held).where(1 - held > _NOTHING, 0.0))
    return pd.concat([claims, rest[["request_id", "boundary_id", "share"]]], ignore_index=True)


def _excess(
    requests: pd.DataFrame, on_time: pd.DataFrame, late: pd.DataFrame, path: pd.DataFrame
) -> pd.DataFrame:
    """Return how far each boundary of each late request exceeded its usual critical time."""
    path = path.assign(boundary_id=path["boundary_id"].fillna(UNATTRIBUTED))
    path = path.groupby(["request_id", "boundary_id"])["self_ms"].sum().reset_index()
    path = path.merge(requests[["request_id", "operation"]], on="request_id")
    counts = on_time["operation"].value_counts().to_dict()
    seen = path[path["request_id"].isin(on_time["request_id"])]
    usual = {
        (group["operation"].iloc[0], group["boundary_id"].iloc[0]): _median_with_zeros(
            group["self_ms"].to_numpy(np.float64), counts[group["operation"].iloc[0]]
        )
        for _, group in seen.groupby(["operation", "boundary_id"])
    }
    path = path[path["request_id"].isin(late["request_id"])]
    median = [
        usual.get(key, 0.0) for key in zip(path["operation"], path["boundary_id"], strict=True)
    ]
    path = path.assign(excess=(path["self_ms"] - np.array(median, dtype=float)).clip(lower=0))
    return path[path["excess"] > 0]


def _median_with_zeros(values: stats.Floats, size: int) -> float:
    """Return the median over requests of which those not listed spent nothing."""
    return float(np.median(np.pad(values, (max(size - len(values), 0), 0))))


def _summed(requests: pd.DataFrame, parts: pd.DataFrame) -> Attribution:
    known = requests[["request_id"]].assign(bucket=requests["bucket"], weight=requests["weight"])
    parts = parts.merge(known, on="request_id")
    parts["mass"] = parts["share"] * parts["weight"]
    names = sorted(set(parts["boundary_id"]) - {UNATTRIBUTED})
    total = float(requests["weight"].sum())
    mass = parts.groupby(["boundary_id", "column"])["mass"].sum()
    requests_sums = stats.bucket_sums(known["weight"], known["bucket"].to_numpy(np.intp))
    rows = []
    for name in names:
        mine = parts[parts["boundary_id"] == name]
        sides = [mine[mine["column"] == column] for column in (0, 1)]
        failed, late = (1000 * float(mass.get((name, column), 0.0)) / total for column in (0, 1))
        bounds = [
            bound
            for some in (mine, *sides)
            for bound in stats.bootstrap(
                per_1000,
                np.column_stack(
                    [
                        stats.bucket_sums(some["mass"], some["bucket"].to_numpy(np.intp)),
                        requests_sums,
                    ]
                ),
            )
        ]
        part = mine[mine["share"] > 0].drop_duplicates(["column", "request_id"])
        met = part.groupby("column")["weight"].sum()
        with_part = (1000 * float(met.get(column, 0.0)) / total for column in (0, 1))
        shown = (_foremost(some) for some in (mine, *sides))
        rows.append((name, failed + late, *bounds, failed, late, *with_part, *shown))
    frame = pd.DataFrame(rows, columns=_COLUMNS).sort_values(
        ["bad_per_1000", "boundary_id"], ascending=[False, True], ignore_index=True
    )
    unattributed = 1000 * float(parts.loc[parts["boundary_id"] == UNATTRIBUTED, "mass"].sum())
    return Attribution(
        frame,
        unattributed / total,
        1000 * float(parts["mass"].sum()) / total,
        len(requests),
        requests["unit_id"].nunique(),
    )


def _foremost(parts: pd.DataFrame) -> tuple[int, ...]:
    """Return the requests of which most is charged to one boundary."""
    most = parts[parts["share"] > 0].sort_values(["share", "request_id"], ascending=[False, True])
    return tuple(most["request_id"].drop_duplicates().head(EVIDENCE))


def per_1000(sums: stats.Floats) -> stats.Floats:
    """Return the first quantity per 1,000 of the second, for every replicate."""
    return 1000 * sums[:, 0] / sums[:, 1]


# Without an SLA nothing is late, and the path is not asked.
_NO_PATH = pd.DataFrame(columns=["request_id", "boundary_id", "self_ms"])
_COLUMNS = [
    "boundary_id",
    "bad_per_1000",
    *(f"{part}_per_1000_{end}" for part in ("bad", "failed", "late") for end in ("lower", "upper")),
    "failed_per_1000",
    "late_per_1000",
    "failed_with_per_1000",
    "late_with_per_1000",
    *("request_ids", "failed_request_ids", "late_request_ids"),
]
