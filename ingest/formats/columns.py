"""What every decoder hands on: a chunk of spans as flat Arrow and numpy columns, ids as written.

Attributes of all spans stand one after another, in the order of their owners; so do events and
links. Nothing is judged here: ids may be no ids, times may be missing.
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ingest.report import Rejects

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Pairs:
    """Attributes of `len(counts)` owners, one after another.

    Attributes:
        counts: how many pairs each owner has; int64, sums to `len(keys)`.
        keys: dictionary array of text with int32 indices, no nulls.
        values: text; null where the value is unset.
    """

    counts: Integers
    keys: pa.DictionaryArray
    values: pa.StringArray


@dataclass(frozen=True)
class Columns:
    """A chunk of spans; every array of the first block has one entry a span.

    Attributes:
        trace_id: text as written: hex in any case, base64, or no id at all; null where absent.
        span_id: likewise.
        parent_span_id: likewise; null, empty or zeros at a root.
        trace_state: text, null where absent.
        name: text, null where absent.
        kind: `INTERNAL`, `SERVER`, ...; a number without a name stays in digits.
        status: `UNSET`, `OK`, `ERROR`, or the digits of another number.
        status_message: text, null where absent.
        flags: int64, 0 where absent.
        start: nanoseconds, `identity.NO_TIME` or `identity.OUT_OF_RANGE`.
        end: likewise.
        dropped_attributes: int64 counts, 0 where absent.
        dropped_events: likewise.
        dropped_links: likewise.
        record: 1-based line or message of the source.
        resource: position among `of_resources`' owners.
        scope: position among `of_scopes`' owners.
        of_spans: attributes of the spans.
        event_span: position of the event's span, ascending.
        event_time: as `start`.
        event_name: text.
        of_events: attributes of the events.
        link_span: position of the link's span, ascending.
        link_trace_id: as `trace_id`.
        link_span_id: as `span_id`.
        of_links: attributes of the links.
        of_resources: attributes of the resources.
        scope_name: text, one entry a scope.
        scope_version: likewise.
        of_scopes: attributes of the scopes.
        rejects: what could not be decoded, and why.
    """

    trace_id: pa.StringArray
    span_id: pa.StringArray
    parent_span_id: pa.StringArray
    trace_state: pa.StringArray
    name: pa.StringArray
    kind: pa.StringArray
    status: pa.StringArray
    status_message: pa.StringArray
    flags: Integers
    start: Integers
    end: Integers
    dropped_attributes: Integers
    dropped_events: Integers
    dropped_links: Integers
    record: Integers
    resource: Integers
    scope: Integers
    of_spans: Pairs
    event_span: Integers
    event_time: Integers
    event_name: pa.StringArray
    of_events: Pairs
    link_span: Integers
    link_trace_id: pa.StringArray
    link_span_id: pa.StringArray
    of_links: Pairs
    of_resources: Pairs
    scope_name: pa.StringArray
    scope_version: pa.StringArray
    of_scopes: Pairs
    rejects: Rejects = field(default_factory=Rejects)

    def __len__(self) -> int:
        """Return the number of spans."""
        return len(self.start)
