"""The tables of the README, written from the answers so that they cannot drift."""

import re
from pathlib import Path
from tempfile import TemporaryDirectory

from sample_data import faults
from sample_data.faults import PLANTED, Answers
from sample_data.simulate import write

README = Path(__file__).parent / "README.md"
_BLOCK = re.compile(r"(<!-- answers: begin -->\n).*(<!-- answers: end -->)", re.DOTALL)


def tables(answers: Answers) -> str:
    """Tables in Markdown: the months, every fault in every month, the rates and the windows."""
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
    return "\n".join([*lines, "", *_rates(), "", *_windows()]) + "\n"


def _rates() -> list[str]:
    rates = {
        "CRM lookups that wait": faults.JITTER_RATIO,
        "first attempts at credit-score that hang": faults.CREDIT_HANG_RATIO,
        "retries at credit-score that hang": faults.CREDIT_HANG_AGAIN_RATIO,
        "credit time-outs of the baseline that reach the user": faults.CREDIT_ESCALATED_RATIO,
        "applications that time out at orders": faults.DUPLICATE_RATIO,
        "applications that meet a deadlock": faults.CASCADE_RATIO,
        "CRM lookups that fail": faults.ABSORBED_RATIO,
        "conversations that lose their state, at a turn from 4 to 6": faults.STATE_LOST_RATIO,
        "risk reviews that creep": faults.CREEP_RATIO,
        "applications that send mail": faults.MAIL_RATIO,
        "CRM lookups whose server span is lost": faults.ORPHAN_RATIO,
        "model calls refused in the throttling window": faults.THROTTLE_RATIO,
    }
    lines = [f"| {what} | {100 * ratio:g} % |" for what, ratio in rates.items()]
    return ["| drawn, each by itself | rate |", "| --- | ---: |", *lines]


def _windows() -> list[str]:
    windows = {
        "retry storm": faults.STORM,
        "fault test: latency": faults.LATENCY_FAULT,
        "fault test: outage": faults.OUTAGE_FAULT,
        "fault test: throttling": faults.THROTTLE_FAULT,
    }
    lines = [
        f"| {what} | {w.start:%Y-%m-%d %H:%M} | {w.end:%H:%M} |" for what, w in windows.items()
    ]
    lines.append(f"| permission creep | {faults.CREEP_FROM:%Y-%m-%d %H:%M} | |")
    lines.append(f"| new CRM version | {faults.NEW_CRM_VERSION_AT:%Y-%m-%d %H:%M} | |")
    return ["| window | from (UTC) | to |", "| --- | --- | --- |", *lines]


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
