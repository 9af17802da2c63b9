"""What `orchrisk metric`, `causes` and `what-if` answer: the data, the text, the exit code."""

import difflib
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pandas as pd

from analysis import catalog, causes, contracts, measures, replay, summary, words
from analysis.engine import Model
from analysis.scope import Scope
from app.answers import COULD_NOT_TELL, TOP, YES, Answer, opened
from app.terminal import table
from ingest.errors import LakeError


def metric(
    lake: Path, name: str | None, scope: Scope, *, contracts_file: Path | None = None
) -> Answer:
    """Return the answer to one question by its name, or the names of all of them.

    What a contract calls sensitive counts as sensitive.
    """
    known = measures.names()
    if name is None:
        questions = {each: measures.question(each) for each in known}
        return Answer(questions, table(("metric", "question"), list(questions.items())))
    if name not in known and name not in catalog.names(catalog.SAMPLES):
        raise LakeError(f"No metric is called {name!r}.\nHint: `orchrisk metric` lists them.")
    model, _ = opened(lake, contracts_file)
    frame = measures.ask(model, name, scope)
    return Answer(summary.plain(frame), f"{measures.question(name)}\n{_frame(frame)}")


def began(
    lake: Path,
    scope: Scope,
    *,
    at: datetime | None = None,
    baseline: str | None = None,
    pilot: str | None = None,
) -> Answer:
    """Return what a change began at, between two cohorts or before and after a moment.

    Exit code 2 where a side has no request.
    """
    model = opened(lake, None)[0]
    if at is not None:
        sides = replace(scope, until=at), replace(scope, since=at)
    else:
        told = contracts.sides(model.cohorts(), None)
        before, after = baseline or told.baseline, pilot or told.pilot
        if before is None or after is None:
            raise LakeError(
                f"{lake}: nothing says what to compare.\n"
                "Hint: name --baseline and --pilot, or a moment with --at."
            )
        sides = replace(scope, cohort=before), replace(scope, cohort=after)
    slower, failing = causes.latency(model, *sides), causes.failures(model, *sides)
    text = (
        f"Requests before and after: {slower.requests_before}, {slower.requests_after}\n\n"
        f"What made requests slower (ms a request)\n{_frame(slower.parts)}\n"
        f"Other requests than before added {_cell(slower.mix)} of {_cell(slower.total)} ms.\n\n"
        f"Where more failures began (per 1,000 requests)\n{_frame(failing.parts)}"
    )
    is_told = slower.requests_before > 0 and slower.requests_after > 0
    data = summary.plain({"latency": slower, "failures": failing})
    return Answer(data, text, YES if is_told else COULD_NOT_TELL)


def what_if(lake: Path, boundary: str, change: Mapping[str, Any], scope: Scope) -> Answer:
    """Return what requests would have taken had one boundary been otherwise.

    Exit code 2 where no request makes such a call, or none can be replayed.

    Args:
        lake: The lake's folder.
        boundary: `caller -> callee`, of which a side may hold `*`, or a boundary's id.
        change: What happens to each of its calls, as `replay.Change` has it.
        scope: Which requests.
    """
    model = opened(lake, None)[0]
    ident, name = _one(model, boundary, scope)
    told = replay.what_if(model, scope, ident, replay.Change(**change))
    data = summary.plain(told) | {"boundary_id": ident, "boundary": name}
    if not told.replayed:
        return Answer(data, f"No request with a call {name} can be replayed.", COULD_NOT_TELL)
    saved = told.saved_ms
    text = (
        f"{name}: {words.count(told.changed)} of {words.counted(told.calls, 'call')} changed, in "
        f"{words.count(told.replayed)} of {words.counted(told.requests, 'request')}.\n\n"
        f"{_frame(told.figures)}\n\n"
        f"Saved a request, on average: {_cell(saved.value)} ms "
        f"({_cell(saved.lower)} to {_cell(saved.upper)}, {saved.grade}).\n"
        f"Calls that went well and would have been given up: {words.count(told.given_up)}.\n"
        + (f"Too deep to replay, left as they were: {told.too_deep}.\n" if told.too_deep else "")
        + told.limits
    )
    return Answer(data, text, YES)


def _one(model: Model, boundary: str, scope: Scope) -> tuple[str, str]:
    """Return id and name of the one boundary that is meant."""
    facts = model.ask("boundaries", replace(scope, boundary=None, agent=None))
    facts = facts.drop_duplicates("boundary_id")
    known = dict(zip(facts["boundary_id"], facts["boundary"], strict=True))
    wanted = boundary.replace(" -> ", " → ")
    found = {
        ident: name
        for ident, name in known.items()
        if wanted in (ident, name) or fnmatchcase(name, wanted)
    }
    if len(found) == 1:
        return next(iter(found.items()))
    if found:
        named = "\n".join(f"  {name}" for name in sorted(found.values())[:TOP])
        raise LakeError(f"{boundary!r} means {len(found)} boundaries:\n{named}\nHint: name one.")
    near = difflib.get_close_matches(wanted, known.values(), n=1, cutoff=0.0)
    raise LakeError(
        f"No boundary is called {boundary!r}.\nHint: the nearest is {near[0]!r}."
        if near
        else f"No boundary is called {boundary!r}: this scope has none."
    )


def _frame(frame: pd.DataFrame) -> str:
    if frame.empty:
        return "Nothing."
    rows = [tuple(_cell(value) for value in row) for row in frame.head(TOP).itertuples(index=False)]
    more = f"\n{len(frame) - TOP} more rows with --json." if len(frame) > TOP else ""
    return table(tuple(map(str, frame.columns)), rows) + more


def _cell(value: object) -> str:
    plain = summary.plain(value)
    if plain is None:
        return "–"
    return f"{plain:.3g}" if isinstance(plain, float) else str(plain)
