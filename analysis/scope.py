"""Which part of the lake a question is asked of."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Self

Value = str | datetime

# What each field asks of each relation. A request has no caller: only what it says itself counts.
_COHORT = {"cohort": "cohort = getvariable('scope_cohort')"}
_TIME = {
    "since": "started_at >= getvariable('scope_since')",
    "until": "started_at < getvariable('scope_until')",
}
_VARIANT = {"variant": "pilot_variant = getvariable('scope_variant')"}
_BOUNDARY = {"boundary": "boundary_id = getvariable('scope_boundary')"}
_SPAN_TIME = {
    "since": "make_timestamp(start_ns // 1000) >= getvariable('scope_since')",
    "until": "make_timestamp(start_ns // 1000) < getvariable('scope_until')",
}
_SERVICE = {"service": "service = getvariable('scope_service')"}
_OF_REQUEST = "request_id IN (SELECT request_id FROM requests)"
_OF_CALL = "call_id IN (SELECT call_id FROM calls)"

CONDITIONS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "nodes": _COHORT | _SPAN_TIME | {"service": "service = getvariable('scope_service')"},
        "groups": _COHORT,
        "calls": _COHORT
        | _TIME
        | _VARIANT
        | _BOUNDARY
        | {
            "service": "owner_service = getvariable('scope_service')",
            "agent": "owner_agent = getvariable('scope_agent')",
        },
        "requests": _COHORT
        | _TIME
        | _VARIANT
        | {"service": "service = getvariable('scope_service')"},
        "critical_path": _COHORT
        | _BOUNDARY
        | {"since": _OF_REQUEST, "until": _OF_REQUEST, "variant": _OF_REQUEST}
        | {"service": _OF_REQUEST},
        "patterns": _COHORT
        | {"since": _OF_REQUEST, "until": _OF_REQUEST, "variant": _OF_REQUEST}
        | {"service": _OF_REQUEST},
        "failures": _COHORT
        | _TIME
        | _BOUNDARY
        | {"service": _OF_CALL, "agent": _OF_CALL, "variant": _OF_CALL},
        "accesses": _COHORT
        | _TIME
        | _VARIANT
        | {
            "service": "service = getvariable('scope_service')",
            "agent": "agent = getvariable('scope_agent')",
            "boundary": _OF_CALL,
        },
        "touches": _COHORT,
        "turns": _COHORT | _TIME | _VARIANT | _SERVICE,
        "state_signals": _COHORT | _TIME | _VARIANT | _SERVICE,
        "judged_turns": _COHORT | _TIME | _VARIANT | _SERVICE,
        "state_marks": _COHORT,
        "root_marks": _COHORT,
        "joins": _COHORT,
        "mismatches": _COHORT
        | _TIME
        | _VARIANT
        | _BOUNDARY
        | {
            "service": "owner_service = getvariable('scope_service')",
            "agent": "owner_agent = getvariable('scope_agent')",
        },
        "scopes": _COHORT
        | _TIME
        | _BOUNDARY
        | {
            "service": "service = getvariable('scope_service')",
            "agent": "agent = getvariable('scope_agent')",
        },
        "endless": _COHORT
        | _TIME
        | _VARIANT
        | _SERVICE
        | {"agent": "who = 'agent:' || getvariable('scope_agent')"},
        "open_traces": _COHORT,
        "trace_usage": _COHORT,
        # Ids are looked up whatever is asked.
        "traces": _COHORT,
        "sights": _COHORT | _TIME | _SERVICE,
        "fault_spans": _COHORT,
        "trace_holes": _COHORT | _TIME | {"service": "trace_no IN (SELECT trace_no FROM sights)"},
        # The units an agent worked in are told apart by it alone.
        "work": _COHORT
        | {
            "since": "last_at >= getvariable('scope_since')",
            "until": "began_at < getvariable('scope_until')",
            "agent": "agent = getvariable('scope_agent')",
        },
        "service_work": _COHORT
        | _SERVICE
        | {
            "since": "last_at >= getvariable('scope_since')",
            "until": "began_at < getvariable('scope_until')",
        },
        "sensitive_pairs": _COHORT
        | _TIME
        | {"agent": "agent = getvariable('scope_agent')"}
        | dict.fromkeys(("service", "boundary", "variant"), _OF_CALL),
        "gaps": _COHORT | _BOUNDARY | {"service": "service = getvariable('scope_service')"},
        "clocks": _COHORT
        | {
            "since": "window_at >= getvariable('scope_since')",
            "until": "window_at < getvariable('scope_until')",
        },
    }
)


@dataclass(frozen=True)
class Scope:
    """A cohort, a window, a service, an agent, a boundary, a variant; None asks nothing.

    `since` is inside the window and `until` is not; both are UTC, and naive times are taken as UTC.
    """

    cohort: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    service: str | None = None
    agent: str | None = None
    boundary: str | None = None
    variant: str | None = None

    def values(self) -> dict[str, Value]:
        """Return what is asked, by field, times as naive UTC as the model keeps them."""
        asked: dict[str, Value] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None:
                asked[field.name] = _naive(value) if isinstance(value, datetime) else value
        return asked

    def to_query(self) -> dict[str, str]:
        """Return the scope as parameters of an address bar."""
        return {
            name: value.isoformat() if isinstance(value, datetime) else value
            for name, value in self.values().items()
        }

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> Self:
        """Return the scope an address bar asks for; what cannot be read asks nothing."""
        known = {field.name for field in fields(cls)}
        texts = {name: text for name, text in query.items() if name in known and text}
        times = {name: _time(texts.pop(name, "")) for name in ("since", "until")}
        return cls(**texts, **times)  # type: ignore[arg-type]


def _naive(value: datetime) -> datetime:
    return value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value


def _time(text: str) -> datetime | None:
    try:
        return _naive(datetime.fromisoformat(text)).replace(tzinfo=UTC)
    except ValueError:
        return None
