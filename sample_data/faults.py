"""What is planted: one switch a fault, its rate, its window, and the answers counted from it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

MONTHS = {
    "baseline": datetime(2026, 9, 1, tzinfo=UTC),
    "pilot": datetime(2026, 10, 1, tzinfo=UTC),
}
DAYS_A_MONTH = 30

# Shares of the calls named, drawn independently a call (state: a conversation).
JITTER_RATIO = 0.22  # of CRM lookups
CREDIT_HANG_RATIO = 0.15  # of first attempts at credit-score
CREDIT_HANG_AGAIN_RATIO = 0.08  # of retries
CREDIT_ESCALATED_RATIO = 0.12  # of timed-out credit calls in the baseline
DUPLICATE_RATIO = 0.03  # of submitted applications
CASCADE_RATIO = 0.02  # of submitted applications
ABSORBED_RATIO = 0.015  # of CRM lookups
STATE_LOST_RATIO = 0.25  # of conversations, at a turn drawn from 4 to 6
CREEP_RATIO = 0.4  # of risk reviews from the day it starts
MAIL_RATIO = 0.3  # of submitted applications
ORPHAN_RATIO = 0.01  # of CRM lookups
THROTTLE_RATIO = 0.5  # of model calls in the throttling window

JITTER_MS = 300.0
CREDIT_TIMEOUT_MS = 1500.0  # in the baseline: with it the 2 s SLA is lost
CREDIT_BUDGET_MS = 200.0
ORDERS_TIMEOUT_MS = 600.0
SKEW_MS = 120.0
SLA_MS = 2000.0


class Window(NamedTuple):
    """A span of time in which something is wrong, UTC, end excluded."""

    start: datetime
    end: datetime

    def holds(self, at_ns: int) -> bool:
        """Whether a time in nanoseconds since 1970 lies inside."""
        return nanoseconds(self.start) <= at_ns < nanoseconds(self.end)


def nanoseconds(at: datetime) -> int:
    """Nanoseconds since 1970 of a whole second."""
    return int(at.timestamp()) * 1_000_000_000


def _hours(month: int, day: int, first: int, last: int) -> Window:
    midnight = datetime(2026, month, day, tzinfo=UTC)
    return Window(midnight + timedelta(hours=first), midnight + timedelta(hours=last))


STORM = _hours(9, 17, 13, 16)
NEW_CRM_VERSION_AT = datetime(2026, 9, 15, 12, tzinfo=UTC)
CREEP_FROM = datetime(2026, 10, 19, tzinfo=UTC)
LATENCY_FAULT = _hours(10, 20, 9, 15)
OUTAGE_FAULT = _hours(10, 21, 8, 18)
THROTTLE_FAULT = _hours(10, 22, 8, 18)


@dataclass(frozen=True)
class Faults:
    """One switch a fault; all are on unless switched off."""

    crm_jitter: bool = True
    credit_timeouts: bool = True
    slow_queue: bool = True
    retry_storm: bool = True
    duplicate_write: bool = True
    error_cascade: bool = True
    error_absorbed: bool = True
    state_lost: bool = True
    permission_creep: bool = True
    version_change: bool = True
    uninstrumented_tool: bool = True
    lost_context: bool = True
    orphan_spans: bool = True
    clock_skew: bool = True
    fault_latency: bool = True
    fault_outage: bool = True
    fault_throttling: bool = True


PLANTED = {
    "crm_jitter": "a CRM lookup waits about 300 ms before the CRM sees it",
    "credit_timeouts": "the credit-score API hangs: a 1.5 s time-out breaks the SLA in the "
    "baseline; the pilot has a 200 ms budget, one idempotent retry and the cached score",
    "slow_queue": "publishing to loan-events and the wait in the queue are slower in the pilot",
    "retry_storm": "the model gateway answers 429 three to six times before it serves",
    "duplicate_write": "a time-out on orders is retried; without an idempotency key (baseline) "
    "the application is written twice, with one (pilot) once",
    "error_cascade": "a deadlock in the orders database reaches the user as HTTP 500",
    "error_absorbed": "a CRM lookup fails with 503 and the agent answers without it",
    "state_lost": "after the third turn the session store has nothing and the context starts over",
    "permission_creep": "get_history, a tool that reads, updates applications "
    "and reads payment_cards",
    "version_change": "the CRM runs a new version from the middle of the month on",
    "uninstrumented_tool": "fraud-check sends no spans of its own",
    "lost_context": "the notifier's call of the mailer loses its context: "
    "the mailer's span starts a trace of its own",
    "orphan_spans": "a CRM server span never arrives; its database spans name a missing parent",
    "clock_skew": "the clock of host crm-b runs 120 ms ahead",
    "fault_latency": "fault test: credit-score answers 1.5 s later",
    "fault_outage": "fault test: credit-score answers 503",
    "fault_throttling": "fault test: the model gateway answers 429 once or twice",
}


@dataclass(frozen=True)
class Answer:
    """Where one fault was planted in one month.

    `calls` counts planted events and `trace_ids` the requests that hold them, in order of time.
    """

    fault: str
    cohort: str
    calls: int
    first_at: str
    trace_ids: tuple[str, ...]


@dataclass(frozen=True)
class Month:
    """What the user requests of one month came to, failed ones included."""

    cohort: str
    requests: int
    conversations: int
    spans: int
    failed: int
    late: int  # beyond the SLA of 2 s
    p50_ms: float
    p95_ms: float


@dataclass(frozen=True)
class Answers:
    """What was planted, and what the months came to with it."""

    seed: int
    requests: int
    months: tuple[Month, ...]
    faults: tuple[Answer, ...]

    def of(self, fault: str, cohort: str) -> Answer | None:
        """The answer for one fault in one month, None where it was not planted."""
        return next((a for a in self.faults if (a.fault, a.cohort) == (fault, cohort)), None)


@dataclass
class Tally:
    """Counts what a month plants, in order of time."""

    cohort: str
    _calls: dict[str, int] = field(default_factory=dict)
    _traces: dict[str, dict[bytes, int]] = field(default_factory=dict)

    def plant(self, fault: str, trace_id: bytes, at_ns: int) -> None:
        """Count one planted event of a request that starts at `at_ns`."""
        self._calls[fault] = self._calls.get(fault, 0) + 1
        self._traces.setdefault(fault, {}).setdefault(trace_id, at_ns)

    def answers(self) -> Iterable[Answer]:
        """One answer a fault that occurred."""
        for fault in PLANTED:
            traces = self._traces.get(fault)
            if traces:
                first_at = datetime.fromtimestamp(min(traces.values()) // 1_000_000_000, UTC)
                yield Answer(
                    fault,
                    self.cohort,
                    self._calls[fault],
                    first_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
                    tuple(t.hex() for t in sorted(traces, key=lambda t: (traces[t], t))),
                )
