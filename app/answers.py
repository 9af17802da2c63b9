"""What each command answers: the data, the text a person reads, and the exit code."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from analysis import access, contract_file, engine, measures, pilot, summary, words
from analysis.contracts import Contracts
from analysis.engine import Model
from analysis.scope import Scope
from app.terminal import clean, table
from ingest import load
from ingest.errors import LakeError
from ingest.load import IngestConfig, LoadReport, Progress

YES, NO, COULD_NOT_TELL = 0, 1, 2
# Rows of a list that a terminal shows; `--json` has them all.
TOP = 20
SHOWN_PATH = 40

EXIT = {
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
    model, promised = opened(lake, contracts_file)
    frames = {
        "requests": measures.ask(model, "tails_end_to_end", scope),
        "boundaries": measures.ask(model, "tails", scope),
        "origins": model.ask("error_origins", scope),
        "chains": model.ask("error_chains", scope),
        "access": access.footprint(model, promised, scope),
    }
    text = "\n\n".join(
        (
            heading("User requests", _requests(frames["requests"])),
            heading("Boundaries, slowest tail first", _boundaries(frames["boundaries"])),
            heading("Where errors start", _origins(frames["origins"])),
            heading("How errors travel", _chains(frames["chains"])),
            heading("Data access", _footprint(frames["access"])),
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
    model, promised = opened(lake, contracts_file)
    comparison = pilot.compare(model, promised, scope, baseline=baseline, pilot=pilot_cohort)
    text = "\n\n".join(
        (
            f"{comparison.label.upper()}: {comparison.reason}\n"
            f"Design: {comparison.design}; independent unit: {comparison.unit}.",
            heading("End to end", _changes(comparison.end_to_end, name="quantile")),
            heading("What the change of the mean request came from", _source(comparison)),
            heading("Boundaries", _changes(comparison.boundaries, name="boundary")),
            heading("Failures", _failures(comparison)),
            heading("Can the two be compared?", _checks(comparison.checks)),
        )
    )
    return Answer(summary.plain(comparison), text, EXIT.get(str(comparison.label), COULD_NOT_TELL))


def _source(comparison: pilot.Comparison) -> str:
    found = comparison.source
    if found is None:
        return "  nothing to compare"
    rows = listed(
        found.kinds,
        (
            ("kind", "l", lambda row: row.kind),
            ("before", "r", lambda row: words.time(row.before_ms)),
            ("after", "r", lambda row: words.time(row.after_ms)),
            ("change", "r", lambda row: _signed(row.change_ms)),
            (
                "95 % interval",
                "r",
                lambda row: f"[{_signed(row.change_ms_lower)} to {_signed(row.change_ms_upper)}]",
            ),
            (f"of {words.quantile(found.quantile)}", "r", lambda row: _signed(row.quantile_ms)),
        ),
    )
    whole = f"{_signed(found.mix_ms)} = {_signed(found.total_ms)} a request"
    return f"{rows}\nkinds + mix of operations {whole}\n{comparison.orchestration}"


def _failures(comparison: pilot.Comparison) -> str:
    """Return how the shares of failed requests and of failures that reach users moved."""
    requests = comparison.failures.rename(columns=lambda name: name.replace("failed_", ""))
    # A boundary at which no failure began on one side has nothing to compare.
    told = comparison.escapes.dropna(subset="change")
    escapes = told.rename(columns=lambda name: name.replace("escape_", ""))
    rows = pd.concat(
        [
            requests.assign(what="requests that failed"),
            escapes.assign(what="reach users from " + escapes["boundary"].astype(str)),
        ],
        ignore_index=True,
    )
    return listed(
        rows,
        (
            ("share", "l", lambda row: row.what),
            ("before", "r", lambda row: words.percent(row.before_ratio)),
            ("after", "r", lambda row: words.percent(row.after_ratio)),
            ("change", "r", lambda row: _points(row.change)),
            (
                "95 % interval",
                "r",
                lambda row: f"[{_points(row.change_lower)} to {_points(row.change_upper)}]",
            ),
            ("verdict", "l", lambda row: row.label),
        ),
    )


def _points(ratio: float) -> str:
    """Return a change of a share in points of a hundred."""
    return "–" if math.isnan(ratio) else f"{100 * ratio:+.2f}"


def _signed(value: float) -> str:
    if math.isnan(value):
        return "–"
    # Below a nanosecond there is nothing but the sums' own rounding.
    return (
        words.time(0.0)
        if abs(value) < 1e-6
        else f"{'−' if value < 0 else '+'}{words.time(abs(value))}"
    )


def opened(lake: Path, contracts_file: Path | None) -> tuple[Model, Contracts | None]:
    """Return the model of a lake that holds traces, and the contract where one is named.

    What the contract calls sensitive counts as sensitive in every question asked of the model.
    """
    promised = None if contracts_file is None else contract_file.load(contracts_file)
    model = engine.connect(lake)
    if model.is_empty:
        raise LakeError(
            f"{lake}: there are no traces in this lake.\n"
            f"Hint: read some in with `orchrisk ingest DUMP --lake {lake} --cohort baseline`."
        )
    return model if promised is None else model.counting(promised.sensitive), promised


def heading(title: str, body: str) -> str:
    """Return a part of an answer under its title."""
    return f"{title}\n{body}"


def listed(frame: pd.DataFrame, columns: Iterable[tuple[str, str, Callable[[Any], object]]]) -> str:
    """Return the head of a frame as a table; columns are (header, side, row -> cell)."""
    if frame.empty:
        return "  nothing in this scope"
    headers, sides, cells = zip(*columns, strict=True)
    rows = [[cell(row) for cell in cells] for row in frame.head(TOP).itertuples(index=False)]
    return "\n".join([table(headers, rows, right="".join(sides)), *more(len(frame))])


def _tail_of(quantile: str) -> Callable[[Any], str]:
    names = [f"{quantile}_ms{part}" for part in ("", "_lower", "_upper", "_grade")]
    return lambda row: words.tail(*(getattr(row, name) for name in names))


def _error_share(row: Any) -> str:
    return words.share(row.error_ratio, row.error_ratio_lower, row.error_ratio_upper)


def _requests(frame: pd.DataFrame) -> str:
    return listed(
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
    return listed(
        frame.sort_values("p95_ms", ascending=False),
        (
            *_side(frame),
            ("boundary", "l", boundary_cell),
            ("kind", "l", lambda row: row.kind),
            ("calls", "r", lambda row: words.count(row.calls)),
            ("errors", "r", _error_share),
            *((quantile, "r", _tail_of(quantile)) for quantile in ("p95", "p99")),
        ),
    )


def _side(frame: pd.DataFrame) -> tuple[tuple[str, str, Callable[[Any], object]], ...]:
    """Return the cohort's column where a table holds more than one."""
    return (("cohort", "l", lambda row: row.cohort),) if len(set(frame["cohort"])) > 1 else ()


