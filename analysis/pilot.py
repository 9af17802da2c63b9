"""Did the pilot change the tail: before against after, with a label, a reason and an interval."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from analysis import faults, stats, words
from analysis.comparability import (
    Check,
    Design,
    Unit,
    Windows,
    checks,
    days,
    mix_weights,
    windows,
)
from analysis.contracts import DEFAULT_QUANTILE, Contracts, sides
from analysis.decomposition import Decomposition, decompose, dominance
from analysis.engine import Model
from analysis.scope import Scope
from analysis.stats import Verdict
from analysis.tails import columns

QUANTILES = (0.5, 0.95, 0.99)
# Share of false discoveries allowed among the boundaries said to have changed.
FALSE_DISCOVERY = 0.10
# Failing units, both sides together, below which a change of the failure rate is not judged.
LEAST_FAILING_UNITS = 10


@dataclass(frozen=True)
class Change:
    """How a percentile moved from one sample to another."""

    quantile: float
    before: stats.Estimate
    after: stats.Estimate
    ratio: float
    lower: float
    upper: float
    upper_one_sided: float
    label: Verdict
    n_needed: float  # calls a side that would show a drop of ten per cent; NaN when decided
    samples: tuple[stats.Sample, stats.Sample] | None = None

    def interval(self, level: float) -> tuple[float, float]:
        """Return the ratio's interval at another confidence level."""
        if self.samples is None:
            return math.nan, math.nan
        return _interval(*self.samples, self.quantile, level)


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
    headline: Change | None = None
    is_refused: bool = False  # a condition failed that no interval can mend
    source: Decomposition | None = None  # what the change came from
    is_orchestration: bool = False  # surely most of it came from what is no model
    orchestration: str = ""


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
    requests = model.ask("request_latencies", scope)
    before = requests[requests["cohort"] == before_name]
    after = requests[requests["cohort"] == after_name]
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
            pd.DataFrame(columns=_COLUMNS),
            pd.DataFrame(columns=_BOUNDARY_COLUMNS),
            [],
            pd.DataFrame(columns=_ESCAPES),
        )

    window = windows(before, after)
    margin = margin or stats.NO_WORSE_RATIO
    facts = model.ask("boundaries", scope)
    conditions = checks(
        before,
        after,
        window,
        facts,
        model.ask("versions", scope),
        model.ask("trace_coverage", scope),
    )
    conditions.append(placebo(before, window, headline))
    changes = _end_to_end(before, after, window, headline, margin)
    main = next(change for change in changes if change.quantile == headline)
    conditions.append(reversal(before, after, window, main, margin))
    refused = [
        check
        for check in conditions
        if check.ok is False and check.name in ("placebo", "mix of operations")
    ]
    label = Verdict.NOT_ENOUGH if refused else main.label
    reason = " ".join(check.detail for check in refused) or explain(main, window, margin)
    rows = [
        _row(
            change, Verdict.NOT_ENOUGH if refused else change.label, explain(change, window, margin)
        )
        for change in changes
    ]
    calls = model.ask("latencies", scope)
    source = decompose(model, scope, str(before_name), str(after_name), window, headline)
    is_orchestration, orchestration = dominance(source, is_proven=label is Verdict.PROVEN)
    return Comparison(
        str(label),
        reason,
        str(window.design),
        str(window.unit),
        before_name,
        after_name,
        headline,
        pd.DataFrame(rows, columns=_COLUMNS),
        boundaries(
            facts,
            calls[calls["cohort"] == before_name],
            calls[calls["cohort"] == after_name],
            window,
            headline,
            margin,
        ),
        conditions,
        escapes(faults.reach(model, scope), str(before_name), str(after_name)),
        main,
        bool(refused),
        source,
        is_orchestration,
        orchestration,
    )


