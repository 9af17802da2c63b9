"""The figures of many calls at once, group by group: what intervals are computed from.

A call's texts weigh many times its figures. So groups and units leave the engine as the numbers
that the model keeps of them, and only what is asked for leaves it.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
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
# Rows that leave the engine at a time; they are parted while the next are made.
BATCH_ROWS = 500_000
# Calls lie by boundary in the model. So many runs of one group are cut faster than sorted.
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
    rows = f"({told.sql}) AS asked WHERE {where}"
    # A unit without a number is told by a hash of 64 bits, for which two units in 10 million are
    # the same once in 100,000 lakes.
    units = {"unit_id": "unit_no" if "unit_no" in told.columns else "hash(unit_id)"}
    if "bucket" in told.columns:
        units["bucket"] = "bucket"
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        with model.relations(scope) as cursor, limit(cursor, metric):
            is_weighted = cursor.execute("SELECT is_weighted FROM sizes").fetchall()[0][0]
            wanted = units | {name: name for name in columns}
            if is_weighted:
                wanted["weight"] = "weight"
            with _numbered(cursor, told, rows, by, wanted) as (keys, group_of, query):
                parts: list[list[Arrays]] = [[] for _ in keys]
                for parted in _batches(pool, cursor, query, group_of):
                    for place, arrays in parted:
                        parts[place].append(arrays)

        def answered(place: int) -> Answer:
            some = parts[place]
            arrays = {name: np.concatenate([part[name] for part in some]) for name in wanted}
            some.clear()
            if is_weighted:
                # Sums of weights must not depend on the order in which the engine hands rows out.
                order = np.lexsort([*reversed(arrays.values())])
                arrays = {name: array[order] for name, array in arrays.items()}
            else:
                arrays["weight"] = np.ones(len(arrays["unit_id"]))
            return answer(keys[place], pd.DataFrame(arrays, copy=False))

        there = [place for place, some in enumerate(parts) if some]
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


def _batches(
    pool: ThreadPoolExecutor,
    cursor: duckdb.DuckDBPyConnection,
    query: str,
    group_of: npt.NDArray[np.intp],
) -> Iterator[list[tuple[int, Arrays]]]:
    waiting: list[Future[list[tuple[int, Arrays]]]] = [
        pool.submit(_parted, batch, group_of)
        for batch in cursor.sql(query).to_arrow_reader(BATCH_ROWS)
    ]
    for parted in waiting:
        yield parted.result()


def _parted(batch: pa.RecordBatch, group_of: npt.NDArray[np.intp]) -> list[tuple[int, Arrays]]:
    """Return the rows of a batch by the place of their group, in their order."""
    places = group_of[batch.column(0).to_numpy()]
    arrays = {
        name: batch.column(name).to_numpy(zero_copy_only=False) for name in batch.schema.names[1:]
    }
    edges = np.flatnonzero(places[1:] != places[:-1]) + 1
    if len(edges) > MOST_RUNS:
        if len(group_of) <= np.iinfo(np.uint16).max:
            places = places.astype(np.uint16)  # which numpy sorts by counting
        order = np.argsort(places, kind="stable")
        places = places[order]
        arrays = {name: array[order] for name, array in arrays.items()}
        edges = np.flatnonzero(places[1:] != places[:-1]) + 1
    begins, ends = [0, *edges.tolist()], [*edges.tolist(), len(places)]
    return [
        (int(places[begin]), {name: array[begin:end] for name, array in arrays.items()})
        for begin, end in zip(begins, ends, strict=True)
        if end > begin
    ]
