"""Pieces that pages are made of: headings, facts, tables, chips, meters, notes.

Whatever a trace may have named is escaped here, once: text goes in as text, and only `Markup`
made by this module is written as it stands.
"""

import csv
import html
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from analysis import words
from app import charts, serve

Tone = Literal["good", "breach", "warn", "now", "was", "quiet", "plain"]

_STYLE = Path(__file__).with_name("static") / "style.css"
_SIGNS = {"good": "✓", "breach": "✕", "warn": "!", "now": "•", "was": "•"}
_LONG = 180  # characters; a reason beyond that is set smaller
# A spreadsheet runs a cell that starts like this.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Markup:
    """HTML made by this module out of escaped text."""

    html: str


Cell = str | Markup


@dataclass(frozen=True)
class Fact:
    """One figure of a facts row: what it is, its value as read, and one line beside it."""

    label: str
    value: str
    note: str = ""
    tone: Tone = "plain"


@dataclass(frozen=True)
class Column:
    """One column of a table: its header, and whether it is set as a number or as a name."""

    title: str
    style: Literal["", "num", "strong", "muted", "nowrap"] = ""


def escape(cell: Cell) -> str:
    """Return a cell as HTML: text escaped, markup as it is."""
    return cell.html if isinstance(cell, Markup) else html.escape(str(cell), quote=True)


def _put(inner: str, kind: str = "") -> None:
    st.html(f'<div class="o {kind}">{inner}</div>')


def style() -> None:
    """Load the style sheet; once a run is enough."""
    st.html(_STYLE)


def palette() -> charts.Palette:
    """Return the colours of the theme the reader sees now."""
    return charts.DARK if st.context.theme.type == "dark" else charts.LIGHT


def heading(question: str, line: str) -> None:
    """Write the page's question and one grey line: what is looked at, over which window."""
    _put(f"<h1>{escape(question)}</h1><p>{escape(line)}</p>", "head")


def section(title: str, line: str) -> None:
    """Write a section's head and one grey line on how to read it."""
    _put(f"<h2>{escape(title)}</h2><p>{escape(line)}</p>", "section")


def facts(cells: Sequence[Fact]) -> None:
    """Write a row of figures, each with a coloured rule at its left."""
    inner = "".join(
        f'<div class="fact {fact.tone}"><span>{escape(fact.label)}</span>'
        f"<strong>{escape(fact.value)}</strong><span>{escape(fact.note)}</span></div>"
        for fact in cells
    )
    _put(f'<div class="facts">{inner}</div>')


