"""Go or no-go, and what blocks it."""

import math
from typing import Literal

import pandas as pd
import streamlit as st

from analysis import words
from analysis.gates import Gate
from analysis.risk import Figure, Readiness
from app import charts, data, parts, state
from app.parts import Column, Tone
from app.views import risks

_TONES: dict[str, Tone] = {
    "ready": "good",
    "not ready": "breach",
    "not enough evidence": "quiet",
    "pass": "good",
    "fail": "breach",
}
_ORDER = {"fail": 0, "not enough evidence": 1, "pass": 2}
_RANKED = 12  # rows drawn; the rest is in the CSV

METHOD = (
    "A bad request failed, or took longer than the SLA allows. A failed one is charged to the "
    "boundary where its chain of failures began; a late one to the boundaries that spent the time "
    "on its critical path. Each bad request counts once, so the rows and the part that could not "
    "be attributed add up to the total. Intervals are 95 % and respect that calls of one "
    "conversation are not independent. A gate shows its two one-sided bounds, each of which holds "
    "with 95 %: it passes when the one towards its limit is on the good side, and fails when a "
    "bound at the risk shared by all gates is on the bad side."
)


def page() -> None:
    """Draw the readiness page."""
    if data.is_empty():
        parts.empty_lake()
        return
    scope = state.scope_of(cohort=None, boundary=None)
    _head(data.requests(scope))
    if data.sides().pilot is None:
        # Nobody said which cohort is judged, so the reader does.
        scope = state.scope_of(cohort=state.choose_cohort(data.cohorts()), boundary=None)
    told = data.checked(scope)
    found = told.readiness
    _verdict(found)
    _figures(found.figures)
    _ranking(found)
    _gates(found.gates)
    risks.findings(told)
    risks.register(told)
    risks.impact(data.impacts(scope))
    parts.footnote(
        METHOD,
        sql=data.sql(["boundaries", "error_origins", "blame"]),
        notebook=state.notebook(),
        key="method",
    )


def _head(requests: pd.DataFrame) -> None:
    left, right = st.columns([5, 1], vertical_alignment="center")
    promised = data.contracts()
    name = promised.service if promised and promised.service else "this system"
    with left:
        parts.heading(f"Is {name} ready for production?", parts.window_line(requests))
    with right:
        state.choose_window()


def _verdict(found: Readiness) -> None:
    label = str(found.label)
    count = {word: sum(str(gate.label) == word for gate in found.gates) for word in _ORDER}
    said = [
        f"{count[word]} {text}"
        for word, text in (
            ("pass", "pass"),
            ("fail", "fail"),
            ("not enough evidence", "not enough evidence"),
        )
        if count[word]
    ]
    open_gates = [gate for gate in found.gates if str(gate.label) != "pass"]
    changes = [_needed(gate) for gate in _sorted(open_gates)][:3]
    parts.verdict(
        _TONES.get(label, "quiet"),
        label.capitalize(),
        counts=("Gates: " + " · ".join(said)) if said else "No gate could be judged",
        reason=found.reason,
        more=f"{words.digits(found.total_per_1000)} bad of 1,000 requests,"
        f" {words.count(found.requests)} requests seen.",
        changes=changes or ["Any gate that fails in a later window"],
        ask="What would change it" if label != "not enough evidence" else "What would decide it",
    )


def _needed(gate: Gate) -> str:
    """Return what a gate that does not pass waits for."""
    if str(gate.label) != "fail":
        return f"{gate.name}: {gate.missing}"
    return f"{gate.name}: {_required(gate)}, now {words.measured(gate.measured, gate.unit)}"


def _figures(figures: list[Figure]) -> None:
    if not figures:
        return
    for column, figure in zip(st.columns(len(figures)), figures, strict=True):
        with column:
            trend = [value for value in figure.trend if _is_known(value)]
            st.metric(
                figure.name,
                _said(figure),
                delta=_moved(figure),
                delta_color=_tone(figure),
                delta_description=_was(figure),
                border=True,
                chart_data=trend if len(trend) > 1 else None,
                height="stretch",
            )


def _said(figure: Figure) -> str:
    if not figure.n:
        return "not known"
    is_said = str(figure.grade) != "insufficient" and _is_known(figure.value)
    return words.measured(figure.value, figure.unit) if is_said else words.TOO_FEW


def _tone(figure: Figure) -> Literal["normal", "inverse", "off"]:
    """Return how a change is coloured: not at all where the interval still holds the old value."""
    if figure.lower <= figure.was <= figure.upper:
        return "off"
    return "inverse" if figure.better == "lower" else "normal"


def _is_known(value: float | None) -> bool:
    return value is not None and not math.isnan(value)


def _moved(figure: Figure) -> str | None:
    """Return the change against before; `st.metric` reads its sign from an ASCII minus."""
    if str(figure.grade) == "insufficient" or not (
        _is_known(figure.value) and _is_known(figure.was) and figure.was
    ):
        return None
    return words.change(figure.value / figure.was).replace("−", "-")


