"""The tables of the README, written from the answers so that they cannot drift."""

import re
from pathlib import Path
from tempfile import TemporaryDirectory

from sample_data.faults import PLANTED, Answers
from sample_data.simulate import write

README = Path(__file__).parent / "README.md"
_BLOCK = re.compile(r"(<!-- answers: begin -->\n).*(<!-- answers: end -->)", re.DOTALL)


def tables(answers: Answers) -> str:
    """Two tables in Markdown: the months, and every fault in every month it was planted in."""
    lines = [
        "| month | requests | conversations | spans | failed | over 2 s | p50 ms | p95 ms |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {m.cohort} | {m.requests:,} | {m.conversations:,} | {m.spans:,} | {m.failed:,} "
        f"| {m.late:,} | {m.p50_ms:,.1f} | {m.p95_ms:,.1f} |"
        for m in answers.months
    ]
    lines += [
        "",
        "| knob | what is planted | month | planted | requests | first (UTC) | first trace |",
        "| --- | --- | --- | ---: | ---: | --- | --- |",
    ]
    for fault, text in PLANTED.items():
        name = f"`{fault}`"
        for found in (answer for answer in answers.faults if answer.fault == fault):
            first_at = found.first_at[:-1].replace("T", " ")
            lines.append(
                f"| {name} | {text} | {found.cohort} | {found.calls:,} | {len(found.trace_ids):,} "
                f"| {first_at} | `{found.trace_ids[0]}` |"
            )
            name = text = ""
    return "\n".join(lines) + "\n"


def update(text: str, answers: Answers) -> str:
    """The README's text with its tables written anew."""
    return _BLOCK.sub(lambda found: found[1] + tables(answers) + found[2], text)


def main() -> None:
    """Generate both months with the default seed and rewrite the README's tables."""
    with TemporaryDirectory() as folder:
        answers = write(Path(folder))
    README.write_text(update(README.read_text(encoding="utf-8"), answers), encoding="utf-8")


if __name__ == "__main__":
    main()
