"""Tails of boundaries by hour, day, version, variant, agent; the three numbers of jitter."""

from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pandas as pd
from scipy.stats import theilslopes

from analysis import stats, tails
from analysis.engine import Model
from analysis.scope import Scope

QUANTILES = MappingProxyType({"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99, "p99_9_ms": 0.999})
# What a tail can be asked by; the value of each call.
KEYS = ("hour", "weekday", "day", "version", "variant", "agent", "callee")
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
    calls = model.ask("latencies", scope)
    column = MEASURES[measure]
    calls = calls[calls[column].notna()]
    grain = ["cohort", "boundary_id"]
    if key is not None:
        calls = calls.assign(**{key: _values(calls, key)})
        grain.append(key)
    rows = [
        dict(zip(grain, values, strict=True)) | _figures(some, column)
        for values, some in calls.groupby(grain, sort=True, observed=True)
    ]
    figures = [name for quantile in QUANTILES for name in tails.columns(quantile, stats.NOTHING)]
    return pd.DataFrame(rows, columns=[*grain, "calls", "units", *figures])


def jitter(model: Model, scope: Scope) -> pd.DataFrame:
    """Return how uneven each boundary is, in three numbers that are never made one.

    dispersion_ratio is p95 over p50; serial_ratio the median difference of consecutive calls over
    the median, serial_ms that difference; handoff p50 and p95 are of the way alone. drift_ratio is
    what p50 is multiplied by from one day to the next (Theil and Sen), from seven days on.
    """
    calls = model.ask("latencies", scope).sort_values(["started_at", "call_id"])
    rows = []
    for (cohort, boundary), some in calls.groupby(["cohort", "boundary_id"], sort=True):
        median, high = (_percentile(some, "client_ms", p) for p in (0.5, 0.95))
        steps = some.assign(step_ms=some["client_ms"].diff().abs()).iloc[1:]
        # A median of few differences lies between two of them.
        serial = replace(_percentile(steps, "step_ms", 0.5), value=float(steps["step_ms"].median()))
        rows.append(
            {
                "cohort": cohort,
                "boundary_id": boundary,
                "calls": len(some),
                **tails.columns("p50_ms", median),
                **_ratio("dispersion_ratio", median, high),
                "dispersion_ms": high.value - median.value,
                **tails.columns("serial_ms", serial),
                **_ratio("serial_ratio", median, serial),
                **tails.columns("handoff_p50_ms", _percentile(some, "handoff_ms", 0.5)),
                **tails.columns("handoff_p95_ms", _percentile(some, "handoff_ms", 0.95)),
                **_drift(some),
            }
        )
    return pd.DataFrame(rows)


def _values(calls: pd.DataFrame, key: str) -> pd.Series:
    column = {"version": "service_version", "variant": "pilot_variant", "agent": "owner_agent"}
    values: pd.Series
    if key == "hour":
        values = calls["started_at"].dt.hour
    elif key == "weekday":
        values = calls["started_at"].dt.day_name()
    else:
        told = calls[column.get(key, key)]
        # Who does not say is a value of its own.
        values = told.astype(object).where(told.notna(), "?")
    return values


def _figures(some: pd.DataFrame, column: str) -> dict[str, object]:
    figures: dict[str, object] = {"calls": len(some), "units": some["unit_id"].nunique()}
    for name, p in QUANTILES.items():
        figures |= tails.columns(name, _percentile(some, column, p))
    return figures


def _percentile(some: pd.DataFrame, column: str, p: float) -> stats.Estimate:
    values = stats.sample(
        some[column].to_numpy(np.float64),
        some["unit_id"].to_numpy(),
        some["weight"].to_numpy(np.float64),
    )
    return stats.percentile(values, p)


def _ratio(name: str, below: stats.Estimate, above: stats.Estimate) -> dict[str, object]:
    value, lower, upper = stats.ratio(below, above)
    return {
        name: value,
        f"{name}_lower": lower,
        f"{name}_upper": upper,
        f"{name}_grade": str(stats.worse(below.grade, above.grade)),
    }


def _drift(some: pd.DataFrame) -> dict[str, object]:
    daily = some.groupby("day")["client_ms"].median()
    daily = daily[daily > 0]
    slope = lower = upper = np.nan
    if len(daily) >= MIN_DRIFT_DAYS:
        at = pd.to_datetime(pd.Series(daily.index)).to_numpy().astype("datetime64[D]")
        told = theilslopes(np.log(daily.to_numpy()), at.astype(np.int64), alpha=stats.LEVEL)
        slope, lower, upper = (float(np.exp(told[place])) for place in (0, 2, 3))
    return {
        "drift_ratio": slope,
        "drift_ratio_lower": lower,
        "drift_ratio_upper": upper,
        "drift_ratio_grade": str(stats.grade_days(len(daily))),
        "days": len(daily),
    }
