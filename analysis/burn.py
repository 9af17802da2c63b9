"""Tells how fast a promise's allowance of bad events is used up, and in which hours."""

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from analysis import compliance, coverage, samples, stats
from analysis.contracts import Contracts, Rule
from analysis.engine import Model
from analysis.scope import Scope
from analysis.tails import columns

MINUTE_NS = 60 * 10**9
STEP_NS = 5 * MINUTE_NS
# Below this many bad events a window is chance: at low traffic one of them would burn a month.
LEAST_BAD = 10


@dataclass(frozen=True)
class Pair:
    """An alarm: the burn rate that a long window must reach, and a short one with it."""

    burn: float
    long_steps: int  # of five minutes
    short_steps: int
    name: str


# For an allowance of 30 days; METHODS.md, "burn".
PAIRS = (Pair(14.4, 12, 1, "1 h"), Pair(6.0, 72, 6, "6 h"), Pair(1.0, 864, 864, "3 d"))


class Label(StrEnum):
    """What may be said of a window's burn."""

    BURNING = "burning"  # at the end of the scope
    BURNED = "burned"  # at some time before
    QUIET = "quiet"
    TOO_FEW = "too few"  # events for ten bad ones in any window, even at the alarm's burn


@dataclass(frozen=True)
class Windows:
    """What one alarm says of a series of events; times are ns since 1970, 0 for none."""

    label: Label
    alarms: int
    first_ns: int
    last_ns: int
    worst_burn: float  # of windows with enough events
    worst_ns: int
    last_burn: float  # of the window that ends with the last event


def windows(
    at_ns: ArrayLike, is_bad: ArrayLike, weights: ArrayLike, *, target: float, pair: Pair
) -> Windows:
    """Return when a pair of windows burned an allowance too fast.

    Time goes in steps of five minutes since 1970; an alarm is a run of steps with events at whose
    end both windows burn at least as fast as the pair says, and the long one has ten bad events.

    Args:
        at_ns: When each event was, in any order.
        is_bad: Whether it broke the promise.
        weights: How many events each stands for; bad ones are counted without.
        target: The share that has to keep the promise, below 1.
        pair: The windows.
    """
    step = np.asarray(at_ns, dtype=np.int64) // STEP_NS
    bad = np.asarray(is_bad, dtype=np.float64)
    weight = np.asarray(weights, dtype=np.float64)
    if len(step) == 0:
        return Windows(Label.TOO_FEW, 0, 0, 0, math.nan, 0, math.nan)
    steps, place = np.unique(step, return_inverse=True)
    sums = [
        np.concatenate([[0.0], np.cumsum(np.bincount(place, weights=each))])
        for each in (bad * weight, weight, bad)
    ]
    upto = np.arange(1, len(steps) + 1)

    def within(total: stats.Floats, length: int) -> stats.Floats:
        return total[upto] - total[np.searchsorted(steps, steps - length, side="right")]

    burned = [
        within(sums[0], length) / within(sums[1], length) / (1 - target)
        for length in (pair.long_steps, pair.short_steps)
    ]
    is_enough = within(sums[2], pair.long_steps) >= LEAST_BAD
    could_tell = within(sums[1], pair.long_steps) * (1 - target) * pair.burn >= LEAST_BAD
    is_told = is_enough | could_tell
    # Float noise must not silence a window that burns exactly as fast.
    is_on = is_enough & (np.minimum(*burned) >= pair.burn * (1 - 1e-9))
    if not is_told.any():
        label = Label.TOO_FEW
    else:
        label = Label.BURNING if is_on[-1] else Label.BURNED if is_on.any() else Label.QUIET
    found = np.flatnonzero(is_on)
    known = np.where(is_told, burned[0], -math.inf)
    worst = int(known.argmax())
    return Windows(
        label,
        int((is_on & ~np.concatenate([[False], is_on[:-1]])).sum()),
        int(steps[found[0]] * STEP_NS) if len(found) else 0,
        int((steps[found[-1]] + 1) * STEP_NS) if len(found) else 0,
        float(known[worst]) if is_told.any() else math.nan,
        int((steps[worst] + 1) * STEP_NS) if is_told.any() else 0,
        float(burned[0][-1]),
    )


