"""What the model's SQL leaves to walks: each takes one relation and gives one, a row for a row."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from analysis.ancestry import NOBODY, Flags, Places, along, ids_at, nearest, tops


def branches(rows: pa.Table) -> pa.Table:
    """Return the ancestors of each span that matter; `13_tree.sql` says what they are for."""
    place = _ints(rows, "place")
    ids = _by_place(place, _ints(rows, "node_id"))
    up = _by_place(place, _ints(rows, "parent_place"))
    is_step, is_composite, is_transparent, is_agent, is_work, is_told = (
        _by_place(place, _flags(rows, name))
        for name in ("is_step", "is_composite", "is_transparent", "is_agent", "is_work", "is_told")
    )
    root, depth = tops(up)
    is_cyclic = root == NOBODY
    up = np.where(is_cyclic, NOBODY, up)
    here = np.arange(len(up), dtype=np.int64)

    # D12: the topmost step that leads to work is the run as a whole.
    begins = np.where(is_step | is_composite, here, NOBODY)
    beginning = along(up, begins, lambda low, high: np.where(high == NOBODY, low, high))
    is_run = np.zeros(len(up), dtype=np.bool_)
    is_run[beginning[is_work & (beginning != NOBODY)]] = True
    is_run &= is_step

    return _by_row(
        place,
        parent_id=ids_at(up, ids),
        root_id=pa.array(ids[np.where(is_cyclic, here, root)]),
        depth=pa.array(np.where(is_cyclic, 0, depth)),
        is_cyclic=pa.array(is_cyclic),
        is_run=pa.array(is_run),
        solid_id=ids_at(nearest(up, ~is_transparent | is_run), ids),
        composite_id=ids_at(nearest(up, is_composite | is_run), ids),
        agent_id=ids_at(nearest(up, is_agent | is_run), ids),
        told_by_id=ids_at(np.where(is_told, here, nearest(up, is_told)), ids),
    )


def folds(rows: pa.Table) -> pa.Table:
    """Return the representative of each span's group, and the topmost on its side of a queue."""
    place = _ints(rows, "place")
    ids = _by_place(place, _ints(rows, "node_id"))
    up = _by_place(place, _ints(rows, "outer_place"))
    takes = _by_place(place, _flags(rows, "is_taking"))
    here = np.arange(len(up), dtype=np.int64)
    top, _ = tops(up)
    up = np.where(top == NOBODY, NOBODY, up)
    top = np.where(top == NOBODY, here, top)
    unit = np.where(takes, here, nearest(up, takes))
    return _by_row(
        place,
        group_id=pa.array(ids[top]),
        unit_id=pa.array(ids[np.where(unit == NOBODY, top, unit)]),
    )


def cuts(rows: pa.Table) -> pa.Table:
    """Return the window in which each span was waited for: latest start to earliest cut above."""
    place = _ints(rows, "place")
    up = _by_place(place, _ints(rows, "parent_place"))
    start, cut = (_by_place(place, _ints(rows, name)) for name in ("start_ns", "cut_ns"))
    calls = _by_place(place, _ints(rows, "call_id"))
    called = calls != NOBODY
    nearest_call = np.where(called, np.arange(len(up)), nearest(up, called))
    return _by_row(
        place,
        from_ns=pa.array(along(up, start, np.maximum)),
        until_ns=pa.array(along(up, cut, np.minimum)),
        call_id=ids_at(nearest_call, calls),
    )


def ascents(rows: pa.Table) -> pa.Table:
    """Return the nearest failing unit above each unit, and the steps to it."""
    place = _ints(rows, "place")
    ids = _by_place(place, _ints(rows, "unit_id"))
    up = _by_place(place, _ints(rows, "parent_place"))
    above = nearest(up, _by_place(place, _flags(rows, "is_error")))
    _, depth = tops(up)
    steps = np.where(above == NOBODY, 0, depth - depth[np.where(above == NOBODY, 0, above)])
    return _by_row(place, above_id=ids_at(above, ids), steps=pa.array(steps))


def links(rows: pa.Table) -> pa.Table:
    """Return the top of each failing unit's chain, its share of that failure, the hops to it."""
    place = _ints(rows, "place")
    ids = _by_place(place, _ints(rows, "unit_id"))
    up = _by_place(place, _ints(rows, "above_place"))
    share = _by_place(place, rows["share"].to_numpy().astype(np.float64))
    top, hops = tops(up)
    return _by_row(
        place,
        top_id=pa.array(ids[top]),
        weight=pa.array(along(up, share, np.multiply)),
        hops=pa.array(hops),
    )


def reaches(rows: pa.Table) -> pa.Table:
    """Return, of each call and all below it, one with the most access; how much that is."""
    place = _ints(rows, "place")
    ids = _by_place(place, _ints(rows, "call_id"))
    up = _by_place(place, _ints(rows, "parent_place"))
    # One number says both: the rank, then the place. Each round doubles how far below it looks.
    size = len(up)
    most = _by_place(place, _ints(rows, "rank")) * size + np.arange(size)
    for _ in range(size.bit_length()):
        below = np.flatnonzero(up != NOBODY)
        if not len(below):
            break
        seen = most.copy()
        np.maximum.at(seen, up[below], most[below])
        most, up = seen, np.where(up == NOBODY, NOBODY, up[up])
    return _by_row(
        place,
        reached_id=pa.array(ids[most % max(size, 1)]),
        reached_rank=pa.array(most // max(size, 1)),
    )


def hops(rows: pa.Table) -> pa.Table:
    """Return the nearest span above each that says which scopes it was granted."""
    place = _ints(rows, "place")
    ids = _by_place(place, _ints(rows, "node_id"))
    up = _by_place(place, _ints(rows, "parent_place"))
    return _by_row(
        place, above_id=ids_at(nearest(up, _by_place(place, _flags(rows, "is_granted"))), ids)
    )


T = TypeVar("T", bound=np.generic)

# After the step of the model that makes a relation of this name, its walk makes `NAME_walked`.
WALKS: Mapping[str, Callable[[pa.Table], pa.Table]] = MappingProxyType(
    {walk.__name__: walk for walk in (branches, folds, cuts, ascents, links, reaches, hops)}
)


def _ints(rows: pa.Table, name: str) -> Places:
    filled: Places = rows[name].fill_null(NOBODY).to_numpy().astype(np.int64, copy=False)
    return filled


def _flags(rows: pa.Table, name: str) -> Flags:
    filled: Flags = rows[name].fill_null(False).to_numpy().astype(np.bool_, copy=False)
    return filled


def _by_place(place: Places, values: npt.NDArray[T]) -> npt.NDArray[T]:
    placed = np.empty_like(values)
    placed[place] = values
    return placed


def _by_row(place: Places, **columns: pa.Array) -> pa.Table:
    return pa.table({"place": pa.array(np.arange(len(place)))} | columns)
