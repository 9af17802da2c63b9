"""Everything that one check of a pilot says: the verdict, what is wrong, and what of it counts."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import pandas as pd

from analysis import access, compliance, findings, path_budgets, pilot, register, risk, words
from analysis.contracts import Contracts
from analysis.engine import Model
from analysis.fault_schedule import Planned
from analysis.findings import Finding, Level, Status
from analysis.gates import Answer
from analysis.register import Risk
from analysis.risk import Readiness
from analysis.scope import Scope

# So many traces show what is meant.
EVIDENCE = 3


class Outcome(StrEnum):
    """What the exit code says: whether a finding counts, and which is the worst that does."""

    PASSES = "passes"
    FAILS = "fails"
    CANNOT_TELL = "cannot tell"


# What each verdict comes to where nothing is accepted or known.
_PLAIN = {
    Answer.READY: Outcome.PASSES,
    Answer.NOT_READY: Outcome.FAILS,
    Answer.NOT_ENOUGH: Outcome.CANNOT_TELL,
}


@dataclass(frozen=True)
class Check:
    """A verdict with its findings; `as_of` is the last day of the judged traces.

    `counts` says how many findings count, and why the others do not.
    """

    readiness: Readiness
    outcome: Outcome
    counts: str
    findings: list[Finding]
    register: list[Risk]
    warnings: list[str]
    as_of: dt.date | None
    budgets: pd.DataFrame
    on_path: pd.DataFrame
    requests: pd.DataFrame

    @property
    def is_plain(self) -> bool:
        """Whether the exit code says what the verdict does: nothing decisive is left out of it."""
        return _PLAIN[Answer(self.readiness.label)] == self.outcome

    @property
    def title(self) -> str:
        """The answer in a few words: the verdict, or what is left of it."""
        if self.is_plain:
            return self.readiness.label
        return "nothing new" if self.outcome is Outcome.PASSES else str(self.outcome)

    @property
    def reason(self) -> str:
        """The sentence behind the answer; it names the verdict where the exit code says less."""
        if self.is_plain:
            return self.readiness.reason
        return f"{self.counts} The pilot itself is {self.readiness.label}. {self.readiness.reason}"


def run(
    model: Model,
    contracts: Contracts | None,
    scope: Scope,
    *,
    known: Mapping[str, str] | None = None,
    today: dt.date | None = None,
    comparison: pilot.Comparison | None = None,
    planned: Sequence[Planned] = (),
) -> Check:
    """Return the check of a scope; the same lake, contract and baseline give the same answer.

    Args:
        model: The lake's model.
        contracts: What was promised, and which findings somebody answers for.
        scope: Narrows the question; its cohort, else the contract's pilot, is judged.
        known: The level by key of an earlier check's findings.
        today: The day that acknowledgements are held against; else the last of the traces, so
            that the clock of the machine has no say.
        comparison: Before against after in the same scope, where it is known already.
        planned: Fault tests of a schedule, beside those that spans tell.
    """
    model = model.once()
    judged = compliance.judged(model, contracts, scope)
    readiness = risk.readiness(model, contracts, scope, comparison=comparison, planned=planned)
    budgets = compliance.by_boundary(model, contracts, scope)
    on_path = path_budgets.by_boundary(model, contracts, judged)
    requests = model.ask("request_latencies", judged)
    as_of = today or (None if requests.empty else pd.Timestamp(requests["day"].max()).date())
    uses = access.footprint(model, contracts, judged)
    evidence = _evidence(model, contracts, judged, requests)
    if (on_path["label"] != compliance.Label.KEPT).any():
        evidence |= _on_path(model, judged, requests, on_path)
    found = findings.of_gates(readiness.gates, budgets, on_path, uses, evidence)
    risks = register.of(model, contracts, judged, readiness, uses)
    every = [*found, *register.as_findings(risks)]
    weighed = findings.weighed(every, contracts, as_of, known or {})
    return Check(
        readiness,
        outcome(weighed),
        _counts(weighed, as_of, known),
        weighed,
        risks,
        findings.idle(every, contracts),
        as_of,
        budgets,
        on_path,
        compliance.by_request(model, contracts, scope),
    )


def outcome(found: Sequence[Finding]) -> Outcome:
    """Return what the findings that count come to."""
    worst = findings.worst(found)
    if worst is Level.ERROR:
        return Outcome.FAILS
    return Outcome.CANNOT_TELL if worst is Level.WARNING else Outcome.PASSES


def _counts(
    found: Sequence[Finding], as_of: dt.date | None, known: Mapping[str, str] | None
) -> str:
    number = dict.fromkeys(Status, 0)
    for each in found:
        if each.level != Level.NOTE:
            number[Status(each.status)] += 1
    counting = number[Status.NEW] + number[Status.EXPIRED]
    said = [f"{words.counted(counting, 'finding')} {'counts' if counting == 1 else 'count'}"]
    if number[Status.EXPIRED]:
        said.append(f"{number[Status.EXPIRED]} of them accepted until a day that is over")
    if number[Status.ACCEPTED]:
        said.append(f"{number[Status.ACCEPTED]} accepted on {as_of}")
    if known is not None:
        gone = set(known) - {each.key for each in found}
        said.append(f"{number[Status.KNOWN]} known from the baseline, {len(gone)} of it gone")
    return "; ".join(said) + "."


def _evidence(
    model: Model, contracts: Contracts | None, scope: Scope, requests: pd.DataFrame
) -> dict[str, tuple[str, ...]]:
    """Return traces that show what is wrong: by the key of a gate, and by boundary id."""
    order = ["duration_ms", "request_id"]
    worst = requests.sort_values(order, ascending=[False, True])
    sla_ms = contracts.sla.limit_ms if contracts else None
    late = worst if sla_ms is None else worst[worst["duration_ms"] > sla_ms]
    slowest = model.ask("slowest", scope)
    rules = compliance.rules_of(model, contracts, replace(scope, boundary=None))
    limit_ms = {key: rule.budget_ms for key, rule in rules.items() if rule.budget_ms is not None}
    over = slowest[slowest["client_ms"] > slowest["boundary_id"].map(limit_ms).astype("float64")]
    return {
        "success": _first(worst[worst["is_failed"].astype(bool)]),
        "within_sla": _first(late),
    } | {str(ident): _first(calls) for ident, calls in over.groupby("boundary_id")}


def _on_path(
    model: Model, scope: Scope, requests: pd.DataFrame, on_path: pd.DataFrame
) -> dict[str, tuple[str, ...]]:
    """Return the requests that waited longest for a boundary, beyond what it was promised."""
    waited = model.ask("blame", replace(scope, boundary=None, agent=None))
    limit_ms = waited["boundary_id"].map(on_path.set_index("boundary_id")["promised_ms"])
    over = waited[waited["self_ms"] > limit_ms.astype("float64")].merge(
        requests[["request_id", "trace_id"]], on="request_id"
    )
    order = over.sort_values(["self_ms", "request_id"], ascending=[False, True])
    return {f"on_path/{ident}": _first(rows) for ident, rows in order.groupby("boundary_id")}


def _first(rows: pd.DataFrame) -> tuple[str, ...]:
    return tuple(rows["trace_id"].drop_duplicates().head(EVIDENCE))
