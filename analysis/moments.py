"""When a boundary was slow for minutes, and when it changed for good, with few false alarms."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy  # scipy.stats loads at its first use: it takes longer than most questions
from scipy import special

from analysis import stats
from analysis.engine import Model
from analysis.scope import Scope

# A limit that rests on fewer days knows no week, and says nothing.
REFERENCE_DAYS = 7
MIN_CALLS = 5
# A burst: one bucket as rare as this, or two beside each other, and three times what is usual.
RARE = 1e-4
RARE_PAIR = 1e-2
TIMES_USUAL = 3.0
# Expected value of the 90th percentile of a squared normal deviate.
CHI_90 = 2.7055
# So many chances are worked out at a time.
MOST_COUNTS = 2_000_000
# A change: the supremum of a Brownian bridge exceeds this in one series of a hundred.
LIMIT_1_PERCENT = 1.63
MIN_SEGMENT = 24
MIN_EFFECT = 0.10
# Rounds in which places settle; two or three are usual.
REFITS = 10
# Calls an hour from which its median, or its p95, is a point of the series.
MIN_HOURLY = {"p50_ms": 5, "p95_ms": 20}


def bursts(model: Model, scope: Scope) -> pd.DataFrame:
    """Return the minutes in which a boundary was slow beyond chance, one row a burst.

    A row has began_at, ended_at, calls, over (slower than limit_ms, the p95 of the scope),
    expected, times_usual and p_value of its rarest five minutes. Boundaries with fewer than
    `REFERENCE_DAYS` days give no row.
    """
    told = model.ask("bursts", scope)
    told = told[told["days"] >= REFERENCE_DAYS]
    told = told.assign(window_at=pd.to_datetime(told["window_no"] * 300, unit="s"))
    names = model.ask("boundary_names", scope).set_index("boundary_no")
    judged = [
        some.assign(**judge(some["window_at"], some["calls"], some["over"]))
        for _, some in told.groupby("boundary_no", sort=False)
    ]
    if not judged:
        return pd.DataFrame(columns=_BURSTS)
    found = pd.concat(judged, ignore_index=True)
    found = found[found["is_burst"]].copy()
    is_next = (found["window_no"].diff() == 1) & (found["boundary_no"].diff() == 0)
    found["run"] = (~is_next).cumsum()
    frame = found.groupby("run").agg(
        boundary_no=("boundary_no", "first"),
        began_at=("window_at", "first"),
        ended_at=("window_at", "last"),
        limit_ms=("limit_ms", "first"),
        calls=("calls", "sum"),
        over=("over", "sum"),
        expected=("expected", "sum"),
    )
    rarest = found.sort_values(["p_value", "window_no"]).drop_duplicates("run").set_index("run")
    frame["p_value"], frame["worst_no"] = rarest["p_value"], rarest["window_no"]
    frame["ended_at"] += pd.Timedelta(minutes=5)
    frame["times_usual"] = frame["over"] / frame["expected"]
    frame = frame.join(names, on="boundary_no")
    frame["example_trace_id"] = _slowest(model, scope, frame["boundary_no"], frame["worst_no"])
    return frame[_BURSTS].sort_values(["cohort", "boundary_id", "began_at"], ignore_index=True)


def _slowest(
    model: Model, scope: Scope, boundary_no: pd.Series, window_no: pd.Series
) -> list[str | None]:
    """Return the trace of the slowest call in each of some windows of boundaries."""
    windows = list(zip(boundary_no.tolist(), window_no.tolist(), strict=True))
    if not windows:
        return []
    with model.relations(scope) as cursor:
        found = cursor.execute(
            """
            SELECT
                slow.boundary_no,
                slow.window_no,
                traces.trace_id
            FROM (
                SELECT
                    calls.boundary_no,
                    asked.window_no,
                    arg_max(calls.trace_no, (calls.client_ms, calls.call_id))  AS trace_no
                FROM calls
                INNER JOIN (
                    SELECT
                        unnest(?::INTEGER[])  AS boundary_no,
                        unnest(?::BIGINT[])   AS window_no
                ) AS asked
                    ON asked.boundary_no = calls.boundary_no
                    AND asked.window_no = calls.start_ns // 300000000000
                GROUP BY ALL
            ) AS slow
            INNER JOIN traces
                ON traces.trace_no = slow.trace_no
            """,
            [list(numbers) for numbers in zip(*windows, strict=True)],
        ).fetchall()
    slowest = {(boundary, window): trace for boundary, window, trace in found}
    return [slowest.get(each) for each in windows]


def judge(window_at: pd.Series, calls: pd.Series, over: pd.Series) -> pd.DataFrame:
    """Return expected, p_value and is_burst of each five minutes of one boundary, in their order.

    The usual share is that of the hour of the day; how much more than chance it varies is told by
    the data themselves, and the tail is that of a beta-binomial (METHODS.md, bursts). p_value is 1
    where a window has not three times what is usual.
    """
    n, k = calls.to_numpy(np.float64), over.to_numpy(np.float64)
    hour = window_at.dt.hour.to_numpy()
    usual = (np.bincount(hour, k, 24) + 0.5) / (np.bincount(hour, n, 24) + 10)
    share = usual[hour]
    enough = n >= MIN_CALLS
    # How likely a window is, is asked only where it could be a burst.
    is_asked = enough & (k >= MIN_CALLS) & (k >= TIMES_USUAL * n * share)
    few, usually = n[enough], share[enough]
    squared = (k[enough] - few * usually) ** 2 / (few * usually * (1 - usually))
    phi = max(1.0, float(np.quantile(squared, 0.9)) / CHI_90) if len(squared) else 1.0
    mean = float(n[enough].mean()) if enough.any() else 2.0
    p_value = np.ones(len(n))
    rho = (phi - 1) / max(mean - 1, 1.0)
    p_value[is_asked] = upper_tail(k[is_asked], n[is_asked], share[is_asked], rho)
    is_rare = is_asked & (p_value < RARE_PAIR)
    at = window_at.to_numpy().astype("datetime64[s]").astype(np.int64)
    beside = np.zeros(len(n), dtype=np.bool_)
    pair = is_rare[1:] & is_rare[:-1] & (np.diff(at) == 300)
    beside[1:] |= pair
    beside[:-1] |= pair
    return pd.DataFrame(
        {
            "expected": n * share,
            "p_value": p_value,
            "is_burst": is_rare & ((p_value < RARE) | beside),
        },
        index=calls.index,
    )


def upper_tail(k: stats.Floats, n: stats.Floats, share: stats.Floats, rho: float) -> stats.Floats:
    """Return the chance of k or more of n, where units of one bucket correlate by rho."""
    if rho <= 0:
        return np.asarray(scipy.stats.binom.sf(k - 1, n, share), dtype=np.float64)
    if not len(k):
        return np.zeros(0)
    # The beta-binomial, every count from k to n at once: SciPy's sums one tail at a time.
    size = 1 / min(rho, 0.99) - 1
    lengths = (n - k + 1).astype(np.intp)
    if lengths.sum() > MOST_COUNTS and len(k) > 1:
        half = len(k) // 2
        sides = (slice(half), slice(half, None))
        return np.concatenate([upper_tail(k[at], n[at], share[at], rho) for at in sides])
    begins = np.cumsum(lengths) - lengths
    above = np.arange(lengths.sum()) - np.repeat(begins, lengths)
    count, most, a = (np.repeat(each, lengths) for each in (k, n, share * size))
    count = count + above
    b = size - a
    log_chance = (
        special.betaln(count + a, most - count + b)
        - special.betaln(a, b)
        - special.betaln(most - count + 1, count + 1)
        - np.log(most + 1)
    )
    return np.asarray(np.minimum(np.add.reduceat(np.exp(log_chance), begins), 1.0))


def changes(model: Model, scope: Scope) -> pd.DataFrame:
    """Return the hours from which on a boundary was faster or slower, one row a change and figure.

    effect is after over before, between the neighbouring changes; its bounds and grade take the
    day as the unit, `days` are those of the shorter side. statistic is held against
    `LIMIT_1_PERCENT`. Series under two days of hours give no row.
    """
    told = model.ask("hourly", scope)
    rows = []
    for figure, least in MIN_HOURLY.items():
        usable = told[(told["calls"] >= least) & (told[figure] > 0)]
        for (cohort, boundary), some in usable.groupby(["cohort", "boundary_id"], sort=True):
            series = deseasoned(some["hour_at"], np.log(some[figure].to_numpy(np.float64)))
            day = some["hour_at"].dt.floor("D").to_numpy()
            for found in segments(series):
                lower, upper, days = by_days(series, day, found)
                rows.append(
                    {
                        "cohort": cohort,
                        "boundary_id": boundary,
                        "figure": figure,
                        "changed_at": some["hour_at"].iloc[found.at],
                        "effect": found.effect,
                        "effect_lower": lower,
                        "effect_upper": upper,
                        "statistic": found.statistic,
                        "n": found.last - found.first,
                        "days": days,
                        "grade": str(stats.grade_days(days)),
                    }
                )
    return pd.DataFrame(rows, columns=_CHANGES)


def deseasoned(hour_at: pd.Series, values: stats.Floats) -> stats.Floats:
    """Return values without what the hour of the day brings: medians of deviations within days."""
    frame = pd.DataFrame({"value": values, "at": hour_at.to_numpy()})
    within = frame["value"] - frame.groupby(frame["at"].dt.date)["value"].transform("median")
    usual = within.groupby(frame["at"].dt.hour).transform("median")
    # An hour seen on one day only would be taken for its own season.
    days = frame.groupby(frame["at"].dt.hour)["value"].transform("size")
    return np.asarray(frame["value"] - usual.where(days >= 2, 0.0), dtype=np.float64)


@dataclass(frozen=True)
class Change:
    """A split of a series of logarithms: the first place after it, and after over before."""

    at: int
    effect: float
    statistic: float
    first: int  # the places that it was judged between
    last: int


def segments(series: stats.Floats) -> list[Change]:
    """Return the changes of a series of logarithms in their order.

    Binary segmentation finds places; each is then judged again between its neighbours, for a first
    cut through several steps lies anywhere among them and says too little of each.
    """
    places, waiting = [], [(0, len(series))]
    while waiting:
        first, last = waiting.pop()
        change = split(series[first:last])
        if change is not None:
            places.append(first + change.at)
            waiting += [(first, places[-1]), (places[-1], last)]
    places.sort()
    for _ in range(REFITS):
        found = _refitted(series, places)
        if [change.at for change in found] == places:
            break
        places = [change.at for change in found]
    return found


def _refitted(series: stats.Floats, places: list[int]) -> list[Change]:
    found: list[Change] = []
    for place, last in zip(places, [*places, len(series)][1:], strict=True):
        first = found[-1].at if found else 0
        change = split(series[first:last])
        if change is not None and first < place:
            found.append(replace(change, at=first + change.at, first=first, last=last))
    return found


def split(series: stats.Floats) -> Change | None:
    """Return the one change of a series, or None where there is none beyond chance and 10 %."""
    n = len(series)
    if n < 2 * MIN_SEGMENT:
        return None
    sums = np.cumsum(series)
    bridge = np.abs(sums - np.arange(1, n + 1) / n * sums[-1])[MIN_SEGMENT - 1 : n - MIN_SEGMENT]
    at = int(np.argmax(bridge)) + MIN_SEGMENT
    moved = series[at:].mean() - series[:at].mean()
    residuals = np.concatenate([series[:at] - series[:at].mean(), series[at:] - series[at:].mean()])
    variance = long_run_variance(residuals)
    if variance <= 0:
        # Without any scatter a step is as plain as can be.
        statistic = np.inf if moved != 0 else 0.0
    else:
        statistic = float(bridge.max() / np.sqrt(variance * n))
    if statistic <= LIMIT_1_PERCENT or abs(np.expm1(moved)) < MIN_EFFECT:
        return None
    return Change(at, float(np.exp(moved)), statistic, 0, n)


def by_days(
    series: stats.Floats, day: npt.NDArray[np.datetime64], change: Change
) -> tuple[float, float, int]:
    """Return the bounds of a change's effect from means of days, and the days of the shorter side.

    Hours of one day resemble each other, so days are compared, by Welch; a day that lies on
    both sides belongs to neither. Two days a side are the least.
    """
    is_shared = day[change.at] == day[change.at - 1]
    sides = []
    for first, last in ((change.first, change.at), (change.at, change.last)):
        whole = pd.Series(series[first:last]).groupby(day[first:last]).mean()
        is_whole = whole.index != day[change.at] if is_shared else np.full(len(whole), True)
        sides.append(whole[is_whole].to_numpy(np.float64))
    sizes = [len(side) for side in sides]
    if min(sizes) < 2:
        return np.nan, np.nan, min(sizes)
    told = scipy.stats.ttest_ind(sides[1], sides[0], equal_var=False)
    bounds = told.confidence_interval(stats.LEVEL)
    return float(np.exp(bounds.low)), float(np.exp(bounds.high)), min(sizes)


def long_run_variance(residuals: npt.NDArray[np.float64]) -> float:
    """Return the variance that means of a correlated series have, by Bartlett's weights."""
    n = len(residuals)
    lags = min(int(np.ceil(1.95 * n ** (1 / 3))), n - 1)
    gamma = [float(residuals[lag:] @ residuals[: n - lag]) / n for lag in range(lags + 1)]
    weighed = gamma[0] + 2 * sum((1 - lag / (lags + 1)) * gamma[lag] for lag in range(1, lags + 1))
    return max(weighed, 0.2 * gamma[0])


_BURSTS = [
    *("cohort", "boundary_id", "began_at", "ended_at", "limit_ms", "calls", "over"),
    *("expected", "times_usual", "p_value", "example_trace_id"),
]
_CHANGES = [
    *("cohort", "boundary_id", "figure", "changed_at", "effect", "effect_lower", "effect_upper"),
    *("statistic", "n", "days", "grade"),
]
