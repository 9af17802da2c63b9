"""What is wrong with a contract: impossible promises, what matches nothing, what it leaves out."""

import math
from collections.abc import Iterator, Set
from dataclasses import dataclass, replace
from enum import StrEnum
from fnmatch import fnmatchcase
from itertools import pairwise

import numpy as np
import pandas as pd

from analysis import access, compliance, openapi_check, path_budgets, stats, words
from analysis.access import Granted
from analysis.contracts import Contracts, Rule
from analysis.engine import Model
from analysis.scope import Scope

# Gates that are limits from above; all others are limits from below.
FROM_ABOVE = ("escape", "slower")


class Kind(StrEnum):
    """What a finding is of; the first three are errors, the others warnings."""

    IMPOSSIBLE = "impossible"
    BROKEN = "broken"
    NOT_PUBLISHED = "not published"
    UNWISE = "unwise"
    MATCHES_NOTHING = "matches nothing"
    NO_CONTRACT = "no contract"


ERRORS = (Kind.IMPOSSIBLE, Kind.BROKEN, Kind.NOT_PUBLISHED)


@dataclass(frozen=True)
class Finding:
    """One thing to mend; line 0 is the file as a whole, `calls` those that it is about."""

    kind: str
    line: int
    subject: str
    message: str
    calls: int = 0


def of_text(contracts: Contracts) -> list[Finding]:
    """Return what is wrong with a contract whatever the traffic, by line."""
    found = [*_of_sla(contracts), *_of_gates(contracts)]
    first: dict[tuple[str, str], Rule] = {}
    for rule in contracts.boundaries:
        before = first.setdefault((rule.caller, rule.callee), rule)
        if before is not rule:
            message = f"line {before.line} matches the same first."
            found.append(_finding(rule, Kind.IMPOSSIBLE, message))
        found += [_finding(rule, kind, message) for kind, message in _of_rule(rule, contracts)]
    return sorted(found, key=lambda each: each.line)


def of_traffic(model: Model, contracts: Contracts, scope: Scope) -> list[Finding]:
    """Return what is wrong with a contract in view of the traces: errors first, then by line.

    Sums over the critical path are asked of the judged cohort, what matches of all in scope.
    """
    found = [
        *_unmet(model, contracts, scope),
        *_unpromised(model, contracts, scope),
        *_of_accesses(model, contracts, scope),
        *_of_documents(model, contracts, scope),
        *_of_sums(model, contracts, compliance.judged(model, contracts, scope)),
        *_unknowable(model, contracts, compliance.judged(model, contracts, scope)),
    ]
    order = list(Kind)
    return sorted(
        found, key=lambda each: (order.index(Kind(each.kind)), each.line, -each.calls, each.subject)
    )


def _finding(rule: Rule, kind: Kind, message: str) -> Finding:
    return Finding(str(kind), rule.line, rule.match, message)


def _of_sla(contracts: Contracts) -> Iterator[Finding]:
    limits = sorted(contracts.sla.latency_ms.items())
    for (low, at_low), (high, at_high) in pairwise(limits):
        if at_low > at_high:
            yield Finding(
                str(Kind.IMPOSSIBLE),
                0,
                "sla",
                f"{words.quantile(low)} of {words.time(at_low)} lies above "
                f"{words.quantile(high)} of {words.time(at_high)}; it can never bind.",
            )
    success = contracts.gates.get("success")
    if success is not None and contracts.sla.success_ratio not in (None, success):
        yield Finding(
            str(Kind.UNWISE),
            0,
            "gates.success",
            f"{words.percent(success)} counts in place of sla.success, "
            f"{words.percent(contracts.sla.success_ratio)}.",
        )


def _of_gates(contracts: Contracts) -> Iterator[Finding]:
    asked = dict(contracts.gates)
    if contracts.sla.success_ratio is not None:
        asked.setdefault("success", contracts.sla.success_ratio)
    for name, limit in sorted(asked.items()):
        is_edge = limit == 0 if name == "escape" else limit == 1 and name not in FROM_ABOVE
        if is_edge:
            yield Finding(
                str(Kind.IMPOSSIBLE),
                0,
                f"gates.{name}",
                f"no number of requests proves {words.percent(limit)}; the gate never passes.",
            )


