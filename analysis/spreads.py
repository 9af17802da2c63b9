"""Tails of boundaries by hour, version, agent, tenant and more; the three numbers of jitter."""

from dataclasses import replace
from itertools import pairwise
from types import MappingProxyType

import numpy as np
import pandas as pd
import scipy  # scipy.stats loads at its first use: it takes longer than most questions

from analysis import samples, stats, tails
from analysis.engine import Model
from analysis.scope import Scope

QUANTILES = MappingProxyType({"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99, "p99_9_ms": 0.999})
# What a tail can be asked by, and how it is told of a call; who does not say is a value of its own.
KEYS = MappingProxyType(
    {
        "hour": "hour(started_at)",
        "weekday": "dayname(started_at)",
        "day": "day",
        "version": "coalesce(service_version, '?')",
        "variant": "coalesce(pilot_variant, '?')",
        "agent": "coalesce(owner_agent, '?')",
        "tenant": "coalesce(tenant, '?')",
        "environment": "coalesce(environment, '?')",
        "callee": "callee",
    }
)
# What is measured of a call, and the column of `latencies`.
MEASURES = MappingProxyType(
    {
        "call": "client_ms",
        "handoff": "handoff_ms",
        "queue": "queue_ms",
        "first chunk": "first_chunk_ms",
    }
)
MIN_DRIFT_DAYS = 7
_DAY_NS = 86_400 * 10**9


def by_key(
    model: Model, scope: Scope, key: str | None = None, *, measure: str = "call"
) -> pd.DataFrame:
    """Return p50 to p99.9 in ms with intervals, one row a cohort, boundary and value of a key.

    Args:
        model: The lake.
        scope: What is asked of it.
        key: One of `KEYS`; hour and weekday are UTC. None asks of boundaries as a whole.
        measure: One of `MEASURES`: what the caller waited, the way alone (calls of which both
            sides are seen), the wait in a queue, or the wait until a stream began.

    Raises:
        ValueError: No such key or measure.
    """
    if key is not None and key not in KEYS:
        raise ValueError(f"No tail is told by {key!r}. There are: {', '.join(KEYS)}.")
    if measure not in MEASURES:
        raise ValueError(f"No {measure!r} is measured. There are: {', '.join(MEASURES)}.")
    column = MEASURES[measure]
    by = {**samples.BOUNDARY, **({} if key is None else {key: KEYS[key]})}
    told = samples.each(
        model,
        scope,
        [column],
        lambda _, calls: _figures(calls, column),
        by=by,
        where=f"{column} IS NOT NULL",
    )
    rows = [dict(zip(by, values, strict=True)) | figures for values, figures in told.items()]
    names = [name for quantile in QUANTILES for name in tails.columns(quantile, stats.NOTHING)]
    return pd.DataFrame(rows, columns=[*by, "calls", "units", *names])


def jitter(model: Model, scope: Scope) -> pd.DataFrame:
    """Return how uneven each boundary is, in three numbers that are never made one.

    dispersion_ratio is p95 over p50; serial_ratio the median difference of consecutive calls over
    the median, serial_ms that difference; handoff p50 and p95 are of the way alone. drift_ratio is
    what p50 is multiplied by from one day to the next (Theil and Sen), from seven days on.
    """
    told = samples.each(
        model,
        scope,
        ["start_ns", "client_ms", "handoff_ms"],
        lambda _, calls: _unevenness(calls),
    )
    return pd.DataFrame(
        [dict(zip(samples.BOUNDARY, key, strict=True)) | figures for key, figures in told.items()]
    )


def _unevenness(calls: pd.DataFrame) -> dict[str, object]:
    calls = calls.assign(unit_id=stats.codes(calls["unit_id"]))
    values, handoffs = (_sample(calls, column) for column in ("client_ms", "handoff_ms"))
    (median, high), ways = (stats.percentiles(each, [0.5, 0.95]) for each in (values, handoffs))
    count, calls = len(calls), calls.drop(columns="handoff_ms")
    start_ns = calls["start_ns"].to_numpy()
    if (start_ns[1:] < start_ns[:-1]).any():
        # Calls lie in few runs, each in order: to merge these is quicker than to sort.
        calls = calls.take(np.argsort(start_ns, kind="stable"))
    is_told = calls["client_ms"].notna()
    steps = _sample(_steps(calls if is_told.all() else calls[is_told]), "step_ms")
    # A median of few differences lies between two of them.
    serial = replace(
        stats.percentile(steps, 0.5), value=float(np.median(steps.values)) if steps.n else np.nan
    )
    return {
        "calls": count,
        **tails.columns("p50_ms", median),
        **_ratio("dispersion_ratio", median, high),
        "dispersion_ms": high.value - median.value,
        **tails.columns("serial_ms", serial),
        **_ratio("serial_ratio", median, serial),
        **tails.columns("handoff_p50_ms", ways[0]),
        **tails.columns("handoff_p95_ms", ways[1]),
        **_drift(calls),
    }


def _steps(calls: pd.DataFrame) -> pd.DataFrame:
    """Return how far each call is from the one that began before it, and whose call it is.

    Calls are in the order they began; of those that began in one nanosecond the quickest counts.
    """
    start_ns, client_ms = (calls[name].to_numpy() for name in ("start_ns", "client_ms"))
    is_next = start_ns[1:] != start_ns[:-1]
    if not is_next.all():
        order = np.arange(len(calls))
        tied = np.flatnonzero(np.r_[False, ~is_next] | np.r_[~is_next, False])
        keys = (calls[name].to_numpy()[tied] for name in ("unit_id", "client_ms", "start_ns"))
        order[tied] = tied[np.lexsort([*keys])]
        calls = calls.take(order[np.r_[True, is_next]])
        client_ms = calls["client_ms"].to_numpy()
    told = calls[["unit_id", "bucket", "weight"]].iloc[1:]
    return told.assign(step_ms=np.abs(np.diff(client_ms)))


def _figures(calls: pd.DataFrame, column: str) -> dict[str, object]:
    values = _sample(calls, column)
    figures: dict[str, object] = {"calls": values.n, "units": values.unit_count}
    for name, found in zip(
        QUANTILES, stats.percentiles(values, [*QUANTILES.values()]), strict=True
    ):
        figures |= tails.columns(name, found)
    return figures


def _sample(calls: pd.DataFrame, column: str) -> stats.Sample:
    return stats.sample(
        calls[column].to_numpy(np.float64),
        calls["unit_id"].to_numpy(),
        calls["weight"].to_numpy(np.float64),
        bucket=calls["bucket"].to_numpy(),
    )


def _ratio(name: str, below: stats.Estimate, above: stats.Estimate) -> dict[str, object]:
    value, lower, upper = stats.ratio(below, above)
    return {
        name: value,
        f"{name}_lower": lower,
        f"{name}_upper": upper,
        f"{name}_grade": str(stats.worse(below.grade, above.grade)),
    }


def _drift(calls: pd.DataFrame) -> dict[str, object]:
    day = calls["start_ns"].to_numpy() // _DAY_NS  # in order
    edges = [0, *(np.flatnonzero(np.diff(day)) + 1).tolist(), len(day)]
    client_ms = calls["client_ms"].to_numpy(np.float64)
    daily = pd.Series(
        [np.nanmedian(client_ms[begin:end]) for begin, end in pairwise(edges)],
        index=day[edges[:-1]],
    )
    daily = daily[daily > 0]
    slope = lower = upper = np.nan
    if len(daily) >= MIN_DRIFT_DAYS:
        told = scipy.stats.theilslopes(
            np.log(daily.to_numpy()), daily.index.to_numpy(), alpha=stats.LEVEL
        )
        slope, lower, upper = (float(np.exp(told[place])) for place in (0, 2, 3))
    return {
        "drift_ratio": slope,
        "drift_ratio_lower": lower,
        "drift_ratio_upper": upper,
        "drift_ratio_grade": str(stats.grade_days(len(daily))),
        "days": len(daily),
    }
