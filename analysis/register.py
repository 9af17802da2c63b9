"""The risk register: what threatens users, how likely and how bad, whose it is and what mends it.

A risk's score is likelihood times impact. Where requests go bad the score is the boundary's part of
`attribution`, so that scores of failing and late add up. Other risks have units of their own and
are never blended with those.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis import compliance, state, stats, words
from analysis.access import Granted
from analysis.attribution import EVIDENCE
from analysis.contracts import Contracts, Rule
from analysis.engine import Model
from analysis.findings import Finding, Level, finding
from analysis.remedies import REMEDIES, Remedy, for_failing, for_late
from analysis.risk import Readiness
from analysis.scope import Scope

# Less than one request in ten thousand is no risk to act on; it is in the ranking all the same.
LEAST_PER_1000 = 0.1
# Clients wake a little late; one call in twenty this much later shows that a time-out is not kept.
OVERRUN = 1.1


@dataclass(frozen=True)
class Risk:
    """One row of the register."""

    rule: str
    subject: str
    likelihood_per_1000: float  # of `unit`: how often it happens
    impact_ratio: float  # what part of each is owed to it
    score_per_1000: float  # the product
    lower: float  # 95 % interval of the score; NaN where it was counted whole
    upper: float
    unit: str
    owner: str
    remedy: str
    to_do: str
    proof: str
    trace_ids: tuple[str, ...] = ()


def of(
    model: Model,
    contracts: Contracts | None,
    scope: Scope,
    readiness: Readiness,
    uses: pd.DataFrame,
) -> list[Risk]:
    """Return the risks of a scope with one cohort: bad requests first, the greatest score first.

    Args:
        model: The lake's model.
        contracts: Its rules tell where a time-out is promised.
        scope: The judged scope.
        readiness: The verdict, whose ranking the scores are taken from.
        uses: Accesses held against their grants.
    """
    owners = _owners(model, contracts, scope)
    risks = [
        *_bad_requests(model, contracts, scope, readiness, owners),
        *_repeated(model, scope, readiness, owners),
        *_storms(model, scope, owners),
        *_accesses(uses),
        *_states(model, scope),
        *_cuts(model, scope),
    ]
    units = ["bad requests", *sorted({risk.unit for risk in risks} - {"bad requests"})]
    return sorted(
        risks,
        key=lambda risk: (units.index(risk.unit), -risk.score_per_1000, risk.rule, risk.subject),
    )


def as_findings(risks: list[Risk]) -> list[Finding]:
    """Return risks as notes: they are told and owned, and gates alone decide."""
    return [
        finding(
            risk.rule,
            Level.NOTE,
            risk.subject,
            f"{risk.subject}: {words.digits(risk.score_per_1000)} {risk.unit} per 1,000",
            remedy=f"{risk.remedy}: {risk.to_do}",
            owner=risk.owner,
            trace_ids=risk.trace_ids,
        )
        for risk in risks
    ]


def _risk(rule: str, subject: str, remedy: Remedy, **more: Any) -> Risk:
    return Risk(
        rule=f"risk/{rule}",
        subject=subject,
        remedy=remedy.name,
        to_do=remedy.do,
        proof=remedy.proof,
        **more,
    )


def _owners(model: Model, contracts: Contracts | None, scope: Scope) -> dict[str, str]:
    """Return who answers for each boundary: the service called, else who calls it."""
    frame = compliance.callees(model, contracts, scope)
    return {
        row["boundary_id"]: row["callee_service"] or row["caller"].partition(":")[2]
        for row in frame.to_dict("records")
    }


def _bad_requests(
    model: Model,
    contracts: Contracts | None,
    scope: Scope,
    readiness: Readiness,
    owners: Mapping[str, str],
) -> list[Risk]:
    facts = model.ask("remedy_facts", scope).set_index("boundary_id")
    rules = compliance.rules_of(model, contracts, scope)
    again = set(model.ask("duplicate_writes", scope)["boundary_id"])
    risks = []
    for row in readiness.ranking.to_dict("records"):
        ident = row["boundary_id"]
        error_class = facts.loc[ident, "error_class"]
        remedies = {
            "failing": for_failing(
                error_class if isinstance(error_class, str) else None, is_duplicated=ident in again
            ),
            "late": for_late(
                *_limits(contracts, rules.get(ident), facts.loc[ident, "timeout_ms"], row["p95_ms"])
            ),
        }
        for name, part in (("failing", "failed"), ("late", "late")):
            score, met = row[f"{part}_per_1000"], row[f"{part}_with_per_1000"]
            if score < LEAST_PER_1000:
                continue
            risks.append(
                _risk(
                    name,
                    row["boundary"],
                    remedies[name],
                    likelihood_per_1000=met,
                    impact_ratio=score / met,
                    score_per_1000=score,
                    lower=row[f"{part}_per_1000_lower"],
                    upper=row[f"{part}_per_1000_upper"],
                    unit="bad requests",
                    owner=owners.get(ident, ""),
                    trace_ids=row[f"{part}_trace_ids"],
                )
            )
    return risks


def _limits(
    contracts: Contracts | None, rule: Rule | None, told_ms: float, p95_ms: float
) -> tuple[float | None, float | None]:
    """Return a boundary's time-out, as calls tell it or else as promised, and its limit."""
    promised_ms = rule.timeout_ms if rule else None
    timeout_ms = promised_ms if math.isnan(told_ms) else told_ms
    # Calls that wait longer show that nobody gives up then, whatever is written.
    if timeout_ms is not None and p95_ms > OVERRUN * timeout_ms:
        timeout_ms = None
    whole_ms = (contracts.downstream_budget_ms or contracts.sla.limit_ms) if contracts else None
    return timeout_ms, rule.budget_ms if rule and rule.budget_ms is not None else whole_ms


