"""A replay without a change changes nothing; with one it is what a slow walk of the tree says."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.replay import Change, replayed

MS = 10**6


def spans(rows):
    """Rows of (parent, start ms, end ms, is the call, is an aside): the first is the request."""
    frame = pd.DataFrame(rows, columns=["parent_id", "start_ns", "end_ns", "is_call", "is_aside"])
    return frame.assign(
        node_id=np.arange(len(frame)) + 1,
        request_id=1,
        parent_id=[-1 if pd.isna(parent) else int(parent) + 1 for parent in frame["parent_id"]],
        start_ns=(frame["start_ns"] * MS).astype("int64"),
        end_ns=(frame["end_ns"] * MS).astype("int64"),
        boundary_id=np.where(frame["is_call"], "b", None),
        is_error=False,
    )


def duration(rows, change):
    return replayed(spans(rows), change).durations_ms[1]


#        request; think; the call 10..50; after it 55..80; a message taken later
PLAIN = [
    (None, 0, 100, False, False),
    (0, 0, 8, False, False),
    (0, 10, 50, True, False),
    (0, 55, 80, False, False),
    (2, 12, 45, False, False),
    (0, 90, 400, False, True),
]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (Change(), 100),
        (Change(factor=0.5), 80),
        (Change(factor=2.0), 140),
        (Change(timeout_ms=30), 90),
        (Change(timeout_ms=30, fallback_ms=5), 95),
        (Change(timeout_ms=40), 100),
        (Change(cached_ratio=1.0, hit_ms=1), 61),
        (Change(cached_ratio=0.0), 100),
    ],
)
def test_what_comes_after_a_call_moves_with_its_end(change, expected):
    assert duration(PLAIN, change) == pytest.approx(expected)


def test_calls_that_followed_each_other_run_at_once_and_the_longest_is_waited_for():
    rows = [
        (None, 0, 100, False, False),
        (0, 10, 40, True, False),
        (0, 45, 55, True, False),
        (0, 60, 80, True, False),
        (0, 82, 90, False, False),
    ]

    # All three from 10; the longest ends at 40, the next begins 2 later and takes 8, then 10 more.
    assert duration(rows, Change(parallel=True)) == pytest.approx(60)


def test_who_outlives_its_caller_was_not_waited_for():
    rows = [(None, 0, 50, False, False), (0, 10, 90, True, False)]

    assert duration(rows, Change(factor=0.1)) == pytest.approx(50)


def test_calls_that_went_well_and_were_cut_are_counted():
    frame = spans(PLAIN)

    told = replayed(frame, Change(timeout_ms=10))

    assert (told.calls, told.changed, told.given_up) == (1, 1, 1)
    assert replayed(frame.assign(is_error=True), Change(timeout_ms=10)).given_up == 0


def test_a_request_deeper_than_the_limit_is_left_out_and_counted():
    rows = [(None, 0, 1000, False, False)]
    rows += [(place, 0, 1000, False, False) for place in range(600)]

    told = replayed(spans(rows), Change(factor=0.5))

    assert (told.durations_ms, told.too_deep) == ({}, 1)


def test_nothing_to_replay():
    assert replayed(spans(PLAIN).iloc[:0], Change(factor=0.5)).durations_ms == {}


@st.composite
def trees(draw):
    """A request of up to 14 spans with overlaps, ties, no length, early begins and late ends."""
    rows = [(None, 0, 200, False, False)]
    for number in range(1, draw(st.integers(2, 14))):
        parent = draw(st.integers(0, number - 1))
        start = draw(st.integers(-5, 190))
        end = start + draw(st.sampled_from([0, 1, 5, 20, 60, 150]))
        rows.append((parent, start, end, draw(st.booleans()), draw(st.integers(0, 9)) == 0))
    return rows


def oracle(rows, change):
    """Walk the tree in the words of METHODS.md, what if; one span at a time."""
    children = [[n for n, row in enumerate(rows) if row[0] == place] for place in range(len(rows))]

    def before(place):
        _, start, _, _, _ = rows[place]
        ended = [
            other
            for other in children[rows[place][0]]
            if other != place
            and not rows[other][4]
            and rows[other][2] <= start
            and not (rows[other][1] == rows[other][2] == start)
        ]
        return max(ended, key=lambda other: (rows[other][2], other), default=None)

    def run(place):
        """The first of the calls that this call followed without another span between."""
        while (earlier := before(place)) is not None and rows[earlier][3]:
            place = earlier
        return place

    def lasting(place):
        _, start, end, is_call, _ = rows[place]
        length = end - start
        if is_call and change.timeout_ms is not None and length > change.timeout_ms:
            return change.timeout_ms + change.fallback_ms
        if is_call and change.factor is not None:
            return length * change.factor
        inside = [c for c in children[place] if not rows[c][4] and rows[c][2] <= end]
        if not inside:
            return length
        rest = end - max(rows[c][2] for c in inside)
        return max(begin(c) + lasting(c) for c in inside) + rest

    def begin(place):
        if change.parallel and rows[place][3] and run(place) != place:
            return begin(run(place))
        earlier = before(place)
        if earlier is None:
            return rows[place][1] - rows[rows[place][0]][1]
        gap = rows[place][1] - rows[earlier][2]
        if change.parallel and rows[earlier][3]:
            alike = [c for c in children[rows[place][0]] if rows[c][3] and run(c) == run(earlier)]
            return begin(earlier) + max(lasting(c) for c in alike) + gap
        return begin(earlier) + lasting(earlier) + gap

    return lasting(0)


CHANGES = [
    Change(),
    Change(factor=0.3),
    Change(factor=3.0),
    Change(timeout_ms=12, fallback_ms=4),
    Change(parallel=True),
]


@settings(max_examples=300, deadline=None)
@given(trees(), st.sampled_from(CHANGES))
def test_a_replay_is_what_a_walk_of_the_tree_says(rows, change):
    assert duration(rows, change) == pytest.approx(oracle(rows, change), abs=1e-6)


@settings(max_examples=100, deadline=None)
@given(trees())
def test_without_a_change_every_request_takes_what_it_took(rows):
    assert duration(rows, Change()) == pytest.approx(200, abs=1e-9)
