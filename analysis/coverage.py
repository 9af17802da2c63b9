"""What was not seen, how to mend it, and how far it lowers the grade of what rests on it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis import stats, tails
from analysis.engine import Model
from analysis.means import mean
from analysis.scope import Scope
from analysis.stats import Grade

# A share may be off by what is unseen, and a p95 lies anywhere once a twentieth is.
INDICATIVE_ABOVE = 0.05
# With a fifth unseen even a median moves from p50 to anywhere between p38 and p62.
INSUFFICIENT_ABOVE = 0.20
# Where surely more than half of the requests failed, a sampler that keeps failures is likelier
# than a system that anybody pilots.
SUSPECT_FAILED_RATIO = 0.5
SUSPECT_TRACES = 30
BLIND = "Too much was not seen for that to be said (metric blind_spots). "


@dataclass(frozen=True)
class Spot:
    """A kind of blind spot: what cannot be said because of it, and what to change."""

    blinds: str
    fix: str


SPOTS: Mapping[str, Spot] = MappingProxyType(
    {
        "unexplained": Spot(
            "what a caller did while nothing below it ran",
            "Instrument what the caller does itself: prompts, parsing, queues, libraries it calls.",
        ),
        "far_side": Spot(
            "handoff time, and what the callee did",
            "Instrument the callee's server and let it read `traceparent`.",
        ),
        "near_side": Spot(
            "what the caller waited, and its tries",
            "Instrument the caller's HTTP or RPC client.",
        ),
        "broken_context": Spot(
            "who called, end-to-end time and error chains",
            "Hand `traceparent` on: the same propagators (`OTEL_PROPAGATORS`) on both sides.",
        ),
        "missing_upstream": Spot(
            "the caller's side, and what the request was for",
            "Export the caller's spans to the same place, or ingest its dump, too.",
        ),
        "missing_span": Spot(
            "callers and errors between the hole and the top",
            "Raise `OTEL_BSP_MAX_QUEUE_SIZE`, flush at shutdown, and sample by trace, not by span.",
        ),
        "unfinished": Spot(
            "how what was given up would have ended",
            "End spans in `finally`, with a status, also when they are cancelled.",
        ),
        "no_conversation": Spot(
            "turns, and whether state was kept",
            "Set `gen_ai.conversation.id` (or `session.id`) on the request's first span.",
        ),
        "no_user": Spot(
            "which requests are one person's where no conversation is told",
            "Set `user.id` on the request's first span; it is hashed when it is read.",
        ),
        "no_agent_version": Spot(
            "which version of an agent began what",
            "Set `service.version` in `OTEL_RESOURCE_ATTRIBUTES` of the agent's process.",
        ),
        "no_service_name": Spot("who owns the work", "Set `OTEL_SERVICE_NAME`."),
        "unnamed_resource": Spot(
            "which data or callee was touched",
            "Let the client's instrumentation name its target: table, queue, route or host.",
        ),
        "unread": Spot(
            "what these spans do; they are looked through",
            "Name what they do: `gen_ai.operation.name`, or `orch.node.type`.",
        ),
        "dropped_attributes": Spot(
            "any key of these spans: types, tokens, errors",
            "Raise `OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT`.",
        ),
        "sampled": Spot(
            "what is rare; every trace counts by its sampling weight",
            "Keep more traces while a pilot is judged.",
        ),
        "sampling_untold": Spot(
            "whether traces were left out, and which: each counts once",
            "Let the sampler write its threshold (`ot=th:` in tracestate), or keep all traces.",
        ),
        "outcome_sampling": Spot(
            "rates of failure, tails, and all that depends on how a request ended",
            "Keep a random share of all traces beside the failed and slow ones, and tell it.",
        ),
    }
)

# Which figures rest on what; the first word of a column is enough. Figures of a boundary rest on
# its own calls, all others on the cohort.
_EVERY = ""
DEPENDS: Mapping[str, Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "tails": MappingProxyType({_EVERY: ("outcome_sampling",)}),
        "tails_end_to_end": MappingProxyType({_EVERY: ("outcome_sampling", "broken_context")}),
        "tails_to_p99_9": MappingProxyType({_EVERY: ("outcome_sampling",)}),
        "handoff_tails": MappingProxyType({_EVERY: ("outcome_sampling", "far_side", "near_side")}),
        "dispersion": MappingProxyType({_EVERY: ("outcome_sampling",)}),
        "serial_jitter": MappingProxyType({_EVERY: ("outcome_sampling",)}),
        "drift": MappingProxyType({_EVERY: ("outcome_sampling",)}),
        "patterns": MappingProxyType({_EVERY: ("outcome_sampling", "missing_span")}),
        "budgets": MappingProxyType({_EVERY: ("outcome_sampling",)}),
        "on_path": MappingProxyType({_EVERY: ("outcome_sampling", "missing_span")}),
        "promises": MappingProxyType(
            {
                _EVERY: ("outcome_sampling", "broken_context"),
                "downstream": ("missing_span",),
                "within_downstream": ("missing_span",),
            }
        ),
        "burn": MappingProxyType({_EVERY: ("outcome_sampling",)}),
        "spenders": MappingProxyType({_EVERY: ("outcome_sampling", "missing_span")}),
        "suggested_timeouts": MappingProxyType({_EVERY: ("outcome_sampling",)}),
        "fault_tests": MappingProxyType(
            {_EVERY: ("outcome_sampling", "missing_span", "broken_context", "unfinished")}
        ),
        "path_shares": MappingProxyType({_EVERY: ("outcome_sampling", "missing_span")}),
        "failure_reach": MappingProxyType(
            {_EVERY: ("outcome_sampling", "missing_span", "broken_context", "unfinished")}
        ),
        "hidden_failures": MappingProxyType({_EVERY: ("outcome_sampling", "missing_span")}),
        "tries": MappingProxyType({_EVERY: ("outcome_sampling",)}),
        "storm_tries": MappingProxyType({_EVERY: ("outcome_sampling",)}),
        "abandoned_calls": MappingProxyType(
            {_EVERY: ("outcome_sampling", "far_side"), "late": ("missing_span",)}
        ),
        "timeouts_at_odds": MappingProxyType({_EVERY: ("outcome_sampling", "missing_span")}),
        "tool_calls": MappingProxyType({_EVERY: ("outcome_sampling",)}),
        "conversation_totals": MappingProxyType({_EVERY: ("outcome_sampling", "no_conversation")}),
        "access_use": MappingProxyType({_EVERY: ("unnamed_resource", "missing_span")}),
        "access_creep": MappingProxyType({_EVERY: ("unnamed_resource", "missing_span")}),
        "version_effects": MappingProxyType({_EVERY: ("outcome_sampling", "no_agent_version")}),
        "version_mix": MappingProxyType({_EVERY: ("outcome_sampling", "missing_upstream")}),
        "loops": MappingProxyType({_EVERY: ("outcome_sampling", "missing_span")}),
        "state_by_turn": MappingProxyType({_EVERY: ("no_conversation", "outcome_sampling")}),
    }
)


# Told of each boundary by itself: a boundary that has none of it is not blind for others' sake.
_OF_BOUNDARIES = frozenset({"far_side", "near_side", "unnamed_resource"})
_OF_SAMPLING = frozenset({"sampled", "sampling_untold", "outcome_sampling"})
_RESTED_ON = frozenset(
    spot for rests in DEPENDS.values() for spots in rests.values() for spot in spots
)


def blind_spots(model: Model, scope: Scope) -> pd.DataFrame:
    """Return what was not seen, one row a cohort, blind spot, and service or boundary.

    found of total are spans, calls, requests, traces or ms, as `counted` says. The interval of the
    share rests on a hundred buckets of `units`: traces of spans and ms, else conversations. `caps`
    is the best grade that is left to figures which rest on it, of the boundary or else the cohort,
    null where none does. Sampling that nobody tells is a row of its own; that it depends on the
    outcome is only suspected.
    """
    told = pd.concat(
        [model.ask(each, _whole(scope)) for each in ("sampling", "blindness")], ignore_index=True
    )
    shares = _shares(told)
    key = ["cohort", "blind_spot", "service", "boundary_id"]
    rows = []
    for values, some in told.groupby(key, sort=True, dropna=False):
        row = dict(zip(key, (_text(value) for value in values), strict=True))
        share = _share(some)
        if row["blind_spot"] == "outcome_sampling" and not _is_suspect(share):
            continue
        if share.value > 0:
            rows.append(row | _row(some, share, row, shares))
    frame = pd.DataFrame(rows, columns=[*key, *_COLUMNS])
    names = model.ask("boundary_names", _whole(scope)).drop_duplicates("boundary_id")
    frame["boundary"] = frame["boundary_id"].map(
        dict(zip(names["boundary_id"], names["boundary"], strict=True))
    )
    order = ["cohort", "share", *key[1:]]
    return frame.sort_values(order, ascending=[True, False, True, True, True], ignore_index=True)


def cap(spot: str, share: float) -> Grade:
    """Return the best grade left to a figure that rests on what was unseen in a share of cases.

    Sampling by outcome leaves none, however few failed: what was left out is not known.
    """
    if spot == "outcome_sampling" or share > INSUFFICIENT_ABOVE:
        return Grade.INSUFFICIENT
    return Grade.INDICATIVE if share > INDICATIVE_ABOVE else Grade.SOLID


def lowered(name: str, frame: pd.DataFrame, model: Model, scope: Scope) -> pd.DataFrame:
    """Return the answer of a measure with the grades that its blind spots leave; none rises."""
    return capped(frame, caps(name, frame, model, scope))


def caps(
    name: str, frame: pd.DataFrame, model: Model, scope: Scope
) -> dict[str, npt.NDArray[np.object_]]:
    """Return the best grade left to each figure of a frame, by its column of grades."""
    rests = DEPENDS.get(name)
    if rests is None or frame.empty:
        return {}
    shares = _shares(_unseen(model, scope, {spot for some in rests.values() for spot in some}))
    nobody = [None] * len(frame)
    keys = list(zip(frame.get("cohort", nobody), frame.get("boundary_id", nobody), strict=True))
    left = {}
    for column in (each for each in frame.columns if each.endswith("_grade")):
        spots = [spot for start, some in rests.items() if column.startswith(start) for spot in some]
        left[column] = np.array(
            [
                stats.worse(Grade.SOLID, *(_cap(shares, spot, *key) for spot in spots))
                for key in keys
            ],
            dtype=object,
        )
    return left


def capped(frame: pd.DataFrame, left: Mapping[str, npt.NDArray[np.object_]]) -> pd.DataFrame:
    """Return a frame whose grades are no better than what is left to them (`caps`)."""
    graded = frame.copy()
    for column, most in left.items():
        graded[column] = [
            str(stats.worse(Grade(grade), cap)) if isinstance(grade, str) else grade
            for grade, cap in zip(frame[column], most, strict=True)
        ]
    return graded


def without_blind(
    frame: pd.DataFrame,
    left: Mapping[str, npt.NDArray[np.object_]],
    *,
    figure: str,
    label: str,
    passed: Iterable[str],
    unknown: str,
) -> pd.DataFrame:
    """Return a frame in which no label passes on a figure that blind spots leave no grade.

    A label that fails stays: what was not seen takes a pass away and never a failure.

    Args:
        frame: One row a label, with or without its `reason`.
        left: The best grades left (`caps`).
        figure: The figure that the label rests on.
        label: The column of labels.
        passed: Labels that pass.
        unknown: What they become.
    """
    if f"{figure}_grade" not in left:
        return frame
    is_blind = (left[f"{figure}_grade"] == Grade.INSUFFICIENT) & frame[label].isin(
        [str(each) for each in passed]
    ).to_numpy()
    if not is_blind.any():
        return frame
    told = frame.assign(**{label: frame[label].where(~is_blind, unknown)})
    if "reason" in frame:
        told["reason"] = frame["reason"].where(~is_blind, BLIND + frame["reason"])
    return told


def _unseen(model: Model, scope: Scope, spots: set[str]) -> pd.DataFrame:
    """Return how much is unseen of these spots; what tells of others is not asked."""
    asked = {
        "sampling": _OF_SAMPLING,
        "unseen_calls": _OF_BOUNDARIES,
        "unseen_spans": _RESTED_ON - _OF_SAMPLING - _OF_BOUNDARIES,
    }
    frames = [model.ask(each, _whole(scope)) for each, of in asked.items() if spots & of]
    told = pd.concat(frames, ignore_index=True)
    told = told[told["blind_spot"].isin(spots)]
    return told if "boundary_id" in told else told.assign(boundary_id=None)


def _whole(scope: Scope) -> Scope:
    return replace(scope, boundary=None, agent=None)


def _shares(told: pd.DataFrame) -> dict[tuple[str, str, str | None], float]:
    """Return what is unseen by spot, cohort and boundary; None stands for the whole cohort."""
    found: dict[tuple[str, str, str | None], float] = {}
    for by in (["blind_spot", "cohort"], ["blind_spot", "cohort", "boundary_id"]):
        for values, some in told.groupby(by, sort=False):
            spot, cohort, boundary = (*map(_text, values), None)[:3]
            if spot is None or cohort is None:
                continue
            share = float(some["found"].sum() / max(some["total"].sum(), 1e-9))
            if spot == "outcome_sampling" and not _is_suspect(_share(some)):
                continue
            found[spot, cohort, boundary] = share
    return found


def _cap(
    shares: Mapping[tuple[str, str, str | None], float],
    spot: str,
    cohort: str | None,
    boundary: str | None,
) -> Grade:
    at = boundary if spot in _OF_BOUNDARIES else None
    # What is told across cohorts rests on the blindest of them.
    found = [share for key, share in shares.items() if key == (spot, cohort or key[1], at)]
    return cap(spot, max(found)) if found else Grade.SOLID


def _share(some: pd.DataFrame) -> stats.Estimate:
    found, total = some["found"].to_numpy(np.float64), some["total"].to_numpy(np.float64)
    units = int(some["units"].sum())
    if some["counted"].iloc[0] == "ms":
        bucket = some["bucket"].to_numpy(np.intp)
        sums = stats.bucket_sums(found, bucket), stats.bucket_sums(total, bucket)
        return mean(*sums, units, units)
    return replace(stats.proportion_of_counts(found, total), units=units)


def _is_suspect(failed: stats.Estimate) -> bool:
    return failed.n >= SUSPECT_TRACES and failed.lower > SUSPECT_FAILED_RATIO


def _row(
    some: pd.DataFrame,
    share: stats.Estimate,
    row: Mapping[str, str | None],
    shares: Mapping[tuple[str, str, str | None], float],
) -> dict[str, object]:
    spot = str(row["blind_spot"])
    left = _cap(shares, spot, str(row["cohort"]), row["boundary_id"])
    return {
        "counted": some["counted"].iloc[0],
        "found": float(some["found"].sum()),
        "total": float(some["total"].sum()),
        "units": int(some["units"].sum()),
        **tails.columns("share", share),
        "caps": str(left) if spot in _RESTED_ON else None,
        "blinds": SPOTS[spot].blinds,
        "fix": SPOTS[spot].fix,
        "example_trace_id": some["example_trace_id"].dropna().min(),
    }


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


_COLUMNS = [
    *("counted", "found", "total", "units", *tails.columns("share", stats.NOTHING)),
    *("caps", "blinds", "fix", "example_trace_id"),
]
