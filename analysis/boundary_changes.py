"""Which boundaries changed between two sides, corrected for how many there are."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis import changes, samples, stats
from analysis.changes import Side
from analysis.comparability import Unit, Windows
from analysis.engine import Model
from analysis.scope import Scope
from analysis.stats import Verdict
from analysis.tails import columns

# Share of false discoveries allowed among the boundaries said to have changed.
FALSE_DISCOVERY = 0.10
# Failing units, both sides together, below which a change of the failure rate is not judged.
LEAST_FAILING_UNITS = 10

_NS = {Unit.DAY: 86_400 * 10**9, Unit.BLOCK: 4 * 3_600 * 10**9}


@dataclass(frozen=True)
class Failing:
    """Failed weight and weight of units that are alike in both, how many, and the calls in all."""

    failed: stats.Floats
    sizes: stats.Floats
    units: stats.Floats
    calls: int

    @property
    def failing_units(self) -> int:
        """How many units hold a failure."""
        return int(self.units[self.failed > 0].sum())

    def rate(self, *, level: float = stats.LEVEL) -> stats.Estimate:
        """Return the failure rate."""
        return stats.proportion_of_counts(
            self.failed, self.sizes, self.calls, units=self.units, level=level
        )


@dataclass(frozen=True)
class Calls:
    """What a verdict needs of a boundary's calls on one side."""

    tail: Side
    failing: Failing


def changed(
    model: Model,
    scope: Scope,
    facts: pd.DataFrame,
    sides: tuple[str, str],
    window: Windows,
    p: float,
    margin: float,
) -> pd.DataFrame:
    """Return every boundary's change between two cohorts, corrected for how many there are.

    Args:
        model: The lake's model.
        scope: Narrows both sides alike.
        facts: Boundaries and their names, as the metric `boundaries` tells them.
        sides: The cohorts before and after.
        window: How the two sides lie in time.
        p: The quantile that is compared.
        margin: The ratio up to which a boundary is no worse.
    """
    wanted = ["client_ms", "is_error", *(["start_ns"] if window.unit in _NS else [])]
    found = [
        samples.each(
            model,
            replace(scope, cohort=cohort),
            wanted,
            lambda _, calls: told(calls, window, p),
            by={"boundary_id": "boundary_id"},
        )
        for cohort in sides
    ]
    before, after = ({key[0]: calls for key, calls in side.items()} for side in found)
    return compared(facts, before, after, window, p, margin)


def told(calls: pd.DataFrame, window: Windows, p: float) -> Calls:
    """Return what calls of one boundary on one side say, as `latencies` tells them by number."""
    if calls.empty:
        return NONE
    return _calls(calls, _units(calls, window), p, window)


def _units(calls: pd.DataFrame, window: Windows) -> stats.Ints:
    if window.unit not in _NS:
        return stats.codes(calls["unit_id"].to_numpy())
    blocks = calls["start_ns"].to_numpy() // _NS[window.unit]
    return stats.codes((blocks - blocks.min()).astype(np.intp))


def _calls(calls: pd.DataFrame, units: stats.Ints, p: float, window: Windows) -> Calls:
    weight = calls["weight"].to_numpy(np.float64)
    values = calls["client_ms"].to_numpy(np.float64)
    # Blocks of time are few: all of them tell how far calls of one resemble each other.
    bucket = calls["bucket"].to_numpy() if "bucket" in calls and window.unit not in _NS else None
    tail = changes.side(stats.sample(values, units, weight, bucket=bucket), p, window)
    return Calls(tail, failing(calls["is_error"].to_numpy(np.bool_), units, weight))


def failing(failed: NDArray[np.bool_], units: stats.Ints, weight: stats.Floats) -> Failing:
    """Return failures by unit, units that are alike told once."""
    if len(failed) and weight.min() == weight.max():
        told = stats.alike_units(failed, units)
        return Failing(told[0] * weight[0], told[1] * weight[0], told[2], len(failed))
    hits = np.bincount(units, weights=failed * weight)
    sizes = np.bincount(units, weights=weight)
    # Pairs of numbers as one: numpy sorts rows of two ten times as slowly.
    pairs = np.unique(hits + 1j * sizes, return_counts=True)
    return Failing(
        pairs[0].real.copy(), pairs[0].imag.copy(), pairs[1].astype(np.float64), len(failed)
    )


