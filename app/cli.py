"""The command `orchrisk`: data on stdout, talk on stderr, exit 0 yes, 1 no, 2 could not tell."""

import importlib
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import partial, wraps
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import click
import orjson

from analysis.scope import Scope
from app import serve
from ingest.errors import OrchriskError

if TYPE_CHECKING:
    from app.answers import Answer

LAKE = "lake"
YES, NO, COULD_NOT_TELL = 0, 1, 2
CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


def _answers() -> ModuleType:
    # Pandas, SciPy and DuckDB take a second to import, which `--help` need not wait for.
    return importlib.import_module("app.answers")


def _lake_answers() -> ModuleType:
    return importlib.import_module("app.lake_answers")


def _measure_answers() -> ModuleType:
    return importlib.import_module("app.measure_answers")


def _contract_answers() -> ModuleType:
    return importlib.import_module("app.contract_answers")


def _check_answers() -> ModuleType:
    return importlib.import_module("app.check_answers")


def _demo_answers() -> ModuleType:
    return importlib.import_module("app.demo_answers")


def _compliance_answers() -> ModuleType:
    return importlib.import_module("app.compliance_answers")


def _fault_answers() -> ModuleType:
    return importlib.import_module("app.fault_answers")


def _selftest() -> ModuleType:
    return importlib.import_module("app.selftest")


def _say(text: str) -> None:
    click.echo(text, err=True)


def _moment(_: click.Context, __: click.Parameter, value: str | None) -> datetime | None:
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as error:
        raise click.BadParameter(
            f"{value!r} is not a date or time. Write 2026-10-01 or 2026-10-01T08:00."
        ) from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)


def _day(_: click.Context, __: click.Parameter, value: str | None) -> date | None:
    if value is None:
        return None
    try:
        return date.fromisoformat(value)
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is not a day. Write 2026-10-01.") from error


lake_option = click.option(
    "--lake", type=click.Path(path_type=Path), default=LAKE, show_default=True, help="The lake."
)
contracts_option = click.option(
    "--contracts",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="What was promised: contracts.yaml.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")


def scope_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Return the command with the options that narrow what it looks at, handed over as `scope`."""

    @wraps(command)
    def scoped(**given: Any) -> Any:
        names = ("cohort", "since", "until", "service", "agent", "boundary")
        scope = Scope(**{name: given.pop(name) for name in names})
        return command(scope=scope, **given)

    for option in (
        click.option("--boundary", help="One boundary, by its id."),
        click.option("--agent", help="One agent, by its name."),
        click.option("--service", help="One service, by its name."),
        click.option("--until", callback=_moment, help="Before this UTC date or time."),
        click.option("--since", callback=_moment, help="From this UTC date or time on."),
        click.option("--cohort", help="One side, such as baseline or pilot."),
    ):
        scoped = option(scoped)
    return scoped


new_file = click.Path(dir_okay=False, writable=True, path_type=Path)


def _print(answer: "Answer", *, as_json: bool) -> None:
    click.echo(
        orjson.dumps(answer.data, option=orjson.OPT_INDENT_2).decode() if as_json else answer.text
    )


class _Commands(click.Group):
    """Turns the errors we know into one line on stderr and the exit code "could not tell"."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except OrchriskError as error:
            _say(f"orchrisk: {error}")
            ctx.exit(COULD_NOT_TELL)


@click.group(cls=_Commands, context_settings=CONTEXT)
@click.version_option(package_name="orchrisk")
def main() -> None:
    """Tell from traces whether an AI-agent pilot is ready, and which handoff holds it back.

    \b
    Example:
      orchrisk ingest before.jsonl.gz --cohort baseline
      orchrisk ingest after.jsonl.gz --cohort pilot
      orchrisk compare
    """


