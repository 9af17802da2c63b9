"""What an ingest says of itself: sums that balance, reasons with a place and a mend."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

# A person needs a few; a dump of the wrong kind would give millions.
MAX_EXAMPLES = 20


@dataclass(frozen=True)
class Example:
    """One thing refused: where it stood, and a piece of it, masked."""

    place: str
    sample: str


@dataclass(frozen=True)
class Reject:
    """One reason for refusing, how often it struck, where first, and what mends it.

    A count of 0 is a remark about the source: nothing was refused, something is worth knowing.
    `sample` is a masked piece of the first thing refused, where there is one; `examples` are the
    first things refused, at most 20, the first of all among them.
    """

    reason: str
    count: int
    place: str
    mend: str
    sample: str = ""
    examples: tuple[Example, ...] = ()


@dataclass(frozen=True)
class Progress:
    """How far a load has come: bytes of the dump as stored, and spans decoded so far."""

    source: str
    bytes_read: int
    bytes_total: int
    spans: int


@dataclass(frozen=True)
class SourceReport:
    """One row of the ledger: read == kept + duplicates + rejected.

    Counts are spans; a line or message that could not be read at all counts as one, since nobody
    knows how many spans it held. `conflicts` are part of `rejected`: copies of a span already kept
    that say something else. `days` counts the kept spans by UTC day. A source that is `already` in
    the lake is not read again, so its counts are 0.
    """

    name: str
    digest: str
    format: str
    bytes: int
    read: int = 0
    kept: int = 0
    duplicates: int = 0
    rejected: int = 0
    conflicts: int = 0
    reasons: list[Reject] = field(default_factory=list)
    already: bool = False
    cohort: str = ""
    days: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class LoadReport:
    """What one load did, source by source; sums over sources keep the balance."""

    sources: list[SourceReport]

    @property
    def read(self) -> int:
        """Spans read."""
        return sum(source.read for source in self.sources)

    @property
    def kept(self) -> int:
        """Spans that are new in the lake."""
        return sum(source.kept for source in self.sources)

    @property
    def duplicates(self) -> int:
        """Spans the lake, or the same load, already held in an identical copy."""
        return sum(source.duplicates for source in self.sources)

    @property
    def rejected(self) -> int:
        """Spans and records refused, conflicts included."""
        return sum(source.rejected for source in self.sources)

    @property
    def conflicts(self) -> int:
        """Copies that contradict the span kept first."""
        return sum(source.conflicts for source in self.sources)

    @property
    def days(self) -> dict[str, int]:
        """Kept spans by UTC day."""
        days: dict[str, int] = {}
        for source in self.sources:
            for day, spans in source.days.items():
                days[day] = days.get(day, 0) + spans
        return dict(sorted(days.items()))


class Rejects:
    """Counts refusals by reason and remembers the first places of each."""

    def __init__(self) -> None:
        self._seen: dict[str, Reject] = {}

    def add(self, reason: str, *, place: str, mend: str, count: int = 1, sample: str = "") -> None:
        """Count `count` refusals of one kind; the first place named, and its sample, stay.

        The first 20 are kept as examples. `sample` must be masked already.
        """
        example = (Example(place, sample),)
        self._merge(Reject(reason, count, place, mend, sample, example))

    def absorb(self, other: "Rejects") -> None:
        """Add everything another count holds, as if it had come after this one's."""
        for reject in other:
            self._merge(reject)

    def _merge(self, new: Reject) -> None:
        before = self._seen.get(new.reason)
        if before is None:
            self._seen[new.reason] = new
            return
        examples = before.examples
        if len(examples) < MAX_EXAMPLES:
            examples = (examples + new.examples)[:MAX_EXAMPLES]
        self._seen[new.reason] = replace(before, count=before.count + new.count, examples=examples)

    def __iter__(self) -> Iterator[Reject]:
        return iter(self._seen.values())

    @property
    def total(self) -> int:
        """Everything refused so far."""
        return sum(reject.count for reject in self._seen.values())