def compared(
    facts: pd.DataFrame,
    before: Mapping[str, Calls],
    after: Mapping[str, Calls],
    window: Windows,
    p: float,
    margin: float,
) -> pd.DataFrame:
    """Return every boundary's change between what its calls say on two sides (`changed`)."""
    rows = []
    for name in facts.drop_duplicates("boundary_id")[list(NAMES)].to_dict("records"):
        was, now = (side.get(name["boundary_id"], NONE) for side in (before, after))
        if not (was.failing.calls or now.failing.calls):
            continue
        moved = changes.between(was.tail, now.tail, p, window, margin=margin)
        reason = changes.explain(moved, window, margin)
        if not (was.failing.calls and now.failing.calls):
            only = "pilot" if not was.failing.calls else "baseline"
            reason = f"Only in the {only}: nothing to compare."
        rows.append(
            {
                **{str(column): value for column, value in name.items()},
                **changes.row(moved, moved.label, reason),
                "before_calls": was.failing.calls,
                "after_calls": now.failing.calls,
                **_errors(was.failing, now.failing),
                "q_value": stats.ratio_p_value(moved.ratio, moved.lower, moved.upper),
            }
        )
    return _corrected(pd.DataFrame(rows, columns=COLUMNS))


def _corrected(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the boundaries with q-values for their p-values, and the labels that still hold."""
    frame["q_value"] = stats.false_discovery(frame["q_value"].tolist())
    frame["error_q_value"] = stats.false_discovery(frame["error_q_value"].tolist())
    is_changed = frame["label"].isin(
        [str(v) for v in (Verdict.PROVEN, Verdict.FASTER, Verdict.SLOWER)]
    )
    lost = is_changed & ~(frame["q_value"] <= FALSE_DISCOVERY)
    frame.loc[lost, "label"] = str(Verdict.NOT_ENOUGH)
    frame.loc[lost, "reason"] += f" Among {len(frame)} boundaries this may be chance."
    errors_changed = frame["error_label"].isin(["more failures", "fewer failures"])
    frame.loc[errors_changed & ~(frame["error_q_value"] <= FALSE_DISCOVERY), "error_label"] = str(
        Verdict.NOT_ENOUGH
    )
    return frame


def _errors(was: Failing, now: Failing) -> dict[str, object]:
    """Return how the failure rate of a boundary moved."""
    before, after, label, interval = failure_change(was, now)
    moved, lower, upper = stats.difference(before, after)
    return {
        **columns("before_error_ratio", before),
        **columns("after_error_ratio", after),
        "error_change": moved,
        "error_change_lower": lower,
        "error_change_upper": upper,
        "error_label": label,
        "error_q_value": math.nan if math.isnan(moved) else stats.p_value(interval, null=0.0),
    }


def failure_change(
    was: Failing, now: Failing
) -> tuple[stats.Estimate, stats.Estimate, str, Callable[[float], tuple[float, float]]]:
    """Return both failure rates, what their change may be called, and its interval by level."""

    def interval(level: float) -> tuple[float, float]:
        return stats.difference(was.rate(level=level), now.rate(level=level))[1:]

    lower, upper = interval(stats.LEVEL)
    label = str(Verdict.NOT_ENOUGH)
    failing = was.failing_units + now.failing_units
    if failing >= LEAST_FAILING_UNITS and (lower > 0 or upper < 0):
        label = "more failures" if lower > 0 else "fewer failures"
    return was.rate(), now.rate(), label, interval


NAMES = ("boundary_id", "boundary", "caller", "kind", "callee")
NONE = Calls(
    Side(stats.NOTHING, stats.NOTHING),
    Failing(np.zeros(0), np.zeros(0), np.zeros(0), 0),
)
COLUMNS = [
    *NAMES,
    *changes.COLUMNS,
    "before_calls",
    "after_calls",
    *columns("before_error_ratio", stats.NOTHING),
    *columns("after_error_ratio", stats.NOTHING),
    "error_change",
    "error_change_lower",
    "error_change_upper",
    "error_label",
    "error_q_value",
    "q_value",
]
