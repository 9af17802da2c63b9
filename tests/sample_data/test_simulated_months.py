"""The months are what the README says: repeatable, well formed, and wrong only where planted."""

import gzip
import hashlib
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import fields
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from sample_data import answer_key
from sample_data.faults import MONTHS, PLANTED, Answer, Faults
from sample_data.otlp import Format
from sample_data.record import IS_REMOTE, Kind, Span
from sample_data.simulate import REQUESTS, SEED, month, write

KNOBS = [knob.name for knob in fields(Faults)]
SOME = 1000  # requests; enough for every fault to occur


def simulated(cohort: str, faults: Faults) -> tuple[list[Span], dict[str, Answer]]:
    spans, _, tally = month(cohort, requests=SOME, seed=SEED, faults=faults)
    return spans, {answer.fault: answer for answer in tally.answers()}


@cache
def spans_and_answers(cohort: str) -> tuple[list[Span], dict[str, Answer]]:
    return simulated(cohort, Faults())


def said(span: Span, key: str) -> object:
    return dict(span.fixed + span.own).get(key)


def ms(span: Span) -> float:
    return (span.end_ns - span.start_ns) / 1e6


def url(span: Span) -> str:
    return str(said(span, "http.url") or said(span, "url.full") or "")


class Seen:
    """Spans of a month by how a reader of traces would look for them."""

    def __init__(self, spans: list[Span]) -> None:
        self.spans = spans
        self.by_id = {span.span_id: span for span in spans}
        self.children: dict[bytes, list[Span]] = defaultdict(list)
        for span in spans:
            self.children[span.parent_id].append(span)

    def clients(self, host: str) -> list[Span]:
        return [s for s in self.spans if s.kind == Kind.CLIENT and f"//{host}:" in url(s)]

    def servers(self, service: str) -> list[Span]:
        return [s for s in self.spans if s.kind == Kind.SERVER and s.host.service == service]

    def server_of(self, client: Span) -> Span | None:
        found = [s for s in self.children[client.span_id] if s.kind == Kind.SERVER]
        return found[0] if found else None

    def says(self, key: str, value: object) -> list[Span]:
        return [span for span in self.spans if said(span, key) == value]

    def text(self, part: str) -> list[Span]:
        keys = ("db.statement", "db.query.text")
        return [s for s in self.spans if any(part in str(said(s, key)) for key in keys)]


def waited_before_the_crm(seen: Seen) -> set[bytes]:
    pairs = [(client, seen.server_of(client)) for client in seen.clients("crm")]
    late = {c.trace_id for c, s in pairs if s is not None and ms(c) - ms(s) > 150}
    # Where the server's span never came, only the database spans tell.
    for client, server in pairs:
        if server is None and ms(client) > 200:
            late.add(client.trace_id)
    return late


def hung_at_credit(seen: Seen) -> set[bytes]:
    return {
        s.trace_id
        for s in seen.servers("credit-score")
        if ms(s) > 1700 and said(seen.by_id[s.parent_id], "orch.fault.id") is None
    }


def published_slowly(seen: Seen) -> set[bytes]:
    published = [span for span in seen.spans if span.kind == Kind.PRODUCER]
    is_slow = statistics.median(ms(span) for span in published) > 20
    return {span.trace_id for span in published} if is_slow else set()


def refused_thrice(seen: Seen) -> set[bytes]:
    refused = Counter(s.parent_id for s in seen.clients("model-gateway") if s.failure)
    return {seen.by_id[call].trace_id for call, times in refused.items() if times >= 3}


def timed_out_at_orders(seen: Seen) -> set[bytes]:
    return {s.trace_id for s in seen.clients("orders") if said(s, "http.status_code") is None}


def deadlocked(seen: Seen) -> set[bytes]:
    return {span.trace_id for span in seen.says("db.response.status_code", "40P01")}


def refused_by_the_crm(seen: Seen) -> set[bytes]:
    return {s.trace_id for s in seen.clients("crm") if said(s, "http.status_code") == 503}


def missed_in_the_store(seen: Seen) -> set[bytes]:
    return {span.trace_id for span in seen.says("db.response.returned_rows", 0)}


def read_cards(seen: Seen) -> set[bytes]:
    return {span.trace_id for span in seen.text("payment_cards")}


def answered_by_two_versions(seen: Seen) -> set[bytes]:
    versions = {s.host.version for s in seen.spans if s.host.service == "crm"}
    newer = max(versions) if len(versions) > 1 else ""
    return {s.trace_id for s in seen.spans if s.host.service == "crm" and s.host.version == newer}


def unanswered_by_fraud_check(seen: Seen) -> set[bytes]:
    return {s.trace_id for s in seen.clients("fraud-check") if seen.server_of(s) is None}


