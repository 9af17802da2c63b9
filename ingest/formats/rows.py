"""Where decoders put raw values: flat columns, no meaning yet."""

from dataclasses import dataclass, field
from typing import Any

from ingest.report import Rejects

# The order of a span's tuple in `Rows.spans`; `resource`, `scope` index the lists beside it and
# `attributes` counts the span's entries in `Rows.of_spans`.
SPAN_FIELDS = (
    "trace_id",
    "span_id",
    "parent_span_id",
    "trace_state",
    "flags",
    "name",
    "kind",
    "start",
    "end",
    "status_code",
    "status_message",
    "dropped_attributes",
    "dropped_events",
    "dropped_links",
    "record",
    "resource",
    "scope",
    "attributes",
)


@dataclass(slots=True)
class Pairs:
    """Attributes one after another: keys, and values as text (null where the value is unset)."""

    keys: list[str] = field(default_factory=list)
    values: list[str | None] = field(default_factory=list)


@dataclass(slots=True)
class Rows:
    """A chunk of spans as decoded; owners are positions in the lists, counts say how many pairs."""

    rejects: Rejects = field(default_factory=Rejects)
    spans: list[tuple[Any, ...]] = field(default_factory=list)
    of_spans: Pairs = field(default_factory=Pairs)
    events: list[tuple[int, Any, Any, int]] = field(default_factory=list)  # span, time, name, pairs
    of_events: Pairs = field(default_factory=Pairs)
    links: list[tuple[int, Any, Any, int]] = field(default_factory=list)  # span, ids, pairs
    of_links: Pairs = field(default_factory=Pairs)
    resources: list[int] = field(default_factory=list)  # pairs
    of_resources: Pairs = field(default_factory=Pairs)
    scopes: list[tuple[Any, Any, int]] = field(default_factory=list)  # name, version, pairs
    of_scopes: Pairs = field(default_factory=Pairs)

    def mark(self) -> tuple[int, int, int, int, int, int]:
        """Return where the span lists end, to come back to when a span turns out bad."""
        return (
            len(self.spans),
            len(self.of_spans.keys),
            len(self.events),
            len(self.of_events.keys),
            len(self.links),
            len(self.of_links.keys),
        )

    def rewind(self, mark: tuple[int, int, int, int, int, int]) -> None:
        """Forget every span, event and link added since `mark`."""
        spans, pairs, events, event_pairs, links, link_pairs = mark
        del self.spans[spans:], self.events[events:], self.links[links:]
        for of, length in (
            (self.of_spans, pairs),
            (self.of_events, event_pairs),
            (self.of_links, link_pairs),
        ):
            del of.keys[length:], of.values[length:]

    def take(self) -> "Rows":
        """Return what was gathered and start again, keeping the same ledger of refusals."""
        taken = Rows(self.rejects)
        for name in self.__slots__:
            if name != "rejects":
                empty = getattr(taken, name)
                setattr(taken, name, getattr(self, name))
                setattr(self, name, empty)
        return taken
