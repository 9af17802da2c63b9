"""Units are counted by marks where there is room for them, else one by one, and alike."""

import random

import pandas as pd
import pytest

from analysis import catalog, engine
from analysis.scope import Scope


def drawing(rng):
    """Draw traces of a few conversations, of which one is told nothing."""
    talks = ["", *(f"conversation_id=c{number}" for number in range(6))]
    lines = []
    for _ in range(40):
        talk, agent = rng.choice(talks), rng.choice("ab")
        lines += ["", f"agent {agent} 0..100 {talk} service_version={rng.randrange(2)}"]
        lines.append(f"  model gpt 5..{rng.randrange(20, 60)} {rng.choice(['', '!'])} {talk}")
        lines.append(f"  tool t{rng.randrange(3)} 61..80 {talk}")
        lines.append(f"    db orders{rng.randrange(2)} 62..70 db_system=mysql {talk}")
    return "\n".join(lines)


@pytest.fixture(scope="module")
def drawn_model(build, drawn):
    rng = random.Random(3)
    return build([row for side in "xy" for row in drawn(drawing(rng), cohort=side)])


def test_every_metric_counts_alike_with_and_without_room_for_marks(drawn_model, monkeypatch):
    lake = drawn_model.path.parents[1]
    with engine.connect(lake) as marked, monkeypatch.context() as patch:
        patch.setattr(engine, "MARKS_BYTES", -1)
        with engine.connect(lake) as counted:
            for card in catalog.cards():
                by_marks, one_by_one = (model.ask(card.name) for model in (marked, counted))
                columns = list(by_marks.columns)
                both = [frame.sort_values(columns, key=_text) for frame in (by_marks, one_by_one)]
                both = [frame.reset_index(drop=True) for frame in both]
                pd.testing.assert_frame_equal(*both)


def test_a_unit_is_counted_once_whatever_it_is_asked_for(drawn_model, query):
    for scope in (Scope(), Scope(cohort="x"), Scope(agent="a"), Scope(cohort="y", agent="b")):
        with drawn_model.relations(scope) as cursor:
            ((by_number, by_name, of_some),) = cursor.execute(
                """
                SELECT
                    count_units(unit_no),
                    count(DISTINCT unit_id),
                    count_units(CASE WHEN is_error THEN unit_no END)
                        - count(DISTINCT unit_id) FILTER (is_error)
                FROM calls
                """
            ).fetchall()
        assert by_number == by_name > 0
        assert of_some == 0


def _text(column):
    return column.map(repr)
