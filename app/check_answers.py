"""What `orchrisk check` answers: the data, the text, the exit code, and files for other tools."""

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
import pandas as pd

from analysis import check as checking
from analysis import contracts, fault_schedule, summary, words
from analysis.check import Outcome
from analysis.findings import Finding, Level
from analysis.scope import Scope
from app import check_files
from app.answers import (
    COULD_NOT_TELL,
    NO,
    TOP,
    YES,
    Answer,
    boundary_cell,
    heading,
    listed,
    more,
    opened,
)
from app.terminal import MAX_LAST_CELL, clean, table
from ingest.errors import LakeError

_EXIT = {Outcome.PASSES: YES, Outcome.FAILS: NO, Outcome.CANNOT_TELL: COULD_NOT_TELL}
# The answer of an earlier check is a few hundred KB.
MAX_BASELINE = 64 * 1024 * 1024


def check(
    lake: Path,
    contracts_file: Path | None,
    scope: Scope,
    *,
    baseline: Path | None = None,
    today: dt.date | None = None,
    schedule: Path | None = None,
    files: Mapping[str, Path] | None = None,
) -> Answer:
    """Return the verdict with its gates, budgets and findings.

    Exit code 1 when a finding that counts makes the pilot not ready, 2 when one leaves it open,
    else 0. Without acknowledgements and baseline that is the verdict itself; with them the first
    word is "nothing new" where only they make the check pass.

    Args:
        lake: The lake's folder.
        contracts_file: What was promised.
        scope: Narrows the question.
        baseline: The JSON of an earlier check: what it found does not count again.
        today: The day that acknowledgements are held against, else the last of the traces.
        schedule: Fault tests that no span tells.
        files: Where to write `sarif`, `junit` and `markdown`.
    """
    known = _known(baseline) if baseline else None
    model, promised = opened(lake, contracts_file)
    cohorts = model.cohorts()
    if (
        scope.cohort is None
        and len(cohorts) > 1
        and contracts.sides(cohorts, promised).pilot is None
    ):
        raise LakeError(
            f"{lake}: holds the cohorts {', '.join(cohorts)}, and nothing says which to judge.\n"
            "Hint: name it with --cohort, or under `cohorts:` in the contract."
        )
    planned = () if schedule is None else fault_schedule.load(schedule)
    told = checking.run(model, promised, scope, known=known, today=today, planned=planned)
    parts = [
        f"{told.title.upper()}: {told.reason}",
        heading("Findings", _findings(told.findings)) + f"\n{told.counts}",
        *(
            ["\n".join(clean(line, width=MAX_LAST_CELL) for line in told.warnings)]
            if told.warnings
            else []
        ),
        heading("Risk register", _register(told)),
        _gates(told.readiness),
    ]
    data: dict[str, Any] = {
        "outcome": told.outcome,
        "counts": told.counts,
        "readiness": told.readiness,
        "findings": told.findings,
        "register": told.register,
        "warnings": told.warnings,
        "as_of": told.as_of,
    }
    if promised is None:
        parts.append("No contract given: budgets were not checked. Name one with --contracts.")
    else:
        data |= {"budgets": told.budgets, "on_path": told.on_path, "requests": told.requests}
        parts.append(heading("Budgets", _budgets(told.budgets)))
        if len(told.on_path):
            parts.append(heading("On the critical path of a request", _on_path(told.on_path)))
    _write(told, files or {}, contracts_file or Path("contracts.yaml"), known)
    return Answer(summary.plain(data), "\n\n".join(parts), _EXIT[told.outcome])


def _known(baseline: Path) -> dict[str, str]:
    """Return the level by key of the findings in an earlier check's JSON."""
    try:
        with baseline.open("rb") as file:
            raw = file.read(MAX_BASELINE + 1)
        told = orjson.loads(raw if len(raw) <= MAX_BASELINE else b"")
        return {str(each["key"]): str(each["level"]) for each in told["findings"]}
    except OSError as error:
        raise LakeError(f"{baseline}: cannot be read: {error.strerror}.") from error
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise LakeError(
            f"{baseline}: holds no findings of a check.\n"
            "Hint: write it with `orchrisk check --json > FILE`."
        ) from error


