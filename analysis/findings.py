"""What a check found, one by one: a key that stays, who answers for it, whether it counts."""

import datetime as dt
import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

import pandas as pd

from analysis import words
from analysis.access import Granted
from analysis.compliance import Label
from analysis.contracts import Acknowledgement, Contracts
from analysis.gates import Gate, Result


class Level(StrEnum):
    """What a finding does to the answer: not ready, not enough evidence, or nothing."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Status(StrEnum):
    """Whether a finding counts: new and expired ones do."""

    NEW = "new"
    EXPIRED = "expired"
    KNOWN = "known"
    ACCEPTED = "accepted"


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, open, or at risk."""

    key: str  # the same for the same rule and subject, whatever was measured
    rule: str
    level: str
    subject: str  # the boundary, the use; empty for the system as a whole
    message: str
    remedy: str = ""
    owner: str = ""
    line: int | None = None  # of the contract
    trace_ids: tuple[str, ...] = ()
    status: str = Status.NEW
    remark: str = ""  # who accepted it until when, or since when that is over

    @property
    def counts(self) -> bool:
        """Whether the exit code hears of it."""
        return self.level != Level.NOTE and self.status in (Status.NEW, Status.EXPIRED)


def finding(
    rule: str,
    level: Level,
    subject: str,
    message: str,
    *,
    remedy: str = "",
    owner: str = "",
    line: int | None = None,
    trace_ids: Iterable[str] = (),
) -> Finding:
    """Return a finding with the key of its rule and subject."""
    key = hashlib.sha256(f"{rule}\0{subject}".encode()).hexdigest()[:16]
    return Finding(key, rule, str(level), subject, message, remedy, owner, line, tuple(trace_ids))


def of_gates(
    gates: Iterable[Gate],
    budgets: pd.DataFrame,
    on_path: pd.DataFrame,
    uses: pd.DataFrame,
    evidence: Mapping[str, tuple[str, ...]],
) -> list[Finding]:
    """Return what keeps gates from passing.

    Budgets, shares of the critical path and grants are told by boundary and by use; every other
    gate is one finding.

    Args:
        gates: The gates of one verdict.
        budgets: Boundaries held against their budgets, as `compliance.by_boundary` gives them.
        on_path: The same on the critical path, as `path_budgets.by_boundary` gives it.
        uses: Accesses held against their grants, as `access.footprint` gives them.
        evidence: Trace ids by a gate's key, by a boundary's id for its budget, and by
            `on_path/` and that id for its share of the critical path.
    """
    found: list[Finding] = []
    for gate in gates:
        if gate.label == Result.PASSED:
            continue
        parts: list[Finding] = []
        if gate.key == "budgets":
            parts = _broken("budget", budgets[budgets["budget_ms"].notna()], gate, evidence, "")
        elif gate.key == "on_path":
            parts = _broken("on_path", on_path, gate, evidence, "on_path/")
        elif gate.key == "grants" and gate.label == Result.FAILED:
            parts = _ungranted(uses)
        found += parts or [_of_gate(gate, evidence.get(gate.key, ()))]
    return found


def _of_gate(gate: Gate, trace_ids: tuple[str, ...]) -> Finding:
    level = Level.ERROR if gate.label == Result.FAILED else Level.WARNING
    side = "at least" if gate.better == "higher" else "at most"
    limit = words.measured(gate.required, gate.unit)
    seen = "not enough evidence"
    if not math.isnan(gate.measured):
        interval = words.measured_interval(gate.lower, gate.upper, gate.unit)
        seen = f"{words.measured(gate.measured, gate.unit)} {interval}"
    message = f"{gate.name}: {seen}, {side} {limit} required. {gate.missing}"
    return finding(f"gate/{gate.key}", level, "", message.strip(), trace_ids=trace_ids)


def _broken(
    name: str,
    promised: pd.DataFrame,
    gate: Gate,
    evidence: Mapping[str, tuple[str, ...]],
    prefix: str,
) -> list[Finding]:
    """Return the boundaries that fail the gate, or, where none does, those that leave it open."""
    return [
        finding(
            name,
            Level.ERROR if row["boundary_id"] in gate.parts else Level.WARNING,
            row["boundary"],
            f"{row['boundary']}: {row['reason']}",
            line=int(row["line"]),
            trace_ids=evidence.get(f"{prefix}{row['boundary_id']}", ()),
        )
        for row in promised[promised["label"] != Label.KEPT].to_dict("records")
    ]


def _ungranted(uses: pd.DataFrame) -> list[Finding]:
    return [
        finding(
            "access",
            Level.ERROR,
            (said := f"{use['agent']} {use['access']} {use['resource']}"),
            f"{said}: no grant of the contract covers it; "
            f"seen in {words.counted(use['calls'], 'call')}"
            f"{', on sensitive data' if use['is_sensitive'] else ''}.",
            owner=use["agent"],
            trace_ids=(use["first_trace_id"],),
        )
        for use in uses[uses["grant"] == Granted.NOT_GRANTED].to_dict("records")
    ]


def weighed(
    found: Iterable[Finding],
    contracts: Contracts | None,
    as_of: dt.date | None,
    known: Mapping[str, str],
) -> list[Finding]:
    """Return findings with whether they count, what counts and weighs most first.

    An acknowledgement holds to the end of its day; later the finding counts again and says so.
    What an earlier check knew does not count unless it became worse.

    Args:
        found: What was found.
        contracts: Its acknowledgements.
        as_of: The day to hold them against; None: nothing is over.
        known: The level by key of an earlier check's findings.
    """
    accepted = contracts.acknowledged if contracts else ()
    told = [_weighed(each, accepted, as_of, known) for each in found]
    order = list(Level)
    return sorted(
        told,
        key=lambda each: (not each.counts, order.index(Level(each.level)), each.rule, each.subject),
    )


def _weighed(
    found: Finding,
    accepted: Iterable[Acknowledgement],
    as_of: dt.date | None,
    known: Mapping[str, str],
) -> Finding:
    mine = [each for each in accepted if each.covers(found.rule, found.subject)]
    valid = [each for each in mine if as_of is None or as_of <= each.until]
    if valid:
        last = max(valid, key=lambda each: (each.until, -each.line))
        remark = f"accepted by {last.owner} until {last.until}: {last.reason}"
        return replace(found, status=str(Status.ACCEPTED), owner=last.owner, remark=remark)
    was = known.get(found.key)
    levels = [str(level) for level in Level]
    is_known = was in levels and levels.index(was) <= levels.index(found.level)
    if mine:
        last = max(mine, key=lambda each: (each.until, -each.line))
        remark = f"accepted by {last.owner} until {last.until}: that is over"
        return replace(found, status=str(Status.EXPIRED), owner=last.owner, remark=remark)
    return replace(found, status=str(Status.KNOWN)) if is_known else found


def idle(found: Iterable[Finding], contracts: Contracts | None) -> list[str]:
    """Return a warning for every acknowledgement that no finding answers to."""
    told = list(found)
    return [
        f"{contracts.path}:{each.line}: the acknowledgement of `{each.finding}` by {each.owner} "
        "meets no finding; it can go."
        for each in (contracts.acknowledged if contracts else ())
        if contracts and not any(each.covers(one.rule, one.subject) for one in told)
    ]


def worst(found: Iterable[Finding]) -> Level | None:
    """Return the worst level that counts, None where nothing does."""
    levels = {each.level for each in found if each.counts}
    return next((level for level in Level if level in levels and level is not Level.NOTE), None)
