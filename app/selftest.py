"""Whether the product finds in the sample what was planted there: findings held against the key."""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any

import pandas as pd

from analysis import access, contract_file, engine, measures, spreads, stats, summary, words
from analysis.contracts import Contracts
from analysis.engine import Model
from analysis.scope import Scope
from app.answers import COULD_NOT_TELL, NO, YES, Answer
from app.terminal import table
from ingest import load
from sample_data import simulate
from sample_data.faults import PLANTED, Answers

# Enough for every fault to occur in both months, few enough for half a minute.
REQUESTS = 900
# A rate of fewer traces has an interval that says nothing.
MIN_TRACES = stats.SOLID_EVENT_UNITS

COHORTS = ("baseline", "pilot")
Traces = Mapping[str, frozenset[str]]

# The span that would show the one was never sent where the other was planted.
HIDDEN_BY = MappingProxyType({"crm_jitter": "orphan_spans", "clock_skew": "orphan_spans"})
# With an idempotency key the second try writes nothing: to call it a duplicate would be false.
HARMLESS = frozenset({("duplicate_write", "pilot")})
# Some honest answers take longer than the pilot's budget of 200 ms, and time out as the hung ones.
ALLOWED = MappingProxyType({("credit_timeouts", "pilot"): 0.1})

# What goes wrong in a call or turn; where none of these was planted, none of those may be found.
_WRONG = ("timed_out", "tried_again", "slow_way", "failed_request", "hidden_failure", "state_lost")
_SUDDEN = (
    *("crm_jitter", "credit_timeouts", "retry_storm", "duplicate_write", "error_cascade"),
    *("error_absorbed", "state_lost", "fault_latency", "fault_outage", "fault_throttling"),
)

NOT_TESTED = (
    "what a person would look for: each question is read at the place where its fault belongs",
    "how well it finds faults in systems other than this one: rates here are not rates elsewhere",
    "whether the intervals hold the truth as often as they say (the tests of the project do)",
    "what changed between the months, budgets and the verdict (`orchrisk demo` shows them)",
    "other makes of instrumentation, and forms of dumps other than OTLP JSON lines",
    "large lakes: speed and memory",
)


@dataclass(frozen=True)
class Judged:
    """What became of one planted fault, in traces of both months.

    hidden: planted where the span that would show it was never sent; part of neither rate.
    allowed: found where nothing was planted, but true of the traces. Rates have a 95 % interval,
    NaN where there are fewer than `MIN_TRACES`.
    """

    fault: str
    question: str
    planted: int
    found: int
    missed: int
    hidden: int
    false: int
    allowed: int
    recall: float
    recall_lower: float
    recall_upper: float
    precision: float
    precision_lower: float
    precision_upper: float
    example_trace_id: str | None
    missed_trace_id: str | None
    false_trace_id: str | None


@dataclass(frozen=True)
class _Finder:
    question: str
    find: Callable[["_Asked"], Traces]


@dataclass(frozen=True)
class _Asked:
    """The product's answers that the finders read."""

    findings: pd.DataFrame
    duplicates: pd.DataFrame
    queues: pd.DataFrame
    uses: pd.DataFrame
    calls: pd.DataFrame


def selftest(*, requests: int, say: Callable[[str], None], seed: int = simulate.SEED) -> Answer:
    """Return what the product finds in a fresh sample, held against its answer key.

    Exit code 0 when nothing that is to be seen was missed and nothing false was found, 1 when
    something was, 2 when the sample is too small for every fault to occur.
    """
    with TemporaryDirectory(prefix="orchrisk-selftest-") as folder:
        root = Path(folder)
        say(f"Generating two months of {requests} requests with planted faults ...")
        answers = simulate.write(root / "traces", requests=requests, seed=seed)
        say("Reading them in and building the model ...")
        for cohort in COHORTS:
            load.load([root / "traces" / cohort], root / "lake", cohort=cohort)
        with engine.connect(root / "lake") as model:
            say("Asking, and comparing with what was planted ...")
            return answer(*judge(model, answers))


