"""What a pilot changed for those who use, run and answer for the system: before beside after."""

import csv
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import special

from analysis import state, stats
from analysis.contracts import Contracts, sides
from analysis.engine import Model
from analysis.scope import Scope
from ingest.errors import OrchriskError

# A week repeats; four of them a side tell a trend from a weekday.
MIN_TICKET_DAYS = 28


class TicketError(OrchriskError):
    """The ticket file cannot be read; the message names file, line and what to do."""


@dataclass(frozen=True)
class Impact:
    """One figure of both sides; bounds are of the ratio after/before, NaN where none is told."""

    name: str
    unit: str
    before: float
    after: float
    ratio: float
    lower: float
    upper: float
    counted_before: int  # requests, turns or tickets behind it
    counted_after: int


@dataclass(frozen=True)
class TicketDay:
    """One day of one side."""

    cohort: str
    requests: int
    tickets: int


def of(
    model: Model, contracts: Contracts | None, scope: Scope, tickets: list[TicketDay] | None = None
) -> list[Impact]:
    """Return mean wait, SLA violations, lost turns, sensitive accesses, tickets of both sides."""
    named = sides(model.cohorts(), contracts)
    if named.baseline is None or named.pilot is None:
        return []
    both = [replace(scope, cohort=cohort) for cohort in (named.baseline, named.pilot)]
    requests = [model.ask("request_latencies", side) for side in both]
    if any(frame.empty for frame in requests):
        return []
    sla_ms = contracts.sla.limit_ms if contracts else None
    found = [_of_sums("mean wait", "ms", requests, lambda frame: frame["duration_ms"], 1.0)]
    if sla_ms is not None:
        found.append(
            _of_sums(
                "requests over the SLA",
                "per 1,000 requests",
                requests,
                lambda frame: (frame["duration_ms"] > sla_ms).astype(float),
                1000.0,
            )
        )
    found += _lost(model, both)
    found += _sensitive(model, contracts, both, requests)
    if tickets:
        found.append(_tickets(tickets, named.baseline, named.pilot))
    return found


