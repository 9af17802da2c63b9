"""Chance: everything random about a month, drawn at once.

Every draw is made whatever is switched on, so that switching a fault off changes that fault alone.
"""

from datetime import timedelta
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sample_data.faults import DAYS_A_MONTH, MONTHS, STATE_LOST_RATIO, nanoseconds

Floats = npt.NDArray[np.float64]

OPERATIONS = ("chat", "question", "score", "apply")
OPERATION_SHARES = (0.2, 0.3, 0.35, 0.15)
TURNS_SHARES = (0.16, 0.16, 0.16, 0.16, 0.14, 0.1, 0.07, 0.05)
WEEKDAY_LOAD = (1.1, 1.15, 1.1, 1.05, 0.95, 0.65, 0.6)
# Nobody asks for a loan at night; the last hour is empty so that no turn leaves the month.
HOUR_LOAD = (1, 1, 1, 1, 1, 2, 5, 12, 22, 30, 32, 30, 24, 28, 32, 30, 26, 20, 15, 12, 10, 7, 4, 0)
TOKENS_AT_FIRST = 540
TOKENS_A_TURN = 410


class Turn(NamedTuple):
    """What chance decided for one user request; `_ms` fields are undisturbed durations."""

    start_ns: int
    trace_id: bytes
    span_ids: bytes  # SPAN_IDS of 8 bytes
    conversation: int
    number: int  # of the turn in its conversation, from 1
    is_lost: bool  # the session store has nothing at this turn, if the state fault is on
    held_tokens: int  # input tokens of the first model call, with what the store kept
    kept_tokens: int  # the same, had nothing been lost
    output_tokens: int
    operation: str
    customer: int
    ui_ms: float
    planner_ms: float
    session_ms: float
    plan_ms: float
    answer_ms: float
    review_ms: float
    gateway_ms: float
    credit_ms: float
    retry_ms: float
    crm_ms: float
    select_ms: float
    network_ms: float
    jitter_ms: float
    fraud_ms: float
    orders_ms: float
    insert_ms: float
    publish_ms: float
    queue_ms: float
    slow_publish_ms: float
    slow_queue_ms: float
    backoff_ms: float
    jitter: float  # from here on uniform in 0..1
    hang: float
    hang_again: float
    escalated: float
    duplicate: float
    cascade: float
    absorbed: float
    creep: float
    orphan: float
    mail: float
    host: float
    storm: float
    throttle_plan: float
    throttle_answer: float


SPAN_IDS = 96


def turns(cohort: str, *, requests: int, seed: int) -> list[Turn]:
    """All user requests of a month, in order of time."""
    rng = np.random.default_rng([seed, list(MONTHS).index(cohort)])
    conversation, index = _conversations(rng, requests)
    start_ns = _starts(rng, cohort, conversation, index)
    n = requests
    load = _load(rng, start_ns, cohort)

    def slow(median_ms: float, sigma: float) -> Floats:
        return _heavy(rng, n, median_ms, sigma) * load

    is_lost, held, kept = _tokens(rng, conversation, index)
    trace_ids = rng.bytes(16 * n)
    span_ids = rng.bytes(8 * SPAN_IDS * n)
    columns: list[list[object]] = [
        start_ns.tolist(),
        [trace_ids[16 * i : 16 * i + 16] for i in range(n)],
        [span_ids[8 * SPAN_IDS * i : 8 * SPAN_IDS * (i + 1)] for i in range(n)],
        conversation.tolist(),
        index.tolist(),
        is_lost.tolist(),
        held.tolist(),
        kept.tolist(),
        rng.integers(40, 260, n).tolist(),
        rng.choice(OPERATIONS, n, p=OPERATION_SHARES).tolist(),
        (1000 + rng.integers(0, 9000, conversation[-1] + 1))[conversation].tolist(),
    ]
    timings = [
        slow(9, 0.3),
        slow(6, 0.3),
        slow(1.6, 0.3),
        slow(310, 0.26),
        slow(390, 0.28),
        slow(270, 0.26),
        slow(9, 0.35),
        np.minimum(slow(85, 0.33), 1500.0),
        np.minimum(slow(85, 0.33), 1500.0),
        slow(24, 0.35),
        slow(9, 0.4),
        slow(2.4, 0.4),
        np.maximum(rng.normal(300, 30, n), 200.0),
        slow(55, 0.35),
        np.minimum(slow(16, 0.3), 150.0),
        np.minimum(slow(8, 0.3), 60.0),
        slow(6, 0.3),
        slow(25, 0.5),
        slow(30, 0.4),
        slow(420, 0.5),
        slow(45, 0.3),
    ]
    columns.extend(t.tolist() for t in timings)
    columns.extend(rng.random(n).tolist() for _ in range(len(Turn._fields) - len(columns)))
    made = [Turn._make(row) for row in zip(*columns, strict=True)]
    return sorted(made, key=lambda turn: (turn.start_ns, turn.trace_id))


