"""What parts promise: nothing a trace named can act, in a page or in a spreadsheet."""

import csv
import io
import re

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import parts

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.mark.parametrize("name", [HOSTILE, '"><script>', "a & b", "![x](http://evil/x.png)"])
def test_a_name_in_a_table_is_text(name):
    assert parts.escape(name) == (
        name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
    )


@given(st.text())
def test_no_text_opens_a_tag(text):
    assert "<" not in parts.escape(text)


@pytest.mark.parametrize(
    "markup",
    [
        parts.chip("good", HOSTILE),
        parts.code(HOSTILE),
        parts.named(HOSTILE, HOSTILE),
        parts.two_lines(HOSTILE, HOSTILE),
        parts.link("/pilot", HOSTILE, f"boundary={HOSTILE}"),
    ],
)
def test_every_piece_of_markup_escapes_what_it_is_given(markup):
    assert "<img" not in markup.html


def test_a_link_keeps_the_scope():
    made = parts.link("/budgets", "Budgets", "cohort=pilot&agent=planner").html

    assert 'href="/budgets?cohort=pilot&amp;agent=planner"' in made


@pytest.mark.parametrize("start", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =1+1"])
def test_csv_disarms_a_cell_that_a_spreadsheet_would_run(start):
    made = parts.guarded_csv(pd.DataFrame({"name": [start], start: [1]}))
    rows = list(csv.reader(io.StringIO(made.decode("utf-8-sig"), newline="")))

    assert rows == [["name", f"'{start}"], [f"'{start}", "1"]]


def test_csv_keeps_negative_numbers_as_numbers():
    made = parts.guarded_csv(pd.DataFrame({"change": [-0.5]})).decode("utf-8-sig")

    assert made == "change\r\n-0.5\r\n"


@given(st.lists(st.text(alphabet=st.characters(exclude_categories=["Cs"])), min_size=1))
def test_csv_gives_back_the_same_cells_but_for_the_guard(cells):
    made = parts.guarded_csv(pd.DataFrame({"name": cells}))
    rows = list(csv.reader(io.StringIO(made.decode("utf-8-sig"), newline="")))[1:]

    # A lone empty cell is a blank line in CSV; readers may skip it.
    read = [row[0] if row else "" for row in rows]
    assert [cell.removeprefix("'") for cell in read] == [cell.removeprefix("'") for cell in cells]


@pytest.mark.parametrize(
    ("ratio", "width"), [(0.42, "42.00%"), (1.7, "100.00%"), (-1, "0.00%"), (float("nan"), "0.00%")]
)
def test_a_meter_never_leaves_its_track(ratio, width):
    assert f"width:{width}" in parts.meter(ratio, "good").html


def test_a_chip_says_a_word_beside_its_colour():
    made = parts.chip("breach", "Fail").html

    assert re.sub(r"<[^>]+>", "", made) == "✕Fail"


def test_a_window_is_said_by_cohort_and_day():
    frame = pd.DataFrame(
        {
            "cohort": ["baseline", "pilot"],
            "requests": [12_000, 9_000],
            "first_at": pd.to_datetime(["2026-09-01", "2026-10-01"]),
            "last_at": pd.to_datetime(["2026-09-30", "2026-10-30"]),
        }
    )

    assert parts.window_line(frame) == (
        "baseline 1 – 30 Sep 2026, 12,000 requests · pilot 1 – 30 Oct 2026, 9,000 requests · UTC"
    )