def table(columns: Sequence[Column], rows: Iterable[Sequence[Cell]]) -> None:
    """Write a table with every cell escaped."""
    head = "".join(f'<th class="{c.style}">{escape(c.title)}</th>' for c in columns)
    body = "".join(
        "<tr>"
        + "".join(
            f'<td class="{column.style}">{escape(cell)}</td>'
            for column, cell in zip(columns, row, strict=True)
        )
        + "</tr>"
        for row in rows
    )
    _put(
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def chip(tone: Tone, word: str) -> Markup:
    """Return a filled circle with a sign, and a word: never colour alone."""
    sign = _SIGNS.get(tone, "?")
    return Markup(f'<span class="chip {tone}"><i>{sign}</i><b>{escape(word)}</b></span>')


def meter(ratio: float, tone: Tone, *, needed: float | None = None) -> Markup:
    """Return a bar filled to a ratio of its track, with a tick at what is needed."""
    filled = min(max(ratio if ratio == ratio else 0.0, 0.0), 1.0)
    tick = "" if needed is None else f'<s style="left:{min(max(needed, 0), 1):.1%}"></s>'
    return Markup(f'<span class="meter {tone}"><u style="width:{filled:.2%}"></u>{tick}</span>')


def link(page: str, text: str, query: str) -> Markup:
    """Return a link to another page of this dashboard that keeps the scope."""
    target = f"{page}?{query}" if query else page
    return Markup(f'<a href="{escape(target)}" target="_self">{escape(text)}</a>')


def code(text: object) -> Markup:
    """Return an id in full, set to be copied."""
    return Markup(f"<code>{escape(str(text))}</code>")


def code_and(id: str, more: str) -> Markup:  # noqa: A002 - it is one
    """Return an id in full, set to be copied, with a quiet second line."""
    first = code(id).html
    return Markup(f'{first}<br><span class="muted">{escape(more)}</span>' if more else first)


def text(value: Any) -> str:
    """Return a value as text, a missing one as an en dash."""
    return "–" if pd.isna(value) or value == "" else str(value)


def moment(at: Any) -> str:
    """Return a UTC time as people write it, or an en dash."""
    return "–" if pd.isna(at) else f"{pd.Timestamp(at):%-d %b %Y %H:%M}"


def window_line(requests: pd.DataFrame) -> str:
    """Return what is looked at: each cohort with its days and its number of user requests."""
    said = [
        f"{row['cohort']} {_days(row['first_at'], row['last_at'])},"
        f" {words.count(row['requests'])} requests"
        for row in requests.to_dict("records")
    ]
    return " · ".join([*said, "UTC"]) if said else "No user requests in this scope"


def _days(first: Any, last: Any) -> str:
    if pd.isna(first) or pd.isna(last):
        return ""
    start, end = pd.Timestamp(first), pd.Timestamp(last)
    if start.date() == end.date():
        return f"{start:%-d %b %Y}"
    same_year, same_month = (
        start.year == end.year,
        (start.year, start.month) == (end.year, end.month),
    )
    opening = (
        f"{start:%-d}" if same_month else f"{start:%-d %b}" if same_year else f"{start:%-d %b %Y}"
    )
    return f"{opening} – {end:%-d %b %Y}"


def named(name: str, tag: str) -> Markup:
    """Return a name with a small word after it, such as "sensitive"."""
    return Markup(f'{escape(name)}<span class="sensitive">{escape(tag)}</span>')


def two_lines(first: str, second: str) -> Markup:
    """Return a cell with a quiet second line."""
    return Markup(f'{escape(first)}<br><span class="muted">{escape(second)}</span>')


def verdict(
    tone: Tone, word: str, *, counts: str, reason: str, more: str, changes: Sequence[str], ask: str
) -> None:
    """Write the verdict card: the word, the reason in one sentence, what would change it."""
    items = "".join(f"<li>{escape(change)}</li>" for change in changes)
    aside = f"<div><small>{escape(ask)}</small><ul>{items}</ul></div>" if changes else "<i></i>"
    size = "reason long" if len(reason) > _LONG else "reason"
    _put(
        f'<div class="{tone}"><small>Verdict</small><div class="word">'
        f"<i>{_SIGNS.get(tone, '?')}</i><span>{escape(word)}</span></div>"
        f"<small>{escape(counts)}</small></div>"
        f'<div><div class="{size}">{escape(reason)}</div>'
        f'<div class="more">{escape(more)}</div></div>{aside}',
        "verdict",
    )


def balance(read: int, kept: int, duplicate: int, rejected: int) -> None:
    """Write the equation "read = kept + duplicate + rejected" and whether it holds."""
    holds = read == kept + duplicate + rejected
    result = chip("good", "Books balance") if holds else chip("breach", "Books do not balance")
    parts: tuple[tuple[str, int, Tone], ...] = (
        ("Kept", kept, "now"),
        ("Duplicate", duplicate, "was"),
        ("Rejected", rejected, "breach"),
    )
    cells = f"<div><span>Spans read</span><strong>{read:,}</strong></div>" + "".join(
        f"<em>{'=' if at == 0 else '+'}</em>"
        f'<div class="{tone}"><span>{name}</span><strong class="tone">{count:,}</strong></div>'
        for at, (name, count, tone) in enumerate(parts)
    )
    widths = "".join(
        f'<u class="{tone}" style="flex:{count} 0 {3 if count else 0}px"></u>'
        for _, count, tone in parts
    )
    _put(
        f'<div class="between"><b>Every span is accounted for</b>{result.html}</div>'
        f'<div class="sum">{cells}</div><div class="stack">{widths}</div>',
        "card",
    )


def line(text: str, *, strong: str = "") -> None:
    """Write one quiet line at the right, such as a printed sum, with its bold end."""
    _put(f'<span class="muted">{escape(text)}</span> <b>{escape(strong)}</b>', "total")


def chart(figure: go.Figure, *, key: str, alt: str, is_fixed: bool = False) -> None:
    """Draw a figure without a tool bar; `alt` says in words what it shows."""
    st.plotly_chart(
        figure,
        theme="streamlit",
        width=int(figure.layout.width) if is_fixed else "stretch",
        config={"displayModeBar": False, "displaylogo": False},
        key=key,
        alt=alt,
    )


def nothing_yet(title: str, *, what_to_do: str, command: str = "") -> None:
    """Say kindly that there is nothing to draw, and what would change that."""
    pre = f"<pre>{escape(command)}</pre>" if command else ""
    _put(f"<h2>{escape(title)}</h2><p>{escape(what_to_do)}</p>{pre}", "nothing")


def empty_lake() -> None:
    """Say what to do where no traces were read in yet."""
    nothing_yet(
        "There are no traces here yet.",
        what_to_do="Export your agents' traces as OTLP (JSON lines or protobuf) and drop the files"
        " on the page Ingest, or read them in with the command:",
        command=f"orchrisk ingest traces/*.jsonl.gz --lake {serve.served_lake()} --cohort baseline",
    )


def footnote(method: str, *, sql: dict[str, str], notebook: str, key: str) -> None:
    """Offer how a section's numbers come about: the method, the very SQL, and notebook lines."""
    with st.popover("How this is measured", type="tertiary", icon=":material/function:", key=key):
        st.text(method)
        for metric, text in sql.items():
            st.caption("The question, as it is asked of the lake:")
            st.code(text, language="sql", wrap_lines=False)
            st.caption(f"The same frame in a notebook ({metric}):")
            st.code(notebook.format(metric=metric), language="python")


def guarded_csv(frame: pd.DataFrame) -> bytes:
    """Return a frame as CSV in which no cell of text can be run as a formula."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([_unarmed(str(name)) for name in frame.columns])
    for row in frame.itertuples(index=False, name=None):
        writer.writerow([_unarmed(value) if isinstance(value, str) else value for value in row])
    # The mark makes spreadsheets read UTF-8.
    return b"\xef\xbb\xbf" + out.getvalue().encode("utf-8", "replace")


def _unarmed(text: str) -> str:
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA) else text


def export(frame: pd.DataFrame, name: str) -> None:
    """Offer a frame as a CSV file."""
    st.download_button(
        "CSV",
        guarded_csv(frame),
        file_name=f"orchrisk-{name}.csv",
        mime="text/csv",
        icon=":material/download:",
        type="tertiary",
        key=f"csv-{name}",
        on_click="ignore",
    )
