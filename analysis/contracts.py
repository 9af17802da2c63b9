"""Reads contracts.yaml: what a pilot promised, with the line of every promise."""

import datetime as dt
import difflib
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fnmatch import fnmatchcase
from pathlib import Path
from types import MappingProxyType
from typing import NoReturn

import yaml

from ingest.errors import OrchriskError

# A contract is written by hand: more than this is another file by mistake, or an attack.
MAX_BYTES = 256 * 1024
MAX_DEPTH = 10
DEFAULT_QUANTILE = 0.95
QUANTILES = MappingProxyType({"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99.9": 0.999})
ACCESSES = ("read", "execute", "write", "delete", "admin")
GATES = (
    "success",
    "within_sla",
    "downstream",
    "containment",
    "slower",
    "coverage",
    "escape",
    "state_kept",
)

_TOP = (
    "service",
    "sla",
    "downstream_share",
    "cohorts",
    "aliases",
    "boundaries",
    "access",
    "gates",
    "acknowledged",
    "openapi",
)
_SLA = (*QUANTILES, "success")
_COHORTS = ("baseline", "pilot")
_RULE = (
    *("match", "budget", "on_path", "quantile"),
    *("timeout", "idempotent", "retries", "fallback"),
)
_ACCESS = ("agent", "allow", "sensitive")
_OPENAPI = ("service", "file")
_ACKNOWLEDGED = ("finding", "subject", "owner", "reason", "until")
_UNITS_MS = {"ms": 1.0, "s": 1_000.0, "min": 60_000.0}
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|s|min)", re.ASCII)
_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,9})?)%", re.ASCII)
_QUANTILE = re.compile(r"p([1-9][0-9]?(?:\.[0-9]{1,2})?)", re.ASCII)
_WHOLE = re.compile(r"[0-9]{1,4}", re.ASCII)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_HOST = re.compile(r"[^\s/]+")
_ARROW = re.compile(r"(\S(?:.*\S)?) (?:->|→) (\S(?:.*\S)?)", re.ASCII)
_YAML = "tag:yaml.org,2002:"
_START = yaml.Mark("", 0, 0, 0, "", 0)


class ContractError(OrchriskError):
    """The contract cannot be read; the message names file, line, key and what to do."""


@dataclass(frozen=True)
class Sla:
    """What one user request was promised."""

    latency_ms: Mapping[float, float] = field(default_factory=dict)  # quantile -> limit, as written
    success_ratio: float | None = None

    @property
    def quantile(self) -> float:
        """The quantile that verdicts are about: the first written, else p95."""
        return next(iter(self.latency_ms), DEFAULT_QUANTILE)

    @property
    def limit_ms(self) -> float | None:
        """The limit at that quantile."""
        return self.latency_ms.get(self.quantile)


@dataclass(frozen=True)
class Cohorts:
    """Which cohorts stand for before and after."""

    baseline: str | None = None
    pilot: str | None = None


@dataclass(frozen=True)
class Alias:
    """The service behind a host, for where the traces leave it open."""

    host: str
    service: str
    line: int


@dataclass(frozen=True)
class Rule:
    """What the calls of some boundaries were promised."""

    match: str
    caller: str  # glob
    callee: str  # glob
    budget_ms: float | None  # one call, at the quantile
    on_path_ms: float | None  # all calls of a request, on its critical path, at the quantile
    quantile: float
    timeout_ms: float | None
    idempotent: bool | None
    retries: int | None
    fallback: str | None
    line: int

    def covers(self, caller: str, callee: str, callee_service: str | None = None) -> bool:
        """Return whether the rule speaks of a boundary.

        A callee may be written by its own name, or as `service:<name>/<path>`.
        """
        names = [callee]
        if callee_service:
            path = callee.partition("/")[2]
            names += [f"service:{callee_service}", f"service:{callee_service}/{path}"]
        return fnmatchcase(caller, self.caller) and any(
            fnmatchcase(name, self.callee) for name in names
        )


@dataclass(frozen=True)
class Grant:
    """One access that an agent was given."""

    agent: str  # glob
    resource: str  # glob
    access: str
    line: int

    def is_for(self, agent: str) -> bool:
        """Return whether the grant speaks of an agent."""
        return fnmatchcase(agent.removeprefix("agent:"), self.agent.removeprefix("agent:"))


@dataclass(frozen=True)
class Acknowledgement:
    """One finding that somebody answers for, until a day."""

    finding: str  # glob of a finding's rule
    subject: str  # glob of the boundary, the use, or whatever it is about
    owner: str
    reason: str
    until: dt.date  # the last day it counts
    line: int

    def covers(self, finding: str, subject: str) -> bool:
        """Return whether a finding is meant; arrows may be written `->`."""
        return fnmatchcase(finding, self.finding) and fnmatchcase(
            subject.replace("\u2192", "->"), self.subject.replace("\u2192", "->")
        )


