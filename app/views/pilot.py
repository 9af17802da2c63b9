"""Did the pilot help, and where?"""

import math
from collections.abc import Hashable
from typing import Any

import pandas as pd
import streamlit as st

from analysis import words
from analysis.pilot import Comparison
from app import charts, data, parts, state
from app.parts import Column, Fact, Tone

_WORDS: dict[str, tuple[Tone, str]] = {
    "proven": ("good", "Proven"),
    "faster": ("good", "Faster"),
    "no worse": ("now", "No worse"),
    "slower": ("breach", "Slower"),
    "not enough evidence": ("quiet", "Not enough evidence"),
}

_DRAWN = 20  # boundaries drawn, the busiest; all are in the CSV

METHOD = (
    "The ratio of each percentile after to before, with a 95 % interval built from the intervals "
    "of both sides. The independent unit is the calendar day, a 4-hour block in short pilots, or "
    "the conversation where both sides ran at the same time. Proven: the one-sided 95 % bound "
    "of the ratio is at most 0.90, so the tail fell by 10 % or more. Faster: the whole interval "
    "lies below no change. No worse: the one-sided bound is at most 1.05. Slower: the whole "
    "interval lies above no change. Anything else is not enough evidence. "
    "A boundary keeps its word only where it still holds with all boundaries looked at together "
    "(q at most 0.10)."
)


def page() -> None:
    """Draw the before/after page."""
    if data.is_empty():
        parts.empty_lake()
        return
    scope = state.scope_of(cohort=None, boundary=None)
    left, right = st.columns([5, 1], vertical_alignment="center")
    with left:
        parts.heading("Did the pilot help, and where?", parts.window_line(data.requests(scope)))
    with right:
        state.choose_window()
    found = data.comparison(scope, *state.choose_sides(data.cohorts(), data.sides()))
    tone, word = _WORDS.get(str(found.label), ("quiet", str(found.label).capitalize()))
    parts.verdict(
        tone,
        word,
        counts=f"{found.design} design, unit: {found.unit}" if found.design else "one side only",
        reason=found.reason,
        more="The bar is a fall of 10 to 15 % in the tail of whole requests.",
        changes=_wanted(found),
        ask="Whole requests",
    )
    if found.end_to_end.empty:
        _one_side()
        return
    _whole(found.end_to_end)
    _boundaries(found)
    _detail(found)
    _checks(found)
    parts.footnote(
        METHOD,
        sql=data.sql(["latencies", "request_latencies", "tail_bins"]),
        notebook=state.notebook(),
        key="method",
    )


def _one_side() -> None:
    parts.nothing_yet(
        "There is only one side to look at.",
        what_to_do="Read the traces of the other period into a second cohort; its name is yours.",
        command="orchrisk ingest after/*.jsonl.gz --lake lake --cohort pilot",
    )


def _wanted(found: Comparison) -> list[str]:
    return [
        f"{_level(row['quantile'])}: {_said(row)}, {row['label']}"
        for row in found.end_to_end.to_dict("records")
    ]


def _said(row: dict[Hashable, Any]) -> str:
    return words.change(row["ratio"]) if math.isfinite(row["ratio_upper"]) else words.TOO_FEW


def _level(quantile: float) -> str:
    return f"p{quantile * 100:g}"


def _whole(frame: pd.DataFrame) -> None:
    parts.facts(
        [
            Fact(
                f"Whole requests, {_level(row['quantile'])}",
                _said(row),
                f"{words.time(row['before_ms'])} → {words.time(row['after_ms'])}"
                + (
                    f"  {words.change_interval(row['ratio_lower'], row['ratio_upper'])}"
                    if math.isfinite(row["ratio_upper"])
                    else ""
                ),
                _WORDS.get(str(row["label"]), ("quiet", ""))[0],
            )
            for row in frame.to_dict("records")
        ]
    )


def _boundaries(found: Comparison) -> None:
    if found.boundaries.empty:
        return
    level = _level(found.quantile)
    frame = data.with_budgets(found.boundaries)
    shown = frame.sort_values("after_calls", ascending=False).head(_DRAWN)
    shown = shown.sort_values("ratio", na_position="last").reset_index(drop=True)
    palette = parts.palette()
    left, right = st.columns(2)
    with left:
        parts.section(
            "Which boundaries changed?",
            f"{level} of {found.pilot} against {found.baseline}, 95 % interval."
            " Shaded: the −10 to −15 % bar.",
        )
        parts.chart(
            charts.forest(shown, palette), key="forest", alt="Change of the tail by boundary"
        )
    with right:
        if shown["budget_ms"].notna().any():
            parts.section(
                "How far from budget, before and after?",
                f"{level} divided by its budget: left of the line keeps the budget.",
            )
        else:
            parts.section(
                "Where was the tail, where is it now?",
                f"{level} on both sides; no budget was named for these boundaries.",
            )
        parts.chart(
            charts.dumbbell(shown, palette, names=(str(found.baseline), str(found.pilot))),
            key="dumbbell",
            alt="Tail before and after by boundary",
        )
    parts.export(frame, "pilot-boundaries")


def _detail(found: Comparison) -> None:
    frame = found.boundaries
    if frame.empty:
        return
    names = dict(zip(frame["boundary_id"], frame["boundary"], strict=True))
    left, _ = st.columns([1, 1])
    with left:
        chosen = state.choose_boundary(names, label="Boundary in detail")
    bins = data.metric("tail_bins", state.scope_of(boundary=chosen, cohort=None))
    bins = bins[bins["cohort"].isin([found.baseline, found.pilot])]
    before, after = (bins[bins["cohort"] == side] for side in (found.baseline, found.pilot))
    if before.empty or after.empty:
        parts.nothing_yet(
            "Only one side called this boundary.",
            what_to_do="A shift needs calls on both sides; the other side has none in this scope.",
        )
        return
    palette = parts.palette()
    left, right = st.columns(2)
    with left:
        parts.section(
            "Where in the distribution did it change?",
            "Change at each percentile. A flat line is a uniform speed-up; a dip at the right is"
            " a mended tail.",
        )
        parts.chart(
            charts.shift(before, after, palette), key="shift", alt="Change at each percentile"
        )
    with right:
        parts.section("All calls, before and after", "Cumulative share of calls faster than x.")
        parts.chart(
            charts.distribution(bins, palette, budget_ms=data.budget_ms(chosen)),
            key="distribution",
            alt="Share of calls faster than x, both sides",
        )


def _checks(found: Comparison) -> None:
    parts.section(
        "Can the two sides be compared?",
        "What could explain a change without the pilot. A failed check weakens the verdict.",
    )
    parts.table(
        [Column("Result"), Column("Check", "strong"), Column("What was found", "muted")],
        [
            (
                parts.chip("quiet", "Not known")
                if check.ok is None
                else parts.chip("good", "Holds")
                if check.ok
                else parts.chip("warn", "Look here"),
                check.name,
                check.detail,
            )
            for check in found.checks
        ],
    )
