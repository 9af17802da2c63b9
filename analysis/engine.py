"""The one way to ask the lake: a metric file and a scope in, a frame out."""

import os
import shutil
import tempfile
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import duckdb
import pandas as pd

from analysis import build, catalog, globs, loading
from analysis.scope import CONDITIONS, Scope
from ingest.errors import OrchriskError
from ingest.lake import Lake

TIMEOUT_S = 120.0
# At most, and at most this part of the machine's, so that the pages beside it can breathe; what
# does not fit is spilled.
MEMORY_MB = 3072
MEMORY_RATIO = 0.6


# What somebody declared counts like a tag of the span's own, not like a hint from a name.
_IS_SENSITIVE = "regexp_full_match(resource, getvariable('sensitive'), 's')"
_TOLD = f"""
    * REPLACE (
        CASE
            WHEN {_IS_SENSITIVE} THEN list_distinct(list_append(sensitivity, 'contract'))
            ELSE sensitivity
        END AS sensitivity,
        is_sensitivity_inferred AND NOT {_IS_SENSITIVE} AS is_sensitivity_inferred
    )
"""

# Distinct whole numbers are counted exactly, quickest by a mark in a row of bits for each. Beyond
# so many bytes of marks, of all groups and threads, one by one: that takes five times as long.
MARKS_BYTES = 1 << 29
_ONE_BY_ONE = {
    name: f"CREATE TEMP MACRO {name}(number) AS count(DISTINCT number)"
    for name in ("count_units", "count_turns", "count_daily_units")
}


class TooSlow(OrchriskError, TimeoutError):  # noqa: N818 - it says what happened
    """A question that took longer than it was given."""


class TooLarge(OrchriskError, MemoryError):  # noqa: N818 - it says what happened
    """A question that needed more memory, or disk beside it, than it was given."""


