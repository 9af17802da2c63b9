"""Did the pilot change the tail: before against after, with a label, a reason and an interval."""

import math
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from analysis import boundary_changes, changes, faults, stats, words
from analysis.boundary_changes import LEAST_FAILING_UNITS
from analysis.changes import Change, change, explain, sampled
from analysis.comparability import Check, Design, Unit, Windows, checks, days, windows
from analysis.contracts import DEFAULT_QUANTILE, Contracts, sides
from analysis.decomposition import Decomposition, decompose, dominance
from analysis.engine import Model
from analysis.mix import Mix, equal_mix
from analysis.scope import Scope
from analysis.stats import Verdict
from analysis.tails import columns

QUANTILES = (0.5, 0.95, 0.99)


@dataclass(frozen=True)
class Comparison:
    """Before against after: one headline, every quantile, every boundary, every condition."""

    label: str
    reason: str
    design: str
    unit: str
    baseline: str | None
    pilot: str | None
    quantile: float
    end_to_end: pd.DataFrame
    boundaries: pd.DataFrame
    checks: list[Check]
    escapes: pd.DataFrame
    failures: pd.DataFrame  # one row: how the share of failed requests moved
    headline: Change | None = None
    is_refused: bool = False  # a condition failed that no interval can mend
    source: Decomposition | None = None  # what the change came from
    is_orchestration: bool = False  # surely most of it came from what is no model
    orchestration: str = ""


@dataclass(frozen=True)
class WholeRequests:
    """What two sides of whole requests say: label, reason, every quantile, the conditions."""

    label: Verdict
    reason: str
    window: Windows
    headline: Change
    end_to_end: pd.DataFrame
    conditions: list[Check]
    refused: list[Check]  # those that leave no verdict
    failures: pd.DataFrame


def compare(
    model: Model,
    contracts: Contracts | None,
    scope: Scope | None = None,
    *,
    baseline: str | None = None,
    pilot: str | None = None,
) -> Comparison:
    """Return how the pilot's tail compares with the baseline's.

    The headline is the end-to-end quantile of the contract's SLA, else p95; it is declared before
    the data are seen and needs no correction. Boundaries are corrected for their number.

    Args:
        model: The lake's model.
        contracts: Names the cohorts, the headline and the margin for "no worse".
        scope: Narrows both sides alike; its cohort is ignored.
        baseline: The cohort before, in place of the contract's.
        pilot: The cohort after, in place of the contract's.
    """
    scope = replace(scope or Scope(), cohort=None)
    named = sides(model.cohorts(), contracts)
    before_name, after_name = baseline or named.baseline, pilot or named.pilot
    headline = contracts.sla.quantile if contracts else DEFAULT_QUANTILE
    margin = 1 + contracts.gates["slower"] if contracts and "slower" in contracts.gates else None
    before, after = (
        model.ask("request_latencies", replace(scope, cohort=name or ""))
        for name in (before_name, after_name)
    )
    if before.empty or after.empty or before_name == after_name:
        reason = _nothing(before_name, after_name, model.cohorts(), is_before=before.empty)
        return Comparison(
            str(Verdict.NOT_ENOUGH),
            reason,
            "",
            "",
            before_name,
            after_name,
            headline,
            pd.DataFrame(columns=changes.COLUMNS),
            pd.DataFrame(columns=boundary_changes.COLUMNS),
            [],
            pd.DataFrame(columns=_ESCAPES),
            pd.DataFrame(columns=_FAILURES),
        )

    named_sides = str(before_name), str(after_name)
    least = margin or stats.NO_WORSE_RATIO
    # Units as numbers are sorted once.
    before, after = (side.assign(unit_id=stats.codes(side["unit_id"])) for side in (before, after))
    window = windows(before, after)
    facts = model.ask("boundaries", scope)
    # Parts that do not rest on each other, so that one computes while another asks.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        of_boundaries = pool.submit(
            boundary_changes.changed, model, scope, facts, named_sides, window, headline, least
        )
        of_source = pool.submit(decompose, model, scope, before, after, window, headline)
        of_failures = pool.submit(faults.reach, model, scope)
        found = judged(*_with_models(model, scope, facts, before, after), window, headline, least)
        asked = model.ask("versions", scope), model.ask("trace_coverage", scope)
        conditions = [*checks(before, after, window, facts, *asked), *found.conditions]
        at_boundaries, source = of_boundaries.result(), of_source.result()
        reach = of_failures.result()
    if found.refused:
        at_boundaries["label"] = str(Verdict.NOT_ENOUGH)
        at_boundaries["reason"] += " But the two sides cannot be compared."
    is_orchestration, orchestration = dominance(source, is_proven=found.label is Verdict.PROVEN)
    return Comparison(
        str(found.label),
        found.reason,
        str(window.design),
        str(window.unit),
        before_name,
        after_name,
        headline,
        found.end_to_end,
        at_boundaries,
        conditions,
        escapes(reach, *named_sides),
        found.failures,
        found.headline,
        bool(found.refused),
        source,
        is_orchestration,
        orchestration,
    )


