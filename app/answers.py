"""What each command answers: the data, the text a person reads, and the exit code."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pandas as pd

from analysis import access, compliance, contracts, engine, measures, pilot, risk, summary, words
from analysis.contracts import Contracts
from analysis.engine import Model
from analysis.scope import Scope
from app.terminal import clean, table
from ingest import load
from ingest.errors import LakeError
from ingest.load import IngestConfig, LoadReport, Progress
from sample_data import simulate

YES, NO, COULD_NOT_TELL = 0, 1, 2
# Rows of a list that a terminal shows; `--json` has them all.
TOP = 20
SHOWN_PATH = 40

_EXIT = {
    "proven": YES,
    "faster": YES,
    "no worse": YES,
    "slower": NO,
    "ready": YES,
    "not ready": NO,
}


@dataclass(frozen=True)
class Answer:
    """One command's answer: JSON-able data, text for a terminal, exit code 0, 1 or 2."""

    data: Any
    text: str
    exit_code: int = YES


def ingest(
    dumps: Sequence[str],
    lake: Path,
    *,
    cohort: str,
    keep_content: bool = False,
    progress: Callable[[Progress], None] | None = None,
) -> Answer:
    """Return the balance sheet of reading dumps into the lake.

    Dumps are files, folders, globs, archives, addresses of buckets, or `-` for standard input.

    Exit code 2 when nothing of any dump is in the lake afterwards.
    """
    report = load.load(
        list(dumps),
        lake,
        cohort=cohort,
        config=IngestConfig(keep_content=keep_content),
        progress=progress,
    )
    is_there = any(source.kept or source.duplicates or source.already for source in report.sources)
    return Answer(
        summary.plain(report), _balance_sheet(report), YES if is_there else COULD_NOT_TELL
    )


def profile(lake: Path, contracts_file: Path | None, scope: Scope) -> Answer:
    """Return every boundary's figures, where errors start and which data is touched."""
    model, promised = _open(lake, contracts_file)
    frames = {
        "requests": measures.ask(model, "tails_end_to_end", scope),
        "boundaries": measures.ask(model, "tails", scope),
        "origins": model.ask("error_origins", scope),
        "chains": model.ask("error_chains", scope),
        "access": access.footprint(model, promised, scope),
    }
    text = "\n\n".join(
        (
            _heading("User requests", _requests(frames["requests"])),
            _heading("Boundaries, slowest tail first", _boundaries(frames["boundaries"])),
            _heading("Where errors start", _origins(frames["origins"])),
            _heading("How errors travel", _chains(frames["chains"])),
            _heading("Data access", _footprint(frames["access"])),
        )
    )
    return Answer(summary.plain(frames), text)


def compare(
    lake: Path,
    contracts_file: Path | None,
    scope: Scope,
    *,
    baseline: str | None = None,
    pilot_cohort: str | None = None,
) -> Answer:
    """Return before against after: a verdict, end to end and per boundary."""
    model, promised = _open(lake, contracts_file)
    comparison = pilot.compare(model, promised, scope, baseline=baseline, pilot=pilot_cohort)
    text = "\n\n".join(
        (
            f"{comparison.label.upper()}: {comparison.reason}\n"
            f"Design: {comparison.design}; independent unit: {comparison.unit}.",
            _heading("End to end", _changes(comparison.end_to_end, name="quantile")),
            _heading("Boundaries", _changes(comparison.boundaries, name="boundary")),
            _heading("Can the two be compared?", _checks(comparison.checks)),
        )
    )
    return Answer(summary.plain(comparison), text, _EXIT.get(str(comparison.label), COULD_NOT_TELL))


def check(lake: Path, contracts_file: Path | None, scope: Scope) -> Answer:
    """Return budgets kept and broken, the readiness gates and the verdict."""
    model, promised = _open(lake, contracts_file)
    known = model.cohorts()
    if scope.cohort is None and len(known) > 1 and contracts.sides(known, promised).pilot is None:
        raise LakeError(
            f"{lake}: holds the cohorts {', '.join(known)}, and nothing says which to judge.\n"
            "Hint: name it with --cohort, or under `cohorts:` in the contract."
        )
    readiness = risk.readiness(model, promised, scope)
    data: dict[str, Any] = {"readiness": readiness}
    parts = [_verdict(readiness)]
    if promised is None:
        parts.append("No contract given: budgets were not checked. Name one with --contracts.")
    else:
        data["budgets"] = compliance.by_boundary(model, promised, scope)
        data["requests"] = compliance.by_request(model, promised, scope)
        parts.append(_heading("Budgets", _budgets(data["budgets"])))
    return Answer(
        summary.plain(data),
        "\n\n".join(parts),
        _EXIT.get(str(readiness.label), COULD_NOT_TELL),
    )


