"""What data do the agents touch, and which of it was never granted or is new?"""

import pandas as pd
import streamlit as st

from analysis import words
from app import charts, data, parts, state
from app.parts import Column, Fact, Markup

METHOD = (
    "An access is a call by an agent (else its service) that reads, writes, deletes or executes a "
    "resource: a table, a bucket, a queue, an endpoint, a tool. Granted: the contract allows it. "
    "Not granted: used without being allowed. Unseen: allowed and not used in this scope. New: in "
    "the pilot and never in the baseline. Sensitive: named so by the contract or by a span, or "
    "guessed from the name where neither says."
)


def page() -> None:
    """Draw the data access page."""
    if data.is_empty():
        parts.empty_lake()
        return
    left, right = st.columns([5, 1], vertical_alignment="center")
    with left:
        parts.heading(
            "What data do the agents touch?",
            parts.window_line(data.requests(state.scope_of(cohort=None, boundary=None))),
        )
    with right:
        state.choose_window()
    cohort = state.choose_cohort(data.cohorts(), preferred=data.sides().pilot)
    frame = data.footprint(state.scope_of(cohort=cohort, boundary=None))
    frame = frame[(frame["cohort"] == cohort) | frame["cohort"].isna()]
    frame = frame[frame["access"] != "none"]
    if frame.empty:
        parts.nothing_yet(
            "No access in this scope.",
            what_to_do="Agents are seen touching data when spans name a table, a bucket, a queue,"
            " an endpoint or a tool. Widen the scope, or look at the instrumentation.",
        )
        return
    _facts(frame)
    parts.section(
        "Agent × resource",
        "R read, W write, D delete, X execute, always in the same place in the cell. The number is"
        " calls. Grey: used; hollow: granted, not seen; orange: used without a grant; blue"
        " dot: new since the baseline. Tinted columns hold sensitive data.",
    )
    with st.container(key="matrix-scroll"):
        parts.chart(
            charts.matrix(frame, parts.palette()),
            key="matrix",
            alt="What each agent does to each resource",
            is_fixed=True,
        )
    _creep(frame)
    parts.export(frame, "access")
    parts.footnote(METHOD, sql=data.sql(["accesses"]), notebook=state.notebook(), key="method")


def _facts(frame: pd.DataFrame) -> None:
    grants = frame["grant"].astype(str).value_counts()
    used, unseen, stray = (
        int(grants.get(name, 0)) for name in ("granted", "unseen", "not granted")
    )
    strays = frame[frame["grant"].astype(str) == "not granted"]
    new = frame[frame["is_new"].astype(bool)]
    sensitive = frame[frame["is_sensitive"].astype(bool)]
    unruled = int(grants.get("no contract", 0))
    if unruled == len(frame):
        cells = [
            Fact("Accesses used", words.count(len(frame)), "agent × resource × operation", "was"),
            Fact("Grants", "no contract", "name one to judge what was allowed", "quiet"),
        ]
    else:
        cells = [
            Fact("Granted and used", words.count(used), "agent × resource × operation", "was"),
            Fact("Granted, not seen", words.count(unseen), "candidates to revoke", "plain"),
            Fact("No rule", words.count(unruled), "used by agents without grants", "plain"),
            Fact(
                "Used without a grant",
                words.count(stray),
                f"{words.count(float(strays['calls'].sum()))} calls",
                "breach" if stray else "good",
            ),
        ]
    cells += [
        Fact("New since baseline", words.count(len(new)), "never seen before the pilot", "now")
        if data.sides().baseline
        else Fact("New since baseline", "–", "no baseline in this lake", "plain"),
        Fact(
            "On sensitive data",
            words.count(len(sensitive)),
            f"{words.count(float(sensitive['calls'].sum()))} calls",
            "warn",
        ),
    ]
    parts.facts(cells)


def _creep(frame: pd.DataFrame) -> None:
    parts.section(
        "Permission creep",
        "What an agent did to a resource that it never did in the baseline, or did without a grant;"
        " newest first.",
    )
    if data.sides().baseline is None:
        parts.nothing_yet(
            "There is no baseline to compare with.",
            what_to_do="Read the traces from before the pilot into the cohort baseline, or name the"
            " cohort in the contract: what is new shows only against what was.",
        )
        return
    strays = frame[frame["is_new"].astype(bool) | (frame["grant"].astype(str) == "not granted")]
    if strays.empty:
        parts.nothing_yet(
            "Nothing new and nothing without a grant.",
            what_to_do="Every access in this scope was there before, and is allowed where a"
            " contract says what is.",
        )
        return
    parts.table(
        [
            Column("First seen (UTC)", "nowrap"),
            Column("Agent"),
            Column("Resource"),
            Column("Before", "muted"),
            Column("", "muted"),
            Column("Now", "strong"),
            Column("Grant"),
            Column("Calls", "num"),
            Column("First trace"),
        ],
        [
            (
                parts.moment(row["first_at"]),
                row["agent"],
                parts.named(row["resource"], "sensitive")
                if row["is_sensitive"]
                else row["resource"],
                _before(row["before_access"]),
                "→",
                row["access"],
                _grant(str(row["grant"])),
                words.count(row["calls"]),
                parts.code(row["first_trace_id"]),
            )
            for row in strays.sort_values("first_at", ascending=False).to_dict("records")
        ],
    )


def _before(access: object) -> str:
    return str(access) if isinstance(access, str) and access else "no access"


def _grant(grant: str) -> Markup:
    if grant == "granted":
        return parts.chip("good", "Granted")
    if grant == "not granted":
        return parts.chip("breach", "Not granted")
    return parts.chip("quiet", grant.capitalize())
