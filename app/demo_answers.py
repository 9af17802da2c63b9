"""What `orchrisk demo` does: a sample system from its traces to the verdict."""

from collections.abc import Callable
from pathlib import Path

import orjson

from analysis import impact, summary, words
from analysis.impact import Impact
from analysis.scope import Scope
from app.answers import compare, heading, ingest, opened, profile
from app.check_answers import check
from app.terminal import table
from sample_data import simulate
from sample_data.cases import write as cases

STORIES = {
    "bank": "A bank's loan assistant whose credit-score calls break its SLA.",
    "triage": "A hospital's triage bot that loses its context after three turns.",
    "orders": "A shop's order service whose agent begins to read payment data.",
}


def demo(
    folder: Path,
    *,
    requests: int | None,
    say: Callable[[str], None],
    show: Callable[[str], None],
) -> tuple[Path, Path]:
    """Walk the whole way on the sample system; return the lake and the contract it was judged by.

    `say` takes talk, `show` takes results. The folder's own files are written again; the lake
    grows only by what it does not hold yet.
    """
    say("Generating two months of a loan-approval agent system with planted faults ...")
    simulate.write(folder / "traces", requests=requests or simulate.REQUESTS)
    lake, contract = folder / "lake", Path(simulate.__file__).with_name("contracts.yaml")
    for cohort in ("baseline", "pilot"):
        say(f"Reading the {cohort} month ...")
        show(ingest([str(folder / "traces" / cohort)], lake, cohort=cohort).text + "\n")
    say("Building the model and measuring ...")
    pilot_scope = Scope(cohort="pilot")
    for answer in (
        profile(lake, contract, pilot_scope),
        compare(lake, contract, Scope()),
        check(lake, contract, pilot_scope),
    ):
        show(answer.text + "\n")
    target = folder / "summary.json"
    model, promised = opened(lake, contract)
    target.write_bytes(
        orjson.dumps(summary.collect(model, promised, Scope()), option=orjson.OPT_INDENT_2)
    )
    say(f"The report's data: {target}")
    return lake, contract


def case(
    name: str, folder: Path, *, say: Callable[[str], None], show: Callable[[str], None]
) -> tuple[Path, Path]:
    """Walk one case from its traces to both verdicts; return its lake and contract.

    `say` takes talk, `show` takes results.
    """
    say(f"{STORIES[name]} Generating a month before its pilot and a month of it ...")
    traces, lake = folder / "traces", folder / "lake"
    cases.write(name, traces)
    contract = traces / "contracts.yaml"
    for cohort in ("baseline", "pilot"):
        sources = ingest([str(traces / cohort)], lake, cohort=cohort).data["sources"]
        say(f"Read the {cohort}: {words.counted(sum(s['read'] for s in sources), 'span')}.")
    say("Building the model and measuring ...")
    for cohort, title in (("baseline", "BEFORE"), ("pilot", "AFTER")):
        show(f"{title}: {check(lake, contract, Scope(cohort=cohort)).text}\n")
    show(compare(lake, contract, Scope()).text + "\n")
    model, promised = opened(lake, contract)
    tickets = impact.read_tickets(traces / "tickets.csv")
    found = impact.of(model, promised, Scope(), tickets)
    show(heading("What it changed", _impacts(found)))
    say(f"The answer key: {traces / 'answers.json'}")
    return lake, contract


def _impacts(found: list[Impact]) -> str:
    def said(value: float, unit: str) -> str:
        return words.time(value) if unit == "ms" else words.digits(value)

    rows = [
        (
            each.name,
            said(each.before, each.unit),
            said(each.after, each.unit),
            "" if each.unit == "ms" else each.unit,
            words.change(each.ratio),
            words.change_interval(each.lower, each.upper),
        )
        for each in found
    ]
    headers = ("figure", "before", "after", "", "change", "95 % interval")
    return table(headers, rows, right="lrrlrr")
