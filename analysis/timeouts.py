"""Suggests how long to wait for a boundary, and what giving up then would cost and save."""

import math
from enum import StrEnum
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis import samples, stats, words
from analysis.engine import Model
from analysis.scope import Scope
from analysis.tails import columns

# Share of the calls that succeed today which a suggested time-out may give up.
LOSS_RATIO = 0.005
# Never below p99 unless who asks accepts the loss.
MOST_LOSS_RATIO = 0.01
# Successes this close to the time-out of today: what would come later was never seen.
AT_LIMIT_RATIO = 0.98


class Label(StrEnum):
    """What may be said of a time-out."""

    SUGGESTED = "suggested"
    AT_LIMIT = "at the present time-out"
    NOT_ENOUGH = "not enough evidence"


def suggested(
    model: Model,
    scope: Scope,
    *,
    loss_ratio: float = LOSS_RATIO,
    fallback_ms: float = 0.0,
    is_loss_accepted: bool = False,
) -> pd.DataFrame:
    """Return a time-out for every boundary, one row a cohort and boundary, slowest first.

    suggested_ms is set where `label` is "suggested"; answered_ms is the same quantile of successful
    durations with its interval and grade whether or not that is enough. At it: given_up_ratio, the
    share of today's successes that would be given up; success_ratio, P(success by then);
    if_running_ratio, P(success eventually | still running then), both of all calls, with what was
    given up today counted as no success; saved_ms, what a call waits less on average. Calls of
    fault tests are left out (METHODS.md, time-outs).

    Args:
        model: The lake's model.
        scope: Which calls.
        loss_ratio: Share of today's successes that may be given up, above 0 and below 1.
        fallback_ms: What the caller spends after it gave up.
        is_loss_accepted: Whether more than one success in a hundred may be given up.

    Raises:
        ValueError: `loss_ratio` is outside its range, or above 0.01 and not accepted.
    """
    if not 0 < loss_ratio < 1 or (loss_ratio > MOST_LOSS_RATIO and not is_loss_accepted):
        raise ValueError(
            f"A time-out may give up more than 0 and at most {MOST_LOSS_RATIO:g} of the successes, "
            "unless the loss is accepted."
        )
    facts = model.ask("boundary_names", scope)[["cohort", "boundary_id", "boundary", "kind"]]
    told = samples.each(
        model,
        scope,
        ["client_ms", "is_success", "is_given_up"],
        lambda _, calls: _of(calls, loss_ratio, fallback_ms),
        metric="answer_times",
    )
    rows = []
    spans_tell = _by_boundary(model.ask("told_timeouts", scope), "told_timeout_ms")
    guesses = _by_boundary(model.ask("guessed_timeouts", scope), "guessed_timeout_ms")
    for fact in facts.to_dict("records"):
        key = fact["cohort"], fact["boundary_id"]
        if key in told:
            row = told[key] | {"told_timeout_ms": spans_tell.get(key, math.nan)}
            rows.append(fact | _judged(row, guesses.get(key, math.nan), loss_ratio))
    return pd.DataFrame(rows, columns=_COLUMNS).sort_values(
        ["cohort", "answered_ms", "boundary_id"],
        ascending=[True, False, True],
        ignore_index=True,
    )


def _by_boundary(frame: pd.DataFrame, column: str) -> dict[Any, float]:
    return dict(frame.set_index(["cohort", "boundary_id"])[column].astype(float))


def odds(
    durations_ms: stats.Floats,
    is_success: NDArray[np.bool_],
    at_ms: float,
    weights: stats.Floats | None = None,
) -> tuple[float, float]:
    """Return P(success by a time) and P(success eventually | still running then); NaN for none.

    Args:
        durations_ms: How long each call took.
        is_success: Whether it was answered well.
        at_ms: The time.
        weights: How many calls each stands for; 1 unless told.
    """
    if not len(durations_ms):
        return math.nan, math.nan
    weight = np.broadcast_to(1.0, len(durations_ms)) if weights is None else weights
    # Few are late, and of these alone weights are summed for both.
    late = np.flatnonzero(durations_ms > at_ms)
    later = float(weight[late].sum())
    well_later = float(weight[late][is_success[late]].sum())
    well = float(weight[is_success].sum())
    return (well - well_later) / float(weight.sum()), well_later / later if later else math.nan