@main.command(context_settings=CONTEXT)
@click.argument("dumps", nargs=-1, required=True)
@lake_option
@click.option("--cohort", required=True, help="The side these traces belong to: a-z 0-9 _ -.")
@click.option("--keep-content", is_flag=True, help="Keep prompts, answers and arguments as text.")
@json_option
def ingest(
    *, dumps: tuple[str, ...], lake: Path, cohort: str, keep_content: bool, as_json: bool
) -> None:
    """Read trace dumps into the lake and print what became of every span.

    DUMPS are files, folders, "globs", zip or tar archives, bucket addresses (s3:// gs:// az://),
    or - for standard input. What they hold is known by content: OTLP as JSON or protobuf however
    framed, Tempo, Jaeger and Zipkin JSON, the Python console exporter; plain or compressed.

    \b
    Example:
      orchrisk ingest traces/*.jsonl.gz --lake lake --cohort baseline
    """
    if keep_content:
        _say(
            "orchrisk: --keep-content keeps prompts, answers, tool arguments and results as text in"
            f" the lake {lake}. Whoever may read that folder may read them. Leave the option out to"
            " keep their length and hash only."
        )
    answer = _answers().ingest(
        dumps, lake, cohort=cohort, keep_content=keep_content, progress=_progress()
    )
    _print(answer, as_json=as_json)
    sys.exit(answer.exit_code)


def _progress() -> Callable[[Any], None] | None:
    if not sys.stderr.isatty():
        return None

    def draw(progress: Any) -> None:
        share = progress.bytes_read / progress.bytes_total if progress.bytes_total else 1.0
        bar = "█" * int(share * 24)
        end = "\n" if share >= 1 else ""
        click.echo(f"\r{bar:<24} {progress.spans:>10,} spans{end}", err=True, nl=False)

    return draw


@main.command(context_settings=CONTEXT)
@lake_option
@contracts_option
@scope_options
@json_option
def profile(*, lake: Path, contracts: Path | None, scope: Any, as_json: bool) -> None:
    """Print every boundary's tail, where errors start, and which data each agent touches.

    \b
    Example:
      orchrisk profile --lake lake --cohort pilot
    """
    _print(_answers().profile(lake, contracts, scope), as_json=as_json)


@main.command(context_settings=CONTEXT)
@click.argument("name", required=False)
@lake_option
@scope_options
@json_option
def metric(*, name: str | None, lake: Path, scope: Any, as_json: bool) -> None:
    """Print the answer to one question by its NAME, or the names of all questions.

    \b
    Example:
      orchrisk metric patterns --lake lake --cohort pilot
    """
    _print(_measure_answers().metric(lake, name, scope), as_json=as_json)


@main.command(context_settings=CONTEXT)
@lake_option
@click.option("--baseline", help="The cohort before; else as the lake says.")
@click.option("--pilot", help="The cohort after; else as the lake says.")
@click.option("--at", callback=_moment, help="Compare before and after this UTC date or time.")
@scope_options
@json_option
def causes(
    *,
    lake: Path,
    baseline: str | None,
    pilot: str | None,
    at: datetime | None,
    scope: Any,
    as_json: bool,
) -> None:
    """Rank what a change began at: slower work, a slower way, more calls, failures.

    Exits 0, or 2 when a side has no request.

    \b
    Example:
      orchrisk causes --lake lake --at 2026-10-01T08:00
    """
    answer = _measure_answers().began(lake, scope, at=at, baseline=baseline, pilot=pilot)
    _print(answer, as_json=as_json)
    sys.exit(answer.exit_code)


@main.command("what-if", context_settings=CONTEXT)
@click.argument("changed", metavar="BOUNDARY")
@lake_option
@click.option("--timeout", "timeout_ms", type=click.FloatRange(0, min_open=True), metavar="MS")
@click.option("--fallback", "fallback_ms", type=click.FloatRange(0), default=0.0, metavar="MS")
@click.option("--cached", "cached_ratio", type=click.FloatRange(0, 1), metavar="RATIO")
@click.option("--hit", "hit_ms", type=click.FloatRange(0), default=0.0, metavar="MS")
@click.option("--factor", type=click.FloatRange(0), metavar="TIMES")
@click.option("--parallel", is_flag=True, help="Calls that followed each other begin at once.")
@scope_options
@json_option
def what_if(*, changed: str, lake: Path, scope: Any, as_json: bool, **change: Any) -> None:
    """Tell what requests would have taken had the calls of one BOUNDARY been otherwise.

    Cut after --timeout ms, with --fallback ms spent then; answered from a cache in --hit ms for a
    share --cached of them; --factor times as long; or --parallel. Exits 0, or 2 where no request
    can be replayed.

    \b
    Example:
      orchrisk what-if "agent:* -> service:credit-score/*" --lake lake --timeout 300
    """
    if change["parallel"] is False and all(
        change[name] is None for name in ("timeout_ms", "cached_ratio", "factor")
    ):
        raise click.UsageError("Say what changes: --timeout, --cached, --factor or --parallel.")
    answer = _measure_answers().what_if(lake, changed, change, scope)
    _print(answer, as_json=as_json)
    sys.exit(answer.exit_code)


