"""Commands that judge: promises kept, fault tests passed, ready or not."""

import sys
from datetime import date
from pathlib import Path
from typing import Any

import click

from app.commands.options import (
    CONTEXT,
    contracts_option,
    day_of,
    json_option,
    lake_option,
    loaded,
    new_file,
    scope_options,
    show,
)

schedule_option = click.option(
    "--schedule",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="When which boundary was made to fail: YAML or CSV with id, boundary, kind, from, until.",
)


@click.command(context_settings=CONTEXT)
@lake_option
@contracts_option
@click.option(
    "--baseline",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The --json of an earlier check; what it found does not count again.",
)
@schedule_option
@click.option("--sarif", type=new_file, help="Write the findings as SARIF 2.1.0.")
@click.option("--junit", type=new_file, help="Write gates and findings as JUnit XML.")
@click.option("--markdown", type=new_file, help="Write a comment for a pull request.")
@click.option(
    "--today",
    callback=day_of,
    help="The day that acknowledgements must reach; else the last day of the traces.",
)
@scope_options
@json_option
def check(
    *,
    lake: Path,
    contracts: Path | None,
    baseline: Path | None,
    schedule: Path | None,
    today: date | None,
    scope: Any,
    as_json: bool,
    **files: Path | None,
) -> None:
    """Check budgets and readiness gates, and give the verdict.

    Exits 0 when ready, 1 when not ready, 2 when the traces cannot tell yet. What the contract
    acknowledges and what a baseline knows is told and does not count: where nothing else is left
    the answer is "nothing new" and exit 0, and the verdict beside it is unchanged.

    \b
    Example:
      orchrisk check --lake lake --contracts contracts.yaml --sarif orchrisk.sarif
    """
    answer = loaded("app.check_answers").check(
        lake,
        contracts,
        scope,
        baseline=baseline,
        today=today,
        schedule=schedule,
        files={name: path for name, path in files.items() if path},
    )
    show(answer, as_json=as_json)
    sys.exit(answer.exit_code)


@click.command(context_settings=CONTEXT)
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
    answer = loaded("app.compliance_answers").compliance_of(lake, contracts, scope)
    show(answer, as_json=as_json)
    sys.exit(answer.exit_code)


@click.command(context_settings=CONTEXT)
@lake_option
@contracts_option
@schedule_option
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
    answer = loaded("app.fault_answers").faults(lake, contracts, schedule, scope)
    show(answer, as_json=as_json)
    sys.exit(answer.exit_code)
