"""The conditions for production: each measured, held against its limit, and linked to a page."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import pandas as pd

from analysis import compliance, coverage, fault_tests, path_budgets, pilot, state, stats, words
from analysis.access import Granted, footprint
from analysis.compliance import Label
from analysis.contracts import Contracts
from analysis.engine import Model
from analysis.fault_schedule import Planned
from analysis.scope import Scope

# Limits where the contract sets none; METHODS.md, "readiness".
DEFAULTS: Mapping[str, float] = {
    "success": 0.99,
    "within_sla": 0.95,
    "downstream": 0.95,
    "containment": 0.90,
    "slower": 0.05,
    "coverage": 0.95,
}
# Risk of a false "not ready", shared by all gates.
FALSE_ALARM = 0.05
# What boundaries are promised, by the key of its gate.
BOUNDARIES: Mapping[str, str] = {
    "budgets": "Boundaries within their latency budget",
    "on_path": "Boundaries within their share of the path",
}
# "None seen" passes only where seeing none rules out one trace in a hundred.
UNDECLARED_BOUND = 0.01
NAMED_USES = 3
# More than this many times the traces at hand is no advice.
HOPELESS = 100


class Answer(StrEnum):
    """Whether the pilot may go to production."""

    READY = "ready"
    NOT_READY = "not ready"
    NOT_ENOUGH = "not enough evidence"


class Result(StrEnum):
    """What one gate says."""

    PASSED = "pass"
    FAILED = "fail"
    NOT_ENOUGH = "not enough evidence"


@dataclass(frozen=True)
class Gate:
    """One condition for production, with the bounds it was judged on and what is missing."""

    name: str
    label: str
    measured: float
    lower: float  # one-sided 95 % bounds
    upper: float
    required: float
    unit: str
    missing: str
    page: str
    better: str = "higher"  # the good side of the limit
    key: str = ""  # which condition this is, whatever its name
    parts: tuple[str, ...] = ()  # the boundaries that break it, by id


def verdict(gates: list[Gate]) -> tuple[Answer, str]:
    """Return the word for a list of gates and the sentence behind it; no gates are no evidence."""
    failing = [gate for gate in gates if gate.label == Result.FAILED]
    unknown = [gate for gate in gates if gate.label == Result.NOT_ENOUGH]
    if failing:
        return Answer.NOT_READY, " ".join(f"{_said(gate)}." for gate in failing)
    if unknown or not gates:
        names = ", ".join(gate.name for gate in unknown) or "there are none"
        return Answer.NOT_ENOUGH, f"{len(unknown)} of {len(gates)} gates are open: {names}."
    return Answer.READY, f"All {len(gates)} gates pass, each with 95\u202f% confidence."


def share_gate(
    name: str,
    measure: Callable[[float], stats.Estimate],
    required: float,
    gates: int,
    page: str,
    *,
    noun: str = "requests",
    better: str = "higher",
) -> Gate:
    """Return a gate on a share.

    Args:
        name: What people call it.
        measure: The share at a two-sided confidence level.
        required: The limit.
        gates: How many gates share the risk of a false alarm.
        page: The page that shows the evidence.
        noun: What the share counts.
        better: The good side of the limit.
    """
    good, strict = measure(stats.ONE_SIDED), measure(1 - 2 * FALSE_ALARM / gates)
    if better == "higher":
        is_good, is_bad = good.lower >= required, strict.upper < required
    else:
        is_good, is_bad = good.upper <= required, strict.lower > required
    label = Result.PASSED if is_good else Result.FAILED if is_bad else Result.NOT_ENOUGH
    missing = "" if label is not Result.NOT_ENOUGH else _missing(good, required, noun)
    return Gate(
        name,
        str(label),
        good.value,
        good.lower,
        good.upper,
        required,
        "ratio",
        missing,
        page,
        better,
    )


def _missing(measured: stats.Estimate, required: float, noun: str) -> str:
    if measured.n == 0:
        return f"No {noun} in this scope."
    needed = stats.n_to_decide(measured, required)
    if not math.isfinite(needed):
        return f"Measured exactly at the limit with {words.count(measured.n)} {noun}."
    more = max(needed - measured.n, 1)
    if more > HOPELESS * measured.n:
        return f"Too close to the limit to be settled by {noun} like these."
    return f"About {words.count(more)} more {noun} like these would settle it."


def _said(gate: Gate) -> str:
    """Return what is wrong at a failing gate."""
    measured = words.measured(gate.measured, gate.unit)
    if gate.key == "containment" and gate.missing:
        return f"{gate.name}: {gate.missing.rstrip('.')}"
    if gate.unit == "traces":
        units = f"{measured} conversations, else traces"
        return f"Accesses beyond the grants in at least {units} ({gate.missing})"
    if gate.unit == "boundaries":
        broken = words.count(gate.required - gate.measured)
        what = "share of the critical path" if gate.key == "on_path" else "latency budget"
        return (
            f"{broken} of {words.count(gate.required)} boundaries with a {what} "
            f"break it ({gate.missing})"
        )
    interval = words.measured_interval(gate.lower, gate.upper, gate.unit)
    limit = words.measured(gate.required, gate.unit)
    side = "at least" if gate.better == "higher" else "at most"
    return f"{gate.name}: {measured} {interval}, {side} {limit} required"


def judge(
    model: Model,
    contracts: Contracts | None,
    scope: Scope,
    compared: pilot.Comparison,
    *,
    planned: Sequence[Planned] = (),
) -> list[Gate]:
    """Return every gate of a scope with one cohort; one without data is not enough evidence.

    Args:
        model: The lake's model.
        contracts: What was promised.
        scope: What is judged.
        compared: Before against after.
        planned: Fault tests of a schedule, beside those that spans tell.
    """
    limits = {**DEFAULTS, **_own_limits(contracts)}

    def budgets(level: float) -> pd.DataFrame:
        frame = compliance.by_boundary(model, contracts, scope, level=level)
        return frame[frame["budget_ms"].notna()]

    rules = compliance.rules_of(model, contracts, scope).values()
    is_on_path = any(rule.on_path_ms is not None for rule in rules)
    paths = path_budgets.paths(model, scope) if is_on_path else None

    def on_path(level: float) -> pd.DataFrame:
        return path_budgets.by_boundary(model, contracts, scope, level=level, told=paths)

    held = {
        "budgets": budgets if any(rule.budget_ms is not None for rule in rules) else None,
        "on_path": on_path if is_on_path else None,
    }
    usual = {key: at(stats.ONE_SIDED) for key, at in held.items() if at}
    own = len(set(limits) - set(DEFAULTS)) + sum(len(frame) > 0 for frame in usual.values())
    total = len(DEFAULTS) + 1 + own
    requests = model.ask("request_latencies", scope)
    sla_ms = contracts.sla.limit_ms if contracts else None
    budget_ms = contracts.downstream_budget_ms if contracts else None
    if budget_ms is not None and not requests.empty:
        requests = requests.assign(downstream_ms=compliance.downstream_ms(model, scope, requests))

    def share(name: str, column: str, limit_ms: float | None, key: str) -> Gate:
        if limit_ms is None:
            return _open_gate(name, limits[key], "The contract sets no such limit.", "budgets")
        return share_gate(
            name,
            lambda level: compliance.within(requests, column, limit_ms, level=level),
            limits[key],
            total,
            "budgets",
        )

    gates = {
        "success": share_gate(
            "Request success",
            lambda level: stats.proportion(
                ~requests["is_failed"].astype(bool),
                requests["unit_id"],
                requests["weight"],
                level=level,
            ),
            limits["success"],
            total,
            "errors",
        ),
        "within_sla": share("Requests within the SLA", "duration_ms", sla_ms, "within_sla"),
        "downstream": share(
            "Requests within the downstream budget", "downstream_ms", budget_ms, "downstream"
        ),
    }
    gates |= {
        key: _boundaries(BOUNDARIES[key], at, usual[key], total)
        for key, at in held.items()
        if at and len(usual[key])
    }
    gates |= {
        "containment": _fault_tests(
            fault_tests.judge(model, contracts, scope, planned=planned, risk=FALSE_ALARM / total),
            limits["containment"],
        ),
        "slower": _slower(compared, scope.cohort, limits["slower"], total),
        "coverage": _coverage(model, scope, limits["coverage"], total),
        "grants": _undeclared(model, contracts, scope),
    }
    for key in _unseen(model, scope):
        if gates[key].label == Result.PASSED:
            unseen = str(Result.NOT_ENOUGH)
            gates[key] = replace(gates[key], label=unseen, missing=coverage.BLIND.strip())
    if "escape" in limits:
        gates["escape"] = _escape(model, scope, requests, limits["escape"], total)
    if "state_kept" in limits:
        gates["state_kept"] = _state_kept(model, scope, limits["state_kept"], total)
    return [replace(gate, key=key) for key, gate in gates.items()]


def _unseen(model: Model, scope: Scope) -> list[str]:
    """Return the gates on requests of which too much was not seen, as `compliance` tells them."""
    told = {"within_sla": "within_sla_ratio_grade", "downstream": "within_downstream_ratio_grade"}
    frame = pd.DataFrame(
        {"cohort": [scope.cohort]} | {column: ["solid"] for column in told.values()}
    )
    left = coverage.caps("promises", frame, model, scope)
    return [key for key, column in told.items() if left[column][0] == stats.Grade.INSUFFICIENT]


def _own_limits(contracts: Contracts | None) -> dict[str, float]:
    """Return the limits a contract sets: those of the SLA, then those of its gates."""
    if contracts is None:
        return {}
    limits = {}
    if contracts.sla.success_ratio is not None:
        limits["success"] = contracts.sla.success_ratio
    if contracts.sla.limit_ms is not None:
        limits["within_sla"] = contracts.sla.quantile
    return {**limits, **contracts.gates}


def _open_gate(name: str, required: float, missing: str, page: str, unit: str = "ratio") -> Gate:
    better = "higher" if unit == "ratio" else "lower"
    return Gate(
        name,
        str(Result.NOT_ENOUGH),
        math.nan,
        math.nan,
        math.nan,
        required,
        unit,
        missing,
        page,
        better,
    )


def _boundaries(
    name: str, at: Callable[[float], pd.DataFrame], usual: pd.DataFrame, gates: int
) -> Gate:
    """Return a gate on what boundaries were promised: every one keeps it.

    All must be kept, so each is passed at the usual risk; any may be broken, so the risk of a
    false alarm is shared among them.

    Args:
        name: What people call it.
        at: The promises held against the traces, at a two-sided confidence level.
        usual: The same at the usual level.
        gates: How many gates share the risk of a false alarm.
    """
    strict = at(1 - 2 * FALSE_ALARM / (gates * len(usual)))
    breaking = strict[strict["label"] == Label.BROKEN]
    broken = list(breaking["boundary"])
    unkept = usual[usual["label"] != Label.KEPT]
    label = Result.FAILED if broken else Result.NOT_ENOUGH if len(unkept) else Result.PASSED
    missing = ", ".join(broken) or " ".join(unkept["reason"])
    kept = len(usual) - (len(broken) if broken else len(unkept))
    return Gate(
        name,
        str(label),
        float(kept),
        math.nan,
        math.nan,
        float(len(usual)),
        "boundaries",
        missing,
        "budgets",
        parts=tuple(breaking["boundary_id"]),
    )


def _fault_tests(told: fault_tests.Judged, required: float) -> Gate:
    """Return the gate on fault tests: every one passes, by its own verdict.

    Measured is the share of all exposed requests that were answered usably.
    """
    name, tests = "Faults contained in fault tests", told.tests
    never = _never_tested(told.untested)
    if tests.empty:
        missing = "No fault test was seen: mark calls with `orch.fault.id`, or name a schedule."
        return _open_gate(name, required, f"{missing} {never}".strip(), "errors")
    label = of_fault_tests(list(zip(tests["label"], tests["is_proven"], strict=True)))
    if label is Result.FAILED:
        said = [f"{test.id}: {test.label}" for test in tests[tests["is_proven"]].itertuples()]
    else:
        unpassed = tests[~tests["label"].isin(list(map(str, fault_tests.PASSED)))]
        said = [f"{test.id}: {test.label}" for test in unpassed.itertuples()]
    counts = tests[["exposed_requests", "failed_requests", "silent_requests"]].fillna(0).sum()
    exposed, failed, silent = (int(count) for count in counts)
    lower, upper = stats.binomial_bounds(exposed - failed - silent, exposed)
    return Gate(
        name,
        str(label),
        1 - (failed + silent) / exposed if exposed else math.nan,
        lower,
        upper,
        required,
        "ratio",
        " ".join(filter(None, (f"{_some(said)}." if said else "", never))),
        "errors",
    )


def of_fault_tests(tests: list[tuple[str, bool]]) -> Result:
    """Return what fault tests come to: one that surely failed fails all, and none is no pass.

    Args:
        tests: The label of each, and whether a failing one is sure at the risk all gates share.
    """
    if any(is_proven for _, is_proven in tests):
        return Result.FAILED
    is_passed = tests and all(label in map(str, fault_tests.PASSED) for label, _ in tests)
    return Result.PASSED if is_passed else Result.NOT_ENOUGH


def _never_tested(untested: pd.DataFrame) -> str:
    if untested.empty:
        return ""
    names = list(dict.fromkeys(untested.sort_values("calls", ascending=False)["boundary"]))
    return f"Never tested, which is no pass: {_some(names)}."


def _some(said: list[str]) -> str:
    """Return the first few of a list, and how many more there are."""
    more = f"; {len(said) - NAMED_USES} more" if len(said) > NAMED_USES else ""
    return "; ".join(each.rstrip(".") for each in said[:NAMED_USES]) + more


def _slower(compared: pilot.Comparison, cohort: str | None, required: float, gates: int) -> Gate:
    """Return the gate on the headline's rise; 0.05 is a rise of 5 %."""
    name = f"No slower than before ({words.quantile(compared.quantile)})"
    if cohort is not None and cohort == compared.baseline != compared.pilot:
        missing = "This is the baseline: it is compared with nothing before it."
        return _open_gate(name, required, missing, "pilot", "change")
    if compared.headline is None or compared.is_refused:
        return _open_gate(name, required, compared.reason, "pilot", "change")
    lower, upper = compared.headline.interval(stats.ONE_SIDED)
    strict = compared.headline.interval(1 - 2 * FALSE_ALARM / gates)[0]
    measured = compared.headline.ratio - 1
    label = (
        Result.PASSED
        if upper <= 1 + required
        else Result.FAILED
        if strict > 1 + required
        else Result.NOT_ENOUGH
    )
    missing = compared.reason if label is Result.NOT_ENOUGH else ""
    return Gate(
        name,
        str(label),
        measured,
        lower - 1,
        upper - 1,
        required,
        "change",
        missing,
        "pilot",
        "lower",
    )


