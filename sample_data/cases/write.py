"""Writes a case: two months of traces, tickets.csv, its contract, and answers.json."""

from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from shutil import copyfile
from types import ModuleType

import numpy as np
import orjson

from sample_data.cases import bank, orders, stage, triage
from sample_data.cases.stage import Visit
from sample_data.faults import DAYS_A_MONTH, MONTHS
from sample_data.otlp import Format, write_dump
from sample_data.record import Span

CASES: dict[str, ModuleType] = {"bank": bank, "triage": triage, "orders": orders}
SEED = 2026
SLA_MS = 2000.0
TICKETS_A_REQUEST = 0.01


@dataclass(frozen=True)
class Side:
    """What one month of a case came to."""

    cohort: str
    requests: int
    spans: int
    mean_ms: float
    late: int
    lost_turns: int
    sensitive_accesses: int
    tickets: int


def write(case: str, out: Path, *, seed: int = SEED) -> list[Side]:
    """Write a case below `out`; the same seed gives the same bytes.

    Raises:
        KeyError: There is no such case.
    """
    played = CASES[case]
    sides, rows = [], ["day,cohort,requests,tickets"]
    for cohort in MONTHS:
        made = stage.visits(
            cohort,
            case=played.NUMBER,
            seed=seed,
            conversations=played.CONVERSATIONS,
            turns=played.TURNS,
        )
        spans: list[Span] = []
        took_ms = [played.respond(visit, cohort=cohort, spans=spans) for visit in made]
        folder = out / cohort
        folder.mkdir(parents=True, exist_ok=True)
        write_dump(folder / "traces.jsonl.gz", spans, cohort, Format.JSONL)
        tickets = _tickets(case, made, cohort, seed)
        for day in range(DAYS_A_MONTH):
            of_day = [visit.place for visit in made if visit.day == day]
            date = (MONTHS[cohort] + timedelta(days=day)).date().isoformat()
            rows.append(f"{date},{cohort},{len(of_day)},{len(tickets & set(of_day))}")
        sides.append(
            Side(
                cohort=cohort,
                requests=len(made),
                spans=len(spans),
                mean_ms=round(float(np.mean(took_ms)), 1),
                late=sum(each > SLA_MS for each in took_ms),
                lost_turns=sum(case == "triage" and triage.is_lost(v, cohort) for v in made),
                sensitive_accesses=_sensitive(made, cohort) if case == "orders" else 0,
                tickets=len(tickets),
            )
        )
    (out / "tickets.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    copyfile(contract(case), out / "contracts.yaml")
    (out / "answers.json").write_bytes(
        orjson.dumps([asdict(side) for side in sides], option=orjson.OPT_INDENT_2)
    )
    return sides


def contract(case: str) -> Path:
    """The contract that a case is judged by."""
    return Path(__file__).with_name(f"{case}.yaml")


def _sensitive(made: list[Visit], cohort: str) -> int:
    return sum(orders.reads_customer(v) + orders.creeps(v, cohort) for v in made)


def _tickets(case: str, made: list[Visit], cohort: str, seed: int) -> frozenset[int]:
    """The requests that somebody opened a ticket about; at the hospital, corrected by staff."""
    rng = np.random.default_rng([seed, CASES[case].NUMBER, list(MONTHS).index(cohort), 1])
    places = [visit.place for visit in made]
    if case != "triage":
        return stage.chosen(rng, places, round(TICKETS_A_REQUEST * len(made)))
    lost = [visit.place for visit in made if triage.is_lost(visit, cohort)]
    rest = sorted(set(places) - set(lost))
    corrected = stage.chosen(rng, rest, round(triage.CORRECTED_RATIO * len(made)))
    if not lost:
        return corrected
    again = round(triage.CORRECTED_FOR_LOSS_RATIO * len(made))
    return corrected | stage.chosen(rng, lost, again)
