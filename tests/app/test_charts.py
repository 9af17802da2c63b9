"""What figures promise: safe labels, every row drawn, undecided ones marked."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import charts
from app.charts.access import split
from app.charts.errors import layers
from app.charts.palette import safe

HOSTILE = '<a href="http://evil/">click</a>'
THEMES = pytest.mark.parametrize("palette", [charts.LIGHT, charts.DARK], ids=["light", "dark"])


def ranked(names):
    rows = range(len(names))
    return pd.DataFrame(
        {
            "boundary_id": [f"b{row}" for row in rows],
            "boundary": names,
            "kind": "service",
            "bad_per_1000": [4.0 - row for row in rows],
            "bad_per_1000_lower": [3.5 - row for row in rows],
            "bad_per_1000_upper": [4.5 - row for row in rows],
            "failed_per_1000": [1.0 for _ in rows],
            "late_per_1000": [3.0 - row for row in rows],
        }
    )


def compared(names):
    count = len(names)
    return pd.DataFrame(
        {
            "boundary_id": [f"b{row}" for row in range(count)],
            "boundary": names,
            "before_ms": [400.0] * count,
            "after_ms": [300.0] * count,
            "ratio": [0.75] * count,
            "ratio_lower": [0.7, *[math.nan] * (count - 1)],
            "ratio_upper": [0.8, *[math.inf] * (count - 1)],
            "label": ["proven", *["not enough evidence"] * (count - 1)],
            "budget_ms": [350.0, *[math.nan] * (count - 1)],
        }
    )


def budgeted(names):
    return pd.DataFrame(
        {
            "boundary": names,
            "of_budget_ratio": [1.5, 0.5][: len(names)],
            "label": ["broken", "not enough evidence"][: len(names)],
            "budget_ms": 200.0,
            "tail_ms": 300.0,
            "tail_ms_lower": 280.0,
            "tail_ms_upper": math.nan,
            "p50_ms": 20.0,
            "p95_ms": 90.0,
        }
    )


def binned(cohorts=("baseline", "pilot"), calls=1000):
    rng = np.random.default_rng(7)
    frames = []
    for at, cohort in enumerate(cohorts):
        ms = rng.lognormal(5 - at * 0.3, 0.8, calls)
        bins = 1.02 ** np.floor(np.log(ms) / np.log(1.02))
        counted = pd.Series(bins).value_counts()
        frames.append(
            pd.DataFrame({"cohort": cohort, "bin_ms": counted.index, "calls": counted.to_numpy()})
        )
    return pd.concat(frames, ignore_index=True)


def by_day(days=3):
    return pd.DataFrame(
        {
            "cohort": "pilot",
            "day": pd.date_range("2026-10-01", periods=days),
            "calls": 10,
            "p50_ms": [10.0 + day for day in range(days)],
            "p95_ms": [90.0 + day for day in range(days)],
        }
    )


def origins(names):
    return pd.DataFrame(
        {
            "caller": ["planner", "router", "router"],
            "callee": ["router", "crm", names[0]],
            "failures": [9, 6, 3],
            "origins": [0, 6, 3],
            "absorbed": [5, 1, 0],
        }
    )


def ended(names):
    return pd.DataFrame(
        {
            "boundary": [names[0], names[0], "a → b"],
            "outcome": ["propagated", "retried_ok", "something new"],
            "failures": [5, 3, 1],
        }
    )


def touched(names):
    return pd.DataFrame(
        {
            "agent": [names[0], names[0], "router"],
            "resource": ["pg.crm.customers", names[-1], "pg.crm.cards"],
            "access": ["read", "write", "delete"],
            "calls": [120, 0, 3],
            "grant": ["granted", "unseen", "not granted"],
            "is_new": [False, False, True],
            "is_sensitive": [False, False, True],
        }
    )


FIGURES = {
    "ranking": lambda names, palette: charts.ranking(ranked(names), palette),
    "forest": lambda names, palette: charts.forest(compared(names), palette),
    "dumbbell": lambda names, palette: charts.dumbbell(compared(names), palette),
    "bars": lambda names, palette: charts.bars(budgeted(names), palette),
    "tail": lambda names, palette: charts.tail(binned(names), palette, budget_ms=200),
    "distribution": lambda names, palette: charts.distribution(binned(names), palette),
    "daily": lambda names, palette: charts.daily(by_day().assign(cohort=names[0]), palette),
    "escape_map": lambda names, palette: charts.escape_map(origins(names), palette),
    "outcomes": lambda names, palette: charts.outcomes(ended(names), palette),
    "matrix": lambda names, palette: charts.matrix(touched(names), palette),
}
EVERY = pytest.mark.parametrize("draw", FIGURES.values(), ids=FIGURES.keys())


@EVERY
@THEMES
def test_a_figure_can_be_sent_to_a_browser(draw, palette):
    made = json.loads(draw(["planner → crm", "router → db"], palette).to_json())

    assert made["data"]


@EVERY
def test_no_name_becomes_a_link_in_a_figure(draw):
    made = draw([HOSTILE, HOSTILE.upper()], charts.LIGHT).to_json().lower()

    assert "<a " not in made
    assert "\\u003ca " not in made


@EVERY
@THEMES
def test_a_figure_uses_no_colour_of_the_other_theme(draw, palette):
    other = charts.DARK if palette is charts.LIGHT else charts.LIGHT
    made = draw(["a → b", "c → d"], palette).to_json()
    strange = {other.text, other.pilot, other.breach, other.good} - {
        palette.text,
        palette.pilot,
        palette.breach,
        palette.good,
    }

    assert not [colour for colour in strange if colour in made]


@given(st.text(max_size=80))
def test_a_safe_label_holds_no_tag_and_keeps_a_length(text):
    made = safe(text)

    assert not set("<>&") & set(made)
    assert len(made) <= 46


def test_the_bars_of_a_ranking_add_up_to_the_printed_sum():
    frame = ranked(["a → b", "c → d"])
    made = charts.ranking(frame, charts.LIGHT)
    failed, late = made.data[0], made.data[1]

    assert [x + y for x, y in zip(failed.x, late.x, strict=True)] == list(frame["bad_per_1000"])


def test_a_change_without_a_bound_reads_too_few():
    made = charts.forest(compared(["a → b", "c → d"]), charts.LIGHT)
    said = [note.text for note in made.layout.annotations]

    assert said == ["<b>−25.0\u202f%</b>", "<b>too few</b>"]


def test_the_forest_shades_the_bar_of_ten_to_fifteen_per_cent():
    band = charts.forest(compared(["a → b"]), charts.LIGHT).layout.shapes[0]

    assert (band.x0, band.x1) == (-15.0, -10.0)


def test_the_dumbbell_speaks_of_ms_where_no_budget_is_known():
    frame = compared(["a → b"]).assign(budget_ms=math.nan)
    made = charts.dumbbell(frame, charts.LIGHT)

    assert list(made.data[1].x) == [400.0]
    assert "budget" not in made.layout.xaxis.title.text


def test_the_tail_starts_at_all_calls_and_ends_at_three():
    made = charts.tail(binned(["pilot"]), charts.LIGHT)
    line = made.data[0].y

    assert 0.9 < line[0] <= 1
    assert line[-1] == pytest.approx(3 / 1000, abs=1.5e-3)


def test_the_tail_says_how_much_is_over_budget():
    frame = pd.DataFrame({"cohort": "pilot", "bin_ms": [100.0, 1000.0], "calls": [90, 10]})
    made = charts.tail(frame, charts.LIGHT, budget_ms=102.0)

    assert "<b>10.0\u202f%</b> over" in [note.text for note in made.layout.annotations]


def test_a_tail_of_three_calls_is_drawn():
    frame = pd.DataFrame({"cohort": "pilot", "bin_ms": [10.0, 20.0, 40.0], "calls": [1, 1, 1]})

    assert len(charts.tail(frame, charts.LIGHT).data) == 1


def test_halving_every_call_shifts_every_percentile_by_half():
    before = binned(["baseline"], calls=5000)
    after = before.assign(bin_ms=before["bin_ms"] / 2)
    made = charts.shift(before, after, charts.LIGHT)

    assert list(made.data[0].y) == pytest.approx([-50.0] * len(made.data[0].y))


def test_callers_stand_right_of_what_they_call():
    column = layers([("db", "crm"), ("crm", "router"), ("router", "planner"), ("db", "planner")])

    assert column["db"] < column["crm"] < column["router"] < column["planner"]


def test_a_cycle_of_callers_still_has_columns():
    column = layers([("a", "b"), ("b", "a"), ("c", "c")])

    assert set(column) == {"a", "b", "c"}


def test_the_same_letter_stands_in_the_same_slot_of_each_cell():
    frame = touched(["planner", "mail"])
    frame = pd.concat([frame, frame.assign(agent="other")], ignore_index=True)
    made = charts.matrix(frame, charts.LIGHT)
    squares = made.data[0]
    places = {(text, round(x % 1, 3)) for text, x in zip(squares.text, squares.x, strict=True)}

    assert [text for _, text in sorted((x, text) for text, x in places)] == [
        "<b>R</b>",
        "<b>W</b>",
        "<b>D</b>",
    ]


def test_one_access_over_two_kinds_of_call_is_one_square():
    frame = touched(["planner", "mail"])
    made = charts.matrix(pd.concat([frame, frame]), charts.LIGHT)

    assert len(made.data[0].x) == 3


def test_the_matrix_counts_used_of_granted_and_strays():
    made = charts.matrix(touched(["planner", "mail"]), charts.LIGHT)
    said = " ".join(note.text for note in made.layout.annotations)

    assert " 1 of 2" in said
    assert "+1" in said


@pytest.mark.parametrize(
    ("resource", "parts"),
    [
        ("postgresql.crm.customers", ("crm", "customers")),
        ("http:credit-score/v1/scores/{id}", ("credit-score", "scores/{id}")),
        ("http:127.0.0.1/orders", ("127.0.0.1", "orders")),
        ("tool:crm_lookup", ("tool", "crm_lookup")),
        ("outbox", ("outbox", "outbox")),
    ],
)
def test_a_column_is_named_by_family_and_leaf(resource, parts):
    assert split(resource) == parts


def test_the_tail_of_one_call_is_one_point_within_the_frame():
    frame = pd.DataFrame({"cohort": ["pilot"], "bin_ms": [10.0], "calls": [1]})
    made = charts.tail(frame, charts.LIGHT)

    assert list(made.data[0].y) == [0.5]


def test_a_column_used_without_a_grant_stands_first():
    made = charts.matrix(touched(["planner", "mail"]), charts.LIGHT)
    heads = [note for note in made.layout.annotations if note.y == 0 and note.xref != "x2"]

    assert "cards" in min(heads, key=lambda note: note.x).text