def _coverage(model: Model, scope: Scope, required: float, gates: int) -> Gate:
    rows = model.ask("trace_coverage", scope)
    traces, complete = int(rows["traces"].sum()), int(rows["complete_traces"].sum())
    gate = share_gate(
        "Complete traces",
        lambda level: stats.independent(complete, traces, level=level),
        required,
        gates,
        "quality",
        noun="traces",
    )
    if gate.label == Result.PASSED or not traces:
        return gate
    begun, holed = int(rows["cut_traces"].sum()), int(rows["traces_with_missing_spans"].sum())
    seen = (
        f"Of {words.counted(traces, 'trace')} {words.count(begun)} begin in the middle, their "
        f"caller's context lost, and {words.count(holed)} miss spans."
    )
    return replace(gate, missing=f"{seen} {gate.missing}".strip())


def _undeclared(model: Model, contracts: Contracts | None, scope: Scope) -> Gate:
    """Return the gate on accesses nobody granted: one is a failure, none needs enough traces."""
    name = "No access beyond the grants"
    if contracts is None or not contracts.access:
        return _open_gate(name, 0, "The contract grants no accesses.", "access", "traces")
    used = footprint(model, contracts, scope)
    broken = used[used["grant"] == Granted.NOT_GRANTED]
    traces = int(model.ask("trace_coverage", scope)["traces"].sum())
    if not broken.empty:
        seen = float(broken["units"].max())
        uses = [f"{use.agent} {use.access} {use.resource}" for use in broken.itertuples()]
        named = _some(uses)
        return Gate(
            name, str(Result.FAILED), seen, seen, math.nan, 0, "traces", named, "access", "lower"
        )
    if traces == 0 or not (used["grant"] == Granted.GRANTED).any():
        return _open_gate(name, 0, "No access was seen in this scope.", "access", "traces")
    bound = stats.binomial_bounds(0, traces)[1]
    least = math.ceil(math.log(FALSE_ALARM) / math.log(1 - UNDECLARED_BOUND))
    is_enough = traces >= least
    missing = "" if is_enough else f"None in {traces} traces; {least} without one would settle it."
    label = Result.PASSED if is_enough else Result.NOT_ENOUGH
    return Gate(name, str(label), 0.0, 0.0, bound * traces, 0, "traces", missing, "access", "lower")


def _escape(
    model: Model, scope: Scope, requests: pd.DataFrame, required: float, gates: int
) -> Gate:
    """Return the gate on requests that fail because a boundary did."""
    origins = model.ask("failure_weights", scope)
    broken = set(origins.loc[origins["boundary_id"].notna(), "request_id"])
    return share_gate(
        "Requests broken by a boundary",
        lambda level: stats.proportion(
            requests["request_id"].isin(broken),
            requests["unit_id"],
            requests["weight"],
            level=level,
        ),
        required,
        gates,
        "errors",
        better="lower",
    )


def _state_kept(model: Model, scope: Scope, required: float, gates: int) -> Gate:
    """Return the gate on later turns that lost nothing; too few conversations settle nothing."""
    name = "Turns that kept their context"
    measured = state.kept(model, scope)
    if measured.units < state.MIN_CONVERSATIONS:
        missing = (
            f"{words.counted(measured.units, 'conversation')} could be judged after the first "
            f"turn; {state.MIN_CONVERSATIONS} are the least."
        )
        return _open_gate(name, required, missing, "errors")
    return share_gate(
        name,
        lambda level: state.kept(model, scope, level=level),
        required,
        gates,
        "errors",
        noun="turns",
    )
