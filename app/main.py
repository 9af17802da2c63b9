"""The frame of the dashboard: pages along the top, one scope kept in the address bar."""

from pathlib import Path

import streamlit as st

from analysis.contracts import ContractError
from app import parts, state
from app.views import access, boundaries, budgets, errors, pilot, readiness
from app.views import ingest as ingest_view
from ingest.errors import OrchriskError

_STATIC = Path(__file__).with_name("static")

PAGES = {
    "readiness": st.Page(
        readiness.page, title="Readiness", icon=":material/verified:", default=True
    ),
    "pilot": st.Page(
        pilot.page, title="Before / after", icon=":material/compare_arrows:", url_path="pilot"
    ),
    "budgets": st.Page(
        budgets.page, title="Budgets", icon=":material/bar_chart:", url_path="budgets"
    ),
    "boundaries": st.Page(
        boundaries.page, title="Boundaries", icon=":material/speed:", url_path="boundaries"
    ),
    "errors": st.Page(
        errors.page, title="Error chains", icon=":material/account_tree:", url_path="errors"
    ),
    "access": st.Page(access.page, title="Data access", icon=":material/key:", url_path="access"),
    "ingest": st.Page(
        ingest_view.page, title="Ingest", icon=":material/upload:", url_path="ingest"
    ),
}


def main() -> None:
    """Draw the chosen page inside the frame."""
    st.set_page_config(page_title="orchrisk", page_icon=str(_STATIC / "mark.png"), layout="wide")
    st.logo(str(_STATIC / "logo.svg"), size="medium")
    chosen = st.navigation(list(PAGES.values()), position="top")
    parts.style()
    state.remember(PAGES)
    state.keep()
    try:
        chosen.run()
    except (OrchriskError, ContractError) as refused:
        # The message may quote a file's content: it is shown as plain text, never as Markdown.
        st.error("This cannot be shown.", icon=":material/error:")
        st.text(str(refused))


main()
