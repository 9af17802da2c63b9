"""What the lake remembers of every source: the balance of its spans, and what was refused.

A commit's rows are written to `_ledger/<number>.json` before it is made and count only once it
has recorded that number for the source. A removal has a negative number: its rows say what is
gone, and the source may be read again. What was refused lies in `_rejects`, one file a source.
"""

import hashlib
import json
import os
import secrets
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable

from ingest import parquet
from ingest.report import SourceReport

LEDGER = pa.schema(
    [
        ("cohort", pa.string()),
        ("name", pa.string()),
        ("digest", pa.string()),
        ("format", pa.string()),
        ("bytes", pa.int64()),
        ("read", pa.int64()),
        ("kept", pa.int64()),  # when it was read; what was removed since stays counted
        ("duplicates", pa.int64()),
        ("rejected", pa.int64()),
        ("conflicts", pa.int64()),
        ("reasons", pa.string()),  # JSON list of reason, count, place, mend
        ("days", pa.string()),  # JSON object of kept spans by UTC day
        ("ingested_at", pa.timestamp("us", tz="UTC")),
        ("state", pa.string()),  # there, in part, removed
        ("removed", pa.int64()),  # kept spans that were removed since
    ]
)

REJECTS = pa.schema(
    [
        ("cohort", pa.string()),
        ("source", pa.string()),
        ("digest", pa.string()),
        ("reason", pa.string()),
        ("count", pa.int64()),  # of the reason, the same in all its rows
        ("place", pa.string()),
        ("sample", pa.string()),  # masked
        ("mend", pa.string()),
    ]
)

Row = dict[str, Any]


def mark(digest: str, cohort: str) -> str:
    """Return the name under which the table remembers a source."""
    return f"source:{cohort}:{digest}"


def holds(table: DeltaTable, digest: str, cohort: str) -> bool:
    """Return whether the table holds a source, whole, as it stands."""
    number = table.transaction_version(mark(digest, cohort))
    return number is not None and number > 0


def rows(root: Path, table: DeltaTable | None) -> list[Row]:
    """Return the rows that count, oldest first: those of commits made, and refused sources."""
    return [row for _, row in _counted(root, table)]


def _counted(root: Path, table: DeltaTable | None) -> list[tuple[Path, Row]]:
    refused: dict[tuple[str, str], tuple[Path, Row]] = {}
    found: list[tuple[Path, Row]] = []
    for file in (root / "_ledger").glob("*.json"):
        for row in _read(file):
            number = (
                None
                if table is None
                else table.transaction_version(mark(row["digest"], row["cohort"]))
            )
            if number == int(file.stem):
                found.append((file, row))
            elif number is None and row["read"] == row["rejected"]:
                # Tried again and refused again: the last time tells.
                key = (row["cohort"], row["digest"] or row["name"])
                if key not in refused or refused[key][1]["ingested_at"] <= row["ingested_at"]:
                    refused[key] = (file, row)
    listed = [*found, *refused.values()]
    for _, row in listed:
        row.setdefault("state", "there")
        row.setdefault("removed", 0)
    return sorted(listed, key=lambda pair: (pair[1]["ingested_at"], pair[1]["name"]))


def _read(file: Path) -> list[Row]:
    try:
        listed: list[Row] = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        # Whoever lost a race took it back between our list and our look.
        return []
    return listed


def as_table(listed: Sequence[Row]) -> pa.Table:
    """Return rows as a table in `LEDGER`."""
    columns = {name: [row[name] for row in listed] for name in LEDGER.names}
    times = pa.array(columns.pop("ingested_at"), pa.int64())
    columns["ingested_at"] = times.cast(LEDGER.field("ingested_at").type)
    return pa.table(columns, schema=LEDGER)


def write(root: Path, number: int, listed: Sequence[Row]) -> None:
    """Write the rows that count once a commit has recorded `number`.

    Raises:
        LakeError: where the disk is full.
    """
    _write(root / "_ledger" / f"{number}.json", json.dumps(list(listed)), root)


def discard(root: Path, number: int) -> None:
    """Take back what was written for a commit that was not made."""
    (root / "_ledger" / f"{number}.json").unlink(missing_ok=True)


def row_of(report: SourceReport) -> Row:
    """Return the ledger's row of a source that is read now."""
    reasons = [
        {
            "reason": _text(reason.reason),
            "count": reason.count,
            "place": _text(reason.place),
            "mend": reason.mend,
        }
        for reason in report.reasons
    ]
    return {
        **{name: getattr(report, name) for name in LEDGER.names if hasattr(report, name)},
        "name": _text(report.name),
        "reasons": json.dumps(reasons),
        "days": json.dumps(report.days),
        "ingested_at": int(time.time() * 1_000_000),
        "state": "there",
        "removed": 0,
    }


def write_rejects(root: Path, report: SourceReport) -> None:
    """Write what of a source was refused: a line a reason with its count, a line an example."""
    lines: list[dict[str, object]] = []
    for reason in report.reasons:
        about = {
            "cohort": report.cohort,
            "source": _text(report.name),
            "digest": report.digest,
            "reason": _text(reason.reason),
        }
        lines.append({**about, "count": reason.count, "mend": reason.mend})
        examples = [(each.place, each.sample) for each in reason.examples]
        for place, sample in examples or [(reason.place, reason.sample)]:
            shown = {"place": _text(place), "mend": reason.mend, "sample": _text(sample)}
            lines.append({**about, **shown})
    if any(reason.count for reason in report.reasons):
        text = "".join(json.dumps(line) + "\n" for line in lines)
        target = _rejects_file(root, report.digest, _text(report.name), report.cohort)
        _write(target, text, root)


def rejects(root: Path, digest: str | None = None) -> pa.Table:
    """Return the examples of what was refused, in `REJECTS`; of all sources or of one digest."""
    pattern = f"{digest[:16]}-*.jsonl" if digest else "*.jsonl"
    found: list[Row] = []
    for file in sorted((root / "_rejects").glob(pattern)):
        counts: dict[str, int] = {}
        for line in file.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            if "count" in row:
                counts[row["reason"]] = row["count"]
            elif digest is None or row["digest"] == digest:
                found.append({**row, "count": counts[row["reason"]]})
    return pa.table({name: [row[name] for row in found] for name in REJECTS.names}, schema=REJECTS)


def orphans(root: Path, table: DeltaTable | None) -> list[Path]:
    """Return the files of ledger and rejects that no row of the ledger needs."""
    counted = _counted(root, table)
    needed = {file for file, _ in counted}
    needed |= {_rejects_file(root, row["digest"], row["name"], row["cohort"]) for _, row in counted}
    there = [*(root / "_ledger").glob("*.json*"), *(root / "_rejects").glob("*.jsonl*")]
    return sorted(file for file in there if file not in needed)


def _rejects_file(root: Path, digest: str, name: str, cohort: str) -> Path:
    # A source that could not be opened has no digest; its name tells it from the others.
    key = digest or hashlib.sha256(name.encode()).hexdigest()
    return root / "_rejects" / f"{key[:16]}-{cohort}.jsonl"


def _write(target: Path, text: str, root: Path) -> None:
    partial = target.with_name(f"{target.name}.{secrets.token_hex(4)}.partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.rename(target)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise parquet.cannot_write(root, error) from error


def _text(text: str) -> str:
    # The name of a file may hold bytes that are no text.
    return text.encode("utf-8", "backslashreplace").decode()