@dataclass(frozen=True)
class Document:
    """The OpenAPI document of a service; the file is relative to the contract's folder."""

    service: str
    file: str
    line: int


@dataclass(frozen=True)
class Contracts:
    """A whole contracts file."""

    service: str | None = None
    sla: Sla = Sla()
    downstream_share_ratio: float | None = None
    cohorts: Cohorts = Cohorts()
    aliases: tuple[Alias, ...] = ()
    boundaries: tuple[Rule, ...] = ()
    access: tuple[Grant, ...] = ()
    sensitive: tuple[str, ...] = ()  # globs of resources
    gates: Mapping[str, float] = field(default_factory=dict)
    openapi: tuple[Document, ...] = ()
    acknowledged: tuple[Acknowledgement, ...] = ()
    path: str = ""
    digest: str = ""  # sha256 of the file

    @property
    def downstream_budget_ms(self) -> float | None:
        """What all non-model calls of a request may take together on the critical path."""
        if self.downstream_share_ratio is None or self.sla.limit_ms is None:
            return None
        return self.downstream_share_ratio * self.sla.limit_ms

    def rule_for(self, caller: str, callee: str, callee_service: str | None = None) -> Rule | None:
        """Return the first rule that speaks of a boundary."""
        return next(
            (rule for rule in self.boundaries if rule.covers(caller, callee, callee_service)), None
        )


@dataclass(frozen=True)
class _Place:
    """A YAML node and where it stands."""

    path: str
    node: yaml.Node
    key: str

    @property
    def line(self) -> int:
        return int(self.node.start_mark.line) + 1

    def refuse(self, message: str) -> NoReturn:
        raise ContractError(f"{self.path}:{self.line}: {self.key}: {message}")

    def mapping(self, known: tuple[str, ...]) -> dict[str, "_Place"]:
        """Return the values of a mapping; every key must be known and stand once."""
        if not isinstance(self.node, yaml.MappingNode):
            self.refuse(f"expected a mapping with the keys {', '.join(known)}.")
        values: dict[str, _Place] = {}
        for key_node, value_node in self.node.value:
            name = key_node.value if isinstance(key_node, yaml.ScalarNode) else "?"
            place = _Place(self.path, key_node, name)
            if name not in known:
                place.refuse(f"unknown key. {_nearest(name, known)}")
            if name in values:
                place.refuse(f"written twice, first on line {values[name].line}.")
            values[name] = _Place(self.path, value_node, name)
        return values

    def items(self) -> list["_Place"]:
        """Return the values of a list."""
        if not isinstance(self.node, yaml.SequenceNode):
            self.refuse("expected a list: start each entry with `- `.")
        return [_Place(self.path, node, self.key) for node in self.node.value]

    def text(self) -> str:
        """Return a text that is not empty."""
        if isinstance(self.node, yaml.MappingNode):
            self.refuse('expected a text; quote it if it holds a colon: "resource: read".')
        if self._tag != "str" or not str(self.node.value).strip():
            self.refuse("expected a text; quote it if it looks like a number or a yes.")
        return str(self.node.value).strip()

    def duration_ms(self) -> float:
        """Return a duration such as 300ms, 1.5s or 2min in milliseconds."""
        found = _DURATION.fullmatch(self._raw())
        if not found or float(found[1]) == 0:
            self.refuse(f"`{self._raw()}` is no duration; write for example 300ms or 1.5s.")
        return float(found[1]) * _UNITS_MS[found[2]]

    def ratio(self) -> float:
        """Return a percentage as a ratio."""
        found = _PERCENT.fullmatch(self._raw())
        if not found or float(found[1]) > 100:
            self.refuse(f"`{self._raw()}` is no percentage from 0% to 100%; write 99.5%.")
        return float(found[1]) / 100

    def quantile(self) -> float:
        """Return a quantile such as p95 or p99.9 as a ratio."""
        found = _QUANTILE.fullmatch(self._raw())
        if not found:
            self.refuse(f"`{self._raw()}` is no quantile from p1 to p99.99; write p95.")
        # Decimal, so that p99.9 is the very number that 0.999 is.
        return float(Decimal(found[1]) / 100)

    def whole(self) -> int:
        """Return a whole number from 0."""
        if self._tag != "int" or not _WHOLE.fullmatch(self._raw()):
            self.refuse(f"`{self._raw()}` is no whole number from 0 to 9999.")
        return int(self._raw())

    def flag(self) -> bool:
        """Return true or false."""
        if self._tag != "bool" or self._raw().lower() not in ("true", "false"):
            self.refuse(f"`{self._raw()}` is neither true nor false.")
        return self._raw().lower() == "true"

    def day(self) -> dt.date:
        """Return a day such as 2026-12-31."""
        try:
            # Python reads other spellings of ISO 8601, too.
            is_day = _DAY.fullmatch(self._raw()) is not None
            return dt.date.fromisoformat(self._raw() if is_day else "")
        except ValueError:
            self.refuse(f"`{self._raw()}` is no day; write 2026-12-31.")

    def one_of(self, known: tuple[str, ...]) -> str:
        """Return one of a closed set of words."""
        value = self.text()
        if value not in known:
            self.refuse(f"`{value}` is not known. {_nearest(value, known)}")
        return value

    @property
    def _tag(self) -> str:
        return str(self.node.tag).removeprefix(_YAML)

    def _raw(self) -> str:
        if not isinstance(self.node, yaml.ScalarNode):
            self.refuse("expected one value, found a list or a mapping.")
        return str(self.node.value)