def rate(kept: stats.Estimate, target: float) -> tuple[float, float, float]:
    """Return burn with its bounds: the share that broke a promise over the share that may."""
    allowed = 1 - target
    return (
        (1 - kept.value) / allowed,
        (1 - kept.upper) / allowed,
        (1 - kept.lower) / allowed,
    )


def by_window(model: Model, contracts: Contracts | None, scope: Scope) -> pd.DataFrame:
    """Return burn of every promise of the judged cohort, one row a promise and window.

    Promises are the requests' SLA and success first, then every boundary's budget. The window
    "all" is the whole scope, with an interval; "1 h", "6 h" and "3 d" tell alarms: how many, the
    first and the end of the last, the worst burn. A target of all leaves nothing to burn and has no
    row.
    """
    if contracts is None:
        return pd.DataFrame(columns=_COLUMNS)
    scope = compliance.judged(model, contracts, scope)
    rows = _of_requests(model, contracts, scope)
    rules = compliance.rules_of(model, contracts, scope)
    names = model.ask("boundary_names", scope).set_index("boundary_id")["boundary"].to_dict()

    def of_boundary(key: samples.Key, calls: pd.DataFrame) -> list[dict[str, object]]:
        rule: Rule | None = rules.get(key[1])
        if rule is None or rule.budget_ms is None:
            return []
        about: dict[str, object] = {
            "cohort": key[0],
            "promise": "budget",
            "boundary_id": key[1],
            "boundary": names.get(key[1]),
        }
        return _rows(about, calls, calls["client_ms"] > rule.budget_ms, rule.quantile)

    told = samples.each(model, scope, ["client_ms", "start_ns"], of_boundary)
    order = sorted(told, key=lambda key: (str(key[0]), names.get(key[1], ""), key[1]))
    frame = pd.DataFrame(rows + [row for key in order for row in told[key]], columns=_COLUMNS)
    return coverage.lowered("burn", frame, model, scope)


def _of_requests(model: Model, contracts: Contracts, scope: Scope) -> list[dict[str, object]]:
    asked = model.ask("request_latencies", scope)
    asked = asked.assign(start_ns=asked["started_at"].astype("datetime64[ns]").astype("int64"))
    rows: list[dict[str, object]] = []
    for cohort, some in asked.groupby("cohort", sort=True):
        about: dict[str, object] = {"cohort": cohort, "boundary_id": None, "boundary": None}
        if contracts.sla.limit_ms is not None:
            late = some["duration_ms"] > contracts.sla.limit_ms
            rows += _rows(about | {"promise": "sla"}, some, late, contracts.sla.quantile)
        if contracts.sla.success_ratio is not None:
            failed = some["is_failed"].astype(bool)
            rows += _rows(about | {"promise": "success"}, some, failed, contracts.sla.success_ratio)
    return rows


def _rows(
    about: dict[str, object], events: pd.DataFrame, is_bad: pd.Series, target: float
) -> list[dict[str, object]]:
    if target >= 1:
        return []
    kept = stats.proportion(~is_bad, events["unit_id"], events["weight"])
    value, lower, upper = rate(kept, target)
    counts = {"target_ratio": target, "events": len(events), "bad": int(is_bad.sum())}
    rows: list[dict[str, object]] = [
        about
        | counts
        | {"window": "all", "burn": value, "burn_lower": lower, "burn_upper": upper}
        | {"burn_grade": str(kept.grade), "burn_n_eff": kept.n_eff}
    ]
    for pair in PAIRS:
        found = windows(events["start_ns"], is_bad, events["weight"], target=target, pair=pair)
        rows.append(
            about
            | counts
            | {
                "window": pair.name,
                "alarm_burn": pair.burn,
                "burn": found.last_burn,
                "alarms": found.alarms,
                "first_at": _time(found.first_ns),
                "last_at": _time(found.last_ns),
                "worst_burn": found.worst_burn,
                "worst_at": _time(found.worst_ns),
                "label": str(found.label),
            }
        )
    return rows


def _time(at_ns: int) -> pd.Timestamp | None:
    return pd.Timestamp(at_ns) if at_ns else None


_COLUMNS = [
    *("cohort", "promise", "boundary_id", "boundary", "target_ratio", "events", "bad", "window"),
    *columns("burn", stats.NOTHING),
    *("alarm_burn", "label", "alarms", "first_at", "last_at", "worst_burn", "worst_at"),
]
