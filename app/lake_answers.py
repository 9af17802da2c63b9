"""What the commands of `orchrisk lake` answer: the data, the text a person reads, the exit code."""

import json
from datetime import date
from pathlib import Path

from analysis import summary, words
from app.answers import NO, TOP, YES, Answer
from app.terminal import table
from ingest import compaction, removal, upkeep
from ingest.errors import LakeError
from ingest.lake import Lake

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def contents(lake: Path) -> Answer:
    """Return what lies where in the lake, and the sources it came from."""
    opened = _opened(lake)
    places, sources = opened.contents().to_pylist(), opened.ledger().to_pylist()
    for source in sources:
        source["reasons"], source["days"] = (
            json.loads(source[name]) for name in ("reasons", "days")
        )
    lines = [
        table(
            ("cohort", "day", "spans", "files", "bytes"),
            [
                (
                    place["cohort"],
                    place["day"],
                    words.count(place["spans"]),
                    words.count(place["files"]),
                    _size(place["bytes"]),
                )
                for place in places
            ],
            right="llrrr",
        ),
        f"{words.count(sum(place['spans'] for place in places))} spans, files: "
        f"{words.count(sum(place['files'] for place in places))}, "
        f"{_size(sum(place['bytes'] for place in places))}",
        "",
        table(
            ("cohort", "source", "digest", "read", "kept", "duplicate", "rejected", "state"),
            [
                (
                    source["cohort"],
                    source["name"],
                    source["digest"][:12],
                    *(
                        words.count(source[name])
                        for name in ("read", "kept", "duplicates", "rejected")
                    ),
                    _state(source),
                )
                for source in sources[-TOP:]
            ],
            right="lllrrrr",
        ),
    ]
    if len(sources) > TOP:
        lines.append(f"the last {TOP} of {words.count(len(sources))} (--json has them all)")
    return Answer(summary.plain({"days": places, "sources": sources}), "\n".join(lines))


def compact(lake: Path) -> Answer:
    """Merge the small files of every day that has more than one, and return what was merged."""
    _opened(lake)
    merged = compaction.compact(lake, more_than=1)
    before = sum(each.files_before for each in merged)
    after = sum(each.files_after for each in merged)
    text = (
        f"{words.count(before)} small files are now {words.count(after)}, "
        f"on {words.counted(len(merged), 'day')}. The old ones stay until `orchrisk lake vacuum`."
        if merged
        else "No day has more than one small file."
    )
    return Answer(summary.plain({"merged": merged}), text)


def question(lake: Path, *, cohort: str, day: date | None, source: str | None) -> str:
    """Return the question to ask before a removal: what exactly would go."""
    _opened(lake)
    planned = removal.plan(lake, cohort=cohort, day=day, source=source)
    return f"Remove {_taken(planned)} from {lake}?"


def remove(lake: Path, *, cohort: str, day: date | None, source: str | None) -> Answer:
    """Remove spans and return what was taken."""
    taken = removal.remove(lake, cohort=cohort, day=day, source=source)
    text = f"Removed {_taken(taken)}. The sources can be ingested again."
    if taken.copies:
        text += (
            f"\nOther sources of {cohort} brought {words.count(taken.copies)} copies that were "
            "not kept; some may be of these spans. To have those back, remove and ingest "
            "these sources, too."
        )
    return Answer(summary.plain(taken), text)


def vacuum(lake: Path, *, retention_days: float) -> Answer:
    """Delete what no reader can need any more and return its paths."""
    _opened(lake)
    gone = [path.as_posix() for path in upkeep.vacuum(lake, retention_days=retention_days)]
    text = f"{words.counted(len(gone), 'file')} deleted: merged, removed, or left by a killed run."
    return Answer({"deleted": gone}, text)


def verify(lake: Path) -> Answer:
    """Return what is wrong with the lake; exit code 1 where anything is."""
    _opened(lake)
    wrong = upkeep.problems(lake)
    text = "\n".join(wrong) if wrong else "All files, ids and sums are as they should be."
    return Answer({"problems": wrong}, text, NO if wrong else YES)


def _opened(lake: Path) -> Lake:
    opened = Lake(lake)
    if not opened.exists:
        raise LakeError(
            f"{lake}: there is no lake here.\n"
            "Hint: name the folder that `orchrisk ingest --lake` wrote."
        )
    return opened


def _taken(taken: removal.Removal) -> str:
    spans = f"{words.counted(taken.spans, 'span')} of {words.counted(taken.sources, 'source')}"
    parts = [taken.cohort]
    if taken.day is not None:
        parts.append(str(taken.day))
    if taken.digest is not None:
        parts.append(f"source {taken.digest[:12]}")
    return f"{spans} ({', '.join(parts)})"


def _state(source: dict[str, object]) -> str:
    if source["state"] == "in part":
        return f"{words.count(int(str(source['removed'])))} removed"
    return str(source["state"])


def _size(size: float) -> str:
    for unit in _UNITS:
        if size < 1024 or unit == _UNITS[-1]:
            break
        size /= 1024
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
