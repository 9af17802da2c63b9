"""Reads when which boundary was made to fail: a schedule of fault tests, the lake's marks."""

import csv
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import yaml

from analysis.engine import Model
from ingest.errors import OrchriskError

MAX_BYTES = 256 * 1024
KEYS = ("id", "boundary", "kind", "from", "until")
_EXAMPLE = (
    "Hint: an entry is {id: crm-down, boundary: 'tool:crm -> http:crm/*', kind: abort, "
    "from: 2026-10-21T08:00Z, until: 2026-10-21T09:00Z}."
)
_ID = re.compile(r"\S(?:.{0,98}\S)?")


class ScheduleError(OrchriskError):
    """The schedule cannot be read; the message names file, entry and what to do."""


@dataclass(frozen=True)
class Planned:
    """One window in which a boundary was made to fail; times are ns since 1970, end excluded."""

    id: str
    boundary: str  # "caller -> callee", of which a side may hold *
    kind: str
    from_ns: int
    until_ns: int


@dataclass(frozen=True)
class Mark:
    """What a span says of an injected fault, beside its id."""

    kind: str | None
    target: str | None


Span = tuple[str, str, str]  # cohort, trace_id, span_id
Marks = tuple[Mapping[Span, Mark], Mapping[str, Mark]]  # without an id by span, else by id


def load(path: Path | str) -> tuple[Planned, ...]:
    """Return the windows of a schedule, a YAML list or CSV with a header, in their order.

    Entries with one id are one test.

    Raises:
        ScheduleError: The file is missing, too large, or an entry lacks something or is wrong.
    """
    name = str(path)
    try:
        with Path(path).open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
        text = raw.decode("utf-8-sig")
    except OSError as error:
        raise ScheduleError(f"{name}: cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise ScheduleError(f"{name}: not UTF-8 at byte {error.start}.") from error
    if len(raw) > MAX_BYTES:
        raise ScheduleError(f"{name}: larger than {MAX_BYTES // 1024} KiB; is it a schedule?")
    head = next((line for line in text.splitlines() if line.strip()), "")
    is_csv = {part.strip() for part in head.split(",")} >= set(KEYS)
    entries = list(csv.DictReader(io.StringIO(text.lstrip()))) if is_csv else _yaml(text, name)
    return tuple(
        _planned(entry, f"{name}: entry {place}") for place, entry in enumerate(entries, start=1)
    )


def _yaml(text: str, name: str) -> list[object]:
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, yaml.SafeLoader)):
            raise ScheduleError(f"{name}: YAML aliases are not read.")
        told = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ScheduleError(f"{name}: no YAML: {' '.join(str(error).split())}.") from error
    except ValueError as error:
        raise ScheduleError(f"{name}: no YAML: {error}.") from error
    if not isinstance(told, list):
        raise ScheduleError(f"{name}: expected a list of tests.\n{_EXAMPLE}")
    return told


def _planned(entry: object, place: str) -> Planned:
    if not isinstance(entry, Mapping):
        raise ScheduleError(
            f"{place}: expected a test with the keys {', '.join(KEYS)}.\n{_EXAMPLE}"
        )
    if set(entry) != set(KEYS):
        wrong = ", ".join(sorted(map(str, set(entry) ^ set(KEYS))))
        raise ScheduleError(f"{place}: missing or unknown: {wrong}.\n{_EXAMPLE}")
    texts = {key: str(entry[key] if entry[key] is not None else "").strip() for key in KEYS[:3]}
    for key, text in texts.items():
        if not _ID.fullmatch(text):
            raise ScheduleError(f"{place}: {key}: expected a text of at most 100 letters.")
    caller, arrow, callee = texts["boundary"].replace(" → ", " -> ").partition(" -> ")
    if not (arrow and caller.strip() and callee.strip()):
        raise ScheduleError(f'{place}: boundary: `{texts["boundary"]}` is not "caller -> callee".')
    start, end = (_ns(entry[key], f"{place}: {key}") for key in KEYS[3:])
    if end <= start:
        raise ScheduleError(f"{place}: it ends before it begins.")
    return Planned(texts["id"], f"{caller.strip()} -> {callee.strip()}", texts["kind"], start, end)


def _ns(value: object, place: str) -> int:
    try:
        moment = (
            value if isinstance(value, datetime) else datetime.fromisoformat(str(value).strip())
        )
    except ValueError as error:
        raise ScheduleError(f"{place}: `{value}` is no time. Write 2026-10-21T08:00Z.") from error
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    whole = int(moment.replace(microsecond=0).timestamp())
    return whole * 10**9 + moment.microsecond * 1000


def marks(model: Model) -> Marks:
    """Return the kinds and targets of faults that spans tell: without an id by span, else by id.

    The first are what proxies write, such as Envoy's response flags DI and FI.
    """
    nameless: dict[Span, Mark] = {}
    named: dict[str, Mark] = {}
    for cohort, trace_id, span_id, fault_id, kind, target in model.ask("fault_spans").itertuples(
        index=False, name=None
    ):
        mark = Mark(_text(kind), _text(target))
        if not isinstance(fault_id, str):
            nameless[cohort, trace_id, span_id] = mark
        elif fault_id not in named or named[fault_id].kind is None:
            named[fault_id] = mark
    return nameless, named


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
