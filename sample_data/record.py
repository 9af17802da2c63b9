"""One request's trace while it is being written, in milliseconds since the request began."""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

from sample_data.faults import SKEW_MS
from sample_data.system import CRM_B, Attributes, Host

HAS_IS_REMOTE = 0x100
IS_REMOTE = 0x200


class Kind(IntEnum):
    """Span kinds by their OTLP numbers."""

    INTERNAL = 1
    SERVER = 2
    CLIENT = 3
    PRODUCER = 4
    CONSUMER = 5


class Failure(NamedTuple):
    """Why a span failed: an exception's type and message, or an HTTP status as the type."""

    type: str
    message: str = ""


class Span(NamedTuple):
    """One span, ready to be written in either encoding of OTLP."""

    host: Host
    scope: str
    trace_id: bytes
    span_id: bytes
    parent_id: bytes  # empty at a root
    flags: int
    name: str
    kind: int
    start_ns: int
    end_ns: int
    fixed: Attributes  # what every span of this kind says; encoded once
    own: Attributes
    failure: Failure | None
    link: tuple[bytes, bytes] | None  # trace and span id


class Piece(NamedTuple):
    """Where a span stands: the process that writes it, its parent and its trace."""

    host: Host
    parent_id: bytes
    trace_id: bytes


@dataclass
class Trace:
    """Hands out span ids and collects the spans of one request."""

    start_ns: int
    span_ids: bytes
    is_skewed: bool
    spans: list[Span]
    _used: int = field(default=0)

    def new_id(self) -> bytes:
        """The next of the request's own 8-byte ids."""
        self._used += 8
        return self.span_ids[self._used - 8 : self._used]

    def add(
        self,
        at: Piece,
        span_id: bytes,
        *,
        scope: str,
        name: str,
        kind: Kind,
        begin_ms: float,
        end_ms: float,
        fixed: Attributes,
        own: Attributes = (),
        failure: Failure | None = None,
        link: tuple[bytes, bytes] | None = None,
    ) -> None:
        """Keep one finished span; times are by the true clock, a skewed host writes its own."""
        is_remote = bool(at.parent_id) and kind in (Kind.SERVER, Kind.CONSUMER)
        ahead_ms = SKEW_MS if self.is_skewed and at.host.name == CRM_B.name else 0.0
        start_ns = self.start_ns + int((begin_ms + ahead_ms) * 1e6)
        self.spans.append(
            Span(
                at.host,
                scope,
                at.trace_id,
                span_id,
                at.parent_id,
                at.host.flags | HAS_IS_REMOTE | (IS_REMOTE if is_remote else 0),
                name,
                kind,
                start_ns,
                max(start_ns, self.start_ns + int((end_ms + ahead_ms) * 1e6)),
                fixed,
                own,
                failure,
                link,
            )
        )