def load(path: Path | str) -> Contracts:
    """Return the contract in a file.

    Raises:
        ContractError: When the file is missing, too large, no YAML, or says something unknown or
            impossible; the message names file, line and key.
    """
    name = str(path)
    try:
        with Path(path).open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ContractError(f"{name}: cannot be read: {error.strerror}.") from error
    if len(raw) > MAX_BYTES:
        raise ContractError(f"{name}: larger than {MAX_BYTES // 1024} KiB; is it a contract?")
    return parse(raw, name)


def parse(raw: bytes, name: str = "contracts.yaml") -> Contracts:
    """Return the contract in a file's bytes; `name` stands for the file in messages."""
    root = _Place(name, _compose(raw, name), "contract")
    top = root.mapping(_TOP)
    sla = _sla(top["sla"]) if "sla" in top else Sla()
    cohorts = top["cohorts"].mapping(_COHORTS) if "cohorts" in top else {}
    grants, sensitive = _access(top["access"]) if "access" in top else ((), ())
    gates = top["gates"].mapping(GATES) if "gates" in top else {}
    return Contracts(
        service=top["service"].text() if "service" in top else None,
        sla=sla,
        downstream_share_ratio=(
            top["downstream_share"].ratio() if "downstream_share" in top else None
        ),
        cohorts=Cohorts(**{key: place.text() for key, place in cohorts.items()}),
        aliases=tuple(_aliases(top["aliases"])) if "aliases" in top else (),
        boundaries=tuple(_rule(place, sla) for place in top["boundaries"].items())
        if "boundaries" in top
        else (),
        access=grants,
        sensitive=sensitive,
        gates={key: place.ratio() for key, place in gates.items()},
        openapi=tuple(map(_document, top["openapi"].items())) if "openapi" in top else (),
        acknowledged=tuple(_acknowledgement(place) for place in top["acknowledged"].items())
        if "acknowledged" in top
        else (),
        path=name,
        digest=hashlib.sha256(raw).hexdigest(),
    )


def value_of(kind: str, text: str) -> float:
    """Return a duration in ms or a percentage as a ratio, written as in the file.

    Raises:
        ContractError: It is neither.
    """
    place = _Place("", yaml.ScalarNode(f"{_YAML}str", text, _START, _START), kind)
    return place.duration_ms() if kind == "duration" else place.ratio()


def sides(known: Sequence[str], contracts: Contracts | None) -> Cohorts:
    """Return which of the cohorts in the lake stand for before and after.

    The contract's names count first, then `baseline` and `pilot`; a lone cohort is the pilot.
    """
    named = contracts.cohorts if contracts else Cohorts()
    baseline = named.baseline or ("baseline" if "baseline" in known else None)
    rest = [cohort for cohort in known if cohort != baseline]
    pilot = named.pilot or ("pilot" if "pilot" in known else None)
    if pilot is None and len(rest) == 1:
        pilot = rest[0]
    return Cohorts(baseline, pilot)


def host_of(callee: str) -> str | None:
    """Return the host in `http:<host>/<path>` or `rpc:<host>/<method>`, None in other callees."""
    scheme, _, rest = callee.partition(":")
    return rest.partition("/")[0] or None if scheme in ("http", "rpc") else None


def _sla(place: _Place) -> Sla:
    values = place.mapping(_SLA)
    return Sla(
        {QUANTILES[key]: value.duration_ms() for key, value in values.items() if key in QUANTILES},
        values["success"].ratio() if "success" in values else None,
    )