@main.command("power", context_settings=CONTEXT)
@lake_option
@contracts_option
@click.option("--baseline", help="The cohort to plan from; else as the contract or the lake says.")
@scope_options
@json_option
def plan_pilot(
    *, lake: Path, contracts: Path | None, baseline: str | None, scope: Any, as_json: bool
) -> None:
    """Tell from the baseline alone how many requests and days a pilot needs.

    Exits 0, or 2 where the baseline is too small to tell.

    \b
    Example:
      orchrisk power --lake lake --baseline before
    """
    answer = importlib.import_module("app.plan_answers").plan(lake, contracts, scope, baseline)
    _print(answer, as_json=as_json)
    sys.exit(answer.exit_code)


@main.command(context_settings=CONTEXT)
@lake_option
@contracts_option
@click.option("--baseline", help="The cohort before; else as the contract or the lake says.")
@click.option("--pilot", help="The cohort after; else as the contract or the lake says.")
@scope_options
@json_option
def compare(
    *,
    lake: Path,
    contracts: Path | None,
    baseline: str | None,
    pilot: str | None,
    scope: Any,
    as_json: bool,
) -> None:
    """Compare before with after, end to end and at every boundary.

    Exits 0 when the pilot is proven better, faster or no worse, 1 when it is slower, 2 when the
    traces cannot tell yet.

    \b
    Example:
      orchrisk compare --lake lake --baseline baseline --pilot pilot
    """
    answer = _answers().compare(lake, contracts, scope, baseline=baseline, pilot_cohort=pilot)
    _print(answer, as_json=as_json)
    sys.exit(answer.exit_code)


@main.command(context_settings=CONTEXT)
@lake_option
@contracts_option
@click.option(
    "--baseline",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The --json of an earlier check; what it found does not count again.",
)
@click.option("--sarif", type=new_file, help="Write the findings as SARIF 2.1.0.")
@click.option("--junit", type=new_file, help="Write gates and findings as JUnit XML.")
@click.option("--markdown", type=new_file, help="Write a comment for a pull request.")
@click.option(
    "--today",
    callback=_day,
    help="The day that acknowledgements must reach; else the last day of the traces.",
)
@scope_options
@json_option
def check(
    *,
    lake: Path,
    contracts: Path | None,
    baseline: Path | None,
    today: date | None,
    scope: Any,
    as_json: bool,
    **files: Path | None,
) -> None:
    """Check budgets and readiness gates, and give the verdict.

    Exits 0 when ready, 1 when not ready, 2 when the traces cannot tell yet. What the contract
    acknowledges and what a baseline knows is told and does not count.

    \b
    Example:
      orchrisk check --lake lake --contracts contracts.yaml --sarif orchrisk.sarif
    """
    answer = _check_answers().check(
        lake,
        contracts,
        scope,
        baseline=baseline,
        today=today,
        files={name: path for name, path in files.items() if path},
    )
    _print(answer, as_json=as_json)
    sys.exit(answer.exit_code)


@main.command(context_settings=CONTEXT)
@lake_option
@contracts_option
@scope_options
@json_option
def compliance(*, lake: Path, contracts: Path | None, scope: Any, as_json: bool) -> None:
    """Hold requests and boundaries against their promises, and say who spent what was broken.

    Shares within SLA and budgets, by request and by time; burn by window; the critical path of
    late requests; whether the budgets fit together; suggested time-outs. Exits 0 when every
    promise is kept, 1 when one is broken, 2 when the traces cannot tell.

    \b
    Example:
      orchrisk compliance --lake lake --contracts contracts.yaml
    """
    answer = _compliance_answers().compliance_of(lake, contracts, scope)
    _print(answer, as_json=as_json)
    sys.exit(answer.exit_code)