def read_tickets(path: Path) -> list[TicketDay]:
    """Return the days of a file with the columns day, cohort, requests and tickets.

    Raises:
        TicketError: The file cannot be read, or a line is no day of tickets.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            return [
                TicketDay(str(row["cohort"]), int(row["requests"]), int(row["tickets"]))
                for row in reader
            ]
    except OSError as error:
        raise TicketError(f"{path}: cannot be read: {error.strerror}.") from error
    except (KeyError, TypeError, ValueError) as error:
        raise TicketError(
            f"{path}: no ticket file: {error}.\nHint: its columns are day,cohort,requests,tickets."
        ) from error


def _of_sums(
    name: str,
    unit: str,
    frames: list[pd.DataFrame],
    measure: Callable[[pd.DataFrame], pd.Series],
    scale: float,
) -> Impact:
    """Return a mean over requests of both sides; units are conversations, else traces."""
    figures, bounds = [], []
    for frame in frames:
        bucket = frame["bucket"].to_numpy(np.intp)
        weight = frame["weight"].astype(float)
        sums = np.column_stack(
            [
                stats.bucket_sums(measure(frame) * weight, bucket),
                stats.bucket_sums(weight, bucket),
            ]
        )
        figures.append(scale * float(sums[:, 0].sum() / sums[:, 1].sum()))
        bounds.append(stats.bootstrap(lambda each: scale * each[:, 0] / each[:, 1], sums))
    return Impact(
        name, unit, figures[0], figures[1], *_ratio(figures, bounds), len(frames[0]), len(frames[1])
    )


def _ratio(figures: list[float], bounds: list[tuple[float, float]]) -> tuple[float, float, float]:
    """Return after/before with the interval of two independent figures (MOVER on logarithms)."""
    if figures[0] <= 0:
        return math.nan, math.nan, math.nan
    ratio = figures[1] / figures[0]
    if figures[1] <= 0 or not all(low > 0 for low, _ in bounds):
        return ratio, math.nan, math.nan
    (low0, high0), (low1, high1) = np.log(np.asarray(bounds))
    at0, at1 = np.log(figures)
    down, up = math.hypot(at1 - low1, high0 - at0), math.hypot(high1 - at1, at0 - low0)
    return ratio, ratio * math.exp(-down), ratio * math.exp(up)


def _lost(model: Model, both: list[Scope]) -> list[Impact]:
    kept = [state.kept(model, side) for side in both]
    if any(each.units < state.MIN_CONVERSATIONS for each in kept):
        return []
    figures = [1000 * (1 - each.value) for each in kept]
    bounds = [(1000 * (1 - each.upper), 1000 * (1 - each.lower)) for each in kept]
    name, unit = "turns that lost their context", "per 1,000 later turns"
    return [Impact(name, unit, figures[0], figures[1], *_ratio(figures, bounds), *_n(kept))]


def _n(estimates: list[stats.Estimate]) -> tuple[int, int]:
    return estimates[0].n, estimates[1].n


def _sensitive(
    model: Model, contracts: Contracts | None, both: list[Scope], requests: list[pd.DataFrame]
) -> list[Impact]:
    patterns = contracts.sensitive if contracts else ()
    frames = []
    for side, asked in zip(both, requests, strict=True):
        uses = model.ask("access_units", side)
        is_marked = uses["resource"].map(
            lambda resource: any(fnmatchcase(resource, pattern) for pattern in patterns)
        )
        is_tagged = uses["sensitivity"].map(lambda tags: tags is not None and len(tags) > 0)
        touched = uses[is_marked.astype(bool) | is_tagged.astype(bool)]
        of_unit = touched.groupby("unit_id")["calls"].sum()
        units = asked.groupby("unit_id", as_index=False)["weight"].agg(["sum", "size"])
        frames.append(
            units.assign(accesses=units["unit_id"].map(of_unit).fillna(0.0)).rename(
                columns={"sum": "weight", "size": "requests"}
            )
        )
    if not any(frame["accesses"].sum() for frame in frames):
        return []
    figure = _of_sums(
        "sensitive accesses",
        "per 1,000 requests",
        frames,
        lambda frame: frame["accesses"] / frame["requests"],
        1000.0,
    )
    return [replace(figure, counted_before=len(requests[0]), counted_after=len(requests[1]))]


def _tickets(days: list[TicketDay], baseline: str, pilot: str) -> Impact:
    """Return tickets per 1,000 requests; the day is the unit (METHODS.md, "tickets")."""
    rates, spreads, counts, sizes = [], [], [], []
    for cohort in (baseline, pilot):
        mine = np.array(
            [(day.tickets, day.requests) for day in days if day.cohort == cohort], dtype=float
        ).reshape(-1, 2)
        tickets, requests = mine.sum(axis=0)
        rates.append(float(tickets / requests) if requests else math.nan)
        counts.append(int(tickets))
        sizes.append(len(mine))
        spreads.append(_spread(mine))
    ratio = rates[1] / rates[0] if rates[0] > 0 else math.nan
    lower = upper = math.nan
    if min(sizes) >= MIN_TICKET_DAYS and min(counts) > 0:
        half = float(special.stdtrit(sum(sizes) - 2, 0.975)) * math.sqrt(sum(spreads))
        lower, upper = ratio * math.exp(-half), ratio * math.exp(half)
    return Impact(
        "tickets",
        "per 1,000 requests",
        1000 * rates[0],
        1000 * rates[1],
        ratio,
        lower,
        upper,
        counts[0],
        counts[1],
    )


def _spread(days: np.ndarray) -> float:
    """Return the variance of the logarithm of tickets a request, never less than Poisson's.

    The days' residuals tell it; what they keep of the day before makes it wider.
    """
    tickets, requests = days.sum(axis=0) if len(days) else (0.0, 0.0)
    if tickets <= 0 or len(days) < 2:
        return math.nan
    residual = days[:, 0] - tickets / requests * days[:, 1]
    power = float((residual**2).sum())
    kept = float((residual[1:] * residual[:-1]).sum()) / power if power else 0.0
    # The estimate of n days is low by about (1 + 4r) / n (Marriott and Pope 1954).
    kept = min(max(kept + (1 + 4 * kept) / len(days), 0.0), 0.9)
    plain = power / tickets**2 * len(days) / (len(days) - 1)
    return max(plain * (1 + kept) / (1 - kept), 1 / tickets)