def _of_rule(rule: Rule, contracts: Contracts) -> Iterator[tuple[Kind, str]]:
    sla_ms = contracts.sla.limit_ms
    if rule.timeout_ms is not None:
        tries = (rule.retries or 0) + 1
        longest_ms = rule.timeout_ms * tries
        said = (
            f"{tries} tries of {words.time(rule.timeout_ms)}"
            if tries > 1
            else f"the timeout of {words.time(rule.timeout_ms)}"
        )
        if rule.budget_ms is not None and longest_ms < rule.budget_ms:
            yield (
                Kind.IMPOSSIBLE,
                f"no call lasts as long as its budget of {words.time(rule.budget_ms)}: it ends "
                f"after {said}.",
            )
        if sla_ms is not None and longest_ms > sla_ms:
            yield (
                Kind.IMPOSSIBLE,
                f"{said} may take {words.time(longest_ms)}, longer than the SLA of "
                f"{words.time(sla_ms)} for the whole request.",
            )
    if rule.retries:
        if rule.idempotent is False:
            yield Kind.IMPOSSIBLE, "it is tried again, and must not be: idempotent is false."
        elif rule.idempotent is None:
            yield Kind.UNWISE, "it is tried again, and nothing says that it may: no idempotent."
    if sla_ms is not None and rule.budget_ms is not None and rule.budget_ms > sla_ms:
        yield (
            Kind.UNWISE,
            f"its budget of {words.time(rule.budget_ms)} is longer than the SLA of "
            f"{words.time(sla_ms)}; no request can wait for it.",
        )
    if rule.on_path_ms is None or sla_ms is None:
        return
    downstream_ms = contracts.downstream_budget_ms
    is_model = rule.callee.startswith(("model:", "*"))
    limit_ms = sla_ms if is_model or downstream_ms is None else downstream_ms
    if rule.on_path_ms > limit_ms:
        name = "SLA" if limit_ms == sla_ms else "downstream budget"
        yield (
            Kind.IMPOSSIBLE,
            f"on_path {words.time(rule.on_path_ms)} alone exceeds the {name} of "
            f"{words.time(limit_ms)}.",
        )


def _unmet(model: Model, contracts: Contracts, scope: Scope) -> Iterator[Finding]:
    """Yield rules, aliases, cohorts, grants and patterns that nothing in the traces answers to."""
    nothing = str(Kind.MATCHES_NOTHING)
    met = {rule.line: rule for rule in compliance.rules_of(model, contracts, scope).values()}
    callees = compliance.callees(model, contracts, scope).to_dict("records")
    for rule in contracts.boundaries:
        if rule.line in met:
            continue
        covered = [
            contracts.rule_for(row["caller"], row["callee"], row["callee_service"])
            for row in callees
            if rule.covers(row["caller"], row["callee"], row["callee_service"])
        ]
        before = sorted({each.line for each in covered if each})
        message = (
            f"every boundary it matches is taken by line {', '.join(map(str, before))}."
            if before
            else "no boundary of these traces."
        )
        yield Finding(nothing, rule.line, rule.match, message)
    for message in compliance.unmatched(model, replace(contracts, boundaries=()), scope):
        place = message.removeprefix(f"{contracts.path}:")
        line, _, text = place.partition(": ")
        yield Finding(nothing, int(line), "aliases", text)
    known = model.cohorts()
    for name in (contracts.cohorts.baseline, contracts.cohorts.pilot):
        if name is not None and name not in known:
            there = ", ".join(known) or "none"
            yield Finding(nothing, 0, "cohorts", f"no cohort `{name}` in this lake: {there}.")