def _was(figure: Figure) -> str:
    said = []
    if _is_known(figure.upper):
        said.append(words.measured_interval(figure.lower, figure.upper, figure.unit))
    if _is_known(figure.was):
        said.append(f"was {words.measured(figure.was, figure.unit)}")
    return ", ".join(said) or "nothing here to measure it by"


def _ranking(found: Readiness) -> None:
    parts.section(
        "Boundaries, riskiest first",
        "Bad requests per 1,000 that this boundary caused; each bad request counts once, so the"
        " rows add up to the total. Select a row to open the boundary.",
    )
    frame = found.ranking
    if frame.empty:
        parts.nothing_yet(
            "No bad requests to rank.",
            what_to_do="No request failed or was late in this scope,"
            " or there are no user requests in it.",
        )
        return
    bad = frame[frame["bad_per_1000"] > 0]
    shown = (frame if bad.empty else bad).head(_RANKED)
    left, right = st.columns([2.3, 1])
    with left:
        picked = st.dataframe(
            _ranked_table(shown),
            hide_index=True,
            row_height=charts.ROW,
            height=charts.ROW * (len(shown) + 1) + 2,
            on_select="rerun",
            selection_mode="single-row",
            key="ranking",
            alt="Boundaries ranked by bad requests per 1,000",
            column_config={
                "Boundary": st.column_config.TextColumn(width=300),
                **{
                    name: st.column_config.TextColumn(alignment="right")
                    for name in (
                        "Bad / 1,000",
                        "95 % interval",
                        "p95",
                        "Budget",
                        "of budget",
                        "p95 change",
                    )
                },
            },
        )
    with right:
        parts.chart(
            charts.ranking(shown, parts.palette()),
            key="ranking-bars",
            alt="Failed and late requests per 1,000 by boundary",
        )
    rows = picked["selection"]["rows"] if picked else []
    if rows:
        state.open_page("boundaries", boundary=str(shown["boundary_id"].iloc[rows[0]]))
    left, right = st.columns([1, 5])
    with left:
        parts.export(frame, "ranking")
    with right:
        attributed = found.total_per_1000 - found.unattributed_per_1000
        parts.line(
            f"boundaries {words.digits(attributed)}"
            f" + not attributed {words.digits(found.unattributed_per_1000)}",
            strong=f"= {words.digits(found.total_per_1000)} bad per 1,000",
        )


def _ranked_table(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "Boundary": frame["boundary"],
            "Kind": frame["kind"],
            "Bad / 1,000": frame["bad_per_1000"].map(words.digits),
            "95 % interval": [
                f"{words.digits(low)} – {words.digits(high)}"
                for low, high in zip(
                    frame["bad_per_1000_lower"], frame["bad_per_1000_upper"], strict=True
                )
            ],
            "p95": [
                words.time(value) if words.is_said(grade, upper) else words.TOO_FEW
                for value, upper, grade in zip(
                    frame["p95_ms"], frame["p95_ms_upper"], frame["p95_ms_grade"], strict=True
                )
            ],
            "Budget": frame["budget_ms"].map(words.time),
            "of budget": frame["of_budget_ratio"].map(words.percent),
            "p95 change": frame["p95_change_ratio"].map(words.change),
        }
    )


def _sorted(gates: list[Gate]) -> list[Gate]:
    return sorted(gates, key=lambda gate: _ORDER.get(str(gate.label), 1))


def _gates(gates: list[Gate]) -> None:
    parts.section(
        "Readiness gates",
        "One number, one threshold and one page of evidence each."
        " A gate passes when its 95 % bound towards the limit is on the good side.",
    )
    if not gates:
        parts.nothing_yet(
            "No gates to judge.",
            what_to_do="Name a contract: readiness is judged by its SLA, budgets and gates.",
            command="orchrisk dashboard --lake lake --contracts contracts.yaml",
        )
        return
    parts.table(
        [
            Column("Result"),
            Column("Gate", "strong"),
            Column("Measured", "num"),
            Column("95 % bounds", "num"),
            Column("Required", "nowrap"),
            Column("What is missing", "muted"),
            Column("Evidence"),
        ],
        [
            (
                parts.chip(_TONES.get(str(gate.label), "quiet"), _result(str(gate.label))),
                gate.name,
                words.measured(gate.measured, gate.unit) if _is_known(gate.measured) else "–",
                words.measured_interval(gate.lower, gate.upper, gate.unit)
                if _is_known(gate.measured)
                else "–",
                _required(gate),
                gate.missing or "–",
                parts.link(
                    f"/{gate.page}", f"{risks.PAGES.get(gate.page, gate.page)} →", state.address()
                )
                if gate.page in risks.PAGES
                else "–",
            )
            for gate in _sorted(gates)
        ],
    )


def _required(gate: Gate) -> str:
    if not gate.required:
        return "none"
    side = "at least" if gate.better == "higher" else "at most"
    return f"{side} {words.measured(gate.required, gate.unit)}"


def _result(label: str) -> str:
    return "Not enough" if label == "not enough evidence" else label.capitalize()
