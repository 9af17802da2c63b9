"""Where is the tail of one boundary, when, and in which traces?"""

import pandas as pd
import streamlit as st

from analysis import words
from app import charts, data, parts, state
from app.parts import Column, Fact

METHOD = (
    "Times are what the caller waited, failed calls included. Percentiles carry a 95 % interval "
    "that respects conversations (else traces) as units: calls of one conversation are not "
    "independent. Without an upper bound, or graded insufficient, a figure reads too few. The "
    "tail line counts calls in bins 2 % wide and is cut where fewer than three calls remain."
)
_SLOWEST = 10


def page() -> None:
    """Draw the boundaries page."""
    if data.is_empty():
        parts.empty_lake()
        return
    everything = data.boundaries(state.scope_of(cohort=None, boundary=None))
    left, right = st.columns([5, 1], vertical_alignment="center")
    with left:
        parts.heading(
            "Where is the tail, when, and in which traces?",
            parts.window_line(data.requests(state.scope_of(cohort=None, boundary=None))),
        )
    with right:
        state.choose_window()
    if everything.empty:
        parts.nothing_yet(
            "No boundary in this scope.",
            what_to_do="A boundary is a call from one part to another: an agent to a model, a tool,"
            " a service, a database, a queue. Widen the scope, or look at what was ingested.",
        )
        return
    slowest_first = everything.sort_values("p95_ms", ascending=False)
    names = dict(zip(slowest_first["boundary_id"], slowest_first["boundary"], strict=True))
    left, right = st.columns([2, 1], vertical_alignment="bottom")
    with left:
        chosen = state.choose_boundary(names)
    with right:
        cohort = state.choose_cohort(data.cohorts(), preferred=data.sides().pilot)
    own = everything[everything["boundary_id"] == chosen]
    budget = data.budget_ms(chosen)
    shown = own[own["cohort"] == cohort]
    _figures(shown if not shown.empty else own.head(1))
    palette = parts.palette()
    scope = state.scope_of(cohort=None, boundary=chosen)
    left, right = st.columns(2)
    with left:
        parts.section(
            "How slow is the slow tail?",
            "Share of calls slower than x. Each step down is ten times rarer."
            + (" Dashed: the budget." if budget else ""),
        )
        parts.chart(
            charts.tail(data.metric("tail_bins", scope), palette, budget_ms=budget),
            key="tail",
            alt="Share of calls slower than x",
        )
    with right:
        parts.section("Percentiles over time", "Daily p95 (solid) and p50 (dotted), by UTC day.")
        parts.chart(
            charts.daily(data.metric("daily", scope), palette, budget_ms=budget),
            key="daily",
            alt="p50 and p95 by day",
        )
    _slowest(data.metric("slowest", scope), cohort)
    _all(everything)
    parts.footnote(
        METHOD,
        sql=data.sql(["boundaries", "tail_bins", "daily", "slowest"]),
        notebook=state.notebook(),
        key="method",
    )


def _figures(frame: pd.DataFrame) -> None:
    row = frame.to_dict("records")[0]
    cells = []
    for name in ("p50", "p95", "p99"):
        column = f"{name}_ms"
        lower, upper = row[f"{column}_lower"], row[f"{column}_upper"]
        is_said = words.is_said(row[f"{column}_grade"], upper)
        cells.append(
            Fact(
                f"{name}, {row['cohort']}",
                words.time(row[column]) if is_said else words.TOO_FEW,
                words.time_interval(lower, upper)
                if is_said
                else f"seen {words.time(row[column])} in {words.count(row['units'])} units",
                "now",
            )
        )
    cells.append(
        Fact(
            "Calls that failed",
            words.percent(row["error_ratio"]),
            f"{words.percent_interval(row['error_ratio_lower'], row['error_ratio_upper'])}"
            f" · {words.count(row['failed'])} of {words.count(row['calls'])}",
            "breach" if row["failed"] else "good",
        )
    )
    cells.append(
        Fact(
            "Handoff, p95",
            words.time(row["handoff_p95_ms"]),
            "the caller waited, the callee did not work"
            if pd.notna(row["handoff_p95_ms"])
            else "only one side was recorded",
            "was",
        )
    )
    parts.facts(cells)


def _slowest(frame: pd.DataFrame, cohort: str | None) -> None:
    own = frame[frame["cohort"] == cohort] if cohort else frame
    shown = (own if not own.empty else frame).sort_values("client_ms", ascending=False)
    parts.section("The slowest calls", "One row a call; the ids open them in your tracing tool.")
    parts.table(
        [
            Column("Waited", "num"),
            Column("Started (UTC)", "nowrap"),
            Column("Cohort", "muted"),
            Column("Trace"),
            Column("Span"),
        ],
        [
            (
                words.time(row["client_ms"]),
                parts.moment(row["started_at"]),
                row["cohort"],
                parts.code(row["trace_id"]),
                parts.code(row["span_id"]),
            )
            for row in shown.head(_SLOWEST).to_dict("records")
        ],
    )


def _all(frame: pd.DataFrame) -> None:
    parts.section("All boundaries", "Every handoff found in this scope, slowest tail first.")
    shown = frame.sort_values("p95_ms", ascending=False)
    st.dataframe(
        pd.DataFrame(
            {
                "Boundary": shown["boundary"],
                "Kind": shown["kind"],
                "Cohort": shown["cohort"],
                "Calls": shown["calls"].map(words.count),
                "Failed": shown["error_ratio"].map(words.percent),
                **{
                    name: [
                        words.tail(value, lower, upper, grade)
                        for value, lower, upper, grade in zip(
                            shown[f"{name}_ms"],
                            shown[f"{name}_ms_lower"],
                            shown[f"{name}_ms_upper"],
                            shown[f"{name}_ms_grade"],
                            strict=True,
                        )
                    ]
                    for name in ("p50", "p95", "p99")
                },
            }
        ),
        hide_index=True,
        key="all-boundaries",
        alt="All boundaries with their percentiles",
        column_config={
            "Boundary": st.column_config.TextColumn(width=320),
            **{
                name: st.column_config.TextColumn(alignment="right")
                for name in ("Calls", "Failed", "p50", "p95", "p99")
            },
        },
    )
    parts.export(frame, "boundaries")
