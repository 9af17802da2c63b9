"""Commands that draft a contract, check it, compare it and export it."""

import sys
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import click

from analysis.scope import Scope
from app.commands.options import (
    CONTEXT,
    day_of,
    json_option,
    lake_option,
    loaded,
    moment,
    say,
    scope_options,
    show,
)
from ingest.errors import OrchriskError


@click.group("contracts", context_settings=CONTEXT)
def promises() -> None:
    """Draft a contract, check it, compare it with another, and export it.

    \b
    Example:
      orchrisk contracts diff contracts.yaml contracts.new.yaml
    """


contract_path = click.Path(exists=True, dir_okay=False, path_type=Path)


def _written(kind: str) -> Callable[..., Any]:
    """Return a callback that reads an option as the contract file reads the same word."""

    def read(_: click.Context, __: click.Parameter, value: str | None) -> float | None:
        if value is None:
            return None
        module = loaded("analysis.contract_lines")
        try:
            return float(module.value_of(kind, value))
        except OrchriskError as error:
            raise click.BadParameter(str(error)) from error

    return read


@promises.command("draft", context_settings=CONTEXT)
@lake_option
@click.option("--cohort", help="The baseline; else as the contract or the lake says.")
@click.option("--since", callback=moment, help="From this UTC date or time on.")
@click.option("--until", callback=moment, help="Before this UTC date or time.")
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
    type=contract_path,
    help="Keep of this contract what no traffic tells: service, cohorts, aliases, fallbacks, "
    "retries, idempotent, sensitive, gates, openapi and what is acknowledged.",
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
    drafting = loaded("analysis.drafting")
    quantiles = loaded("analysis.contracts").QUANTILES
    wish = drafting.Wish(sla, quantiles[quantile], success, downstream_share, give_up)
    scope = Scope(cohort=cohort, since=since, until=until)
    show(loaded("app.contract_answers").draft(lake, scope, wish, earlier=earlier), as_json=as_json)


@promises.command("check", context_settings=CONTEXT)
@click.argument("contracts", type=contract_path)
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
    answer = loaded("app.contract_answers").check(lake, contracts, scope)
    show(answer, as_json=as_json)
    sys.exit(answer.exit_code)


@promises.command("export", context_settings=CONTEXT)
@click.argument("contracts", type=contract_path)
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
    answer, left_out = loaded("app.contract_answers").export(contracts, form)
    for line in left_out:
        say(f"orchrisk: not exported: {line}")
    show(answer, as_json=as_json)


@promises.command("diff", context_settings=CONTEXT)
@click.argument("before", type=contract_path)
@click.argument("after", type=contract_path)
@click.option(
    "--today",
    callback=day_of,
    help="Tell acknowledgements that are over on this day; they are no difference.",
)
@json_option
def contracts_diff(*, before: Path, after: Path, today: date | None, as_json: bool) -> None:
    """Print what two contracts promise differently, by meaning: tighter, looser, added, removed.

    Layout, units and the order of rules that never meet make no difference. Exits 0 when both
    promise the same, 1 when not.

    \b
    Example:
      orchrisk contracts diff contracts.yaml contracts.new.yaml --today 2026-10-01
    """
    answer = loaded("app.contract_answers").diff(before, after, today=today)
    show(answer, as_json=as_json)
    sys.exit(answer.exit_code)