def _repeated(
    model: Model, scope: Scope, readiness: Readiness, owners: Mapping[str, str]
) -> list[Risk]:
    found = model.ask("duplicate_writes", scope)
    return [
        _counted(
            "duplicate-write",
            str(rows["boundary"].iloc[0]),
            REMEDIES["idempotency key"],
            len(rows),
            max(readiness.requests, 1),
            "writes made again, a 1,000 requests",
            owners.get(str(ident), ""),
            rows["trace_id"],
        )
        for ident, rows in found.groupby("boundary_id")
    ]


def _storms(model: Model, scope: Scope, owners: Mapping[str, str]) -> list[Risk]:
    names = dict(
        model.ask("boundary_names", scope)[["boundary_id", "boundary"]].to_numpy().tolist()
    )
    found = model.ask("retry_storms", scope)
    return [
        _counted(
            "retry-storm",
            names[ident],
            REMEDIES["circuit breaker"],
            int(rows["tries"].sum() - rows["logical"].sum()),
            int(rows["tries"].sum()),
            "tries beyond the first, of those in storms",
            owners.get(str(ident), ""),
            rows["example_trace_id"],
        )
        for ident, rows in found.groupby("boundary_id")
    ]


def _accesses(uses: pd.DataFrame) -> list[Risk]:
    """Return uses beyond the grants, and new ones of sensitive data that no grant covers."""
    is_new = uses["is_new"].astype(bool) & uses["is_sensitive"].astype(bool)
    beyond = (uses["grant"] == Granted.NOT_GRANTED) | (
        is_new & (uses["grant"] == Granted.NO_CONTRACT)
    )
    return [
        _counted(
            "access",
            f"{use['agent']} {use['access']} {use['resource']}",
            REMEDIES["scope"],
            use["units"],
            max(use["agent_units"], use["units"]),
            "conversations of the agent with it",
            use["agent"],
            pd.Series([use["first_trace_id"]]),
            is_share=True,
        )
        for use in uses[beyond].to_dict("records")
    ]


def _states(model: Model, scope: Scope) -> list[Risk]:
    turns = model.ask("state_turns", scope)
    turns = turns[turns["turn_index"] > 1]
    lost = turns[turns["is_lost"].astype(bool)]
    if lost.empty:
        return []
    kept = state.kept(model, scope)
    share = 1 - kept.value
    return [
        _risk(
            "state",
            "context of a conversation",
            REMEDIES["context token"],
            likelihood_per_1000=1000 * share,
            impact_ratio=1.0,
            score_per_1000=1000 * share,
            lower=1000 * (1 - kept.upper),
            upper=1000 * (1 - kept.lower),
            unit="turns that lost their context",
            owner="",
            trace_ids=tuple(lost["trace_id"].drop_duplicates().head(EVIDENCE)),
        )
    ]


def _cuts(model: Model, scope: Scope) -> list[Risk]:
    rows = model.ask("trace_coverage", scope)
    traces, complete = int(rows["traces"].sum()), int(rows["complete_traces"].sum())
    if traces == complete:
        return []
    return [
        _counted(
            "incomplete",
            "traces that are cut or miss spans",
            REMEDIES["instrumentation"],
            traces - complete,
            traces,
            "traces",
            "",
            pd.Series(dtype=object),
            is_share=True,
        )
    ]


def _counted(
    rule: str,
    subject: str,
    remedy: Remedy,
    events: int,
    total: int,
    unit: str,
    owner: str,
    trace_ids: pd.Series,
    *,
    is_share: bool = False,
) -> Risk:
    """Return a risk of which each event is one of its unit, with the interval of a share.

    What is no share of independent ones was counted whole, and has none.
    """
    per_1000 = 1000 * events / total
    share = stats.independent(events, total) if is_share else stats.NOTHING
    return _risk(
        rule,
        subject,
        remedy,
        likelihood_per_1000=per_1000,
        impact_ratio=1.0,
        score_per_1000=per_1000,
        lower=1000 * share.lower,
        upper=1000 * share.upper,
        unit=unit,
        owner=owner,
        trace_ids=tuple(trace_ids.dropna().drop_duplicates().head(EVIDENCE)),
    )