def _of(calls: pd.DataFrame, loss_ratio: float, fallback_ms: float) -> dict[str, Any]:
    duration = calls["client_ms"].to_numpy(np.float64)
    weight = calls["weight"].to_numpy(np.float64)
    is_success = calls["is_success"].to_numpy(np.bool_)
    units, bucket = (calls[name].to_numpy() for name in ("unit_id", "bucket"))
    well = slice(None) if is_success.all() else np.flatnonzero(is_success)
    sample = stats.sample(duration[well], units[well], weight[well], bucket=bucket[well])
    answered = stats.percentile(sample, 1 - loss_ratio)
    at_ms = answered.value
    row = {
        "calls": len(calls),
        "successes": int(is_success.sum()),
        "given_up": int(calls["is_given_up"].sum()),
        **columns("answered_ms", answered),
    }
    if math.isnan(at_ms):
        return row | dict.fromkeys(_AT, math.nan)
    success, if_running = odds(duration, is_success, at_ms, weight)
    late = np.flatnonzero(duration > at_ms)
    saved_ms = (duration[late] - at_ms - fallback_ms) * weight[late]
    well_late = late[is_success[late]]
    return row | {
        "given_up_ratio": float(weight[well_late].sum() / weight[well].sum()),
        "success_ratio": success,
        "if_running_ratio": if_running,
        "mean_ms": float(np.average(duration, weights=weight)),
        "saved_ms": float(saved_ms.sum() / weight.sum()),
    }


def _judged(row: dict[str, Any], guessed_ms: float, loss_ratio: float) -> dict[str, Any]:
    told_ms = row["told_timeout_ms"]
    present_ms = guessed_ms if math.isnan(told_ms) else told_ms
    at_ms = row["answered_ms"]
    if row["answered_ms_grade"] != stats.Grade.SOLID:
        label = Label.NOT_ENOUGH
    elif at_ms >= AT_LIMIT_RATIO * present_ms:
        label = Label.AT_LIMIT
    else:
        label = Label.SUGGESTED
    return row | {
        "guessed_timeout_ms": guessed_ms,
        "suggested_ms": at_ms if label is Label.SUGGESTED else math.nan,
        "label": str(label),
        "reason": _reason(label, row, present_ms, loss_ratio),
    }


def least_successes(loss_ratio: float) -> int:
    """Return how many independent successes tell after how long a share would be given up."""
    return math.ceil(stats.SOLID_TAIL_UNITS / loss_ratio - 1e-9)


def _reason(label: Label, row: dict[str, Any], present_ms: float, loss_ratio: float) -> str:
    successes = row["successes"]
    if label is Label.NOT_ENOUGH:
        least = least_successes(loss_ratio)
        return (
            f"{words.counted(successes, 'call')} succeeded; {words.count(least)} independent ones "
            f"are the least to tell after how long {words.percent(loss_ratio)} of them would be "
            "given up."
        )
    if label is Label.AT_LIMIT:
        return (
            f"Calls that succeed last until the time-out of {words.time(present_ms)}: nothing can "
            "be said of what would come later."
        )
    at = words.time(row["answered_ms"])
    return (
        f"After {at} {words.percent(float(str(row['given_up_ratio'])))} of today's successes would "
        f"be given up, and a call would wait {words.time(float(str(row['saved_ms'])))} less on "
        "average."
    )


_AT = ("given_up_ratio", "success_ratio", "if_running_ratio", "mean_ms", "saved_ms")
_COLUMNS = [
    *("cohort", "boundary_id", "boundary", "kind", "suggested_ms", "calls", "successes"),
    *("given_up", "told_timeout_ms", "guessed_timeout_ms"),
    *columns("answered_ms", stats.NOTHING),
    *_AT,
    *("label", "reason"),
]