def judged(
    before: pd.DataFrame, after: pd.DataFrame, window: Windows, headline: float, margin: float
) -> WholeRequests:
    """Return what requests of two sides, neither empty, say of the change of the whole.

    Args:
        before: Requests as `request_latencies` tells them, with the model each called where told.
        after: The same of the other side.
        window: How the two lie in time.
        headline: The quantile that decides.
        margin: The ratio up to which the pilot is no worse.
    """
    mix = equal_mix(before, after, window)
    moved = _end_to_end(before, after, window, mix, headline, margin)
    main = next(each for each in moved if each.quantile == headline)
    # Without weights the raw change is the one at equal mix.
    raw = None if mix.check.ok is None else main
    conditions = [
        mix.check,
        placebo(before, window, headline),
        reversal(before, after, window, main, margin, raw=raw),
    ]
    refused = [check for check in conditions[:2] if check.ok is False]
    label = Verdict.NOT_ENOUGH if refused else main.label
    rows = [
        changes.row(
            each, Verdict.NOT_ENOUGH if refused else each.label, explain(each, window, margin)
        )
        for each in moved
    ]
    return WholeRequests(
        label,
        " ".join(check.detail for check in refused) or explain(main, window, margin),
        window,
        main,
        pd.DataFrame(rows, columns=changes.COLUMNS),
        conditions,
        refused,
        failures(before, after, window),
    )


def placebo(before: pd.DataFrame, window: Windows, p: float) -> Check:
    """Return whether the baseline's second half looks like its first, by the same method."""
    name = "placebo"
    if window.design is Design.CONCURRENT:
        return Check(name, ok=None, detail="Not needed: both sides share whatever time does.")
    at = days(before) if window.unit is Unit.DAY else before["started_at"]
    middle = at.min() + (at.max() - at.min()) / 2
    halves = before[at <= middle], before[at > middle]
    if any(half.empty for half in halves):
        return Check(name, ok=None, detail="The baseline is too short to be split in halves.")
    weights = _weights(*halves, equal_mix(*halves, window))
    first, second = (
        sampled(half, window, weights=weight) for half, weight in zip(halves, weights, strict=True)
    )
    moved = change(first, second, p, window, margin=1.0)
    said = f"{words.quantile(p)} of the baseline's second half"
    if math.isnan(moved.lower) or math.isnan(moved.upper):
        return Check(name, ok=None, detail=f"{said} has no interval against the first.")
    interval = words.change_interval(moved.lower, moved.upper)
    if moved.lower > 1 or moved.upper < 1:
        detail = (
            f"The baseline drifts: {said} {words.moved(moved.ratio)} {interval} against its "
            "first, so a difference to the pilot may be time alone."
        )
        return Check(name, ok=False, detail=detail)
    return Check(name, ok=True, detail=f"{said} {words.moved(moved.ratio)} {interval}: no drift.")


def reversal(
    before: pd.DataFrame,
    after: pd.DataFrame,
    window: Windows,
    moved: Change,
    margin: float,
    *,
    raw: Change | None = None,
) -> Check:
    """Return whether other work hides or feigns the change: raw and at equal mix, opposite sides.

    A Simpson reversal: both intervals exclude no change, and disagree on its direction.
    """
    raw = raw or change(
        sampled(before, window), sampled(after, window), moved.quantile, window, margin=margin
    )
    name = f"{words.quantile(moved.quantile)} without regard to the mix of operations"
    if math.isnan(raw.lower) or math.isnan(moved.lower):
        return Check("mix reversal", ok=None, detail=f"{name} has no interval.")
    said = f"{name} {words.moved(raw.ratio)} {words.change_interval(raw.lower, raw.upper)}"
    if (raw.upper < 1 and moved.lower > 1) or (raw.lower > 1 and moved.upper < 1):
        detail = (
            f"{said}, at the baseline's mix it {words.moved(moved.ratio)} "
            f"{words.change_interval(moved.lower, moved.upper)}: the mix alone turned it round."
        )
        return Check("mix reversal", ok=False, detail=detail)
    return Check("mix reversal", ok=True, detail=f"{said}: the mix turns nothing round.")


