"""What commands share: their options, their exit codes, and how an answer is shown."""

import importlib
from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import wraps
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import click
import orjson

from analysis.scope import Scope

if TYPE_CHECKING:
    from app.answers import Answer


LAKE = "lake"
YES, NO, COULD_NOT_TELL = 0, 1, 2
CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


def loaded(name: str) -> ModuleType:
    """Return a module by its name, imported when a command runs.

    Pandas, SciPy and DuckDB take a second to import, which `--help` need not wait for.
    """
    return importlib.import_module(name)


def say(text: str) -> None:
    """Print talk, on stderr."""
    click.echo(text, err=True)


def moment(_: click.Context, __: click.Parameter, value: str | None) -> datetime | None:
    """Return what was written as a moment in UTC."""
    if value is None:
        return None
    try:
        at = datetime.fromisoformat(value)
    except ValueError as error:
        raise click.BadParameter(
            f"{value!r} is not a date or time. Write 2026-10-01 or 2026-10-01T08:00."
        ) from error
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)


def day_of(_: click.Context, __: click.Parameter, value: str | None) -> date | None:
    """Return what was written as a day."""
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
        click.option("--until", callback=moment, help="Before this UTC date or time."),
        click.option("--since", callback=moment, help="From this UTC date or time on."),
        click.option("--cohort", help="One side, such as baseline or pilot."),
    ):
        scoped = option(scoped)
    return scoped


new_file = click.Path(dir_okay=False, writable=True, path_type=Path)


def show(answer: "Answer", *, as_json: bool) -> None:
    """Print an answer, on stdout."""
    click.echo(
        orjson.dumps(answer.data, option=orjson.OPT_INDENT_2).decode() if as_json else answer.text
    )