def mailed_without_context(seen: Seen) -> set[bytes]:
    return {s.trace_id for s in seen.clients("mailer") if seen.server_of(s) is None}


def orphaned(seen: Seen) -> set[bytes]:
    return {s.trace_id for s in seen.spans if s.parent_id and s.parent_id not in seen.by_id}


def ahead_of_their_callers(seen: Seen) -> set[bytes]:
    called = {span.trace_id: span for span in seen.clients("crm")}
    return {
        s.trace_id
        for s in seen.spans
        if s.host.name == "crm-b" and s.end_ns > called[s.trace_id].end_ns
    }


def marked(fault_id: str) -> Callable[[Seen], set[bytes]]:
    def found(seen: Seen) -> set[bytes]:
        return {s.trace_id for s in seen.says("orch.fault.id", fault_id) if s.kind == Kind.CLIENT}

    return found


FOUND_BY: dict[str, Callable[[Seen], set[bytes]]] = {
    "crm_jitter": waited_before_the_crm,
    "credit_timeouts": hung_at_credit,
    "slow_queue": published_slowly,
    "retry_storm": refused_thrice,
    "duplicate_write": timed_out_at_orders,
    "error_cascade": deadlocked,
    "error_absorbed": refused_by_the_crm,
    "state_lost": missed_in_the_store,
    "permission_creep": read_cards,
    "version_change": answered_by_two_versions,
    "uninstrumented_tool": unanswered_by_fraud_check,
    "lost_context": mailed_without_context,
    "orphan_spans": orphaned,
    "clock_skew": ahead_of_their_callers,
    "fault_latency": marked("latency-credit"),
    "fault_outage": marked("outage-credit"),
    "fault_throttling": marked("throttle-gateway"),
}


def test_every_knob_has_words_and_a_way_to_be_found():
    assert list(PLANTED) == KNOBS == list(FOUND_BY)


@pytest.mark.parametrize("cohort", MONTHS)
@pytest.mark.parametrize("fault", KNOBS)
def test_the_spans_show_what_the_answers_say(fault, cohort):
    spans, answers = spans_and_answers(cohort)
    found = sorted(trace_id.hex() for trace_id in FOUND_BY[fault](Seen(spans)))

    assert found == (sorted(answers[fault].trace_ids) if fault in answers else [])


@pytest.mark.parametrize("fault", KNOBS)
def test_a_fault_switched_off_is_gone_from_answers_and_spans(fault):
    planted_in = [cohort for cohort in MONTHS if fault in spans_and_answers(cohort)[1]]
    assert planted_in, f"{fault} never occurs in {SOME} requests"
    for cohort in planted_in:
        spans, answers = simulated(cohort, Faults(**{fault: False}))

        assert fault not in answers
        assert FOUND_BY[fault](Seen(spans)) == set()


def test_a_fault_switched_off_changes_no_other_request():
    spans, answers = spans_and_answers("baseline")
    without, _ = simulated("baseline", Faults(error_cascade=False))
    touched = set(answers["error_cascade"].trace_ids)

    def others(some: list[Span]) -> list[Span]:
        return [span for span in some if span.trace_id.hex() not in touched]

    # A deadlocked request has fewer spans, never other ids; audit traces have ids of their own.
    known = {span.span_id for span in others(spans)}
    assert [s for s in others(without) if s.span_id in known] == others(spans)


def test_a_write_is_doubled_only_without_an_idempotency_key():
    for cohort, inserts in (("baseline", 2), ("pilot", 1)):
        spans, answers = spans_and_answers(cohort)
        written = Counter(
            span.trace_id.hex() for span in Seen(spans).text("INSERT INTO applications")
        )

        assert {written[t] for t in answers["duplicate_write"].trace_ids} == {inserts}


def test_a_deadlock_reaches_the_user_and_a_refused_lookup_does_not():
    for cohort in MONTHS:
        spans, answers = spans_and_answers(cohort)
        entries = {s.trace_id.hex(): s for s in spans if s.name == "POST /api/messages"}

        assert all(entries[t].failure for t in answers["error_cascade"].trace_ids)
        if cohort == "pilot":
            failed = {t for t, entry in entries.items() if entry.failure}
            assert failed == set(answers["error_cascade"].trace_ids)
        failed = {t for t in answers["error_absorbed"].trace_ids if entries[t].failure}
        others = set(answers["error_cascade"].trace_ids) | set(answers["credit_timeouts"].trace_ids)
        assert failed <= others