def judge(model: Model, answers: Answers) -> tuple[list[Judged], list[str]]:
    """Return one row a planted fault, and traces with a finding where nothing was planted.

    The findings are made before the key is looked at.
    """
    promised = contract_file.load(Path(simulate.__file__).with_name("contracts.yaml"))
    asked = _ask(model, promised)
    found = {fault: finder.find(asked) for fault, finder in _FINDERS.items()}
    rows = [_judged(fault, found[fault], answers) for fault in PLANTED]
    wrong = _traces(asked.findings[asked.findings["finding"].isin(_WRONG)])
    elsewhere: set[str] = set()
    for cohort in COHORTS:
        beyond = set(wrong.get(cohort, frozenset()))
        beyond -= set().union(*(_key(answers, fault, cohort) for fault in _SUDDEN))
        for fault in PLANTED:
            beyond -= _allowed(fault, cohort, found[fault], answers)
        elsewhere |= beyond
    return rows, sorted(elsewhere)


def answer(rows: list[Judged], elsewhere: list[str]) -> Answer:
    """Return the rows as data and text, with the exit code."""
    absent = [row.fault for row in rows if row.planted + row.hidden == 0]
    wrong = [row for row in rows if row.missed or row.false]
    if wrong or elsewhere:
        said = [row.fault for row in wrong] + ["traces without a fault"] * bool(elsewhere)
        verdict = f"NO: {', '.join(said)} not as planted."
    elif absent:
        verdict = f"COULD NOT TELL: {', '.join(absent)} did not occur. Ask for more --requests."
    else:
        verdict = f"YES: all {words.counted(len(rows), 'kind')} of planted faults were found."
    text = "\n".join(
        [
            verdict,
            "",
            table(
                (
                    *("fault", "asked", "planted", "found", "missed", "hidden", "false"),
                    *("allowed", "recall", "precision", "one find"),
                ),
                [_line(row) for row in rows],
                right="llrrrrrrrr",
            ),
            "Traces are counted, of both months. Hidden: the span that would show it was never "
            "sent.\nAllowed: nothing was planted, but what was found is true of the trace.",
            "Failures, repeated tries, slow ways and lost state in traces where none was planted: "
            + (f"{len(elsewhere)}, such as {elsewhere[0]}" if elsewhere else "none."),
            "",
            "What this does not test:",
            *(f"- {each}" for each in NOT_TESTED),
        ]
    )
    for row in wrong:
        text += f"\n{row.fault}: missed {row.missed_trace_id}, false {row.false_trace_id}"
    data: dict[str, Any] = {
        "faults": [asdict(row) for row in rows],
        "found_elsewhere": elsewhere,
        "not_planted": absent,
        "not_tested": NOT_TESTED,
    }
    exit_code = NO if wrong or elsewhere else COULD_NOT_TELL if absent else YES
    return Answer(summary.plain(data), text, exit_code)


def _line(row: Judged) -> tuple[object, ...]:
    return (
        *(row.fault, row.question, row.planted, row.found, row.missed, row.hidden, row.false),
        row.allowed,
        _rate(row.recall, row.recall_lower, row.recall_upper),
        _rate(row.precision, row.precision_lower, row.precision_upper),
        row.example_trace_id or "none",
    )


def _rate(value: float, lower: float, upper: float) -> str:
    return "too few" if math.isnan(value) else words.share(value, lower, upper)


def _judged(fault: str, seen: Traces, answers: Answers) -> Judged:
    planted: set[tuple[str, str]] = set()
    veiled: set[tuple[str, str]] = set()
    found: set[tuple[str, str]] = set()
    allowed: set[tuple[str, str]] = set()
    for cohort in COHORTS:
        told = _key(answers, fault, cohort) if (fault, cohort) not in HARMLESS else frozenset()
        of_cohort = seen.get(cohort, frozenset())
        planted |= {(cohort, trace) for trace in told}
        found |= {(cohort, trace) for trace in of_cohort}
        veil = _key(answers, HIDDEN_BY[fault], cohort) if fault in HIDDEN_BY else frozenset()
        veiled |= {(cohort, trace) for trace in (told & veil) - of_cohort}
        allowed |= {(cohort, trace) for trace in _allowed(fault, cohort, seen, answers)}
    shown = planted - veiled
    hits, missed, false = found & planted, shown - found, found - planted - allowed
    recall = _share(len(hits), len(shown))
    precision = _share(len(hits), len(hits) + len(false))
    return Judged(
        fault,
        _FINDERS[fault].question,
        len(shown),
        len(hits),
        len(missed),
        len(veiled),
        len(false),
        len(allowed),
        *recall,
        *precision,
        *(min((trace for _, trace in some), default=None) for some in (hits, missed, false)),
    )


