"""Tails of boundaries by hour, version, agent, tenant and more; jitter and drift."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from types import MappingProxyType

import numpy as np
import pandas as pd
import scipy  # scipy.stats loads at its first use: it takes longer than most questions
from numpy.typing import NDArray

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
# From so many on, the two in the middle are one.
FEW_STEPS = 1_000
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


def handoffs(model: Model, scope: Scope) -> pd.DataFrame:
    """Return p50 to p99.9 of the way alone, calls of which both sides are seen (`by_key`)."""
    return by_key(model, scope, measure="handoff")


def dispersion(model: Model, scope: Scope) -> pd.DataFrame:
    """Return how far the slow calls of each boundary are from its usual ones: p95 over p50."""

    def told(_: samples.Key, calls: pd.DataFrame) -> dict[str, object]:
        median, high = stats.percentiles(_sample(calls, "client_ms"), [0.5, 0.95])
        return {
            "calls": len(calls),
            **tails.columns("p50_ms", median),
            **_ratio("dispersion_ratio", median, high),
            "dispersion_ms": high.value - median.value,
        }

    return _by_boundary(model, scope, ["client_ms"], told)


def serial_jitter(model: Model, scope: Scope) -> pd.DataFrame:
    """Return how uneven each boundary is from one call to the next.

    serial_ms is the median difference between a call and the one begun before it, serial_ratio
    that over the median call. Of calls that began in one nanosecond the quickest counts.
    """

    def told(_: samples.Key, calls: pd.DataFrame) -> dict[str, object]:
        units = stats.apart(calls["unit_id"])
        median = stats.percentile(_sample(calls, "client_ms", units), 0.5)
        steps = _steps(calls, units)
        serial = stats.percentile(steps, 0.5)
        if 0 < steps.n < FEW_STEPS:
            # A median of few differences lies between two of them.
            serial = replace(serial, value=float(np.median(steps.values)))
        return {
            "calls": len(calls),
            **tails.columns("p50_ms", median),
            **tails.columns("serial_ms", serial),
            **_ratio("serial_ratio", median, serial),
        }

    return _by_boundary(model, scope, ["start_ns", "client_ms"], told)


def drift(model: Model, scope: Scope) -> pd.DataFrame:
    """Return how each boundary's p50 moves from day to day (UTC).

    drift_ratio is what p50 is multiplied by from one day to the next (Theil and Sen), told from
    seven days on.
    """

    def told(_: samples.Key, calls: pd.DataFrame) -> dict[str, object]:
        return {"calls": len(calls), **_drift(_daily(calls))}

    return _by_boundary(model, scope, ["start_ns", "client_ms"], told)


def _by_boundary(
    model: Model,
    scope: Scope,
    columns: Sequence[str],
    told: Callable[[samples.Key, pd.DataFrame], dict[str, object]],
) -> pd.DataFrame:
    answers = samples.each(model, scope, columns, told)
    return pd.DataFrame(
        [dict(zip(samples.BOUNDARY, key, strict=True)) | row for key, row in answers.items()]
    )


def _order(start_ns: NDArray[np.integer], client_ms: stats.Floats) -> NDArray[np.intp] | slice:
    """Return the places of the calls that took a time, in the order they began."""
    is_told = ~np.isnan(client_ms)
    if is_told.all() and (start_ns[1:] >= start_ns[:-1]).all():
        return slice(None)
    # Calls lie in few runs, each in order: to merge these is quicker than to sort.
    order = np.argsort(start_ns, kind="stable")
    return order if is_told.all() else order[is_told[order]]


def _steps(calls: pd.DataFrame, units: stats.Apart) -> stats.Sample:
    """Return how far each call is from the one begun before it, and whose call it is."""
    start_ns, client_ms, bucket, weight = (
        calls[name].to_numpy() for name in ("start_ns", "client_ms", "bucket", "weight")
    )
    order = _order(start_ns, client_ms)
    begun_ns = start_ns[order]
    is_next = begun_ns[1:] != begun_ns[:-1]
    if not is_next.all():
        order = np.arange(len(begun_ns)) if isinstance(order, slice) else order
        tied = np.flatnonzero(np.r_[False, ~is_next] | np.r_[~is_next, False])
        places = order[tied]
        order[tied] = places[np.lexsort((units.code[places], client_ms[places], begun_ns[tied]))]
        order = order[np.r_[True, is_next]]
    steps_ms = np.abs(np.diff(client_ms[order]))
    later = slice(1, None) if isinstance(order, slice) else order[1:]
    # Weights that are all alike need no order.
    is_even = not len(weight) or weight.min() == weight.max()
    weight = weight[: len(steps_ms)] if is_even else weight[later]
    return stats.sample(steps_ms, units.code[later], weight, bucket=bucket[later])


def _daily(calls: pd.DataFrame) -> pd.Series:
    """Return p50 by day, NaN for days without a call."""
    start_ns, client_ms = calls["start_ns"].to_numpy(), calls["client_ms"].to_numpy(np.float64)
    order = _order(start_ns, client_ms)
    start_ns, client_ms = start_ns[order], client_ms[order]
    if not len(start_ns):
        return pd.Series(dtype=np.float64)
    days = np.arange(start_ns[0] // _DAY_NS, start_ns[-1] // _DAY_NS + 1)
    edges = [*np.searchsorted(start_ns, days * _DAY_NS).tolist(), len(start_ns)]
    middles = [(end - begin - 1) // 2 for begin, end in pairwise(edges)]
    p50 = [
        np.partition(client_ms[begin:end], middle)[middle] if end > begin else np.nan
        for (begin, end), middle in zip(pairwise(edges), middles, strict=True)
    ]
    return pd.Series(p50, index=days)


def _figures(calls: pd.DataFrame, column: str) -> dict[str, object]:
    values = _sample(calls, column)
    figures: dict[str, object] = {"calls": values.n, "units": values.unit_count}
    for name, found in zip(
        QUANTILES, stats.percentiles(values, [*QUANTILES.values()]), strict=True
    ):
        figures |= tails.columns(name, found)
    return figures


def _sample(calls: pd.DataFrame, column: str, units: stats.Apart | None = None) -> stats.Sample:
    return stats.sample(
        calls[column].to_numpy(np.float64),
        units or calls["unit_id"].to_numpy(),
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


def _drift(daily: pd.Series) -> dict[str, object]:
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
