"""Where do errors start, how far do they travel, and who absorbs them?"""

import pandas as pd
import streamlit as st

from analysis import words
from app import charts, data, parts, state
from app.parts import Column, Fact

METHOD = (
    "A failing call is an origin when none of the calls it made failed. Its chain goes up from "
    "caller to caller until one absorbs it (a retry, a fallback, a handler) or the user's request "
    "fails. Weights of visible origins sum to the failed requests, so each failed request counts "
    "once. Escape: of the failures that began at a boundary, the share that reached the user. "
    "Spread: failing calls that one origin leaves behind."
)
_CHAINS = 25


def page() -> None:
    """Draw the error chains page."""
    if data.is_empty():
        parts.empty_lake()
        return
    left, right = st.columns([5, 1], vertical_alignment="center")
    with left:
        parts.heading(
            "Where do errors start, how far do they travel, who absorbs them?",
            parts.window_line(data.requests(state.scope_of(cohort=None, boundary=None))),
        )
    with right:
        state.choose_window()
    cohort = state.choose_cohort(data.cohorts(), preferred=data.sides().pilot)
    scope = state.scope_of(cohort=cohort, boundary=None)
    origins = data.metric("error_origins", scope)
    chains = data.metric("error_chains", scope)
    outcomes = data.metric("outcomes", scope)
    _facts(data.requests(scope), origins, chains)
    if origins.empty:
        parts.nothing_yet(
            "No failing call in this scope.",
            what_to_do="Either nothing failed, or the traces do not record failures"
            " (span status, exceptions, HTTP or database codes).",
        )
        return
    palette = parts.palette()
    parts.section(
        "How errors flow up the call graph",
        "Circle: failures that start there. Line and label: the share of failing calls that the"
        " caller passes on upward. Orange: more than half.",
    )
    parts.chart(
        charts.escape_map(data.with_services(origins, scope), palette),
        key="map",
        alt="How much of each boundary's failures its caller passes on",
    )
    _origins(origins)
    _chains(chains)
    if not outcomes.empty:
        parts.section(
            "What becomes of failing calls",
            "Every failing call at its boundary, by how it ended. Band width is their number.",
        )
        parts.chart(
            charts.outcomes(outcomes, palette),
            key="outcomes",
            alt="Failing calls by boundary and outcome",
        )
    parts.footnote(
        METHOD,
        sql=data.sql(["error_origins", "error_chains", "outcomes"]),
        notebook=state.notebook(),
        key="method",
    )


def _facts(requests: pd.DataFrame, origins: pd.DataFrame, chains: pd.DataFrame) -> None:
    cells = [
        Fact(
            f"Failed requests, {row['cohort']}",
            words.count(row["failed"]),
            f"{words.share(*(row[f'failed_ratio{end}'] for end in ('', '_lower', '_upper')))}"
            f" of {words.count(row['requests'])}",
            "breach" if row["failed"] else "good",
        )
        for row in requests.to_dict("records")
    ]
    visible = int(chains["visible"].sum()) if not chains.empty else 0
    cells += [
        Fact(
            "Failures that started",
            words.count(float(origins["origins"].sum())),
            "counted once, at their origin",
            "was",
        ),
        Fact("Chains that reached a user", words.count(visible), "of the chains below", "breach"),
        Fact(
            "Longest chain",
            words.count(float(chains["hops"].max())) if not chains.empty else "0",
            "hops from the origin upward",
            "warn",
        ),
    ]
    parts.facts(cells)


def _origins(frame: pd.DataFrame) -> None:
    parts.section(
        "Where they start",
        "Failures at each boundary, how many started there, and what its caller let through.",
    )
    shown = frame.sort_values(["visible_weight", "origins"], ascending=False)
    parts.table(
        [
            Column("Boundary", "strong"),
            Column("Kind", "muted"),
            Column("Failures", "num"),
            Column("Started here", "num"),
            Column("Failed requests caused", "num"),
            Column("Escape"),
            Column("", "num"),
            Column("Absorbed", "num"),
            Column("Spread", "num"),
        ],
        [
            (
                parts.text(row["boundary"]).replace("–", "no handoff explains it"),
                parts.text(row["kind"]),
                words.count(row["failures"]),
                words.count(row["origins"]),
                words.digits(row["visible_weight"]),
                parts.meter(row["escape_ratio"], "breach"),
                words.percent(row["escape_ratio"]),
                words.count(row["absorbed"]),
                words.digits(row["spread"]),
            )
            for row in shown.to_dict("records")
        ],
    )
    parts.export(frame, "error-origins")


def _chains(frame: pd.DataFrame) -> None:
    parts.section(
        "The ways they take",
        f"Origin at the left, its callers after it. The {_CHAINS} most frequent, each with one"
        " trace that shows it.",
    )
    if frame.empty:
        parts.nothing_yet("No chain of failures.", what_to_do="Single failures have no way up.")
        return
    shown = frame.sort_values(["visible", "chains"], ascending=False).head(_CHAINS)
    parts.table(
        [
            Column("Way", "strong"),
            Column("Error", "muted"),
            Column("Chains", "num"),
            Column("Reached a user", "num"),
            Column("Hops", "num"),
            Column("First seen (UTC)", "nowrap"),
            Column("Trace"),
        ],
        [
            (
                row["path"],
                parts.text(row["error_class"]),
                words.count(row["chains"]),
                words.count(row["visible"]),
                words.count(row["hops"]),
                parts.moment(row["first_at"]),
                parts.code(row["example_trace_id"]),
            )
            for row in shown.to_dict("records")
        ],
    )
    parts.export(frame, "error-chains")
