"""The cards at the head of the metric files: question, unit, and which way is better.

A metric answers a question. A sample has a row a call, request, span, unit or bucket of units: it
is what measures compute intervals from, found by its name as a metric is, but nothing that a person
reads whole.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

METRICS = Path(__file__).parent / "sql" / "metrics"
SAMPLES = METRICS.with_name("samples")

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_FIELD = re.compile(r"-- (unit|better|grain): (.+)")
_COLUMN = re.compile(r"(?:AS )?(?:\w+\.)?(\w+),?\s+-- (.+)$")


class Better(StrEnum):
    """Which way of a metric is the good one."""

    LOWER = "lower"
    HIGHER = "higher"
    NEITHER = "neither"


class CardError(ValueError):
    """A metric file that does not say what it asks."""


@dataclass(frozen=True)
class Card:
    """What a metric file says of itself; `columns` maps the described columns to their words."""

    name: str
    question: str
    unit: str
    better: Better
    grain: tuple[str, ...]
    columns: dict[str, str]
    sql: str


@cache
def card(name: str, folder: Path = METRICS) -> Card:
    """Return the card of a metric or sample; raises CardError where there is no file or no card."""
    places = (folder, SAMPLES) if folder == METRICS else (folder,)
    path = next(
        (place / f"{name}.sql" for place in places if (place / f"{name}.sql").is_file()), None
    )
    if not _NAME.fullmatch(name) or path is None:
        raise CardError(f"No metric is called {name!r}. There are: {', '.join(names(folder))}.")
    sql = path.read_text(encoding="utf-8")
    lines = sql.splitlines()
    if not lines or not lines[0].startswith("-- ") or not lines[0].endswith("?"):
        raise CardError(f"{path.name}:1: a metric begins with its question, as `-- Who waits?`.")
    fields = {match[1]: match[2] for line in lines if (match := _FIELD.fullmatch(line))}
    missing = {"unit", "better", "grain"} - fields.keys()
    if missing:
        raise CardError(f"{path.name}: the card says nothing of {', '.join(sorted(missing))}.")
    if fields["better"] not in set(Better):
        raise CardError(f"{path.name}: better is {fields['better']!r}, not one of {list(Better)}.")
    return Card(
        name=name,
        question=lines[0][3:],
        unit=fields["unit"],
        better=Better(fields["better"]),
        grain=tuple(part.strip() for part in fields["grain"].split(",")),
        columns={m[1]: m[2] for line in lines if (m := _COLUMN.search(line))},
        sql=sql,
    )


def names(folder: Path = METRICS) -> tuple[str, ...]:
    """Return the metrics there are, sorted."""
    return tuple(sorted(path.stem for path in folder.glob("*.sql")))


def cards(folder: Path = METRICS) -> tuple[Card, ...]:
    """Return every card, samples' too, by name; raises CardError at the first file without one."""
    also = names(SAMPLES) if folder == METRICS else ()
    return tuple(card(name, folder) for name in sorted({*names(folder), *also}))