def _write(
    told: checking.Check,
    files: Mapping[str, Path],
    place: Path,
    known: Mapping[str, str] | None,
) -> None:
    cohort = told.readiness.cohort
    made = {
        "sarif": lambda: check_files.sarif(
            told.findings, place=place, cohort=cohort, has_baseline=known is not None
        ),
        "junit": lambda: check_files.junit(told.findings, told.readiness.gates, cohort=cohort),
        "markdown": lambda: check_files.markdown(
            told.readiness, told.findings, title=told.title, reason=told.reason, counts=told.counts
        ).encode(),
    }
    for name, path in files.items():
        path.write_bytes(made[name]())


def _register(told: checking.Check) -> str:
    """Return the risks, each with its likelihood, its impact and what mends it."""
    if not told.register:
        return "  none"
    said = {(each.rule, each.subject): each for each in told.findings}
    rows = [
        (
            each.rule.removeprefix("risk/"),
            each.subject,
            words.digits(each.score_per_1000),
            f"{words.digits(each.likelihood_per_1000)} × {words.percent(each.impact_ratio)}",
            each.unit,
            said[each.rule, each.subject].owner,
            " ".join(filter(None, (f"{each.remedy}.", said[each.rule, each.subject].remark))),
        )
        for each in told.register[:TOP]
    ]
    headers = ("risk", "where", "per 1,000", "likelihood × impact", "of", "owner", "remedy")
    return "\n".join([table(headers, rows, right="llrr"), *more(len(told.register))])


def _findings(found: Sequence[Finding]) -> str:
    found = [each for each in found if each.level != Level.NOTE]
    if not found:
        return "  none"
    rows = [
        (
            each.level if each.counts else each.status,
            each.rule,
            words.sentences(each.message, each.remark),
        )
        for each in found
    ]
    return table(("", "finding", "what was seen"), rows)


def _gates(readiness: Any) -> str:
    gates = table(
        ("result", "gate", "measured", "95 % bounds", "required", "missing"),
        [
            (
                gate.label,
                gate.name,
                words.measured(gate.measured, gate.unit),
                "–"
                if math.isnan(gate.measured)
                else words.measured_interval(gate.lower, gate.upper, gate.unit),
                f"{'≥' if gate.better == 'higher' else '≤'} "
                f"{words.measured(gate.required, gate.unit)}",
                gate.missing,
            )
            for gate in readiness.gates
        ],
    )
    ranking = listed(
        readiness.ranking,
        (
            ("boundary", "l", boundary_cell),
            ("bad per 1,000", "r", lambda row: words.digits(row.bad_per_1000)),
            ("failed", "r", lambda row: words.digits(row.failed_per_1000)),
            ("late", "r", lambda row: words.digits(row.late_per_1000)),
        ),
    )
    total = (
        f"boundaries + not attributed {words.digits(readiness.unattributed_per_1000)}"
        f" = {words.digits(readiness.total_per_1000)} bad requests per 1,000"
    )
    return f"{heading('Gates', gates)}\n\n{heading('Boundaries, riskiest first', ranking)}\n{total}"


def _budgets(frame: pd.DataFrame) -> str:
    return listed(
        frame,
        (
            ("boundary", "l", boundary_cell),
            ("budget", "r", lambda row: words.time(row.budget_ms)),
            ("at", "l", lambda row: f"p{row.quantile * 100:g}"),
            (
                "measured",
                "r",
                lambda row: words.tail(
                    row.tail_ms, row.tail_ms_lower, row.tail_ms_upper, row.tail_ms_grade
                ),
            ),
            ("calls over", "r", lambda row: f"{words.count(row.over)} of {words.count(row.calls)}"),
            ("result", "l", lambda row: row.label),
        ),
    )


def _on_path(frame: pd.DataFrame) -> str:
    return listed(
        frame,
        (
            ("boundary", "l", lambda row: row.boundary),
            ("promised", "r", lambda row: words.time(row.promised_ms)),
            ("at", "l", lambda row: words.quantile(row.quantile)),
            (
                "measured",
                "r",
                lambda row: words.tail(
                    row.on_path_ms, row.on_path_ms_lower, row.on_path_ms_upper, row.on_path_ms_grade
                ),
            ),
            ("requests", "r", lambda row: words.count(row.requests)),
            ("result", "l", lambda row: row.label),
        ),
    )