def _unpromised(model: Model, contracts: Contracts, scope: Scope) -> Iterator[Finding]:
    """Yield the boundaries that no rule speaks of, and those whose rule sets no budget."""
    facts = model.ask("boundaries", scope)
    calls = {str(key): int(n) for key, n in facts.groupby("boundary_id")["calls"].sum().items()}
    total = sum(calls.values())
    rules = compliance.rules_of(model, contracts, scope)
    named = dict(zip(facts["boundary_id"], facts["boundary"], strict=True))
    for boundary, name in named.items():
        n = calls[boundary]
        rule = rules.get(boundary)
        share = f"{words.counted(n, 'call')}, {words.percent(n / total)} of all"
        if rule is None:
            yield Finding(str(Kind.NO_CONTRACT), 0, name, f"no rule speaks of it: {share}.", n)
        elif rule.budget_ms is None:
            message = f"its rule sets no budget: {share}."
            yield Finding(str(Kind.NO_CONTRACT), rule.line, name, message, n)


def _of_documents(model: Model, contracts: Contracts, scope: Scope) -> Iterator[Finding]:
    for each in openapi_check.deviations(model, contracts, scope):
        kind = Kind.NOT_PUBLISHED if each.is_call else Kind.NO_CONTRACT
        yield Finding(str(kind), each.line, each.subject, each.message, each.calls)


def _of_accesses(model: Model, contracts: Contracts, scope: Scope) -> Iterator[Finding]:
    if not contracts.access and not contracts.sensitive:
        return
    uses = access.footprint(model, contracts, scope)
    seen = uses[uses["calls"] > 0]
    none, nothing = str(Kind.NO_CONTRACT), str(Kind.MATCHES_NOTHING)
    for agent, some in seen[seen["grant"] == Granted.NO_CONTRACT].groupby("agent"):
        n = int(some["calls"].sum())
        message = f"no access entry names this agent: {words.counted(n, 'call')}."
        yield Finding(none, 0, str(agent), message, n)
    beyond = seen[seen["grant"] == Granted.NOT_GRANTED]
    for key, some in beyond.groupby(["agent", "resource"]):
        agent, resource = map(str, key)
        n = int(some["calls"].sum())
        done = ", ".join(sorted(set(some["access"])))
        message = f"{done} {resource} is not granted: {words.counted(n, 'call')}."
        yield Finding(none, 0, agent, message, n)
    pairs = list(dict.fromkeys(zip(seen["agent"], seen["resource"], strict=True)))
    for grant in contracts.access:
        mine = [resource for agent, resource in pairs if grant.is_for(agent)]
        if not mine:
            message = "no agent of these traces touches anything under this name."
        elif not any(fnmatchcase(resource, grant.resource) for resource in mine):
            message = f"nothing that it touches is `{grant.resource}`."
        else:
            continue
        yield Finding(nothing, grant.line, grant.agent, message)
    resources = set(seen["resource"])
    for pattern in contracts.sensitive:
        if not any(fnmatchcase(resource, pattern) for resource in resources):
            message = f"no resource of these traces is `{pattern}`."
            yield Finding(nothing, 0, "sensitive", message)


def _of_sums(model: Model, contracts: Contracts, scope: Scope) -> Iterator[Finding]:
    """Yield promises on the path that are broken, and sums that the SLA or its share forbids."""
    told = path_budgets.paths(model, scope)
    for row in path_budgets.by_boundary(model, contracts, scope, told=told).to_dict("records"):
        if row["label"] == compliance.Label.BROKEN:
            interval = words.time_interval(row["on_path_ms_lower"], row["on_path_ms_upper"])
            yield Finding(
                str(Kind.BROKEN),
                row["line"],
                row["rule"],
                f"on_path: {words.quantile(row['quantile'])} is {words.time(row['on_path_ms'])} "
                f"{interval}, {words.time(row['promised_ms'])} promised.",
                row["requests"],
            )
    sla_ms, downstream_ms = contracts.sla.limit_ms, contracts.downstream_budget_ms
    if sla_ms is None:
        return
    rules = compliance.rules_of(model, contracts, scope)
    promised = {key: rule.on_path_ms for key, rule in rules.items() if rule.on_path_ms is not None}
    whole, down = path_budgets.promised(told, promised)
    for name, budgets, limit_ms in (
        ("the SLA", whole, sla_ms),
        ("the downstream budget", down, downstream_ms),
    ):
        if limit_ms is None or not len(told.weights):
            continue
        most = path_budgets.most_ms(told, budgets, contracts.sla.quantile)
        if most > limit_ms * (1 + 1e-9):
            yield Finding(
                str(Kind.IMPOSSIBLE),
                0,
                "on_path",
                f"add up to {words.time(most)} on the path of requests "
                f"({words.percent(contracts.sla.quantile)} need less); {name} is "
                f"{words.time(limit_ms)}.",
                len(told.weights),
            )
    if downstream_ms is not None:
        usual_ms = path_budgets.at(told, np.full(len(told.names), contracts.sla.quantile))
        slight = {
            name
            for name, value in zip(told.names, usual_ms, strict=True)
            if value < path_budgets.MATERIAL * downstream_ms
        }
        yield from _of_budgets(model, contracts, scope, rules, downstream_ms, slight)


