"""Tells how long after a fault a boundary was as before."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis import stats

MINUTE_NS = 60 * 10**9
# Minutes in a row, of those with calls, that have to look like before.
GOOD_MINUTES = 3
# Times the usual share of calls beyond the usual p95.
SLOW_TIMES = 3.0


# Calls a minute below which single calls would decide: nothing is said of minutes.
LEAST_CALLS = 5
# How soon after the end of a fault a boundary is to be as before.
ALLOWED_MINUTES = 15.0


@dataclass(frozen=True)
class Recovery:
    """How a boundary fared after a fault; of several windows the worst.

    `by_minutes` ends at the first of three minutes with calls that look like before, NaN where
    there is none, or too little traffic. `worse_ratio` is how much more often calls failed or were
    slow than before once the allowed minutes were over, for as long as the fault had lasted: the
    larger of the lower bounds of both; NaN without a call.
    """

    by_minutes: float
    worse_ratio: float

    @property
    def is_late(self) -> bool:
        """Whether the boundary surely was not as before when it should have been."""
        return self.worse_ratio > 0


def minutes(
    calls: pd.DataFrame,
    usual: pd.DataFrame,
    windows: Iterable[tuple[int, int]],
    usual_p95_ms: float,
    *,
    level: float = stats.LEVEL,
) -> Recovery:
    """Return when a boundary's calls were as before again, minute by minute.

    A minute looks like before when its share of failed calls is at most the upper 95 % bound of
    before, and its share of calls beyond the usual p95 at most three times the usual.

    Args:
        calls: Its calls: start_ns, client_ms, is_error, unit_id, weight.
        usual: Those outside all fault tests.
        windows: When it was made to fail, ns since 1970, end excluded.
        usual_p95_ms: What 95 of 100 usual calls stay within.
        level: The confidence that `worse_ratio` is told with.
    """
    if usual.empty:
        return Recovery(math.nan, math.nan)
    failed = stats.proportion(_failed(usual), usual["unit_id"], usual["weight"])
    slow = stats.proportion(usual["client_ms"] > usual_p95_ms, usual["unit_id"], usual["weight"])
    at = calls["start_ns"].to_numpy(np.int64)
    told = []
    for start_ns, end_ns in windows:
        minute = (at - end_ns) // MINUTE_NS
        soon = (at >= end_ns) & (at < end_ns + max(end_ns - start_ns, 60 * MINUTE_NS))
        signs = pd.DataFrame({"failed": _failed(calls), "slow": calls["client_ms"] > usual_p95_ms})[
            soon
        ]
        share = signs.groupby(minute[soon]).mean()
        is_good = (share["failed"] <= failed.upper) & (share["slow"] <= SLOW_TIMES * slow.value)
        is_enough = soon.sum() >= LEAST_CALLS * max(len(share), 1)
        due_ns = end_ns + int(ALLOWED_MINUTES * MINUTE_NS)
        due = calls[(at >= due_ns) & (at < due_ns + end_ns - start_ns)]
        by = _first(share.index.to_numpy(np.int64), is_good.to_numpy()) if is_enough else math.nan
        told.append(Recovery(by, _worse(due, usual, usual_p95_ms, level)))
    late = [each.worse_ratio for each in told if not math.isnan(each.worse_ratio)]
    return Recovery(
        max((each.by_minutes for each in told), key=lambda by: (math.isnan(by), by)),
        max(late, default=math.nan),
    )


def _failed(calls: pd.DataFrame) -> pd.Series:
    return calls["is_error"].fillna(False).astype(bool)


def _worse(due: pd.DataFrame, usual: pd.DataFrame, usual_p95_ms: float, level: float) -> float:
    if due.empty:
        return math.nan

    def share(calls: pd.DataFrame, is_bad: pd.Series, confidence: float) -> stats.Estimate:
        return stats.proportion(is_bad, calls["unit_id"], calls["weight"], level=confidence)

    # Two signs share the risk.
    halved = 1 - (1 - level) / 2
    changes = (
        stats.difference(share(usual, is_bad(usual), level), share(due, is_bad(due), halved))
        for is_bad in (_failed, lambda calls: calls["client_ms"] > usual_p95_ms)
    )
    known = [lower for _, lower, _ in changes if not math.isnan(lower)]
    return max(known, default=math.nan)


def _first(minute: NDArray[np.int64], is_good: NDArray[np.bool_]) -> float:
    for place in range(len(is_good) - GOOD_MINUTES + 1):
        if is_good[place : place + GOOD_MINUTES].all():
            return float(minute[place])
    return math.nan
