"""Walks by doubled pointers find what a step after another finds."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis import loading
from analysis.ancestry import NOBODY, along, nearest, tops


@st.composite
def forests(draw):
    """Places above places, in any order and without a circle."""
    size = draw(st.integers(1, 40))
    names = draw(st.permutations(range(size)))
    up = [NOBODY] * size
    for place in range(1, size):
        above = draw(st.integers(-1, place - 1))
        up[names[place]] = names[above] if above >= 0 else NOBODY
    return np.array(up, dtype=np.int64)


def chain(up, place):
    """A place and all above it, from the bottom."""
    while place != NOBODY:
        yield place
        place = up[place]


@given(forests())
def test_the_top_and_the_steps_to_it(up):
    top, steps = tops(up)

    for place in range(len(up)):
        way = list(chain(up, place))
        assert (top[place], steps[place]) == (way[-1], len(way) - 1)


@given(forests(), st.randoms(use_true_random=False))
def test_the_nearest_that_is_sought(up, rng):
    sought = np.array([rng.random() < 0.3 for _ in up])

    found = nearest(up, sought)

    for place in range(len(up)):
        above = [each for each in chain(up, up[place]) if sought[each]]
        assert found[place] == (above[0] if above else NOBODY)


@given(forests(), st.randoms(use_true_random=False))
def test_what_a_whole_way_combines_to(up, rng):
    values = np.array([rng.randint(-9, 9) for _ in up])

    highest, added = along(up, values, np.maximum), along(up, values, np.add)

    for place in range(len(up)):
        way = [values[each] for each in chain(up, place)]
        assert (highest[place], added[place]) == (max(way), sum(way))


@given(forests(), st.data())
def test_a_circle_and_what_hangs_below_it_have_no_top(up, data):
    place = data.draw(st.integers(0, len(up) - 1))
    below = [each for each in range(len(up)) if place in chain(up, each)]
    up[place] = data.draw(st.sampled_from(below))

    top, steps = tops(up)

    assert {each for each in range(len(up)) if top[each] == NOBODY} == set(below)
    assert all(steps[each] == NOBODY for each in below)


@pytest.mark.parametrize("deep", [0, 1, 2, 100_000])
def test_chains_of_any_length(deep):
    up = np.arange(-1, deep - 1, dtype=np.int64)

    top, steps = tops(up)

    assert (top == 0).all()
    assert steps.tolist() == list(range(deep))


def test_every_key_that_rules_ask_the_map_for_is_read_from_it():
    texts = {path.name: path.read_text() for path in loading.steps()}
    listed = set(re.findall(r"'([^']+)'", texts.pop("03_asides.sql").split("[", 1)[1]))

    asked = {key for text in texts.values() for key in re.findall(r"attributes\['([^']+)'\]", text)}

    assert asked
    assert listed == asked
