"""The figures of many calls at once, group by group: what intervals are computed from.

A call's texts weigh many times its figures. So groups and units leave the engine as the numbers
that the model keeps of them, and only what is asked for leaves it.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, TypeVar

import duckdb
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from analysis import catalog
from analysis.engine import Model, limit
from analysis.scope import Scope

BOUNDARY: Mapping[str, str] = MappingProxyType({"cohort": "cohort", "boundary_id": "boundary_id"})
# What all calls of one cohort and boundary have in common.
NAMES = frozenset({"cohort", "boundary_id", "caller", "kind", "callee"})
# Calls lie by boundary in the model. So many runs of a group are cut faster than sorted.
MOST_RUNS = 64
Key = tuple[Any, ...]
Answer = TypeVar("Answer")
Arrays = dict[str, npt.NDArray[Any]]


def each(
    model: Model,
    scope: Scope,
    columns: Sequence[str],
    answer: Callable[[Key, pd.DataFrame], Answer],
    *,
    metric: str = "latencies",
    by: Mapping[str, str] = BOUNDARY,
    where: str = "true",
) -> dict[Key, Answer]:
    """Return the answer to the rows of each group of a metric's rows, by key, in their order.

    The rows have the columns asked for, `weight`, `unit_id` as a number that tells units apart, and
    `bucket`, a hash of the unit from 0 to 99, where the metric has one.

    Args:
        model: The lake's model.
        scope: What is asked of it.
        columns: Names of columns of the metric that are numbers or times.
        answer: Asked of the key and the rows of each group; several may be asked at a time.
        metric: A metric whose rows are single calls or requests.
        by: What a group has in common, name by expression over the metric's columns.
        where: Which rows count, over the metric's columns.

    Raises:
        TooSlow, TooLarge: It took more time or memory than a question may.
    """
    told = catalog.card(metric)
    asked = f"({told.sql}) AS asked WHERE {where}"
    # A unit without a number is told by a hash of 64 bits, for which two units in 10 million are
    # the same once in 100,000 lakes.
    units = {"unit_id": "unit_no" if "unit_no" in told.columns else "hash(unit_id)"}
    if "bucket" in told.columns:
        units["bucket"] = "bucket"
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        with (
            model.relations(scope, f"boundaries {told.sql} {where}") as cursor,
            limit(cursor, metric),
        ):
            is_weighted = cursor.execute("SELECT is_weighted FROM sizes").fetchall()[0][0]
            wanted = units | {name: name for name in columns}
            if is_weighted:
                wanted["weight"] = "weight"
            with _numbered(cursor, told, asked, by, wanted) as (keys, group_of, query):
                rows, runs = _parted(cursor.sql(query).to_arrow_table(), group_of)

        def answered(place: int) -> Answer:
            arrays = {name: _joined(rows.column(name), runs[place]) for name in wanted}
            if is_weighted:
                # Sums of weights must not depend on the order in which the engine hands rows out.
                order = np.lexsort([*reversed(arrays.values())])
                arrays = {name: array[order] for name, array in arrays.items()}
            else:
                arrays["weight"] = np.broadcast_to(1.0, len(arrays["unit_id"]))
            return answer(keys[place], pd.DataFrame(arrays, copy=False))

        there = sorted(runs)
        answers = list(pool.map(answered, there))
    return dict(zip((keys[place] for place in there), answers, strict=True))


@contextmanager
def _numbered(
    cursor: duckdb.DuckDBPyConnection,
    told: catalog.Card,
    rows: str,
    by: Mapping[str, str],
    wanted: Mapping[str, str],
) -> Iterator[tuple[list[Key], npt.NDArray[np.intp], str]]:
    """Yield the groups' keys in order, each number's place among them, and what asks for rows."""
    figures = ", ".join(f"{expression} AS {name}" for name, expression in wanted.items())
    if NAMES.issuperset(by.values()) and "boundary_no" in told.columns:
        names = ", ".join(by.values())
        numbered = cursor.execute(
            f"""
            SELECT boundary_no, dense_rank() OVER (ORDER BY {names}) - 1, {names}
            FROM boundaries
            ORDER BY ALL
            """
        ).fetchall()
        places = {place: key for _, place, *key in numbered}
        group_of = np.zeros(max((number for number, *_ in numbered), default=0) + 1, dtype=np.intp)
        for number, place, *_ in numbered:
            group_of[number] = place
        keys = [tuple(places[place]) for place in range(len(places))]
        yield keys, group_of, f"SELECT boundary_no, {figures} FROM {rows}"
        return
    expressions = ", ".join(f"{expression} AS {name}" for name, expression in by.items())
    cursor.execute(
        f"""
        CREATE TEMP TABLE keys AS
        SELECT *, (row_number() OVER (ORDER BY {", ".join(by)}) - 1)::INTEGER AS key_no
        FROM (SELECT DISTINCT {expressions} FROM {rows})
        """
    )
    found = cursor.execute("SELECT * EXCLUDE (key_no) FROM keys ORDER BY key_no").fetchall()
    same = " AND ".join(f"told.{name} IS NOT DISTINCT FROM keys.{name}" for name in by)
    yield (
        found,
        np.arange(len(found)),
        f"""
        SELECT key_no, {", ".join(wanted)}
        FROM (SELECT {expressions}, {figures} FROM {rows}) AS told
        INNER JOIN keys ON {same}
        """,
    )


def _parted(
    rows: pa.Table, group_of: npt.NDArray[np.intp]
) -> tuple[pa.Table, dict[int, list[slice]]]:
    """Return the rows, and where those of each group lie among them; their first column tells it.

    Rows of a group keep their order.
    """
    if not len(rows):
        return rows, {}
    numbers = rows.column(0).to_numpy()
    edges = np.flatnonzero(numbers[1:] != numbers[:-1]) + 1
    if len(edges) > MOST_RUNS * len(group_of):
        order = np.argsort(group_of.astype(_smallest(len(group_of)))[numbers], kind="stable")
        rows, numbers = rows.take(order), numbers[order]
        edges = np.flatnonzero(numbers[1:] != numbers[:-1]) + 1
    begins = np.r_[0, edges]
    runs: dict[int, list[slice]] = {}
    for place, begin, end in zip(
        group_of[numbers[begins]].tolist(),
        begins.tolist(),
        [*edges.tolist(), len(rows)],
        strict=True,
    ):
        runs.setdefault(place, []).append(slice(begin, end))
    return rows, runs


def _joined(column: pa.ChunkedArray, runs: list[slice]) -> npt.NDArray[Any]:
    chunks = [chunk for run in runs for chunk in column[run].chunks]
    return np.asarray(pa.chunked_array(chunks, column.type).to_numpy())


def _smallest(numbers: int) -> type[np.unsignedinteger[Any]]:
    """Return a type for numbers below this one; the small one is sorted by counting."""
    return np.uint16 if numbers <= np.iinfo(np.uint16).max else np.uint32
