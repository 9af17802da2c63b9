"""The figures of many calls at once, group by group: what intervals are computed from.

A call's texts weigh many times its figures. So groups and units become numbers in the engine, and
only what is asked for leaves it.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from analysis import catalog
from analysis.engine import Model, limit
from analysis.scope import Scope

BOUNDARY: Mapping[str, str] = MappingProxyType({"cohort": "cohort", "boundary_id": "boundary_id"})
Key = tuple[Any, ...]
Answer = TypeVar("Answer")


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

    The rows have the columns asked for, `weight`, and `unit_id` as a hash of 64 bits, for which two
    units in 10 million are the same once in 100,000 lakes.

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
    keys = ", ".join(f"{expression} AS {name}" for name, expression in by.items())
    same = " AND ".join(f"told.{name} IS NOT DISTINCT FROM keys.{name}" for name in by)
    rows = f"({catalog.card(metric).sql}) AS asked WHERE {where}"
    with model.relations(scope) as cursor, limit(cursor, metric):
        cursor.execute(
            f"""
            CREATE TEMP TABLE keys AS
            SELECT
                *,
                (row_number() OVER (ORDER BY {", ".join(by)}) - 1)::UINTEGER  AS key_no
            FROM (SELECT {keys}, min(weight) AS least, max(weight) AS most FROM {rows} GROUP BY ALL)
            """
        )
        found = cursor.execute(
            "SELECT * EXCLUDE (key_no, least, most) FROM keys ORDER BY key_no"
        ).fetchall()
        (is_weighted,) = cursor.execute("SELECT max(most) > min(least) FROM keys").fetchall()[0]
        wanted = [*columns, "weight"] if is_weighted else [*columns]
        figures = ", ".join([*wanted, "hash(unit_id) AS unit_id"])
        table = cursor.sql(
            f"""
            SELECT key_no, unit_id, {", ".join(wanted)}
            FROM (SELECT {keys}, {figures} FROM {rows}) AS told
            INNER JOIN keys ON {same}
            """
        ).to_arrow_table()
    numbers = table["key_no"].to_numpy()
    if len(found) <= np.iinfo(np.uint16).max:
        numbers = numbers.astype(np.uint16)  # which numpy sorts by counting
    arrays = {name: table[name].to_numpy() for name in ("unit_id", *wanted)}
    # Sums of weights must not depend on the order in which the engine hands rows out.
    order = np.lexsort((*reversed(arrays.values()), numbers)) if is_weighted else None
    order = np.argsort(numbers, kind="stable") if order is None else order
    edges = np.searchsorted(numbers[order], np.arange(len(found) + 1))
    del table, numbers

    def answered(place: int) -> Answer:
        chosen = order[edges[place] : edges[place + 1]]
        frame = pd.DataFrame({name: array[chosen] for name, array in arrays.items()})
        return answer(found[place], frame if is_weighted else frame.assign(weight=1.0))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        answers = list(pool.map(answered, range(len(found))))
    return dict(zip(found, answers, strict=True))
