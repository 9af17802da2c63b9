"""What a contract promises, and which rule, grant or acknowledgement speaks of what."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from types import MappingProxyType

from ingest.errors import OrchriskError

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


class ContractError(OrchriskError):
    """A contract cannot be read or put to work; the message names file, line and what to do."""


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