def test_input_tokens_fall_where_state_is_lost_and_nowhere_else():
    for cohort in MONTHS:
        spans, answers = spans_and_answers(cohort)
        first: dict[bytes, Span] = {}
        for span in spans:
            if span.name == "chat gpt-4o-mini":
                first.setdefault(span.trace_id, span)
        turns: dict[object, list[Span]] = defaultdict(list)
        for span in sorted(first.values(), key=lambda span: span.start_ns):
            turns[said(span, "gen_ai.conversation.id")].append(span)
        fell = {
            after.trace_id.hex()
            for calls in turns.values()
            for before, after in pairwise(calls)
            if said(after, "gen_ai.usage.input_tokens")
            < 0.6 * said(before, "gen_ai.usage.input_tokens")
        }

        lost = set(answers["state_lost"].trace_ids) if "state_lost" in answers else set()
        assert fell == lost


@pytest.mark.parametrize("cohort", MONTHS)
def test_traces_are_trees_but_for_the_planted_orphans(cohort):
    spans, answers = spans_and_answers(cohort)
    seen = Seen(spans)

    assert len(seen.by_id) == len(spans)
    assert all(span.end_ns >= span.start_ns for span in spans)
    assert all(len(s.trace_id) == 16 and len(s.span_id) == 8 for s in spans)
    parents = [(span, seen.by_id.get(span.parent_id)) for span in spans if span.parent_id]
    assert all(parent is None or parent.trace_id == span.trace_id for span, parent in parents)
    orphans = {span.trace_id.hex() for span, parent in parents if parent is None}
    assert sorted(orphans) == sorted(answers["orphan_spans"].trace_ids)
    roots = Counter(span.host.service for span in spans if not span.parent_id)
    assert roots["loan-ui"] == SOME
    assert set(roots) == {"loan-ui", "audit", "mailer"}
    for span, parent in parents:
        if parent is not None:
            crosses = span.host.service != parent.host.service
            assert crosses == bool(span.flags & IS_REMOTE) == (span.kind in (2, 5))


@pytest.mark.parametrize("cohort", MONTHS)
def test_children_leave_their_parents_only_by_skew_queue_or_giving_up(cohort):
    seen = Seen(spans_and_answers(cohort)[0])
    for span in seen.spans:
        parent = seen.by_id.get(span.parent_id)
        if parent is None or parent.start_ns <= span.start_ns <= span.end_ns <= parent.end_ns:
            continue
        gave_up = parent.kind == Kind.CLIENT and parent.failure is not None
        assert span.host.name == "crm-b" or span.kind == Kind.CONSUMER or gave_up, span.name


@pytest.mark.parametrize("encoding", Format)
def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path, encoding):
    def digests(folder: str, seed: int) -> dict[str, str]:
        write(tmp_path / folder, requests=60, seed=seed, encoding=encoding)
        files = sorted(p for p in (tmp_path / folder).rglob("*") if p.is_file())
        return {
            str(p.relative_to(tmp_path / folder)): hashlib.sha256(p.read_bytes()).hexdigest()
            for p in files
        }

    first = digests("first", 1)

    assert first == digests("again", 1)
    assert first != digests("other", 2)


def test_the_pilot_lowers_the_tail_and_keeps_the_sla(tmp_path):
    answers = write(tmp_path, requests=SOME)
    before, after = answers.months

    assert before.p95_ms > 2000 > after.p95_ms
    assert 0.55 < after.p95_ms / before.p95_ms < 0.8
    assert 700 < before.p50_ms < 1200
    assert 700 < after.p50_ms < 1200


def test_ledgers_have_a_line_for_each_day_and_sum_to_the_requests(tmp_path):
    write(tmp_path, requests=90)
    for name in ("tickets.csv", "costs.csv"):
        header, *lines = (tmp_path / name).read_text().splitlines()
        rows = [dict(zip(header.split(","), line.split(","), strict=True)) for line in lines]

        assert len(rows) == 60
        assert len({row["day"] for row in rows}) == 60
        assert sum(int(row["requests"]) for row in rows) == 180
        if name == "costs.csv":
            total = [float(row["total_usd"]) for row in rows]
            parts = [
                sum(float(row[f"{part}_usd"]) for part in ("model", "hosting", "repair"))
                for row in rows
            ]
            assert np.allclose(total, parts, atol=0.011)


@pytest.mark.slow
def test_the_answer_key_of_the_readme_is_that_of_the_default_seed(tmp_path):
    answers = write(tmp_path)
    text = answer_key.README.read_text(encoding="utf-8")

    assert answers.requests == REQUESTS
    assert answer_key.tables(answers) in text
    assert answer_key.update(text, answers) == text
    largest = max(Path(tmp_path).rglob("*.gz"), key=lambda path: path.stat().st_size)
    with gzip.open(largest) as dump:
        assert sum(1 for _ in dump) > 50