def demo(
    folder: Path,
    *,
    requests: int | None,
    say: Callable[[str], None],
    show: Callable[[str], None],
) -> tuple[Path, Path]:
    """Walk the whole way on the sample system; return the lake and the contract it was judged by.

    `say` takes talk, `show` takes results. The folder's own files are written again; the lake
    grows only by what it does not hold yet.
    """
    say("Generating two months of a loan-approval agent system with planted faults ...")
    simulate.write(folder / "traces", requests=requests or simulate.REQUESTS)
    lake, contract = folder / "lake", Path(simulate.__file__).with_name("contracts.yaml")
    for cohort in ("baseline", "pilot"):
        say(f"Reading the {cohort} month ...")
        show(ingest([str(folder / "traces" / cohort)], lake, cohort=cohort).text + "\n")
    say("Building the model and measuring ...")
    pilot_scope = Scope(cohort="pilot")
    for answer in (
        profile(lake, contract, pilot_scope),
        compare(lake, contract, Scope()),
        check(lake, contract, pilot_scope),
    ):
        show(answer.text + "\n")
    target = folder / "summary.json"
    model, promised = _open(lake, contract)
    target.write_bytes(
        orjson.dumps(summary.collect(model, promised, Scope()), option=orjson.OPT_INDENT_2)
    )
    say(f"The report's data: {target}")
    return lake, contract


def _open(lake: Path, contracts_file: Path | None) -> tuple[Model, Contracts | None]:
    promised = None if contracts_file is None else contracts.load(contracts_file)
    model = engine.connect(lake)
    if model.is_empty:
        raise LakeError(
            f"{lake}: there are no traces in this lake.\n"
            f"Hint: read some in with `orchrisk ingest DUMP --lake {lake} --cohort baseline`."
        )
    return model, promised


def _heading(title: str, body: str) -> str:
    return f"{title}\n{body}"


def _listed(
    frame: pd.DataFrame, columns: Iterable[tuple[str, str, Callable[[Any], object]]]
) -> str:
    """Return the head of a frame as a table; columns are (header, side, row -> cell)."""
    if frame.empty:
        return "  nothing in this scope"
    headers, sides, cells = zip(*columns, strict=True)
    rows = [[cell(row) for cell in cells] for row in frame.head(TOP).itertuples(index=False)]
    return "\n".join([table(headers, rows, right="".join(sides)), *_more(len(frame))])


def _tail_of(quantile: str) -> Callable[[Any], str]:
    names = [f"{quantile}_ms{part}" for part in ("", "_lower", "_upper", "_grade")]
    return lambda row: words.tail(*(getattr(row, name) for name in names))


def _error_share(row: Any) -> str:
    return words.share(row.error_ratio, row.error_ratio_lower, row.error_ratio_upper)


def _requests(frame: pd.DataFrame) -> str:
    return _listed(
        frame,
        (
            ("cohort", "l", lambda row: row.cohort),
            ("requests", "r", lambda row: words.count(row.requests)),
            (
                "failed",
                "r",
                lambda row: words.share(
                    row.failed_ratio, row.failed_ratio_lower, row.failed_ratio_upper
                ),
            ),
            *((quantile, "r", _tail_of(quantile)) for quantile in ("p50", "p95", "p99")),
        ),
    )


def _boundaries(frame: pd.DataFrame) -> str:
    return _listed(
        frame.sort_values("p95_ms", ascending=False),
        (
            *_side(frame),
            ("boundary", "l", _boundary),
            ("kind", "l", lambda row: row.kind),
            ("calls", "r", lambda row: words.count(row.calls)),
            ("errors", "r", _error_share),
            *((quantile, "r", _tail_of(quantile)) for quantile in ("p95", "p99")),
        ),
    )


def _side(frame: pd.DataFrame) -> tuple[tuple[str, str, Callable[[Any], object]], ...]:
    """Return the cohort's column where a table holds more than one."""
    return (("cohort", "l", lambda row: row.cohort),) if len(set(frame["cohort"])) > 1 else ()


def _boundary(row: Any) -> str:
    return clean(row.boundary, width=56) if isinstance(row.boundary, str) else "no handoff"


