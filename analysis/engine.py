"""The one way to ask the lake: a metric file and a scope in, a frame out."""

import os
import shutil
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
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


_Question = tuple[str, Scope, tuple[str, ...]]


class TooSlow(OrchriskError, TimeoutError):  # noqa: N818 - it says what happened
    """A question that took longer than it was given."""


class TooLarge(OrchriskError, MemoryError):  # noqa: N818 - it says what happened
    """A question that needed more memory, or disk beside it, than it was given."""


class _Kept:
    """Answers by question. Threads that ask the same wait for the first of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: dict[_Question, Future[pd.DataFrame]] = {}

    def answer(self, question: _Question, ask: Callable[[], pd.DataFrame]) -> pd.DataFrame:
        with self._lock:
            is_first = question not in self._answers
            answer = self._answers.setdefault(question, Future())
        if is_first:
            try:
                answer.set_result(ask())
            except BaseException as error:
                with self._lock:
                    del self._answers[question]
                answer.set_exception(error)
        return answer.result()


@dataclass(frozen=True)
class Model:
    """A lake as relations. Every question has a cursor of its own, so threads may ask at once."""

    fingerprint: str
    path: Path
    _connection: duckdb.DuckDBPyConnection = field(repr=False, compare=False)
    lake: Path | None = None  # None: a model of no lake
    sensitive: tuple[str, ...] = ()  # globs of resources that count as sensitive, too
    _kept: "_Kept | None" = field(default=None, repr=False, compare=False)
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
        if self._kept is None:
            return self._answer(metric, scope, timeout_s)
        key = metric, scope or Scope(), self.sensitive
        answer = self._kept.answer(key, lambda: self._answer(metric, scope, timeout_s))
        return answer.copy(deep=False)

    def _answer(self, metric: str, scope: Scope | None, timeout_s: float) -> pd.DataFrame:
        sql = self.sql(metric)
        with self.relations(scope, sql) as cursor, limit(cursor, metric, timeout_s):
            frame: pd.DataFrame = cursor.sql(sql).to_arrow_table().to_pandas()
        return frame

    def counting(self, sensitive: tuple[str, ...]) -> Self:
        """Return the model, in which resources under these globs count as sensitive, too."""
        return replace(self, sensitive=sensitive)

    def once(self) -> Self:
        """Return the same model, which asks each question once and keeps what was answered.

        For one command or page: parts of one verdict rest on the same few questions.
        """
        return self if self._kept else replace(self, _kept=_Kept())

    def sql(self, metric: str) -> str:
        """Return the text that `ask` runs, as it stands in its file."""
        return catalog.card(metric).sql

    def cohorts(self) -> list[str]:
        """Return the cohorts of the lake, sorted."""
        with self.relations() as cursor:
            rows = cursor.execute("SELECT DISTINCT cohort FROM traces ORDER BY cohort").fetchall()
        return [row[0] for row in rows]

    @property
    def is_empty(self) -> bool:
        """Whether there is no span at all."""
        with self.relations() as cursor:
            return not cursor.execute("SELECT 1 FROM traces LIMIT 1").fetchall()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the model's file."""
        self._connection.close()

    @contextmanager
    def relations(
        self, scope: Scope | None = None, text: str | None = None
    ) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open a cursor on which the relations' names mean only what the scope asks for.

        Args:
            scope: What is asked.
            text: What will be run on it, if that is known: other names mean the whole then.
        """
        with self._connection.cursor() as cursor:
            cursor.execute("USE model")
            cursor.execute(self._macros)
            asked = (scope or Scope()).values()
            for name, value in asked.items():
                cursor.execute(f"SET VARIABLE scope_{name} = ?", [value])
            if self.sensitive:
                pattern = "|".join(map(globs.expression, self.sensitive))
                cursor.execute("SET VARIABLE sensitive = ?", [pattern])
            wanted = {
                relation: " AND ".join(dict.fromkeys(some[name] for name in asked if name in some))
                for relation, some in CONDITIONS.items()
            }
            # What a contract calls sensitive is told from several relations.
            for relation in _named(None if self.sensitive else text, wanted):
                is_tagged = relation in ("accesses", "touches") and self.sensitive
                told = _TOLD if is_tagged else "*"
                if wanted[relation] or told != "*":
                    cursor.execute(
                        f"CREATE TEMP VIEW {relation} AS SELECT {told} FROM model.main.{relation} "
                        f"WHERE {wanted[relation] or 'true'}"
                    )
            if self.sensitive:
                # What is kept knows no contract.
                pairs = loading.selection("sensitive_pairs")
                cursor.execute(f"CREATE OR REPLACE TEMP VIEW sensitive_pairs AS {pairs}")
            yield cursor


def _named(text: str | None, conditions: Mapping[str, str]) -> list[str]:
    """Return the relations that a text names, or whose conditions name them in their turn."""
    if text is None:
        return list(conditions)
    named: dict[str, None] = {}
    texts = [text]
    while texts:
        here = texts.pop()
        found = [name for name in conditions if name in here and name not in named]
        named.update(dict.fromkeys(found))
        texts += [conditions[name] for name in found]
    # What another rests on comes first.
    return [name for name in conditions if name in named]


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
