"""YAML as values that know their line: every complaint names file, line, key and a near name."""

import datetime as dt
import difflib
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import NoReturn

import yaml

from analysis.contracts import ContractError

MAX_DEPTH = 10
# The parser in C where there is one: a large file costs the other one seconds.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# So much of a wrong value is quoted.
_QUOTED = 80
_UNITS_MS = {"ms": 1.0, "s": 1_000.0, "min": 60_000.0}
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|s|min)", re.ASCII)
_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,9})?)%", re.ASCII)
_QUANTILE = re.compile(r"p([1-9][0-9]?(?:\.[0-9]{1,2})?)", re.ASCII)
# A number with a 0 before it is octal to some readers of YAML; 1.0 is whole to a JSON Schema.
_WHOLE = re.compile(r"(0|[1-9][0-9]{0,3})(?:\.0*)?", re.ASCII)
_HALF = re.compile("[\ud800-\udfff]")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_YAML = "tag:yaml.org,2002:"
_START = yaml.Mark("", 0, 0, 0, "", 0)


@dataclass(frozen=True)
class Place:
    """A YAML node, the file it stands in and the key it is the value of.

    Every method that reads it raises ContractError where it is something else.
    """

    path: str
    node: yaml.Node
    key: str

    @property
    def line(self) -> int:
        """Return the line it begins on, from 1."""
        return int(self.node.start_mark.line) + 1

    def refuse(self, message: str) -> NoReturn:
        """Raise a complaint that names file, line and key; of no file, only what is wrong."""
        place = f"{self.path}:{self.line}: {self.key}: " if self.path else ""
        raise ContractError(f"{place}{message}")

    def mapping(self, known: tuple[str, ...]) -> dict[str, "Place"]:
        """Return the values of a mapping; every key must be known and stand once."""
        values: dict[str, Place] = {}
        for place, value in self.pairs(f"a mapping with the keys {', '.join(known)}."):
            name = place.node.value if isinstance(place.node, yaml.ScalarNode) else "?"
            key = Place(self.path, place.node, shown(name))
            if name not in known:
                key.refuse(f"unknown key. {nearest(name, known)}")
            if name in values:
                key.refuse(f"written twice, first on line {values[name].line}.")
            values[name] = Place(self.path, value.node, name)
        return values

    def pairs(self, what: str) -> list[tuple["Place", "Place"]]:
        """Return the keys and values of a mapping; `what` says what else it should have been."""
        if not isinstance(self.node, yaml.MappingNode):
            self.refuse(f"expected {what}")
        return [
            (Place(self.path, key, self.key), Place(self.path, value, self.key))
            for key, value in self.node.value
        ]

    def items(self) -> list["Place"]:
        """Return the values of a list."""
        if not isinstance(self.node, yaml.SequenceNode):
            self.refuse("expected a list: start each entry with `- `.")
        return [Place(self.path, node, self.key) for node in self.node.value]

    def text(self) -> str:
        """Return a text that is not empty."""
        if isinstance(self.node, yaml.MappingNode):
            self.refuse('expected a text; quote it if it holds a colon: "resource: read".')
        if self._tag != "str" or not str(self.node.value).strip():
            self.refuse("expected a text; quote it if it looks like a number or a yes.")
        if _HALF.search(self.node.value):
            self.refuse("holds half a character, such as \\ud800 without its other half.")
        return str(self.node.value).strip()

    def duration_ms(self) -> float:
        """Return a duration such as 300ms, 1.5s or 2min in milliseconds."""
        found = _DURATION.fullmatch(self._raw())
        if not found or float(found[1]) == 0:
            self.refuse(f"`{shown(self._raw())}` is no duration; write for example 300ms or 1.5s.")
        return float(found[1]) * _UNITS_MS[found[2]]

    def ratio(self) -> float:
        """Return a percentage as a ratio."""
        found = _PERCENT.fullmatch(self._raw())
        if not found or float(found[1]) > 100:
            self.refuse(f"`{shown(self._raw())}` is no percentage from 0% to 100%; write 99.5%.")
        return float(found[1]) / 100

    def quantile(self) -> float:
        """Return a quantile such as p95 or p99.9 as a ratio."""
        found = _QUANTILE.fullmatch(self._raw())
        if not found:
            self.refuse(f"`{shown(self._raw())}` is no quantile from p1 to p99.99; write p95.")
        # Decimal, so that p99.9 is the very number that 0.999 is.
        return float(Decimal(found[1]) / 100)

    def whole(self) -> int:
        """Return a whole number from 0."""
        found = _WHOLE.fullmatch(self._raw())
        if self._tag not in ("int", "float") or not found:
            self.refuse(f"`{shown(self._raw())}` is no whole number from 0 to 9999.")
        return int(found[1])

    def flag(self) -> bool:
        """Return true or false."""
        if self._tag != "bool" or self._raw().lower() not in ("true", "false"):
            self.refuse(f"`{shown(self._raw())}` is neither true nor false.")
        return self._raw().lower() == "true"

    def day(self) -> dt.date:
        """Return a day such as 2026-12-31."""
        try:
            # Python reads other spellings of ISO 8601, too.
            is_day = _DAY.fullmatch(self._raw()) is not None
            return dt.date.fromisoformat(self._raw() if is_day else "")
        except ValueError:
            self.refuse(f"`{shown(self._raw())}` is no day; write 2026-12-31.")

    @property
    def _tag(self) -> str:
        return str(self.node.tag).removeprefix(_YAML)

    def _raw(self) -> str:
        if not isinstance(self.node, yaml.ScalarNode):
            self.refuse("expected one value, found a list or a mapping.")
        return str(self.node.value)


