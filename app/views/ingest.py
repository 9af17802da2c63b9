"""Did my dump arrive, and is every span of it accounted for?"""

import re
from pathlib import PurePath
from typing import Any

import pandas as pd
import streamlit as st

from analysis import words
from app import data, parts, serve
from app.parts import Column, Fact
from ingest.errors import OrchriskError
from ingest.load import load
from ingest.report import LoadReport, Progress
from ingest.schema import COHORT_PATTERN

_LAST = "last-ingest"
_LEDGER = {
    "ingested_at": st.column_config.DatetimeColumn("Read in (UTC)", format="YYYY-MM-DD HH:mm"),
    "name": st.column_config.TextColumn("Source"),
    "cohort": st.column_config.TextColumn("Cohort"),
    "format": st.column_config.TextColumn("Format"),
    "read": st.column_config.NumberColumn("Read", format="localized"),
    "kept": st.column_config.NumberColumn("Kept", format="localized"),
    "duplicates": st.column_config.NumberColumn("Duplicate", format="localized"),
    "rejected": st.column_config.NumberColumn("Rejected", format="localized"),
    "bytes": st.column_config.NumberColumn("Size", format="bytes"),
}
_REFUSED = {
    "source": st.column_config.TextColumn("Source", width="medium"),
    "reason": st.column_config.TextColumn("Reason", width="medium"),
    "count": st.column_config.NumberColumn("Times", format="localized"),
    "place": st.column_config.TextColumn("Place", width="medium"),
    "sample": st.column_config.TextColumn("It looks like", width="medium"),
    "mend": st.column_config.TextColumn("What to do", width="medium"),
}


def page() -> None:
    """Draw the ingest page."""
    parts.heading(
        "Add traces",
        "OTLP as JSON or protobuf, Tempo, Jaeger or Zipkin, plain, compressed or in an archive. The"
        " content decides, not the file's name. Prompts and answers are dropped; files stay on this"
        " machine.",
    )
    left, right = st.columns([1, 1.1], gap="large")
    with left:
        _upload(right)
    last = st.session_state.get(_LAST)
    if last is not None:
        _result(last)
    _history(data.ledger())
    _refused(data.rejects())


def _upload(beside: Any) -> None:
    limit = st.get_option("server.maxUploadSize")
    with st.form("upload", border=True):
        files = st.file_uploader(
            f"Dumps, up to {limit} MB each",
            accept_multiple_files=True,
            key="dumps",
        )
        cohort = st.text_input(
            "Cohort: which side these traces belong to",
            value="baseline",
            help="Lower-case letters, digits, - and _, such as baseline or pilot.",
            key="cohort-name",
        ).strip()
        is_asked = st.form_submit_button("Read in", type="primary", icon=":material/upload:")
    with beside:
        parts.section(
            f"Larger than {limit} MB, or a nightly job",
            "The command reads as a stream, whatever the size, and says the same balance sheet.",
        )
        st.code(
            f"orchrisk ingest traces/*.jsonl.gz --lake {serve.served_lake()} --cohort"
            f" {cohort if re.fullmatch(COHORT_PATTERN, cohort) else 'baseline'}",
            language="bash",
            wrap_lines=True,
        )
        if not is_asked:
            return
        if not re.fullmatch(COHORT_PATTERN, cohort):
            st.error(
                "That is no cohort name. Use lower-case letters, digits, - and _, at most 63, such"
                " as baseline or pilot.",
                icon=":material/error:",
            )
        elif not files:
            st.warning("Choose at least one file first.", icon=":material/info:")
        else:
            _read_in(files, cohort)


def _read_in(files: list[Any], cohort: str) -> None:
    """Read the uploaded files into the lake and keep the report for the page."""
    with st.container(border=True):
        st.text(f"Reading {len(files)} file{'s' if len(files) > 1 else ''} into {cohort}")
        bar, count = st.progress(0.0), st.empty()

    def show(step: Progress) -> None:
        # A compressed stream may end before its last byte was asked for.
        done = step.bytes_read / step.bytes_total if step.bytes_total else 0.0
        bar.progress(min(done, 1.0))
        count.text(
            f"{PurePath(step.source).name}: {words.digits(step.bytes_read / 1e6)} of"
            f" {words.digits(step.bytes_total / 1e6)} MB, {step.spans:,} spans"
        )

    try:
        st.session_state[_LAST] = load(
            [(file.name, file) for file in files],
            serve.served_lake(),
            cohort=cohort,
            progress=show,
        )
    except OrchriskError as refused:
        st.session_state.pop(_LAST, None)
        st.error("Nothing was read in.", icon=":material/error:")
        st.text(str(refused))
        return
    bar.progress(1.0)
    st.success("Read in. Every page shows it from now on.", icon=":material/check_circle:")


def _result(report: LoadReport) -> None:
    names = ", ".join(PurePath(source.name).name for source in report.sources)
    parts.section("Balance sheet of the last ingest", names)
    parts.balance(report.read, report.kept, report.duplicates, report.rejected)
    known = [source for source in report.sources if source.already]
    if known:
        st.info(
            f"{len(known)} of {len(report.sources)} files were in the lake already and were not"
            " read again.",
            icon=":material/info:",
        )
    reasons = [(source, reason) for source in report.sources for reason in source.reasons]
    if not reasons:
        return
    most = max(reason.count for _, reason in reasons) or 1
    parts.section(
        "What was refused, and why",
        "The place is the first example. A row that counts nothing is a remark about the file.",
    )
    parts.table(
        [
            Column("Reason", "strong"),
            Column(""),
            Column("Spans", "num"),
            Column("File", "muted"),
            Column("First at", "muted"),
            Column("It looks like", "muted"),
            Column("What to do"),
        ],
        [
            (
                reason.reason,
                parts.meter(reason.count / most, "breach"),
                words.count(reason.count),
                PurePath(source.name).name,
                reason.place,
                reason.sample,
                reason.mend,
            )
            for source, reason in reasons
        ],
    )


def _history(ledger: pd.DataFrame) -> None:
    if ledger.empty:
        parts.nothing_yet(
            "Nothing was read into this lake yet.",
            what_to_do="Choose one or more files above. What was read, kept, found twice and"
            " refused will be written here, file by file.",
        )
        return
    parts.section(
        "Everything ever read in", "One row a source; read = kept + duplicate + rejected."
    )
    total = {name: int(ledger[name].sum()) for name in ("read", "kept", "duplicates", "rejected")}
    parts.facts(
        [
            Fact("Spans read", words.count(total["read"]), f"{len(ledger)} sources", "plain"),
            Fact("Kept", words.count(total["kept"]), "in the lake", "now"),
            Fact("Duplicate", words.count(total["duplicates"]), "same span again", "was"),
            Fact("Rejected", words.count(total["rejected"]), "with a reason each", "breach"),
        ]
    )
    st.dataframe(
        ledger,
        hide_index=True,
        key="ledger",
        column_order=list(_LEDGER),
        column_config=_LEDGER,
        alt="Every source that was read into the lake",
    )
    parts.export(ledger, "ledger")


def _refused(rejects: pd.DataFrame) -> None:
    if rejects.empty:
        return
    parts.section(
        "Everything ever refused",
        "Up to 20 examples a reason and source. A sample shows the shape of what stood there:"
        " names of fields stay, every other word and digit is masked.",
    )
    st.dataframe(
        rejects,
        hide_index=True,
        key="rejects",
        column_order=list(_REFUSED),
        column_config=_REFUSED,
        alt="Examples of what was refused, with place, reason and mend",
    )
    parts.export(rejects, "rejects")
