"""What `orchrisk compliance` answers: the data, the text a person reads, the exit code."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from analysis import (
    burn,
    compliance,
    contract_file,
    engine,
    feasibility,
    measures,
    path_budgets,
    spenders,
    summary,
    timeouts,
    words,
)
from analysis.compliance import Label
from analysis.contracts import Contracts
from analysis.engine import Model
from analysis.scope import Scope
from app.answers import COULD_NOT_TELL, NO, TOP, YES, Answer
from app.terminal import table
from ingest.errors import LakeError

_EXIT = {Label.KEPT: YES, Label.BROKEN: NO}
_SAID = {
    Label.KEPT: "Every promise that was judged is kept.",
    Label.BROKEN: "At least one promise is broken.",
    Label.NOT_ENOUGH: "None is broken, and of at least one the traces cannot tell.",
    Label.NO_BUDGET: "Nothing was promised: name a contract with --contracts.",
}
_IDLE = "No promise of the contract speaks of what is in this scope."


def compliance_of(lake: Path, contracts_file: Path | None, scope: Scope) -> Answer:
    """Return promises against traces: requests first, then boundaries, burn, spenders, room.

    Exit code 0 when all promises are kept, 1 when one is broken, 2 when that cannot be told.
    """
    promised = None if contracts_file is None else contract_file.load(contracts_file)
    model = opened(lake).once()
    scope = one_side(model, promised, scope, lake)
    requests = compliance.by_request(model, promised, scope)
    waits = measures.ask(model, "suggested_timeouts", scope)
    if promised is None:
        data: dict[str, Any] = {"label": Label.NO_BUDGET, "timeouts": waits}
        text = f"{_SAID[Label.NO_BUDGET]}\n\n{_timeouts(waits)}"
        return Answer(summary.plain(data), text, COULD_NOT_TELL)
    budgets = compliance.by_boundary(model, promised, scope)
    on_path = path_budgets.by_boundary(model, promised, scope)
    labels = (requests["sla_label"], requests["downstream_label"], budgets["label"])
    label = compliance.verdict([*pd.concat(labels), *on_path["label"]])
    said = _SAID[label] if label is not Label.NO_BUDGET else _IDLE
    burned = burn.by_window(model, promised, scope)
    spent = spenders.of_late(model, promised, scope)
    is_whole = scope.boundary is None and scope.agent is None
    room = feasibility.of_budgets(model, promised, scope, held=budgets if is_whole else None)
    data = {
        "label": label,
        "requests": requests,
        "budgets": budgets,
        "on_path": on_path,
        "burn": burned,
        "spenders": spent,
        "feasibility": room,
        "timeouts": waits,
    }
    text = "\n\n".join(
        (
            f"{label.upper()}: {said}",
            _requests(requests),
            _budgets(budgets),
            *([_on_path(on_path)] if len(on_path) else []),
            _burn(burned),
            _spenders(spent),
            _room(room),
            _timeouts(waits),
        )
    )
    return Answer(summary.plain(data), text, _EXIT.get(label, COULD_NOT_TELL))


def opened(lake: Path) -> Model:
    """Return the model of a lake that holds traces."""
    model = engine.connect(lake)
    if model.is_empty:
        raise LakeError(
            f"{lake}: there are no traces in this lake.\n"
            f"Hint: read some in with `orchrisk ingest DUMP --lake {lake} --cohort pilot`."
        )
    return model


def one_side(model: Model, promised: Contracts | None, scope: Scope, lake: Path) -> Scope:
    """Return the scope narrowed to the one cohort that is judged."""
    known = model.cohorts()
    narrowed = compliance.judged(model, promised, scope)
    if narrowed.cohort is None and len(known) > 1:
        raise LakeError(
            f"{lake}: holds the cohorts {', '.join(known)}, and nothing says which to judge.\n"
            "Hint: name it with --cohort, or under `cohorts:` in the contract."
        )
    return narrowed


def _requests(frame: pd.DataFrame) -> str:
    rows = []
    for row in _each(frame):
        requests = words.count(row.requests)
        if row.sla_label != Label.NO_BUDGET:
            within = f"within the SLA of {words.time(row.sla_ms)}"
            least = f"≥ {words.percent(row.sla_target_ratio)}"
            rows += [
                (within, requests, _share(row, "within_sla_ratio"), least, row.sla_label),
                ("the same by time, not by request", "", _share(row, "time_within_sla_ratio")),
            ]
        if row.downstream_label != Label.NO_BUDGET:
            within = f"downstream within {words.time(row.downstream_budget_ms)} in all"
            least = f"≥ {words.percent(row.downstream_target_ratio)}"
            share = _share(row, "within_downstream_ratio")
            rows.append((within, requests, share, least, row.downstream_label))
        of_time = f"downstream share of their time ({words.time(row.downstream_ms)} a request)"
        rows.append((of_time, requests, _share(row, "downstream_share_ratio")))
    headers = ("promise", "requests", "share", "required", "result")
    return "Requests\n" + _listed(headers, [(*row, "", "")[:5] for row in rows], "lrrrl")


def _budgets(frame: pd.DataFrame) -> str:
    rows = [
        (
            row.boundary,
            words.count(row.calls),
            words.time(row.budget_ms),
            _tail(row, "tail_ms"),
            _share(row, "kept_ratio"),
            row.label,
        )
        for row in _each(frame[frame["budget_ms"].notna()])
    ]
    headers = ("boundary", "calls", "budget", "measured", "calls within", "result")
    return "Boundaries\n" + _listed(headers, rows, "lrrrrl")


def _on_path(frame: pd.DataFrame) -> str:
    rows = [
        (
            row.rule,
            words.count(row.requests),
            words.time(row.promised_ms),
            _tail(row, "on_path_ms"),
            row.label,
        )
        for row in _each(frame)
    ]
    headers = ("rule", "requests", "on the path", "measured", "result")
    return "Boundaries, all calls of a request on its path\n" + _listed(headers, rows, "lrrrl")


def _burn(frame: pd.DataFrame) -> str:
    rows = []
    for key, some in frame.groupby(["promise", "boundary"], sort=False, dropna=False):
        whole: Any = some[some["window"] == "all"].iloc[0]
        alarms = [_alarm(row) for row in _each(some[some["window"] != "all"]) if row.label]
        name = f"budget {key[1]}" if key[0] == "budget" else f"requests: {key[0]}"
        rows.append(
            (
                name,
                words.percent(whole["target_ratio"]),
                f"{words.count(whole['bad'])} of {words.count(whole['events'])}",
                f"{words.digits(whole['burn'])} "
                f"[{words.digits(whole['burn_lower'])} – {words.digits(whole['burn_upper'])}]",
                *alarms,
            )
        )
    headers = ("promise", "target", "broke it", "burn", *(pair.name for pair in burn.PAIRS))
    return "Burn: 1 uses up exactly what the target allows\n" + _listed(headers, rows, "lrrrlll")


def _alarm(row: Any) -> str:
    if row.label in (burn.Label.QUIET, burn.Label.TOO_FEW):
        return str(row.label)
    return (
        f"{row.label}, {words.counted(row.alarms, 'alarm')}, worst {words.digits(row.worst_burn)} "
        f"at {row.worst_at:%m-%d %H:%M}"
    )


def _spenders(frame: pd.DataFrame) -> str:
    late = 0 if frame.empty else int(frame["late"].iloc[0])
    rows = [
        (
            row.boundary if isinstance(row.boundary, str) else "no handoff",
            f"{words.time(row.spent_ms)} "
            + words.time_interval(
                row.spent_ms_lower, row.spent_ms_upper, like_ms=row.spent_ms or None
            ),
            words.percent(row.share_ratio),
            words.time(row.usual_ms),
            words.time(row.extra_ms),
        )
        for row in _each(frame)
    ]
    headers = ("boundary", "spent", "share", "when on time", "more")
    title = f"Who spent a broken SLA: on the critical path of {words.counted(late, 'late request')}"
    body = _listed(headers, rows, "lrrrr")
    if rows:
        body += f"\nall together {words.time(frame['spent_ms'].sum())} a late request"
    return f"{title}\n{body}"


def _room(room: feasibility.Feasibility) -> str:
    rows = [
        (
            row.boundary,
            words.time(row.budget_ms),
            words.time(row.headroom_ms),
            words.percent(row.headroom_ratio),
            words.time(row.on_path_ms),
            words.time(row.equal_ms),
        )
        for row in _each(room.by_boundary)
    ]
    headers = ("boundary", "budget", "headroom", "of budget", "on the path", "equal budget")
    text = f"Do the budgets fit? {room.reason}\n{_listed(headers, rows, 'lrrrrr')}"
    if not math.isnan(room.within_each_ratio):
        text += (
            f"\nEqual budgets: {words.percent(room.within_sum_ratio)} of the requests keep their "
            f"sum, {words.percent(room.within_each_ratio)} keep every one: never ask for all."
        )
    return text


def _timeouts(frame: pd.DataFrame) -> str:
    told = frame[frame["label"] != timeouts.Label.NOT_ENOUGH]
    rows = [
        (
            row.boundary,
            words.time(row.suggested_ms),
            words.time(
                row.guessed_timeout_ms if math.isnan(row.told_timeout_ms) else row.told_timeout_ms
            ),
            words.percent(row.success_ratio),
            words.percent(row.if_running_ratio),
            row.reason,
        )
        for row in _each(told)
    ]
    headers = ("boundary", "suggested", "today", "success by then", "of those running", "reason")
    few = len(frame) - len(told)
    more = f"\nBoundaries with too few calls to tell: {words.count(few)} of {len(frame)}."
    body = "\n" + _listed(headers, rows, "lrrrrl") if rows else ""
    return "Time-outs" + body + (more if few else "")


def _each(frame: pd.DataFrame) -> Iterator[Any]:
    yield from frame.itertuples(index=False)


def _share(row: Any, name: str) -> str:
    return words.share(*(getattr(row, name + end) for end in ("", "_lower", "_upper")))


def _tail(row: Any, name: str) -> str:
    figures = (getattr(row, name + end) for end in ("", "_lower", "_upper", "_grade"))
    return f"{words.quantile(row.quantile)} {words.tail(*figures)}"


def _listed(headers: tuple[str, ...], rows: list[tuple[Any, ...]], right: str) -> str:
    if not rows:
        return "  nothing in this scope"
    more = f"\n… and {len(rows) - TOP} more (--json has them all)" if len(rows) > TOP else ""
    return table(headers, rows[:TOP], right=right) + more
