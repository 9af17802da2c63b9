"""What `orchrisk faults` answers: the data, the text a person reads, the exit code."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from analysis import contract_file, fault_schedule, fault_tests, summary, words
from analysis.fault_tests import Judged
from analysis.scope import Scope
from app.answers import COULD_NOT_TELL, NO, TOP, YES, Answer
from app.compliance_answers import opened
from app.terminal import table


def faults(lake: Path, contracts_file: Path | None, schedule: Path | None, scope: Scope) -> Answer:
    """Return what fault tests show, and what was never tested.

    Exit code 0 when every test passes and there is one, 1 when one fails, 2 when that cannot be
    told.
    """
    promised = None if contracts_file is None else contract_file.load(contracts_file)
    planned = () if schedule is None else fault_schedule.load(schedule)
    told = fault_tests.judge(opened(lake), promised, scope, planned=planned)
    label = fault_tests.verdict(told.tests["label"])
    code = (
        YES
        if label in fault_tests.PASSED
        else NO
        if label in fault_tests.FAILED
        else COULD_NOT_TELL
    )
    data = {"label": label, "tests": told.tests, "untested": told.untested}
    text = "\n\n".join((f"{label.upper()}: {_said(told)}", _tests(told.tests), _untested(told)))
    return Answer(summary.plain(data | {"unplaced": told.unplaced}), text, code)


def _said(told: Judged) -> str:
    if told.tests.empty:
        return (
            "no fault test was seen. Mark calls with `orch.fault.id`, inject with Envoy, or name "
            "the windows with --schedule."
        )
    passed = int(told.tests["label"].isin(list(fault_tests.PASSED)).sum())
    return f"{words.counted(len(told.tests), 'fault test')}, {words.count(passed)} passed."


def _tests(frame: pd.DataFrame) -> str:
    if frame.empty:
        return "Fault tests\n  nothing in this scope"
    rows = [
        (
            row.id,
            row.boundary,
            f"{row.from_at:%Y-%m-%d %H:%M} – {row.until_at:%m-%d %H:%M}",
            words.count(row.exposed_requests),
            words.share(row.usable_ratio, row.usable_ratio_lower, row.usable_ratio_upper),
            _p95(row),
            ", ".join(row.seen_as).replace("_", " ") if isinstance(row.seen_as, list) else "–",
            row.label,
        )
        for row in _each(frame)
    ]
    headers = ("test", "boundary", "when (UTC)", "exposed", "usable", "p95", "seen as", "result")
    reasons = [f"  {row.id}, {row.cohort}: {row.reason}" for row in _each(frame.head(TOP))]
    more = f"\n… and {len(rows) - TOP} more (--json has them all)" if len(rows) > TOP else ""
    body = table(headers, rows[:TOP], right="lllrrrll")
    return "\n".join(["Fault tests", body + more, "Why", *reasons])


def _p95(row: Any) -> str:
    if math.isnan(row.p95_ms_upper):
        return words.TOO_FEW if row.exposed_requests > 0 else "–"
    bounds = words.time_interval(row.p95_ms_lower, row.p95_ms_upper, like_ms=row.p95_ms)
    return f"{words.time(row.p95_ms)} {bounds}"


def _untested(told: Judged) -> str:
    frame = told.untested
    unplaced = f"\nMarked spans that are part of no call: {told.unplaced}." if told.unplaced else ""
    if frame.empty:
        return f"Never tested: none.{unplaced}"
    rows = [(row.cohort, row.boundary, row.kind, words.count(row.calls)) for row in _each(frame)]
    more = f"\n… and {len(rows) - TOP} more (--json has them all)" if len(rows) > TOP else ""
    title = f"Never tested: {words.count(len(rows))}. That is no pass."
    body = table(("cohort", "boundary", "kind", "calls"), rows[:TOP], right="lllr")
    return f"{title}\n{body}{more}{unplaced}"


def _each(frame: pd.DataFrame) -> Iterator[Any]:
    yield from frame.itertuples(index=False)
