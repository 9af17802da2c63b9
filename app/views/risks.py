"""Sections of the readiness page: what is wrong, what threatens users, what the pilot changed."""

import math
from collections.abc import Mapping, Sequence

import pandas as pd
import streamlit as st

from analysis import summary, words
from analysis.check import Check
from analysis.findings import Level
from analysis.impact import Impact
from analysis.register import Risk
from app import parts, state
from app.parts import Cell, Column, Tone

_SHOWN = 12  # rows drawn; the rest is in the CSV
PAGES = {
    "pilot": "Before / after",
    "budgets": "Budgets",
    "boundaries": "Boundaries",
    "errors": "Error chains",
    "access": "Data access",
    "ingest": "Ingest",
}
# Where the evidence is of findings that are told by what breaks a gate.
_PAGES = {"budget": "budgets", "on_path": "budgets", "access": "access"}
_RESULTS: Mapping[str, tuple[Tone, str]] = {
    "error": ("breach", "Fails"),
    "warning": ("quiet", "Open"),
    "known": ("quiet", "Known"),
    "accepted": ("quiet", "Accepted"),
}


def findings(told: Check) -> None:
    """Draw what keeps gates from passing, what counts first."""
    pages = {f"gate/{gate.key}": gate.page for gate in told.readiness.gates} | _PAGES
    parts.section(
        "Findings",
        "What keeps a gate from passing, by boundary and by use: the list of the command check."
        " What the contract acknowledges does not count until its day is over.",
    )
    found = [each for each in told.findings if each.level != Level.NOTE]
    if not found:
        parts.nothing_yet("Nothing was found.", what_to_do="Every gate that was judged passes.")
        return
    parts.table(
        [
            Column("Result"),
            Column("What was seen", "strong"),
            Column("Owner", "nowrap"),
            Column("Evidence"),
        ],
        [
            (
                parts.chip(*_RESULTS[each.level if each.counts else each.status]),
                parts.two_lines(each.message, each.remark) if each.remark else each.message,
                each.owner or "–",
                _traces(each.trace_ids) if each.trace_ids else _page(pages.get(each.rule, "")),
            )
            for each in found[:_SHOWN]
        ],
    )
    _more(found, told.counts, "findings")


def _page(name: str) -> Cell:
    if name not in PAGES:
        return "–"
    return parts.link(f"/{name}", f"{PAGES[name]} →", state.address())


def _traces(ids: Sequence[str]) -> Cell:
    if not ids:
        return "–"
    more = f"and {len(ids) - 1} more in the CSV" if len(ids) > 1 else ""
    return parts.code_and(ids[0], more)


def register(told: Check) -> None:
    """Draw the risks: how likely, how bad, whose they are and what mends them."""
    parts.section(
        "Risk register",
        "Likelihood times impact, per 1,000 of a unit of its own; only bad requests add up with"
        " each other. Risks are told and owned, gates alone decide.",
    )
    if not told.register:
        parts.nothing_yet(
            "No risk above its least.",
            what_to_do="No boundary answers for bad"
            " requests, and nothing else that users would feel was seen.",
        )
        return
    said = {(each.rule, each.subject): each for each in told.findings}
    parts.table(
        [
            Column("Risk", "strong"),
            Column("Per 1,000", "num"),
            Column("95 % interval", "num"),
            Column("Likelihood × impact", "num"),
            Column("Of", "muted"),
            Column("Owner", "nowrap"),
            Column("What mends it"),
            Column("Evidence"),
        ],
        [
            (
                parts.two_lines(each.subject, each.rule.removeprefix("risk/")),
                words.digits(each.score_per_1000),
                _interval(each),
                f"{words.digits(each.likelihood_per_1000)} × {words.percent(each.impact_ratio)}",
                each.unit,
                said[each.rule, each.subject].owner or "–",
                parts.two_lines(
                    each.remedy, said[each.rule, each.subject].remark or each.to_do.replace("`", "")
                ),
                _traces(each.trace_ids),
            )
            for each in told.register[:_SHOWN]
        ],
    )
    _more(told.register, f"{words.counted(len(told.register), 'risk')}.", "register")


def _interval(each: Risk) -> str:
    if math.isnan(each.lower) or math.isnan(each.upper):
        return "all counted"
    return f"{words.digits(each.lower)} – {words.digits(each.upper)}"


def _more(rows: Sequence[object], line: str, name: str) -> None:
    """Offer all rows as a file beside one line that says how many there are."""
    beyond = f" {len(rows) - _SHOWN} more in the CSV." if len(rows) > _SHOWN else ""
    left, right = st.columns([1, 5])
    with left:
        parts.export(pd.DataFrame([_flat(row) for row in rows]), name)
    with right:
        parts.line(f"{line}{beyond}")


def _flat(row: object) -> dict[str, object]:
    told = summary.plain(row)
    return {
        key: " ".join(value) if isinstance(value, list) else value for key, value in told.items()
    }


def impact(found: Sequence[Impact]) -> None:
    """Draw what the pilot changed for those who use, run and answer for the system."""
    parts.section(
        "What the pilot changed",
        "Before beside after, with the interval of the ratio. A change whose interval holds 0 % is"
        " none that these traces prove.",
    )
    if not found:
        parts.nothing_yet(
            "There is nothing to compare with.",
            what_to_do="Read the traces from before the pilot into the cohort baseline, or name"
            " both cohorts in the contract.",
        )
        return
    parts.table(
        [
            Column("Figure", "strong"),
            Column("Before", "num"),
            Column("After", "num"),
            Column("", "muted"),
            Column("Change", "num"),
            Column("95 % interval", "num"),
            Column("Counted", "muted"),
        ],
        [
            (
                each.name,
                _figure(each.before, each.unit),
                _figure(each.after, each.unit),
                "" if each.unit == "ms" else each.unit,
                words.change(each.ratio),
                words.change_interval(each.lower, each.upper),
                f"{words.count(each.counted_before)} before,"
                f" {words.count(each.counted_after)} after",
            )
            for each in found
        ],
    )


def _figure(value: float, unit: str) -> str:
    return words.time(value) if unit == "ms" else words.digits(value)
