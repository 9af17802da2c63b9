"""Commands that measure: boundaries, questions by name, causes, what-ifs, before against after."""

import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from app.commands.options import (
    CONTEXT,
    contracts_option,
    json_option,
    lake_option,
    loaded,
    moment,
    scope_options,
    show,
)


@click.command(context_settings=CONTEXT)
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
    show(loaded("app.answers").profile(lake, contracts, scope), as_json=as_json)


@click.command(context_settings=CONTEXT)
@click.argument("name", required=False)
@lake_option
@contracts_option
@scope_options
@json_option
def metric(
    *, name: str | None, lake: Path, contracts: Path | None, scope: Any, as_json: bool
) -> None:
    """Print the answer to one question by its NAME, or the names of all questions.

    What a contract calls sensitive counts as sensitive; nothing else of it is asked.

    \b
    Example:
      orchrisk metric patterns --lake lake --cohort pilot
      orchrisk metric sensitive_egress --lake lake --contracts contracts.yaml
    """
    answer = loaded("app.measure_answers").metric(lake, name, scope, contracts_file=contracts)
    show(answer, as_json=as_json)


@click.command(context_settings=CONTEXT)
@lake_option
@click.option("--baseline", help="The cohort before; else as the lake says.")
@click.option("--pilot", help="The cohort after; else as the lake says.")
@click.option("--at", callback=moment, help="Compare before and after this UTC date or time.")
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
    answer = loaded("app.measure_answers").began(lake, scope, at=at, baseline=baseline, pilot=pilot)
    show(answer, as_json=as_json)
    sys.exit(answer.exit_code)


@click.command("what-if", context_settings=CONTEXT)
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
    answer = loaded("app.measure_answers").what_if(lake, changed, change, scope)
    show(answer, as_json=as_json)
    sys.exit(answer.exit_code)


@click.command("power", context_settings=CONTEXT)
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
    answer = loaded("app.plan_answers").plan(lake, contracts, scope, baseline)
    show(answer, as_json=as_json)
    sys.exit(answer.exit_code)


@click.command(context_settings=CONTEXT)
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
    answer = loaded("app.answers").compare(
        lake, contracts, scope, baseline=baseline, pilot_cohort=pilot
    )
    show(answer, as_json=as_json)
    sys.exit(answer.exit_code)