def value_of(kind: str, text: str) -> float:
    """Return a duration in ms or a percentage as a ratio, written as in a contract.

    Raises:
        ContractError: It is neither.
    """
    place = Place("", yaml.ScalarNode(f"{_YAML}str", text, _START, _START), kind)
    return place.duration_ms() if kind == "duration" else place.ratio()


def compose(raw: bytes, name: str) -> yaml.Node:
    """Return the one document of a file as nodes, refusing what no contract needs.

    Raises:
        ContractError: It is no YAML, empty, too deep, or holds aliases or tags.
    """
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ContractError(f"{name}: not UTF-8 at byte {error.start}.") from error
    try:
        depth = 0
        for event in yaml.parse(text, LOADER):
            line = event.start_mark.line + 1 if event.start_mark else 1
            # A few aliases of aliases grow into billions of values.
            if isinstance(event, yaml.AliasEvent):
                raise ContractError(
                    f"{name}:{line}: `*{shown(event.anchor or '')}`: aliases are not read."
                )
            tag = getattr(event, "tag", None)
            if tag is not None and tag != "!":
                raise ContractError(f"{name}:{line}: tag `{shown(tag)}` is not read.")
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:
                raise ContractError(f"{name}:{line}: nested deeper than {MAX_DEPTH} levels.")
        node = yaml.compose(text, LOADER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{name}:{mark.line + 1}" if mark else name
        raise ContractError(f"{place}: no YAML: {error.problem or error.context}.") from error
    except yaml.YAMLError as error:
        raise ContractError(f"{name}: no YAML: {' '.join(str(error).split())}.") from error
    if node is None:
        raise ContractError(f"{name}: empty; a contract starts with `sla:` or `boundaries:`.")
    return node


def shown(text: str) -> str:
    """Return what somebody wrote as a message may quote it: one line, printable, not endless."""
    line = " ".join(text.split())
    cut = line if len(line) <= _QUOTED else f"{line[:_QUOTED]}…"
    return "".join(char if char.isprintable() else "?" for char in cut)


def nearest(name: str, known: tuple[str, ...]) -> str:
    """Return the known word that a wrong one resembles, else all of them, as a sentence."""
    near = difflib.get_close_matches(name[:_QUOTED], known, n=1, cutoff=0.5)
    return f"Did you mean `{near[0]}`?" if near else f"Known: {', '.join(known)}."