def _aliases(place: _Place) -> Iterator[Alias]:
    if not isinstance(place.node, yaml.MappingNode):
        place.refuse("expected a mapping of hosts to services: `10.0.0.7: credit-score`.")
    lines: dict[str, int] = {}
    for key_node, value_node in place.node.value:
        host = _Place(place.path, key_node, "aliases").text()
        key = _Place(place.path, key_node, host)
        if not _HOST.fullmatch(key_node.value):
            key.refuse("is no host; write it without scheme and path.")
        if host in lines:
            key.refuse(f"written twice, first on line {lines[host]}.")
        lines[host] = key.line
        yield Alias(host, _Place(place.path, value_node, host).text(), key.line)


def _rule(place: _Place, sla: Sla) -> Rule:
    values = place.mapping(_RULE)
    if "match" not in values:
        place.refuse('a rule needs `match: "caller -> callee"`.')
    match = values["match"].text()
    sides = _ARROW.fullmatch(match)
    if not sides:
        values["match"].refuse(f'`{match}` is not "caller -> callee"; a side may hold `*`.')
    timeout_ms = values["timeout"].duration_ms() if "timeout" in values else None
    budget_ms = values["budget"].duration_ms() if "budget" in values else None
    return Rule(
        match=match,
        caller=sides[1],
        callee=sides[2],
        budget_ms=budget_ms,
        on_path_ms=values["on_path"].duration_ms() if "on_path" in values else None,
        quantile=values["quantile"].quantile() if "quantile" in values else sla.quantile,
        timeout_ms=timeout_ms,
        idempotent=values["idempotent"].flag() if "idempotent" in values else None,
        retries=values["retries"].whole() if "retries" in values else None,
        fallback=values["fallback"].text() if "fallback" in values else None,
        line=place.line,
    )


def _document(place: _Place) -> Document:
    values = place.mapping(_OPENAPI)
    for name in _OPENAPI:
        if name not in values:
            place.refuse(f"a document needs `{name}`.")
    return Document(values["service"].text(), values["file"].text(), place.line)


def _access(place: _Place) -> tuple[tuple[Grant, ...], tuple[str, ...]]:
    grants: list[Grant] = []
    sensitive: dict[str, None] = {}
    for entry in place.items():
        values = entry.mapping(_ACCESS)
        if "agent" not in values:
            entry.refuse("an access entry needs `agent`.")
        agent = values["agent"].text()
        if "allow" in values:
            for line in values["allow"].items():
                grants.extend(_grants(agent, line))
        if "sensitive" in values:
            sensitive.update(dict.fromkeys(item.text() for item in values["sensitive"].items()))
    return tuple(grants), tuple(sensitive)


def _grants(agent: str, place: _Place) -> Iterator[Grant]:
    resource, colon, words = place.text().rpartition(": ")
    if not colon or not resource.strip():
        place.refuse(f'`{place.text()}` is not "resource: access, access".')
    for word in words.split(","):
        access = word.strip()
        if access not in ACCESSES:
            place.refuse(f"access `{access}` is not known. {_nearest(access, ACCESSES)}")
        yield Grant(agent, resource.strip(), access, place.line)


def _acknowledgement(place: _Place) -> Acknowledgement:
    values = place.mapping(_ACKNOWLEDGED)
    for needed in ("finding", "owner", "reason", "until"):
        if needed not in values:
            place.refuse(f"an acknowledgement needs `{needed}`.")
    return Acknowledgement(
        finding=values["finding"].text(),
        subject=values["subject"].text() if "subject" in values else "*",
        owner=values["owner"].text(),
        reason=values["reason"].text(),
        until=values["until"].day(),
        line=place.line,
    )


def _compose(raw: bytes, name: str) -> yaml.Node:
    """Return the one document of a file as nodes, refusing what no contract needs."""
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ContractError(f"{name}: not UTF-8 at byte {error.start}.") from error
    try:
        depth = 0
        for event in yaml.parse(text, yaml.SafeLoader):
            line = event.start_mark.line + 1 if event.start_mark else 1
            # A few aliases of aliases grow into billions of values.
            if isinstance(event, yaml.AliasEvent):
                raise ContractError(f"{name}:{line}: `*{event.anchor}`: aliases are not read.")
            tag = getattr(event, "tag", None)
            if tag is not None and tag != "!":
                raise ContractError(f"{name}:{line}: tag `{tag}` is not read.")
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:
                raise ContractError(f"{name}:{line}: nested deeper than {MAX_DEPTH} levels.")
        node = yaml.compose(text, yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{name}:{mark.line + 1}" if mark else name
        raise ContractError(f"{place}: no YAML: {error.problem or error.context}.") from error
    except yaml.YAMLError as error:
        raise ContractError(f"{name}: no YAML: {' '.join(str(error).split())}.") from error
    if node is None:
        raise ContractError(f"{name}: empty; a contract starts with `sla:` or `boundaries:`.")
    return node


def _nearest(name: str, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"Did you mean `{near[0]}`?" if near else f"Known: {', '.join(known)}."
