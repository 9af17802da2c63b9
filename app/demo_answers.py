"""What `orchrisk demo` does: a sample system from its traces to the verdict."""

from collections.abc import Callable
from pathlib import Path

import orjson

from analysis import summary
from analysis.scope import Scope
from app.answers import compare, ingest, opened, profile
from app.check_answers import check
from sample_data import simulate


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
