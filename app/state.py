"""The scope of all pages: read from the address bar, kept over page changes, written back."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from datetime import datetime, time
from typing import Any
from urllib.parse import urlencode

import streamlit as st

from analysis.contracts import Cohorts
from analysis.scope import Scope
from app import serve

_SCOPE = "scope"
_BOTH = 2
_KEYS = frozenset(field.name for field in fields(Scope))


def keep() -> None:
    """Take the scope from the address, or put the kept one back: a page change clears it."""
    given = {key: value for key, value in st.query_params.items() if key in _KEYS}
    if given:
        st.session_state[_SCOPE] = Scope.from_query(given)
    _write(scope())


def scope() -> Scope:
    """Return the scope all pages share now."""
    kept = st.session_state.get(_SCOPE)
    return kept if isinstance(kept, Scope) else Scope()


def change(**values: Any) -> None:
    """Replace parts of the scope and write the address; for callbacks of widgets."""
    st.session_state[_SCOPE] = replace(scope(), **values)
    _write(scope())


def scope_of(**values: Any) -> Scope:
    """Return the shared scope with some parts replaced, the address left as it is."""
    return replace(scope(), **values)


def address() -> str:
    """Return the scope as the query part of a link."""
    return urlencode(scope().to_query())


def notebook() -> str:
    """Return notebook lines that give a `{metric}` frame with the same scope."""
    kept = ", ".join(f"{key}={value!r}" for key, value in scope().to_query().items())
    query = f"Scope.from_query(dict({kept}))" if kept else "Scope()"
    return (
        (
            "from analysis.engine import connect\n"
            "from analysis.scope import Scope\n\n"
            f"model = connect({str(serve.served_lake())!r})\n"
            f'model.ask("{{metric}}", {query})'
        )
        .replace("{{", "{")
        .replace("}}", "}")
    )


def remember(pages: Mapping[str, st.Page]) -> None:
    """Keep the pages of this run by name, so that one page may open another."""
    st.session_state["pages"] = dict(pages)


def open_page(name: str, **values: Any) -> None:
    """Change the scope and go to another page."""
    change(**values)
    st.switch_page(st.session_state["pages"][name], query_params=scope().to_query())


def _write(kept: Scope) -> None:
    wanted = kept.to_query()
    for key in _KEYS:
        if key in wanted:
            if st.query_params.get(key) != wanted[key]:
                st.query_params[key] = wanted[key]
        elif key in st.query_params:
            del st.query_params[key]


def choose_cohort(cohorts: Sequence[str], *, preferred: str | None = None) -> str | None:
    """Offer the cohorts and return the chosen one; None where the lake has none.

    Without a choice in the address it is `preferred`, else `pilot`, else the last by name.
    """
    if not cohorts:
        return None
    chosen = scope().cohort
    if chosen not in cohorts:
        known = [name for name in (preferred, "pilot") if name in cohorts]
        chosen = known[0] if known else cohorts[-1]
    if len(cohorts) > 1:
        st.session_state["cohort-choice"] = chosen
        st.segmented_control(
            "Cohort",
            list(cohorts),
            key="cohort-choice",
            label_visibility="collapsed",
            required=True,
            on_change=lambda: change(cohort=st.session_state["cohort-choice"]),
        )
    return chosen


def choose_sides(cohorts: Sequence[str], named: Cohorts) -> tuple[str | None, str | None]:
    """Return which cohorts are before and after, asking only where nothing names them."""
    if (named.baseline and named.pilot) or len(cohorts) < _BOTH:
        return named.baseline, named.pilot
    left, right, _ = st.columns([1, 1, 2])
    guess = named.baseline or next((name for name in cohorts if name == "before"), cohorts[0])
    with left:
        before = st.selectbox(
            "Before", list(cohorts), index=cohorts.index(guess), key="before-side"
        )
    rest = [name for name in cohorts if name != before]
    with right:
        after = st.selectbox("After", rest, key="after-side")
    return before, after


def choose_boundary(names: dict[str, str], *, label: str = "Boundary") -> str | None:
    """Offer boundaries by id -> name and return the chosen id; the first where none is chosen."""
    if not names:
        return None
    chosen = scope().boundary
    st.session_state["boundary-choice"] = chosen if chosen in names else next(iter(names))
    st.selectbox(
        label,
        list(names),
        format_func=lambda boundary_id: names[boundary_id],
        key="boundary-choice",
        on_change=lambda: change(boundary=st.session_state["boundary-choice"]),
    )
    return str(st.session_state["boundary-choice"])


def choose_window() -> None:
    """Offer the days, agent and service that all pages look at."""
    kept = scope()
    corner = st.container(horizontal=True, horizontal_alignment="right")
    with corner.popover(
        "Scope", icon=":material/filter_alt:", type="tertiary", key="scope-popover"
    ):
        for name, label in (("since", "From day (UTC)"), ("until", "Before day (UTC)")):
            value = getattr(kept, name)
            st.session_state[f"scope-{name}"] = value.date() if value else None
            st.date_input(
                label,
                key=f"scope-{name}",
                on_change=lambda name=name: _change_day(name),
                format="YYYY-MM-DD",
            )
        for name, label in (("agent", "Agent"), ("service", "Service")):
            st.session_state[f"scope-{name}"] = getattr(kept, name) or ""
            st.text_input(
                label,
                key=f"scope-{name}",
                placeholder="all",
                on_change=lambda name=name: change(
                    **{name: st.session_state[f"scope-{name}"].strip() or None}
                ),
            )
        if kept != Scope():
            st.button("Show everything", key="scope-clear", on_click=lambda: change(**_EVERYTHING))


_EVERYTHING: dict[str, None] = dict.fromkeys(_KEYS)


def _change_day(name: str) -> None:
    chosen = st.session_state[f"scope-{name}"]
    change(**{name: datetime.combine(chosen, time.min) if chosen else None})
