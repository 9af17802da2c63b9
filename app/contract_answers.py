"""What `orchrisk contracts` answers: the data, the text a person reads, the exit code."""

import datetime as dt
import json
from pathlib import Path

import yaml

from analysis import (
    contract_check,
    contract_file,
    drafting,
    engine,
    exports,
    gates,
    openapi,
    promises,
    summary,
    words,
)
from analysis.scope import Scope
from app.answers import NO, YES, Answer, opened
from app.terminal import table

SAME = "Both promise the same."


def draft(lake: Path, scope: Scope, wish: drafting.Wish, *, earlier: Path | None) -> Answer:
    """Return a contract that the baseline keeps; its text is the file.

    Raises:
        ContractError: The baseline cannot keep what was wished, or has too little to tell.
    """
    model, kept = opened(lake, earlier)
    with model:
        drafted = drafting.draft(model, scope, wish, earlier=kept)
    facts = {name: value for name, value in vars(drafted).items() if name != "contracts"}
    return Answer(summary.plain(facts), drafted.text.rstrip("\n"))


def check(lake: Path, file: Path, scope: Scope) -> Answer:
    """Return what is wrong with a contract; exit code 1 when something is impossible or broken.

    Without a lake only the text is looked at.
    """
    promised = contract_file.load(file)
    for document in promised.openapi:
        openapi.load(document, promised.path)
    found = contract_check.of_text(promised)
    if lake.exists():
        with engine.connect(lake) as model:
            found += contract_check.of_traffic(model, promised, scope)
    errors = [each for each in found if each.kind in contract_check.ERRORS]
    lines = [
        table(
            ("what", "line", "of", "why"),
            [(each.kind, each.line or "–", each.subject, each.message) for each in found],
            right="lr",
        )
        if found
        else "Nothing is wrong with it."
    ]
    if found:
        others = len(found) - len(errors)
        lines.append(f"{words.counted(len(errors), 'error')}, {words.counted(others, 'warning')}")
    if not lake.exists():
        lines.append(f"There is no lake at {lake}: only the text was looked at.")
    return Answer(summary.plain(found), "\n".join(lines), NO if errors else YES)


def export(file: Path, form: str) -> tuple[Answer, tuple[str, ...]]:
    """Return a contract in another tool's form, and what of it that leaves out."""
    found = exports.FORMS[form](contract_file.load(file))
    documents = [*map(dict, found.documents)]
    if form == "policy":
        text = json.dumps(documents[0], indent=2, ensure_ascii=False)
    else:
        text = yaml.safe_dump_all(documents, sort_keys=False, allow_unicode=True).rstrip("\n")
    return Answer(summary.plain(documents), text), found.left_out


def diff(before: Path, after: Path, *, today: dt.date | None = None) -> Answer:
    """Return what two contracts promise differently; exit code 1 when they do.

    Acknowledgements of the later one that are over on `today` are told and are no difference.
    """
    found = promises.differences(
        contract_file.load(before), contract_file.load(after), gates.DEFAULTS, today=today
    )
    differing = [each for each in found if each.change != "expired"]
    rows = [
        (each.change, each.promise, each.before or "–", each.after or "–", _lines(each))
        for each in found
    ]
    over = len(found) - len(differing)
    said = f"{words.counted(len(differing), 'difference')}." if differing else SAME
    if over:
        said += f" Over on {today}: {words.counted(over, 'acknowledgement')}."
    parts = [table(("change", "promise", "before", "after", "lines"), rows)] if found else []
    return Answer(summary.plain(found), "\n".join([*parts, said]), NO if differing else YES)


def _lines(each: promises.Difference) -> str:
    was, now = each.before_line or "–", each.after_line or "–"
    return "" if was == now == "–" else f"{was} → {now}"
