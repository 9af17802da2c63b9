"""Commands that fill the lake and look after it."""

import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import click

from app.commands.options import CONTEXT, NO, day_of, json_option, lake_option, loaded, say, show


@click.command(context_settings=CONTEXT)
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
        say(
            "orchrisk: --keep-content keeps prompts, answers, tool arguments and results as text in"
            f" the lake {lake}. Whoever may read that folder may read them. Leave the option out to"
            " keep their length and hash only."
        )
    answer = loaded("app.answers").ingest(
        dumps, lake, cohort=cohort, keep_content=keep_content, progress=_progress()
    )
    show(answer, as_json=as_json)
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


@click.group("lake", context_settings=CONTEXT)
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
    show(loaded("app.lake_answers").contents(lake), as_json=as_json)


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
    show(loaded("app.lake_answers").compact(lake), as_json=as_json)


@lake.command("remove", context_settings=CONTEXT)
@lake_option
@click.option("--cohort", required=True, help="The side to remove from.")
@click.option("--day", callback=day_of, help="This UTC day only, such as 2026-10-01.")
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
    answers = loaded("app.lake_answers")
    question = answers.question(lake, cohort=cohort, day=day, source=source)
    if not (is_agreed or click.confirm(question, err=True)):
        say("Nothing was removed.")
        sys.exit(NO)
    show(answers.remove(lake, cohort=cohort, day=day, source=source), as_json=as_json)


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
    show(loaded("app.lake_answers").vacuum(lake, retention_days=retention_days), as_json=as_json)


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
    answer = loaded("app.lake_answers").verify(lake)
    show(answer, as_json=as_json)
    sys.exit(answer.exit_code)
