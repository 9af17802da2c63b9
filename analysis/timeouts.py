"""Suggests how long to wait for a boundary, and what giving up then would cost and save."""

import math
from enum import StrEnum
from typing import Any

import numpy as np
import pandas as pd

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
    facts = model.ask("boundaries", scope)[["cohort", "boundary_id", "boundary", "kind"]]
    told = samples.each(
        model,
        scope,
        ["client_ms", "is_success"],
        lambda _, calls: _of(calls, loss_ratio, fallback_ms),
        metric="answer_times",
    )
    at = ["cohort", "boundary_id"]
    given_up = model.ask("given_up", scope).astype({"told_timeout_ms": float})
    seen: dict[Any, dict[Any, Any]] = given_up.set_index(at).to_dict("index")
    guessed = model.ask("guessed_timeouts", scope).astype({"guessed_timeout_ms": float})
    known = guessed.set_index(at)["guessed_timeout_ms"].to_dict()
    rows = []
    for fact in facts.to_dict("records"):
        key = fact["cohort"], fact["boundary_id"]
        if key in told:
            row = told[key] | seen[key]
            rows.append(fact | _judged(row, known.get(key, math.nan), loss_ratio))
    return pd.DataFrame(rows, columns=_COLUMNS).sort_values(
        ["cohort", "answered_ms", "boundary_id"],
        ascending=[True, False, True],
        ignore_index=True,
    )


def odds(durations_ms: stats.Floats, is_success: stats.Floats, at_ms: float) -> tuple[float, float]:
    """Return P(success by a time) and P(success eventually | still running then); NaN for none.

    Args:
        durations_ms: How long each call took.
        is_success: 1 where it was answered well, else 0; weights may be multiplied in.
        at_ms: The time.
    """
    return _odds(durations_ms, is_success, np.ones(len(durations_ms)), at_ms)


def _odds(
    durations_ms: stats.Floats, is_success: stats.Floats, weights: stats.Floats, at_ms: float
) -> tuple[float, float]:
    by_then = durations_ms <= at_ms
    well = is_success * weights
    later = float(weights[~by_then].sum())
    return (
        float(well[by_then].sum() / weights.sum()) if len(weights) else math.nan,
        float(well[~by_then].sum()) / later if later > 0 else math.nan,
    )


def _of(calls: pd.DataFrame, loss_ratio: float, fallback_ms: float) -> dict[str, Any]:
    duration = calls["client_ms"].to_numpy(np.float64)
    weight = calls["weight"].to_numpy(np.float64)
    is_success = calls["is_success"].to_numpy(np.bool_)
    unit = stats.codes(calls["unit_id"])
    sample = stats.sample(
        duration[is_success],
        unit[is_success],
        weight[is_success],
        bucket=calls["bucket"].to_numpy()[is_success],
    )
    answered = stats.percentile(sample, 1 - loss_ratio)
    at_ms = answered.value
    row = {
        "calls": len(calls),
        "successes": int(is_success.sum()),
        **columns("answered_ms", answered),
    }
    if math.isnan(at_ms):
        return row | dict.fromkeys(_AT, math.nan)
    success, if_running = _odds(duration, is_success.astype(np.float64), weight, at_ms)
    late = is_success & (duration > at_ms)
    cut = np.minimum(duration, at_ms) + np.where(duration > at_ms, fallback_ms, 0.0)
    return row | {
        "given_up_ratio": float(weight[late].sum() / weight[is_success].sum()),
        "success_ratio": success,
        "if_running_ratio": if_running,
        "mean_ms": float(np.average(duration, weights=weight)),
        "saved_ms": float(np.average(duration - cut, weights=weight)),
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
