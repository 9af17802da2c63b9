"""What `orchrisk power` answers: how many requests a pilot needs."""

import math
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from analysis import contracts, power, summary, words
from analysis.scope import Scope
from app.answers import COULD_NOT_TELL, YES, Answer, heading, opened
from app.terminal import table
from ingest.errors import LakeError


def plan(lake: Path, contracts_file: Path | None, scope: Scope, baseline: str | None) -> Answer:
    """Return what a pilot of a lake's baseline needs; exit code 2 where it is too small to tell."""
    model, promised = opened(lake, contracts_file)
    named = baseline or contracts.sides(model.cohorts(), promised).baseline
    named = named or (model.cohorts()[0] if len(model.cohorts()) == 1 else None)
    if named is None:
        raise LakeError(
            f"{lake}: nothing says which cohort is the baseline.\nHint: --baseline NAME."
        )
    frame = power.plan(model, scope, named)
    if frame.empty:
        return Answer([], f"{named}: no request in this scope.", COULD_NOT_TELL)
    parts = [
        heading(f"{words.quantile(float(str(p)))}, {design} pilot", _part(some, str(design)))
        for (design, p), some in frame.groupby(["design", "quantile"], sort=False)
    ]
    text = "\n\n".join(
        (
            f"Requests a side for a chance of 80\u202f%, from cohort {named} "
            f"({words.percent(power.MARGIN - 1)} more than the formula, as simulation asks).",
            *parts,
            "Sequential: a period before against one after, the day as the unit; proof takes seven "
            "days a side.\nConcurrent: both at once, each with half of the traffic; rules out that "
            "time made the difference.",
        )
    )
    is_known = bool(frame["requests"].notna().any())
    return Answer(summary.plain(frame), text, YES if is_known else COULD_NOT_TELL)


class _Row(NamedTuple):
    fall_ratio: float
    goal: str
    requests: float
    days: float


def _part(some: pd.DataFrame, design: str) -> str:
    first = some.iloc[0]
    if math.isnan(first["requests"]):
        return (
            f"  too few: no interval yet; about {words.count(first['least'])} requests like these "
            "would have one."
        )
    units = "days" if design == "sequential" else "days, both arms at once"
    rows = [
        (
            f"{words.percent(row.fall_ratio)}",
            "to show it" if row.goal == "show" else "to prove at least 10\u202f%",
            words.count(row.requests),
            "–" if math.isnan(row.days) else words.count(row.days),
        )
        for row in (_Row(*told) for told in some[[*_Row._fields]].itertuples(index=False))
    ]
    said = words.tail(
        first["baseline_ms"],
        first["baseline_ms_lower"],
        first["baseline_ms_upper"],
        first["grade"],
    )
    asked = table(("true fall", "goal", "requests a side", units), rows, right="llrr")
    return f"  now {said}\n{asked}"
