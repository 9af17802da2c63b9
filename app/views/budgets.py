"""Who keeps the latency budget, and who breaks it?"""

from pathlib import PurePath

import pandas as pd
import streamlit as st

from analysis import words
from app import charts, data, parts, state
from app.parts import Column, Fact, Markup, Tone

_LABELS: dict[str, tuple[Tone, str]] = {
    "kept": ("good", "Kept"),
    "broken": ("breach", "Broken"),
    "not enough evidence": ("quiet", "Not enough"),
    "no budget": ("was", "No budget"),
}

METHOD = (
    "A budget is kept when the upper bound of the 95 % interval of the promised quantile is within "
    "it, broken when the lower bound is above it, and not enough evidence otherwise. "
    "The downstream budget is a share of the SLA for the critical-path time of all calls but "
    "models together; a request keeps it as a whole, never boundary by boundary."
)


def page() -> None:
    """Draw the budgets page."""
    if data.is_empty():
        parts.empty_lake()
        return
    promised = data.contracts()
    left, right = st.columns([5, 1], vertical_alignment="center")
    with right:
        state.choose_window()
    with left:
        parts.heading(
            "Who keeps the latency budget?",
            parts.window_line(data.requests(state.scope_of(cohort=None, boundary=None))),
        )
    if promised is None:
        parts.nothing_yet(
            "No contract is named, so there are no budgets to keep.",
            what_to_do="Write what each handoff promises into contracts.yaml, then serve with it."
            " The tails of all boundaries are on the page Boundaries.",
            command="orchrisk dashboard --lake lake --contracts contracts.yaml",
        )
        return
    cohort = state.choose_cohort(data.cohorts(), preferred=data.sides().pilot)
    scope = state.scope_of(cohort=cohort, boundary=None)
    frame, tails = data.budgets(scope), data.boundaries(scope)
    _facts(frame, data.promises(scope))
    judged = frame[frame["budget_ms"].notna() & frame["of_budget_ratio"].notna()]
    if not judged.empty:
        parts.section(
            "Who uses how much of the budget?",
            "Bar: tail at the promised quantile as a share of budget. Ticks: p50 and p95."
            " Dashed: the budget. A question mark: not enough evidence to decide.",
        )
        parts.chart(
            charts.bars(
                judged.sort_values("of_budget_ratio", ascending=False)
                .merge(tails[["cohort", "boundary_id", "p50_ms", "p95_ms"]], how="left")
                .reset_index(drop=True),
                parts.palette(),
            ),
            key="budget-bars",
            alt="Tail of each boundary as a share of its budget",
        )
    _table(frame, promised.path)
    _on_path(data.on_path(scope), promised.path)
    parts.export(frame, "budgets")
    parts.footnote(
        METHOD,
        sql=data.sql(["boundaries", "latencies", "path_time"]),
        notebook=state.notebook(),
        key="method",
    )


def _facts(frame: pd.DataFrame, promises: pd.DataFrame) -> None:
    count = frame["label"].astype(str).value_counts()
    cells = [
        Fact(word, str(int(count.get(label, 0))), "boundaries", tone)
        for label, (tone, word) in _LABELS.items()
    ]
    for row in promises.to_dict("records"):
        for budget, name, title, what in (
            ("sla_ms", "within_sla_ratio", "Requests within the SLA", ""),
            (
                "downstream_budget_ms",
                "within_downstream_ratio",
                "Requests within the downstream share",
                " for all but models",
            ),
        ):
            if pd.notna(row[budget]):
                interval = words.percent_interval(row[f"{name}_lower"], row[f"{name}_upper"])
                cells.append(
                    Fact(
                        title,
                        words.percent(row[name]),
                        f"{interval} within {words.time(row[budget])}{what}",
                        "now",
                    )
                )
    parts.facts(cells)


def _table(frame: pd.DataFrame, path: str) -> None:
    parts.section(
        "Budget by budget",
        f"Broken ones first. The line is the one in {PurePath(path).name or 'the contract'}.",
    )
    if frame.empty:
        parts.nothing_yet("No calls in this scope.", what_to_do="Widen the scope to see budgets.")
        return
    parts.table(
        [
            Column("Result"),
            Column("Boundary", "strong"),
            Column("Kind", "muted"),
            Column("Calls", "num"),
            Column("Over", "num"),
            Column("Within budget", "num"),
            Column("Tail", "num"),
            Column("Budget", "num"),
            Column("Line", "num"),
            Column("Reason", "muted"),
        ],
        [
            (
                _result(str(row["label"])),
                row["boundary"],
                row["kind"],
                words.count(row["calls"]),
                words.count(row["over"]),
                words.percent(row["kept_ratio"]),
                words.time(row["tail_ms"])
                if words.is_said(row["tail_ms_grade"], row["tail_ms_upper"])
                else words.TOO_FEW,
                words.time(row["budget_ms"]),
                words.count(row["line"]),
                parts.text(row["reason"]),
            )
            for row in frame.to_dict("records")
        ],
    )


def _on_path(frame: pd.DataFrame, path: str) -> None:
    if frame.empty:
        return
    parts.section(
        "What all calls of a request may take on its critical path",
        "Without what they wait for themselves. The line is the one in "
        f"{PurePath(path).name or 'the contract'}.",
    )
    parts.table(
        [
            Column("Result"),
            Column("Boundary", "strong"),
            Column("Requests", "num"),
            Column("Measured", "num"),
            Column("Promised", "num"),
            Column("Line", "num"),
            Column("Reason", "muted"),
        ],
        [
            (
                _result(str(row["label"])),
                row["boundary"],
                words.count(row["requests"]),
                words.time(row["on_path_ms"])
                if words.is_said(row["on_path_ms_grade"], row["on_path_ms_upper"])
                else words.TOO_FEW,
                words.time(row["promised_ms"]),
                words.count(row["line"]),
                parts.text(row["reason"]),
            )
            for row in frame.to_dict("records")
        ],
    )


def _result(label: str) -> Markup:
    tone, word = _LABELS.get(label, ("quiet", label))
    return parts.chip(tone, word)