@dataclass(frozen=True)
class Model:
    """A lake as relations. Every question has a cursor of its own, so threads may ask at once."""

    fingerprint: str
    path: Path
    _connection: duckdb.DuckDBPyConnection = field(repr=False, compare=False)
    lake: Path | None = None  # None: a model of no lake
    sensitive: tuple[str, ...] = ()  # globs of resources that count as sensitive, too
    _kept: dict[tuple[str, Scope, tuple[str, ...]], pd.DataFrame] | None = field(
        default=None, repr=False, compare=False
    )
    _macros: str = field(default=";".join(_ONE_BY_ONE.values()), repr=False, compare=False)

    def ask(
        self, metric: str, scope: Scope | None = None, *, timeout_s: float = TIMEOUT_S
    ) -> pd.DataFrame:
        """Return the answer of one metric file within a scope; times in ms, UTC without a zone.

        Raises:
            catalog.CardError: no such metric, or its file has no card.
            TooSlow: it took longer than `timeout_s`.
            TooLarge: it needed more memory, or disk beside it, than it is given.
        """
        key = metric, scope or Scope(), self.sensitive
        if self._kept is not None and key in self._kept:
            return self._kept[key].copy(deep=False)
        with self.relations(scope) as cursor, limit(cursor, metric, timeout_s):
            frame: pd.DataFrame = cursor.sql(self.sql(metric)).to_arrow_table().to_pandas()
        if self._kept is not None:
            self._kept[key] = frame.copy(deep=False)
        return frame

    def counting(self, sensitive: tuple[str, ...]) -> Self:
        """Return the model, in which resources under these globs count as sensitive, too."""
        return replace(self, sensitive=sensitive)

    def once(self) -> Self:
        """Return the same model, which asks each question once and keeps what was answered.

        For one command or page: parts of one verdict rest on the same few questions.
        """
        return replace(self, _kept={})

    def sql(self, metric: str) -> str:
        """Return the text that `ask` runs, as it stands in its file."""
        return catalog.card(metric).sql

    def cohorts(self) -> list[str]:
        """Return the cohorts of the lake, sorted."""
        with self.relations() as cursor:
            rows = cursor.execute("SELECT DISTINCT cohort FROM nodes ORDER BY cohort").fetchall()
        return [row[0] for row in rows]

    @property
    def is_empty(self) -> bool:
        """Whether there is no span at all."""
        with self.relations() as cursor:
            return not cursor.execute("SELECT 1 FROM nodes LIMIT 1").fetchall()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the model's file."""
        self._connection.close()

    @contextmanager
    def relations(self, scope: Scope | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open a cursor on which the relations' names mean only what the scope asks for."""
        with self._connection.cursor() as cursor:
            cursor.execute("USE model")
            cursor.execute(self._macros)
            asked = (scope or Scope()).values()
            for name, value in asked.items():
                cursor.execute(f"SET VARIABLE scope_{name} = ?", [value])
            if self.sensitive:
                pattern = "|".join(map(globs.expression, self.sensitive))
                cursor.execute("SET VARIABLE sensitive = ?", [pattern])
            for relation in CONDITIONS:
                conditions = [CONDITIONS[relation][n] for n in asked if n in CONDITIONS[relation]]
                is_tagged = relation in ("accesses", "touches") and self.sensitive
                told = _TOLD if is_tagged else "*"
                if conditions or told != "*":
                    where = " AND ".join(dict.fromkeys(conditions)) or "true"
                    cursor.execute(
                        f"CREATE TEMP VIEW {relation} AS SELECT {told} FROM model.main.{relation} "
                        f"WHERE {where}"
                    )
            if self.sensitive:
                # What is kept knows no contract.
                pairs = loading.selection("sensitive_pairs")
                cursor.execute(f"CREATE OR REPLACE TEMP VIEW sensitive_pairs AS {pairs}")
            yield cursor


def connect(lake: Path | str, *, cache: Path | None = None) -> Model:
    """Return the model of a lake, built now if this state of the lake has none yet.

    `cache` is where the model's file goes instead of beside the lake.
    """
    source = Lake(lake)
    state = source.snapshot()
    path = build.model_file(source, cache, state=state)
    connection = duckdb.connect(":memory:")
    connection.execute(f"ATTACH '{str(path).replace(chr(39), chr(39) * 2)}' AS model (READ_ONLY)")
    spill = tempfile.mkdtemp(prefix="orchrisk-")
    weakref.finalize(connection, shutil.rmtree, spill, ignore_errors=True)
    _lock(connection, spill)
    return Model(state.fingerprint, path, connection, Path(lake), _macros=_macros(connection))


def _lock(connection: duckdb.DuckDBPyConnection, spill: str) -> None:
    """Shut what a question has no need of; the order matters, the last setting freezes them all."""
    machine_mb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20
    for setting, value in (
        ("TimeZone", "UTC"),
        ("memory_limit", f"{min(MEMORY_MB, int(machine_mb * MEMORY_RATIO))}MiB"),
        ("threads", os.cpu_count() or 1),
        ("temp_directory", spill),
        ("max_temp_directory_size", "20GiB"),
        ("allowed_directories", [spill]),
        ("autoinstall_known_extensions", False),
        ("autoload_known_extensions", False),
        ("allow_community_extensions", False),
        ("enable_external_access", False),
        ("lock_configuration", True),
    ):
        connection.execute(f"SET {setting} = ?", [value])


def _macros(connection: duckdb.DuckDBPyConnection) -> str:
    """Return what questions count units and turns with, as it suits the size of the model."""
    (size,) = connection.execute(
        "SELECT units, turns, groups, greatest(days, 1) FROM model.sizes"
    ).fetchall()
    units, turns, groups, days = size
    asked = {
        "count_units": (units, groups),
        "count_turns": (turns, groups),
        "count_daily_units": (units, groups * days),
    }
    threads = os.cpu_count() or 1
    return ";".join(
        f"CREATE TEMP MACRO {name}(number) AS "
        f"coalesce(bit_count(bitstring_agg(number, 0, {most})), 0)"
        if most // 8 * rows * threads <= MARKS_BYTES
        else _ONE_BY_ONE[name]
        for name, (most, rows) in asked.items()
    )


@contextmanager
def limit(
    cursor: duckdb.DuckDBPyConnection, metric: str, seconds: float = TIMEOUT_S
) -> Iterator[None]:
    """Interrupt what a cursor does within the block when its time is over.

    Raises:
        TooSlow: naming the metric.
        TooLarge: what the metric asks for does not fit into memory and the disk beside it.
    """
    timer = threading.Timer(seconds, cursor.interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    except duckdb.InterruptException as error:
        raise TooSlow(
            f"{metric}: no answer within {seconds:g} s. Hint: ask for a smaller scope."
        ) from error
    except duckdb.OutOfMemoryException as error:
        raise TooLarge(
            f"{metric}: needs more memory than it is given. Hint: ask for a smaller scope."
        ) from error
    finally:
        timer.cancel()