@main.command(context_settings=CONTEXT)
@lake_option
@contracts_option
@click.option(
    "--schedule",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="When which boundary was made to fail: YAML or CSV with id, boundary, kind, from, until.",
)
@scope_options
@json_option
def faults(
    *, lake: Path, contracts: Path | None, schedule: Path | None, scope: Any, as_json: bool
) -> None:
    """Judge fault tests: seen, contained, degraded gracefully, amplified or silently wrong.

    Tests are known by `orch.fault.*` on spans, by Envoy's response flags DI and FI, and by a
    schedule. What was never tested is listed. Exits 0 when every test passes, 1 when one fails, 2
    when there is none or the traces cannot tell.

    \b
    Example:
      orchrisk faults --lake lake --contracts contracts.yaml --schedule chaos.yaml
    """
    answer = _fault_answers().faults(lake, contracts, schedule, scope)
    _print(answer, as_json=as_json)
    sys.exit(answer.exit_code)


@main.command(context_settings=CONTEXT)
@lake_option
@contracts_option
@click.option("--address", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option("--port", default=8501, show_default=True, help="Port to listen on.")
def dashboard(*, lake: Path, contracts: Path | None, address: str, port: int) -> None:
    """Serve the dashboard until Ctrl-C.

    \b
    Example:
      orchrisk dashboard --lake lake --contracts contracts.yaml
    """
    sys.exit(_serve(lake, contracts, address=address, port=port))


def _serve(lake: Path, contracts: Path | None, *, address: str, port: int) -> int:
    command, settings = serve.command(lake, contracts, address=address, port=port)
    _say(f"Dashboard: http://{address}:{port} (Ctrl-C stops it)")
    try:
        return subprocess.run(command, env={**os.environ, **settings}, check=False).returncode  # noqa: S603 - our own interpreter and arguments
    except KeyboardInterrupt:
        return YES


@main.group(context_settings=CONTEXT)
def lake() -> None:
    """Look after the lake: what is in it, what to merge, to remove, to clean up, to check.

    \b
    Example:
      orchrisk lake list --lake lake
    """


@lake.command("list", context_settings=CONTEXT)
@lake_option
@json_option
def lake_list(*, lake: Path, as_json: bool) -> None:
    """Print cohorts, days, spans, files and bytes, and every source that was read.

    \b
    Example:
      orchrisk lake list --lake lake
    """
    _print(_lake_answers().contents(lake), as_json=as_json)


@lake.command("compact", context_settings=CONTEXT)
@lake_option
@json_option
def lake_compact(*, lake: Path, as_json: bool) -> None:
    """Merge the small files of each day; spans, ledger and figures stay what they are.

    Each ingest does this for days that have gathered many; here two are enough.

    \b
    Example:
      orchrisk lake compact --lake lake
    """
    _print(_lake_answers().compact(lake), as_json=as_json)


@lake.command("remove", context_settings=CONTEXT)
@lake_option
@click.option("--cohort", required=True, help="The side to remove from.")
@click.option("--day", callback=_day, help="This UTC day only, such as 2026-10-01.")
@click.option(
    "--source", help="Only what this source brought: its name, or 8 digits of its digest."
)
@click.option("--yes", "is_agreed", is_flag=True, help="Do not ask.")
@json_option
def lake_remove(
    *,
    lake: Path,
    cohort: str,
    day: date | None,
    source: str | None,
    is_agreed: bool,
    as_json: bool,
) -> None:
    """Remove a cohort, a day of it or a source; what is removed can be ingested again.

    Copies of the removed spans in other sources were not kept: to have those back, remove and
    ingest these sources, too.

    \b
    Example:
      orchrisk lake remove --lake lake --cohort pilot --day 2026-10-01
    """
    answers = _lake_answers()
    question = answers.question(lake, cohort=cohort, day=day, source=source)
    if not (is_agreed or click.confirm(question, err=True)):
        _say("Nothing was removed.")
        sys.exit(NO)
    _print(answers.remove(lake, cohort=cohort, day=day, source=source), as_json=as_json)


@lake.command("vacuum", context_settings=CONTEXT)
@lake_option
@click.option(
    "--retention-days",
    type=click.FloatRange(min=0),
    default=7.0,
    show_default=True,
    help="Keep what left the lake less long ago: a reader or an ingest may be using it.",
)
@json_option
def lake_vacuum(*, lake: Path, retention_days: float, as_json: bool) -> None:
    """Delete files that no reader can need any more: merged, removed, or left by a killed run.

    \b
    Example:
      orchrisk lake vacuum --lake lake
    """
    _print(_lake_answers().vacuum(lake, retention_days=retention_days), as_json=as_json)


@lake.command("verify", context_settings=CONTEXT)
@lake_option
@json_option
def lake_verify(*, lake: Path, as_json: bool) -> None:
    """Check every file, every span's ids and the ledger's sums against each other.

    Exits 0 when all is sound, 1 when something is wrong.

    \b
    Example:
      orchrisk lake verify --lake lake
    """
    answer = _lake_answers().verify(lake)
    _print(answer, as_json=as_json)
    sys.exit(answer.exit_code)


@main.group("contracts", context_settings=CONTEXT)
def promises() -> None:
    """Draft a contract, check it, compare it with another, and export it.

    \b
    Example:
      orchrisk contracts diff contracts.yaml contracts.new.yaml
    """


contract_file = click.Path(exists=True, dir_okay=False, path_type=Path)


def _written(kind: str) -> Callable[..., Any]:
    """Return a callback that reads an option as the contract file reads the same word."""

    def read(_: click.Context, __: click.Parameter, value: str | None) -> float | None:
        if value is None:
            return None
        module = importlib.import_module("analysis.contract_lines")
        try:
            return float(module.value_of(kind, value))
        except OrchriskError as error:
            raise click.BadParameter(str(error)) from error

    return read


@promises.command("draft", context_settings=CONTEXT)
@lake_option
@click.option("--cohort", help="The baseline; else as the contract or the lake says.")
@click.option("--since", callback=_moment, help="From this UTC date or time on.")
@click.option("--until", callback=_moment, help="Before this UTC date or time.")
@click.option(
    "--sla",
    callback=_written("duration"),
    metavar="DURATION",
    help="What a request may take, such as 2s; else what the baseline kept.",
)
@click.option(
    "--quantile",
    type=click.Choice(["p50", "p90", "p95", "p99", "p99.9"]),
    default="p95",
    show_default=True,
    help="The quantile of the SLA.",
)
@click.option(
    "--success",
    callback=_written("percentage"),
    metavar="PERCENT",
    help="Requests that do not fail, such as 99%; else what the baseline proves.",
)
@click.option(
    "--downstream-share",
    callback=_written("percentage"),
    metavar="PERCENT",
    default="30%",
    show_default=True,
    help="Of the SLA, for all calls but models on the critical path.",
)
@click.option(
    "--give-up",
    callback=_written("percentage"),
    metavar="PERCENT",
    default="0.5%",
    show_default=True,
    help="Good calls that a drafted time-out may give up.",
)
@click.option(
    "--contracts",
    "earlier",
    type=contract_file,
    help="Keep this contract's service, cohorts, aliases, sensitive, gates and openapi.",
)
@json_option
def contracts_draft(
    *,
    lake: Path,
    cohort: str | None,
    since: datetime | None,
    until: datetime | None,
    sla: float | None,
    quantile: str,
    success: float | None,
    downstream_share: float,
    give_up: float,
    earlier: Path | None,
    as_json: bool,
) -> None:
    """Print a contract that the baseline keeps: budgets, time-outs, accesses, each with its n.

    Budgets are shared out over the critical path so that their sum keeps the SLA and the downstream
    share. Exits 2 when the baseline does not keep what is wished, or has too few requests.

    \b
    Example:
      orchrisk contracts draft --lake lake --cohort baseline --sla 2s > contracts.yaml
    """
    drafting = importlib.import_module("analysis.drafting")
    quantiles = importlib.import_module("analysis.contracts").QUANTILES
    wish = drafting.Wish(sla, quantiles[quantile], success, downstream_share, give_up)
    scope = Scope(cohort=cohort, since=since, until=until)
    _print(_contract_answers().draft(lake, scope, wish, earlier=earlier), as_json=as_json)


@promises.command("check", context_settings=CONTEXT)
@click.argument("contracts", type=contract_file)
@lake_option
@scope_options
@json_option
def contracts_check(*, contracts: Path, lake: Path, scope: Any, as_json: bool) -> None:
    """Print what is wrong with a contract: impossible promises, idle rules, traffic left out.

    Exits 0 when nothing is impossible or broken, 1 when something is, 2 when it cannot be read.
    Without a lake only the text is looked at.

    \b
    Example:
      orchrisk contracts check contracts.yaml --lake lake
    """
    answer = _contract_answers().check(lake, contracts, scope)
    _print(answer, as_json=as_json)
    sys.exit(answer.exit_code)


@promises.command("export", context_settings=CONTEXT)
@click.argument("contracts", type=contract_file)
@click.option(
    "--as",
    "form",
    type=click.Choice(["envoy", "openslo", "policy"]),
    required=True,
    help="Envoy v3 routes, OpenSLO v1 documents, or an access policy as JSON.",
)
@json_option
def contracts_export(*, contracts: Path, form: str, as_json: bool) -> None:
    """Print a contract in the form of a tool that puts it to work.

    What the form cannot say is told on stderr. Exits 2 when there is nothing to export.

    \b
    Example:
      orchrisk contracts export contracts.yaml --as envoy > routes.yaml
    """
    answer, left_out = _contract_answers().export(contracts, form)
    for line in left_out:
        _say(f"orchrisk: not exported: {line}")
    _print(answer, as_json=as_json)


@promises.command("diff", context_settings=CONTEXT)
@click.argument("before", type=contract_file)
@click.argument("after", type=contract_file)
@json_option
def contracts_diff(*, before: Path, after: Path, as_json: bool) -> None:
    """Print what two contracts promise differently, by meaning: tighter, looser, added, removed.

    Layout, units and the order of rules that never meet make no difference. Exits 0 when both
    promise the same, 1 when not.

    \b
    Example:
      orchrisk contracts diff contracts.yaml contracts.new.yaml
    """
    answer = _contract_answers().diff(before, after)
    _print(answer, as_json=as_json)
    sys.exit(answer.exit_code)


@main.command(context_settings=CONTEXT)
@click.argument("folder", type=click.Path(path_type=Path), default="demo")
@click.option("--requests", type=click.IntRange(min=10), help="User requests a month.")
@click.option("--port", default=8501, show_default=True, help="Port of the dashboard.")
@click.option(
    "--serve/--no-serve", "is_served", default=True, help="Serve the dashboard at the end."
)
@click.option(
    "--case",
    "case",
    type=click.Choice(["bank", "triage", "orders"]),
    help="One of three small cases instead: SLA, lost context, permission creep.",
)
def demo(
    *, folder: Path, requests: int | None, port: int, is_served: bool, case: str | None
) -> None:
    """Walk the whole way on a made-up agent system with known faults.

    Generates two months of traces, reads them in, prints the profile and the verdict, writes the
    report's data and serves the dashboard.

    \b
    Example:
      orchrisk demo demo --no-serve
      orchrisk demo --case bank --no-serve
    """
    show = partial(click.echo)
    if case and requests:
        raise click.UsageError("A case has a size of its own: leave out --requests.")
    if case:
        lake, contracts = _demo_answers().case(case, folder / case, say=_say, show=show)
    else:
        lake, contracts = _demo_answers().demo(folder, requests=requests, say=_say, show=show)
    if is_served:
        sys.exit(_serve(lake, contracts, address="127.0.0.1", port=port))


@main.command(context_settings=CONTEXT)
@click.option(
    "--requests",
    type=click.IntRange(min=300),
    default=900,
    show_default=True,
    help="User requests a month.",
)
@click.option("--seed", type=int, help="Of another sample; the same seed, the same sample.")
@json_option
def selftest(*, requests: int, seed: int | None, as_json: bool) -> None:
    """Find planted faults in a made-up system, and say what was missed and what was false.

    Exits 0 when all is found and nothing false, 1 when not, 2 when a fault did not occur.

    \b
    Example:
      orchrisk selftest
    """
    chosen = {} if seed is None else {"seed": seed}
    answer = _selftest().selftest(requests=requests, say=_say, **chosen)
    _print(answer, as_json=as_json)
    sys.exit(answer.exit_code)
