"""Where decoders that walk span by span put raw values, and how these become columns."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ingest import identity
from ingest.cells import texts
from ingest.formats.columns import Columns, Integers, Pairs
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
class Entries:
    """Attributes one after another: keys, and values as text (null where the value is unset)."""

    keys: list[str] = field(default_factory=list)
    values: list[str | None] = field(default_factory=list)

    def pairs(self, counts: list[int]) -> Pairs:
        """Return the entries as columns; `counts` says how many each owner has."""
        return Pairs(
            np.asarray(counts, dtype=np.int64),
            texts(self.keys).dictionary_encode(),
            texts(self.values),
        )


@dataclass(slots=True)
class Rows:
    """A chunk of spans as decoded; owners are positions in the lists, counts say how many pairs."""

    rejects: Rejects = field(default_factory=Rejects)
    spans: list[tuple[Any, ...]] = field(default_factory=list)
    of_spans: Entries = field(default_factory=Entries)
    events: list[tuple[int, Any, Any, int]] = field(default_factory=list)  # span, time, name, pairs
    of_events: Entries = field(default_factory=Entries)
    links: list[tuple[int, Any, Any, int]] = field(default_factory=list)  # span, ids, pairs
    of_links: Entries = field(default_factory=Entries)
    resources: list[int] = field(default_factory=list)  # pairs
    of_resources: Entries = field(default_factory=Entries)
    scopes: list[tuple[Any, Any, int]] = field(default_factory=list)  # name, version, pairs
    of_scopes: Entries = field(default_factory=Entries)

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

    def columns(self) -> Columns:
        """Return what was gathered as columns, with the refusals that came with it."""
        columns = zip(*self.spans, strict=True) if self.spans else ((),) * len(SPAN_FIELDS)
        raw: dict[str, tuple[Any, ...]] = dict(zip(SPAN_FIELDS, columns, strict=True))
        return Columns(
            trace_id=texts(raw["trace_id"]),
            span_id=texts(raw["span_id"]),
            parent_span_id=texts(raw["parent_span_id"]),
            trace_state=texts(raw["trace_state"]),
            name=texts(raw["name"]),
            kind=identity.enums(raw["kind"], identity.KINDS),
            status=identity.enums(raw["status_code"], identity.STATUSES),
            status_message=texts(raw["status_message"]),
            flags=identity.counts(raw["flags"]),
            start=identity.nanoseconds(raw["start"]),
            end=identity.nanoseconds(raw["end"]),
            dropped_attributes=identity.counts(raw["dropped_attributes"]),
            dropped_events=identity.counts(raw["dropped_events"]),
            dropped_links=identity.counts(raw["dropped_links"]),
            record=_integers(raw["record"]),
            resource=_integers(raw["resource"]),
            scope=_integers(raw["scope"]),
            of_spans=self.of_spans.pairs(list(raw["attributes"])),
            event_span=_integers([event[0] for event in self.events]),
            event_time=identity.nanoseconds([event[1] for event in self.events]),
            event_name=texts([event[2] for event in self.events]),
            of_events=self.of_events.pairs([event[3] for event in self.events]),
            link_span=_integers([link[0] for link in self.links]),
            link_trace_id=texts([link[1] for link in self.links]),
            link_span_id=texts([link[2] for link in self.links]),
            of_links=self.of_links.pairs([link[3] for link in self.links]),
            of_resources=self.of_resources.pairs(self.resources),
            scope_name=texts([scope[0] for scope in self.scopes]),
            scope_version=texts([scope[1] for scope in self.scopes]),
            of_scopes=self.of_scopes.pairs([scope[2] for scope in self.scopes]),
            rejects=self.rejects,
        )


def _integers(values: Any) -> Integers:
    return np.asarray(values, dtype=np.int64)
