"""What the business sees of a month: support tickets and costs by day."""

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

import numpy as np

from sample_data.faults import DAYS_A_MONTH, MONTHS, SLA_MS, nanoseconds
from sample_data.request import Outcome

# A ticket comes of one request in a hundred anyway, and of every third that is late or fails.
TICKETS_A_REQUEST = 0.01
TICKETS_A_BAD_REQUEST = 0.35
REPAIR_USD_A_FAILURE = 0.9
HOSTING_USD_A_DAY = 41.0
DAY_NS = 86_400_000_000_000


class Day(NamedTuple):
    """One day's figures; costs in USD."""

    day: str
    cohort: str
    requests: int
    tickets: int
    model_usd: float
    hosting_usd: float
    repair_usd: float


def days(outcomes: Sequence[Outcome], *, cohort: str, seed: int) -> list[Day]:
    """Thirty days of tickets and costs."""
    rng = np.random.default_rng([seed, list(MONTHS).index(cohort), 1])
    first_ns = nanoseconds(MONTHS[cohort])
    by_day: list[list[Outcome]] = [[] for _ in range(DAYS_A_MONTH)]
    for outcome in outcomes:
        by_day[(outcome.start_ns - first_ns) // DAY_NS].append(outcome)
    return [
        Day(
            day=(MONTHS[cohort] + timedelta(days=number)).date().isoformat(),
            cohort=cohort,
            requests=len(of_day),
            tickets=int(rng.poisson(_expected_tickets(of_day))),
            model_usd=sum(outcome.model_usd for outcome in of_day),
            hosting_usd=HOSTING_USD_A_DAY * float(np.exp(rng.normal(0.0, 0.02))),
            repair_usd=REPAIR_USD_A_FAILURE * sum(outcome.failed for outcome in of_day),
        )
        for number, of_day in enumerate(by_day)
    ]


def _expected_tickets(outcomes: Sequence[Outcome]) -> float:
    bad = sum(outcome.failed or outcome.duration_ms > SLA_MS for outcome in outcomes)
    return TICKETS_A_REQUEST * len(outcomes) + TICKETS_A_BAD_REQUEST * bad


def tickets_csv(figures: Sequence[Day]) -> str:
    """Lines of day,cohort,requests,tickets."""
    lines = [f"{d.day},{d.cohort},{d.requests},{d.tickets}" for d in figures]
    return "\n".join(["day,cohort,requests,tickets", *lines]) + "\n"


def costs_csv(figures: Sequence[Day]) -> str:
    """Lines of day,cohort,requests and USD by model, hosting, repair and in all."""
    lines = [
        f"{d.day},{d.cohort},{d.requests},{d.model_usd:.4f},{d.hosting_usd:.2f},"
        f"{d.repair_usd:.2f},{d.model_usd + d.hosting_usd + d.repair_usd:.4f}"
        for d in figures
    ]
    header = "day,cohort,requests,model_usd,hosting_usd,repair_usd,total_usd"
    return "\n".join([header, *lines]) + "\n"