def change(
    before: stats.Sample, after: stats.Sample, p: float, window: Windows, *, margin: float
) -> Change:
    """Return how one percentile moved, with the label its intervals allow."""
    by_days = window.unit is Unit.DAY
    was = stats.percentile(before, p, by_days=by_days)
    now = stats.percentile(after, p, by_days=by_days)
    if window.unit is Unit.BLOCK:
        was, now = (replace(side, grade=stats.Grade.INSUFFICIENT) for side in (was, now))
    ratio, lower, upper = stats.ratio(was, now)
    one_sided = _interval(before, after, p, stats.ONE_SIDED)[1]
    label = stats.decide(lower, upper, one_sided, margin=margin)
    if label is Verdict.PROVEN and not window.may_prove:
        label = Verdict.FASTER if upper < 1 else Verdict.NO_WORSE
    needed = stats.n_needed(was, p) if label is Verdict.NOT_ENOUGH else math.nan
    return Change(p, was, now, ratio, lower, upper, one_sided, label, needed, (before, after))


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
    first, second = (_sample(half, window) for half in halves)
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
    before: pd.DataFrame, after: pd.DataFrame, window: Windows, moved: Change, margin: float
) -> Check:
    """Return whether other work hides or feigns the change: raw and at equal mix, opposite sides.

    A Simpson reversal: both intervals exclude no change, and disagree on its direction.
    """
    raw = change(
        _sample(before, window), _sample(after, window), moved.quantile, window, margin=margin
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


def explain(moved: Change, window: Windows, margin: float) -> str:
    """Return one sentence that says what a change is and how far it is known."""
    name = words.quantile(moved.quantile)
    if moved.label is Verdict.NOT_ENOUGH:
        return _open(moved, window, name)
    interval = words.change_interval(moved.lower, moved.upper)
    said = f"{name} {words.moved(moved.ratio)} {interval}"
    if moved.label is Verdict.PROVEN:
        return f"{said}, proven at least 10\u202f%."
    if moved.label is Verdict.FASTER:
        if moved.upper_one_sided <= stats.PROVEN_RATIO:
            days = min(window.before_days, window.after_days)
            return f"{said}; {days} days a side are too few to call it proven."
        return f"{said}: faster, at least 10\u202f% not proven."
    if moved.label is Verdict.NO_WORSE:
        return f"{said}: a rise beyond {words.percent(margin - 1)} is ruled out."
    return f"{said}: slower."


def _open(moved: Change, window: Windows, name: str) -> str:
    have = min(moved.before.n, moved.after.n)
    if math.isnan(moved.ratio):
        return f"{name} cannot be compared: one side has no calls."
    said = f"{name} {words.moved(moved.ratio)}"
    if not (math.isfinite(moved.lower) and math.isfinite(moved.upper)):
        units = min(moved.before.units, moved.after.units)
        return (
            f"{said}, without an interval: {words.count(have)} on a side, "
            f"in {words.counted(units, 'unit')} ({window.unit}), are too few."
        )
    said += f" {words.change_interval(moved.lower, moved.upper)}, which settles nothing"
    if not math.isfinite(moved.n_needed):
        return f"{said}."
    need = f"about {words.count(moved.n_needed)} a side would show a drop of 10\u202f%"
    if window.design is Design.SEQUENTIAL and window.before_days:
        days = math.ceil(moved.n_needed / moved.before.n * window.before_days)
        need += f" ({words.counted(days, 'day')} at this traffic)"
    return f"{said}: {need}, {words.count(have)} are there."


def _interval(
    before: stats.Sample, after: stats.Sample, p: float, level: float
) -> tuple[float, float]:
    was, now = (stats.percentile(side, p, level=level) for side in (before, after))
    return stats.ratio(was, now)[1:]


def _sample(
    frame: pd.DataFrame,
    window: Windows,
    column: str = "duration_ms",
    weights: stats.Floats | None = None,
) -> stats.Sample:
    own = frame["weight"].to_numpy(np.float64) if weights is None else weights
    keep = own > 0
    values = frame[column].to_numpy(np.float64)
    return stats.sample(values[keep], window.units(frame)[keep], own[keep])


def _end_to_end(
    before: pd.DataFrame, after: pd.DataFrame, window: Windows, headline: float, margin: float
) -> list[Change]:
    weights = mix_weights(before, after)
    if not (weights[0].any() and weights[1].any()):
        weights = before["weight"].to_numpy(np.float64), after["weight"].to_numpy(np.float64)
    was = _sample(before, window, weights=weights[0])
    now = _sample(after, window, weights=weights[1])
    quantiles = sorted({*QUANTILES, headline})
    return [change(was, now, p, window, margin=margin) for p in quantiles]


def _row(moved: Change, label: Verdict, reason: str) -> dict[str, object]:
    return {
        "quantile": moved.quantile,
        **columns("before_ms", moved.before),
        **columns("after_ms", moved.after),
        "ratio": moved.ratio,
        "ratio_lower": moved.lower,
        "ratio_upper": moved.upper,
        "upper_one_sided": moved.upper_one_sided,
        "label": str(label),
        "reason": reason,
        "n_needed": moved.n_needed,
    }


def boundaries(
    facts: pd.DataFrame,
    before: pd.DataFrame,
    after: pd.DataFrame,
    window: Windows,
    p: float,
    margin: float,
) -> pd.DataFrame:
    """Return every boundary's change, corrected for how many there are.

    Args:
        facts: Boundaries and their names, as the metric `boundaries` tells them.
        before: Calls before, as `latencies` tells them.
        after: Calls after.
        window: How the two sides lie in time.
        p: The quantile that is compared.
        margin: The ratio up to which a boundary is no worse.
    """
    rows = list(_compared(facts, before, after, window, p, margin))
    frame = pd.DataFrame(rows, columns=_BOUNDARY_COLUMNS)
    frame["q_value"] = stats.false_discovery(frame["q_value"].tolist())
    frame["error_q_value"] = stats.false_discovery(frame["error_q_value"].tolist())
    changed = frame["label"].isin(
        [str(v) for v in (Verdict.PROVEN, Verdict.FASTER, Verdict.SLOWER)]
    )
    lost = changed & ~(frame["q_value"] <= FALSE_DISCOVERY)
    frame.loc[lost, "label"] = str(Verdict.NOT_ENOUGH)
    frame.loc[lost, "reason"] += f" Among {len(frame)} boundaries this may be chance."
    errors_changed = frame["error_label"].isin(["more failures", "fewer failures"])
    frame.loc[errors_changed & ~(frame["error_q_value"] <= FALSE_DISCOVERY), "error_label"] = str(
        Verdict.NOT_ENOUGH
    )
    return frame


def _compared(
    facts: pd.DataFrame,
    before: pd.DataFrame,
    after: pd.DataFrame,
    window: Windows,
    p: float,
    margin: float,
) -> Iterator[dict[str, object]]:
    sides_ = [frame.groupby("boundary_id", observed=True).indices for frame in (before, after)]
    names = facts.drop_duplicates("boundary_id")[list(_NAMES)]
    for name in names.to_dict("records"):
        key = name["boundary_id"]
        was, now = (
            frame.iloc[groups.get(key, [])]
            for frame, groups in zip((before, after), sides_, strict=True)
        )
        if was.empty and now.empty:
            continue
        samples = _sample(was, window, "client_ms"), _sample(now, window, "client_ms")
        moved = change(samples[0], samples[1], p, window, margin=margin)
        reason = explain(moved, window, margin)
        if was.empty or now.empty:
            reason = f"Only in the {'pilot' if was.empty else 'baseline'}: nothing to compare."
        yield {
            **{str(column): value for column, value in name.items()},
            **_row(moved, moved.label, reason),
            "before_calls": len(was),
            "after_calls": len(now),
            **_errors(was, now, window),
            "q_value": stats.ratio_p_value(moved.ratio, moved.lower, moved.upper),
        }


def _errors(was: pd.DataFrame, now: pd.DataFrame, window: Windows) -> dict[str, object]:
    """Return how the failure rate of a boundary moved."""
    sides_ = _failing(was, window), _failing(now, window)

    def interval(level: float) -> tuple[float, float]:
        before, after = (stats.proportion_of_counts(*side, level=level) for side in sides_)
        return stats.difference(before, after)[1:]

    before, after = (stats.proportion_of_counts(*side) for side in sides_)
    moved, lower, upper = stats.difference(before, after)
    failing = sum(int((failed > 0).sum()) for failed, _, _ in sides_)
    label = str(Verdict.NOT_ENOUGH)
    if failing >= LEAST_FAILING_UNITS and (lower > 0 or upper < 0):
        label = "more failures" if lower > 0 else "fewer failures"
    return {
        **columns("before_error_ratio", before),
        **columns("after_error_ratio", after),
        "error_change": moved,
        "error_change_lower": lower,
        "error_change_upper": upper,
        "error_label": label,
        "error_q_value": math.nan if math.isnan(moved) else stats.p_value(interval, null=0.0),
    }


def _failing(frame: pd.DataFrame, window: Windows) -> tuple[stats.Floats, stats.Floats, int]:
    """Return failed weight and weight of each unit, and the calls in all."""
    units = window.units(frame)
    weight = frame["weight"].to_numpy(np.float64)
    failed = frame["is_error"].to_numpy(np.float64)
    return (
        np.bincount(units, weights=failed * weight).astype(np.float64),
        np.bincount(units, weights=weight).astype(np.float64),
        len(frame),
    )


def _nothing(before: str | None, after: str | None, known: list[str], *, is_before: bool) -> str:
    lake = f"The lake has {', '.join(known) or 'no cohorts'}."
    if before == after and before is not None:
        return f"Both sides are the cohort `{before}`. {lake}"
    missing = before if is_before else after
    side = "baseline" if is_before else "pilot"
    if missing is None:
        return f"No cohort stands for the {side}; name one in the contract's `cohorts`. {lake}"
    return f"The {side} `{missing}` has no requests in this scope. {lake}"


_NAMES = ("boundary_id", "boundary", "caller", "kind", "callee")
_EMPTY = Change(
    quantile=DEFAULT_QUANTILE,
    before=stats.NOTHING,
    after=stats.NOTHING,
    ratio=math.nan,
    lower=math.nan,
    upper=math.nan,
    upper_one_sided=math.nan,
    label=Verdict.NOT_ENOUGH,
    n_needed=math.nan,
)
_COLUMNS = list(_row(_EMPTY, Verdict.NOT_ENOUGH, ""))
_BOUNDARY_COLUMNS = [
    *_NAMES,
    *_COLUMNS,
    "before_calls",
    "after_calls",
    *columns("before_error_ratio", stats.NOTHING),
    *columns("after_error_ratio", stats.NOTHING),
    "error_change",
    "error_change_lower",
    "error_change_upper",
    "error_label",
    "error_q_value",
    "q_value",
]
_ESCAPES = [
    *("boundary_id", "boundary"),
    *columns("before_escape_ratio", stats.NOTHING),
    *columns("after_escape_ratio", stats.NOTHING),
    *("change", "change_lower", "change_upper", "label"),
]
