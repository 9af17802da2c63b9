"""A month before a pilot and a month of it, as OTLP dumps with a known answer for every fault."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, fields
from itertools import product
from pathlib import Path

import click
import numpy as np
import orjson

from sample_data import ledgers
from sample_data.draws import turns
from sample_data.faults import MONTHS, PLANTED, SLA_MS, Answer, Answers, Faults, Month, Tally
from sample_data.otlp import SUFFIXES, Format, write_dump
from sample_data.record import Span
from sample_data.request import Outcome, respond
from sample_data.system import SERVICES

REQUESTS = 6000
SEED = 2026


def write(
    out: Path,
    *,
    requests: int = REQUESTS,
    seed: int = SEED,
    faults: Faults = Faults(),  # noqa: B008 - frozen
    encoding: Format = Format.JSONL,
) -> Answers:
    """Write both months, tickets.csv, costs.csv and answers.json below `out`; return the answers.

    The same arguments give the same bytes. A month is a folder with one dump a service; dumps of an
    earlier run are replaced.

    Raises:
        ValueError: Fewer than one request a month was asked for.
    """
    if requests < 1:
        raise ValueError(f"requests is {requests}; a month needs at least 1.")
    months: list[Month] = []
    answers: list[Answer] = []
    figures: list[ledgers.Day] = []
    for cohort in MONTHS:
        spans, outcomes, tally = month(cohort, requests=requests, seed=seed, faults=faults)
        _write_month(out / cohort, spans, cohort, encoding)
        months.append(_came_to(cohort, spans, outcomes))
        answers.extend(tally.answers())
        figures.extend(ledgers.days(outcomes, cohort=cohort, seed=seed))
    made = Answers(seed, requests, tuple(months), tuple(answers))
    (out / "tickets.csv").write_text(ledgers.tickets_csv(figures), encoding="utf-8")
    (out / "costs.csv").write_text(ledgers.costs_csv(figures), encoding="utf-8")
    (out / "answers.json").write_bytes(orjson.dumps(asdict(made), option=orjson.OPT_INDENT_2))
    return made


def month(
    cohort: str, *, requests: int, seed: int, faults: Faults
) -> tuple[list[Span], list[Outcome], Tally]:
    """All spans of a month, what each request came to, and what was planted."""
    spans: list[Span] = []
    tally = Tally(cohort)
    outcomes = [
        respond(turn, cohort=cohort, faults=faults, tally=tally, spans=spans)
        for turn in turns(cohort, requests=requests, seed=seed)
    ]
    return spans, outcomes, tally


def _came_to(cohort: str, spans: Sequence[Span], outcomes: Sequence[Outcome]) -> Month:
    p50_ms, p95_ms = np.quantile([outcome.duration_ms for outcome in outcomes], [0.5, 0.95])
    return Month(
        cohort=cohort,
        requests=len(outcomes),
        conversations=len({outcome.conversation_id for outcome in outcomes}),
        spans=len(spans),
        failed=sum(outcome.failed for outcome in outcomes),
        late=sum(outcome.duration_ms > SLA_MS for outcome in outcomes),
        p50_ms=round(float(p50_ms), 1),
        p95_ms=round(float(p95_ms), 1),
    )


def _write_month(folder: Path, spans: Sequence[Span], cohort: str, encoding: Format) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    # A dump of an earlier run, in the other encoding or of a silenced service, would be read again.
    for service, suffix in product(SERVICES, SUFFIXES.values()):
        (folder / f"{service}{suffix}").unlink(missing_ok=True)
    by_service: dict[str, list[Span]] = defaultdict(list)
    for span in spans:
        by_service[span.host.service].append(span)
    for service, of_service in sorted(by_service.items()):
        path = folder / f"{service}{SUFFIXES[encoding]}"
        write_dump(path, of_service, cohort, encoding)


@click.command()
@click.argument("out", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--requests",
    type=click.IntRange(min=1),
    default=REQUESTS,
    show_default=True,
    help="User requests a month.",
)
@click.option("--seed", default=SEED, show_default=True, help="The same seed, the same bytes.")
@click.option(
    "--without",
    multiple=True,
    type=click.Choice([knob.name for knob in fields(Faults)]),
    help="Leave a fault out; may be given several times.",
)
@click.option(
    "--format",
    "encoding",
    type=click.Choice([encoding.value for encoding in Format]),
    default=Format.JSONL.value,
    show_default=True,
    help="jsonl is the faster one.",
)
def main(out: Path, requests: int, seed: int, without: tuple[str, ...], encoding: str) -> None:
    """Write two months of traces below OUT, with answers.json saying what is planted where."""
    faults = Faults(**dict.fromkeys(without, False))
    answers = write(out, requests=requests, seed=seed, faults=faults, encoding=Format(encoding))
    for answer in answers.faults:
        click.echo(
            f"{answer.cohort}  {answer.fault}: {answer.calls} in {len(answer.trace_ids)} requests, "
            f"first {answer.first_at}; {PLANTED[answer.fault]}",
            err=True,
        )


if __name__ == "__main__":
    main()