def _of_budgets(
    model: Model,
    contracts: Contracts,
    scope: Scope,
    rules: dict[str, Rule],
    limit_ms: float,
    slight: Set[str],
) -> Iterator[Finding]:
    """Yield whether requests whose calls all take their budget would break the downstream budget.

    Each call keeps the part of it that is on the critical path now, at most what its boundary was
    promised there; a boundary whose part is too slight for a promise is left out. A warning: a call
    that takes longer may do so in what it waits for itself.
    """
    rows = model.ask("calls_on_path", replace(scope, boundary=None, agent=None))
    is_slight = rows["boundary_id"].isin(list(slight))
    rows = rows[~rows["kind"].isin(compliance.NOT_DOWNSTREAM) & ~is_slight]
    budgets = {key: rule.budget_ms for key, rule in rules.items() if rule.budget_ms is not None}
    most = {key: rule.on_path_ms for key, rule in rules.items() if rule.on_path_ms is not None}
    budget_ms = rows["boundary_id"].map(budgets).astype(np.float64).fillna(0.0)
    most_ms = rows["boundary_id"].map(most).astype(np.float64).fillna(np.inf)
    spent_ms = np.minimum(budget_ms * rows["calls_on_path"], most_ms)
    spent = rows.assign(spent_ms=spent_ms).groupby("request_id")
    sums, weights = spent["spent_ms"].sum(), spent["weight"].first()
    if sums.empty:
        return
    over = float(weights[sums > limit_ms].sum() / weights.sum())
    if over > 1 - contracts.sla.quantile:
        yield Finding(
            str(Kind.UNWISE),
            0,
            "budgets",
            f"were each call to take its budget, {words.percent(over)} of "
            f"{words.counted(len(sums), 'request')} would take more than the downstream budget of "
            f"{words.time(limit_ms)}; {words.percent(1 - contracts.sla.quantile)} may.",
            len(sums),
        )


def _unknowable(model: Model, contracts: Contracts, scope: Scope) -> Iterator[Finding]:
    """Yield the gates that so few requests could not pass, whatever they did."""
    requests: pd.DataFrame = model.ask("request_latencies", scope)
    units = int(requests["unit_id"].nunique())
    asked = {
        name: contracts.gates[name]
        for name in ("success", "within_sla", "downstream", "escape")
        if name in contracts.gates
    }
    if contracts.sla.success_ratio is not None:
        asked.setdefault("success", contracts.sla.success_ratio)
    if contracts.sla.limit_ms is not None:
        asked.setdefault("within_sla", contracts.sla.quantile)
    for name, limit in sorted(asked.items()):
        share = 1 - limit if name in FROM_ABOVE else limit
        needed = least_units(share)
        if math.isfinite(needed) and units < needed:
            yield Finding(
                str(Kind.UNWISE),
                0,
                f"gates.{name}",
                f"{words.percent(limit)} needs {words.counted(needed, 'unit')} without one miss "
                f"to be proven; these traces have {words.count(units)}.",
                units,
            )


def least_units(share: float) -> float:
    """Return how many independent units without a miss prove a share with 95 % confidence.

    Wilson's lower bound of n of n is n / (n + z²), one-sided z = 1.645.
    """
    if share >= 1:
        return math.inf
    of_one = stats.wilson(1.0, 1.0, level=stats.ONE_SIDED)[0]
    squared = 1 / of_one - 1
    return max(1, math.ceil(squared * share / (1 - share) - 1e-9))