def boundary_cell(row: Any) -> str:
    """Return the name of a row's boundary."""
    return clean(row.boundary, width=56) if isinstance(row.boundary, str) else "no handoff"


def _origins(frame: pd.DataFrame) -> str:
    return listed(
        frame,
        (
            *_side(frame),
            ("boundary", "l", boundary_cell),
            ("failing calls", "r", lambda row: words.count(row.failures)),
            ("origins", "r", lambda row: words.count(row.origins)),
            ("failed requests", "r", lambda row: words.digits(row.visible_weight)),
            ("escape", "r", lambda row: words.percent(row.escape_ratio)),
        ),
    )


def _chains(frame: pd.DataFrame) -> str:
    return listed(
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
    return listed(
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

    return listed(
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
        *more(len(report.sources)),
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
        lines += ["", table(headers, reasons[:TOP], right="lr"), *more(len(reasons))]
    return "\n".join(lines)


def more(rows: int) -> list[str]:
    """Return the line below a table that was cut."""
    return [f"… and {rows - TOP} more (--json has them all)"] if rows > TOP else []


def _tail_of_path(name: str) -> str:
    """Return the end of a path, which tells files of one folder apart."""
    return name if len(name) <= SHOWN_PATH else "…" + name[1 - SHOWN_PATH :]