def _origins(frame: pd.DataFrame) -> str:
    return _listed(
        frame,
        (
            *_side(frame),
            ("boundary", "l", _boundary),
            ("failing calls", "r", lambda row: words.count(row.failures)),
            ("origins", "r", lambda row: words.count(row.origins)),
            ("failed requests", "r", lambda row: words.digits(row.visible_weight)),
            ("escape", "r", lambda row: words.percent(row.escape_ratio)),
        ),
    )


def _chains(frame: pd.DataFrame) -> str:
    return _listed(
        frame,
        (
            *_side(frame),
            ("path", "l", lambda row: row.path),
            ("class", "l", lambda row: row.error_class),
            ("chains", "r", lambda row: words.count(row.chains)),
            ("reached a user", "r", lambda row: words.count(row.visible)),
            ("example trace", "l", lambda row: row.example_trace_id),
        ),
    )


def _footprint(frame: pd.DataFrame) -> str:
    return _listed(
        frame,
        (
            *_side(frame),
            ("agent", "l", lambda row: row.agent),
            ("resource", "l", lambda row: row.resource),
            ("access", "l", lambda row: row.access),
            ("calls", "r", lambda row: words.count(row.calls)),
            ("grant", "l", lambda row: row.grant),
            ("sensitive", "l", lambda row: "sensitive" if row.is_sensitive else ""),
            ("new", "l", lambda row: f"new since {row.first_at:%Y-%m-%d}" if row.is_new else ""),
        ),
    )


def _changes(frame: pd.DataFrame, *, name: str) -> str:
    def label(row: Any) -> str:
        value = getattr(row, name)
        return f"p{value * 100:g}" if name == "quantile" else str(value)

    return _listed(
        frame,
        (
            (name, "l", label),
            ("before", "r", lambda row: words.time(row.before_ms)),
            ("after", "r", lambda row: words.time(row.after_ms)),
            ("change", "r", lambda row: words.change(row.ratio)),
            (
                "95 % interval",
                "r",
                lambda row: words.change_interval(row.ratio_lower, row.ratio_upper),
            ),
            ("verdict", "l", lambda row: row.label),
        ),
    )


def _checks(checks: Sequence[Any]) -> str:
    said = {True: "yes", False: "NO", None: "?"}
    return table(
        ("check", "ok", "detail"), [(item.name, said[item.ok], item.detail) for item in checks]
    )


def _verdict(readiness: Any) -> str:
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
    ranking = _listed(
        readiness.ranking,
        (
            ("boundary", "l", _boundary),
            ("bad per 1,000", "r", lambda row: words.digits(row.bad_per_1000)),
            ("failed", "r", lambda row: words.digits(row.failed_per_1000)),
            ("late", "r", lambda row: words.digits(row.late_per_1000)),
        ),
    )
    total = (
        f"boundaries + not attributed {words.digits(readiness.unattributed_per_1000)}"
        f" = {words.digits(readiness.total_per_1000)} bad requests per 1,000"
    )
    return (
        f"{str(readiness.label).upper()}: {readiness.reason}\n\n"
        f"{_heading('Gates', gates)}\n\n{_heading('Boundaries, riskiest first', ranking)}\n{total}"
    )


def _budgets(frame: pd.DataFrame) -> str:
    return _listed(
        frame,
        (
            ("boundary", "l", _boundary),
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


def _balance_sheet(report: LoadReport) -> str:
    rows = [
        (
            _tail_of_path(source.name),
            source.format,
            "already in the lake" if source.already else words.count(source.read),
            words.count(source.kept),
            words.count(source.duplicates),
            words.count(source.rejected),
        )
        for source in report.sources[:TOP]
    ]
    lines = [
        table(("source", "format", "read", "kept", "duplicate", "rejected"), rows, right="llrrrr"),
        *_more(len(report.sources)),
        f"{words.count(report.read)} read = {words.count(report.kept)} kept + "
        f"{words.count(report.duplicates)} duplicate + {words.count(report.rejected)} rejected",
    ]
    reasons = [
        (
            _tail_of_path(source.name),
            words.count(reason.count),
            reason.reason,
            reason.place,
            reason.mend,
        )
        for source in report.sources
        for reason in source.reasons
    ]
    if reasons:
        headers = ("source", "count", "why", "where", "what to do")
        lines += ["", table(headers, reasons[:TOP], right="lr"), *_more(len(reasons))]
    return "\n".join(lines)


def _more(rows: int) -> list[str]:
    return [f"… and {rows - TOP} more (--json has them all)"] if rows > TOP else []


def _tail_of_path(name: str) -> str:
    """Return the end of a path, which tells files of one folder apart."""
    return name if len(name) <= SHOWN_PATH else "…" + name[1 - SHOWN_PATH :]
