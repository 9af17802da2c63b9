"""The command `orchrisk`: data on stdout, talk on stderr, exit 0 yes, 1 no, 2 could not tell."""

from typing import Any

import click

from app.commands import contracts, demo, judge, lake, measure
from app.commands.options import CONTEXT, COULD_NOT_TELL, say
from ingest.errors import OrchriskError


class _Commands(click.Group):
    """Turns the errors we know into one line on stderr and the exit code "could not tell"."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except OrchriskError as error:
            say(f"orchrisk: {error}")
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


for _command in (
    *(lake.ingest, lake.lake),
    *(measure.profile, measure.metric, measure.causes, measure.what_if),
    *(measure.plan_pilot, measure.compare),
    *(judge.check, judge.compliance, judge.faults),
    contracts.promises,
    *(demo.dashboard, demo.demo, demo.selftest),
):
    main.add_command(_command)