def _allowed(fault: str, cohort: str, seen: Traces, answers: Answers) -> frozenset[str]:
    """Traces found beyond the key, where it allows that many."""
    told = _key(answers, fault, cohort)
    beyond = seen.get(cohort, frozenset()) - told
    is_few = len(beyond) <= ALLOWED.get((fault, cohort), 0.0) * len(told)
    return beyond if is_few else frozenset()


def _key(answers: Answers, fault: str, cohort: str) -> frozenset[str]:
    told = answers.of(fault, cohort)
    return frozenset(told.trace_ids) if told else frozenset()


def _share(part: int, whole: int) -> tuple[float, float, float]:
    if whole < MIN_TRACES:
        nothing = float("nan")
        return nothing, nothing, nothing
    return part / whole, *stats.binomial_bounds(part, whole, level=stats.LEVEL)


def _ask(model: Model, promised: Contracts) -> _Asked:
    return _Asked(
        findings=measures.ask(model, "trace_findings", Scope()),
        duplicates=measures.ask(model, "duplicate_writes", Scope()),
        queues=spreads.by_key(model, Scope(), measure="queue"),
        uses=access.footprint(model, promised, Scope()),
        calls=measures.ask(model, "latencies", Scope()),
    )


def _traces(frame: pd.DataFrame) -> Traces:
    return {
        str(cohort): frozenset(map(str, some["trace_id"]))
        for cohort, some in frame.groupby("cohort")
    }


def _finding(
    name: str, at: str = "", *, service: str | None = None, test: str | None = None
) -> _Finder:
    """Return the traces with a finding, of calls whose callee begins so, or spans of a service.

    `test` is the id of a fault test; what belongs to one is not counted elsewhere.
    """

    def find(asked: _Asked) -> Traces:
        rows = asked.findings
        rows = rows[rows["finding"] == name]
        if at:
            rows = rows[rows["callee"].fillna("").str.startswith(at)]
        if service is not None:
            rows = rows[rows["service"] == service]
        if test is not None:
            rows = rows[rows["detail"] == test]
        elif name in {"timed_out", "tried_again"}:
            rows = rows[rows["detail"].isna()]
        return _traces(rows)

    return _Finder("trace_findings", find)


def _slower_queues(asked: _Asked) -> Traces:
    """Traces of the pilot at boundaries whose median wait in the queue is surely longer."""
    before, after = (asked.queues[asked.queues["cohort"] == cohort] for cohort in COHORTS)
    sides = before.merge(after, on="boundary_id", suffixes=("_before", "_after"))
    slower = sides[sides["p50_ms_lower_after"] > sides["p50_ms_upper_before"]]
    calls = asked.calls
    is_there = calls["boundary_id"].isin(slower["boundary_id"]) & calls["queue_ms"].notna()
    return _traces(calls[is_there & (calls["cohort"] == "pilot")])


def _beyond_grants(asked: _Asked) -> Traces:
    """Traces in which an agent touched what the contract grants it in no way."""
    keys = ["cohort", "agent", "resource"]
    ways = asked.uses.groupby(keys)["grant"].agg(set).reset_index()
    refused = ways[ways["grant"].map(lambda told: told == {"not granted"})]
    calls = asked.calls.rename(columns={"owner_agent": "agent", "callee": "resource"})
    return _traces(calls.merge(refused[keys], on=keys))


_FINDERS: Mapping[str, _Finder] = MappingProxyType(
    {
        "crm_jitter": _finding("slow_way", "http:crm/"),
        "credit_timeouts": _finding("timed_out", "http:credit-score/"),
        "slow_queue": _Finder("tails_to_p99_9 (queue)", _slower_queues),
        "retry_storm": _finding("tried_again", "model:"),
        "duplicate_write": _Finder("duplicate_writes", lambda asked: _traces(asked.duplicates)),
        "error_cascade": _finding("failed_request", "postgresql.orders."),
        "error_absorbed": _finding("hidden_failure", "http:crm/"),
        "state_lost": _finding("state_lost"),
        "permission_creep": _Finder("grants of the contract", _beyond_grants),
        "version_change": _finding("other_version"),
        "uninstrumented_tool": _finding("uninstrumented_peer"),
        # The half that was cut off is a trace of its own; the caller's half is what is planted.
        "lost_context": _finding("missing_server", "http:mailer/"),
        "orphan_spans": _finding("missing_span"),
        "clock_skew": _finding("clock_skew"),
        "fault_latency": _finding("fault_test", test="latency-credit"),
        "fault_outage": _finding("fault_test", test="outage-credit"),
        "fault_throttling": _finding("fault_test", test="throttle-gateway"),
    }
)
