"""What `orchrisk contracts` answers: the data, the text a person reads, the exit code."""

from pathlib import Path

from analysis import contracts, drafting, engine, gates, promises, summary, words
from analysis.scope import Scope
from app.answers import NO, Answer
from app.terminal import table


def draft(lake: Path, scope: Scope, wish: drafting.Wish, *, earlier: Path | None) -> Answer:
    """Return a contract that the baseline keeps; its text is the file.

    Raises:
        ContractError: The baseline cannot keep what was wished, or has too little to tell.
    """
    kept = contracts.load(earlier) if earlier else None
    with engine.connect(lake) as model:
        drafted = drafting.draft(model, scope, wish, earlier=kept)
    facts = {name: value for name, value in vars(drafted).items() if name != "contracts"}
    return Answer(summary.plain(facts), drafted.text.rstrip("\n"))


def diff(before: Path, after: Path) -> Answer:
    """Return what two contracts promise differently; exit code 1 when they do."""
    found = promises.differences(contracts.load(before), contracts.load(after), gates.DEFAULTS)
    if not found:
        return Answer([], "Both promise the same.")
    rows = [
        (each.change, each.promise, each.before or "–", each.after or "–", _lines(each))
        for each in found
    ]
    text = table(("change", "promise", "before", "after", "lines"), rows)
    return Answer(summary.plain(found), f"{text}\n{words.counted(len(found), 'difference')}", NO)


def _lines(each: promises.Difference) -> str:
    was, now = each.before_line or "–", each.after_line or "–"
    return "" if was == now == "–" else f"{was} → {now}"