def escapes(told: pd.DataFrame, baseline: str, pilot: str) -> pd.DataFrame:
    """Return how the share of failures that reach a user moved, one row a boundary with failures.

    Args:
        told: An answer of `faults.reach`.
        baseline: The cohort before.
        pilot: The cohort after.
    """
    rows = []
    for (key, name), some in told.dropna(subset="boundary_id").groupby(["boundary_id", "boundary"]):
        sides = [_escape(some[some["cohort"] == cohort]) for cohort in (baseline, pilot)]
        moved, lower, upper = stats.difference(*sides)
        label = str(Verdict.NOT_ENOUGH)
        if sum(side.units for side in sides) >= LEAST_FAILING_UNITS and (lower > 0 or upper < 0):
            label = "more escape" if lower > 0 else "fewer escape"
        rows.append(
            {"boundary_id": key, "boundary": name}
            | columns("before_escape_ratio", sides[0])
            | columns("after_escape_ratio", sides[1])
            | {"change": moved, "change_lower": lower, "change_upper": upper, "label": label}
        )
    return pd.DataFrame(rows, columns=_ESCAPES)


def _escape(some: pd.DataFrame) -> stats.Estimate:
    if some.empty:
        return stats.NOTHING
    row = some.iloc[0]
    return stats.Estimate(
        row["escape_ratio"],
        row["escape_ratio_lower"],
        row["escape_ratio_upper"],
        int(row["escape_ratio_n"]),
        row["escape_ratio_n_eff"],
        int(row["escape_ratio_units"]),
        stats.Grade(row["escape_ratio_grade"]),
    )


def failures(before: pd.DataFrame, after: pd.DataFrame, window: Windows) -> pd.DataFrame:
    """Return one row: the share of requests that failed on both sides, and how it moved."""
    sides_ = [_failing(side, window) for side in (before, after)]
    was, now, label, _ = boundary_changes.failure_change(sides_[0], sides_[1])
    moved, lower, upper = stats.difference(was, now)
    row = {
        **columns("before_failed_ratio", was),
        **columns("after_failed_ratio", now),
        "change": moved,
        "change_lower": lower,
        "change_upper": upper,
        "label": label,
    }
    return pd.DataFrame([row], columns=_FAILURES)


def _failing(requests: pd.DataFrame, window: Windows) -> boundary_changes.Failing:
    return boundary_changes.failing(
        requests["is_failed"].to_numpy(np.bool_),
        window.units(requests),
        requests["weight"].to_numpy(np.float64),
    )


def _with_models(
    model: Model, scope: Scope, facts: pd.DataFrame, before: pd.DataFrame, after: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return both sides with the models each request called, where there is more than one."""
    if facts.loc[facts["kind"] == "model", "callee"].nunique() < 2:
        return before, after
    told = model.ask("request_models", replace(scope, boundary=None, agent=None))
    used = pd.Series(told["model"].to_numpy(), index=told["request_id"].to_numpy())
    was, now = (
        side.assign(model=used.reindex(side["request_id"]).fillna(0).to_numpy(np.int64))
        for side in (before, after)
    )
    return was, now


def _weights(
    before: pd.DataFrame, after: pd.DataFrame, mix: Mix
) -> tuple[stats.Floats, stats.Floats]:
    """Return the weights of an equal mix, or each row's own where nothing would be left."""
    if mix.weights[0].any() and mix.weights[1].any():
        return mix.weights
    return before["weight"].to_numpy(np.float64), after["weight"].to_numpy(np.float64)


def _end_to_end(
    before: pd.DataFrame,
    after: pd.DataFrame,
    window: Windows,
    mix: Mix,
    headline: float,
    margin: float,
) -> list[Change]:
    weights = _weights(before, after, mix)
    was = sampled(before, window, weights=weights[0])
    now = sampled(after, window, weights=weights[1])
    quantiles = sorted({*QUANTILES, headline})
    return [change(was, now, p, window, margin=margin) for p in quantiles]


def _nothing(before: str | None, after: str | None, known: list[str], *, is_before: bool) -> str:
    lake = f"The lake has {', '.join(known) or 'no cohorts'}."
    if before == after and before is not None:
        return f"Both sides are the cohort `{before}`. {lake}"
    missing = before if is_before else after
    side = "baseline" if is_before else "pilot"
    if missing is None:
        return f"No cohort stands for the {side}; name one in the contract's `cohorts`. {lake}"
    return f"The {side} `{missing}` has no requests in this scope. {lake}"


_FAILURES = [
    *columns("before_failed_ratio", stats.NOTHING),
    *columns("after_failed_ratio", stats.NOTHING),
    *("change", "change_lower", "change_upper", "label"),
]
_ESCAPES = [
    *("boundary_id", "boundary"),
    *columns("before_escape_ratio", stats.NOTHING),
    *columns("after_escape_ratio", stats.NOTHING),
    *("change", "change_lower", "change_upper", "label"),
]