def _conversations(
    rng: np.random.Generator, requests: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    lengths = rng.choice(np.arange(1, 9), requests, p=TURNS_SHARES)
    conversation = np.repeat(np.arange(requests), lengths)[:requests]
    first = np.flatnonzero(np.diff(conversation, prepend=-1))
    index = np.arange(requests) - np.repeat(first, np.diff(np.append(first, requests))) + 1
    return conversation, index


def _starts(
    rng: np.random.Generator,
    cohort: str,
    conversation: npt.NDArray[np.int64],
    index: npt.NDArray[np.int64],
) -> npt.NDArray[np.int64]:
    first_day = MONTHS[cohort]
    weekdays = [(first_day + timedelta(days=d)).weekday() for d in range(DAYS_A_MONTH)]
    load = np.outer(np.array(WEEKDAY_LOAD)[weekdays], np.array(HOUR_LOAD)).ravel()
    hours = rng.choice(load.size, conversation[-1] + 1, p=load / load.sum())
    opened_s = (hours + rng.random(hours.size)) * 3600.0
    gap_s = np.where(index == 1, 0.0, 12.0 + np.minimum(_heavy(rng, index.size, 40, 0.7), 300.0))
    waited_s = np.cumsum(gap_s)
    waited_s -= waited_s[index == 1][conversation]
    since_ns = ((opened_s[conversation] + waited_s) * 1e9).astype(np.int64)
    return np.asarray(nanoseconds(first_day) + since_ns)


def _load(rng: np.random.Generator, start_ns: npt.NDArray[np.int64], cohort: str) -> Floats:
    """How much slower everything is at a time: by hour of day, and a little by day."""
    hour = (start_ns - nanoseconds(MONTHS[cohort])) // 3_600_000_000_000
    by_day = np.exp(rng.normal(0.0, 0.02, DAYS_A_MONTH + 1))
    by_hour = 1.0 + 0.05 * np.array(HOUR_LOAD) / max(HOUR_LOAD)
    return np.asarray(by_day[hour // 24] * by_hour[hour % 24])


def _heavy(rng: np.random.Generator, n: int, median: float, sigma: float) -> Floats:
    """Lognormal with a Pareto tail on one call in seventy."""
    body = median * np.exp(sigma * rng.standard_normal(n))
    stretched = 1.4 * np.minimum((1.0 - rng.random(n)) ** (-1 / 2.5), 5.0)
    return np.where(rng.random(n) < 1 / 70, body * stretched, body)


def _tokens(
    rng: np.random.Generator, conversation: npt.NDArray[np.int64], index: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Whether a turn loses its context, and its input tokens with and without that loss."""
    conversations = conversation[-1] + 1
    lost_at = np.where(
        rng.random(conversations) < STATE_LOST_RATIO, rng.integers(4, 7, conversations), 99
    )[conversation]
    noise = rng.integers(0, 120, index.size)
    kept = TOKENS_AT_FIRST + TOKENS_A_TURN * (index - 1) + noise
    depth = np.where(index >= lost_at, index - lost_at, index - 1)
    return index == lost_at, TOKENS_AT_FIRST + TOKENS_A_TURN * depth + noise, kept
