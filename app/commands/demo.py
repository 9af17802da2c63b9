"""Commands that serve the dashboard and walk the whole way on made-up systems."""

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import click

from app import serve
from app.commands.options import (
    CONTEXT,
    YES,
    contracts_option,
    json_option,
    lake_option,
    loaded,
    say,
    show,
)


@click.command(context_settings=CONTEXT)
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
    say(f"Dashboard: http://{address}:{port} (Ctrl-C stops it)")
    try:
        return subprocess.run(command, env={**os.environ, **settings}, check=False).returncode  # noqa: S603 - our own interpreter and arguments
    except KeyboardInterrupt:
        return YES


@click.command(context_settings=CONTEXT)
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
        lake, contracts = loaded("app.demo_answers").case(case, folder / case, say=say, show=show)
    else:
        lake, contracts = loaded("app.demo_answers").demo(
            folder, requests=requests, say=say, show=show
        )
    if is_served:
        sys.exit(_serve(lake, contracts, address="127.0.0.1", port=port))


@click.command(context_settings=CONTEXT)
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
    answer = loaded("app.selftest").selftest(requests=requests, say=say, **chosen)
    show(answer, as_json=as_json)
    sys.exit(answer.exit_code)
