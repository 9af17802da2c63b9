"""What was planted in the sample is found again, trace by trace."""

import pytest

from analysis import engine
from analysis.scope import Scope

# Where a planted fault shows in the model; the traces found are held against the traces planted.
EVIDENCE = {
    "error_cascade": "failures WHERE is_origin AND is_visible AND path LIKE 'postgresql.orders%'",
    "error_absorbed": "failures WHERE is_origin AND NOT is_visible AND path LIKE 'http:crm%'",
    "orphan_spans": "nodes WHERE parent_state = 'missing'",
    "uninstrumented_tool": "calls WHERE observed_side = 'client' AND callee LIKE 'http:fraud%'",
    "duplicate_write": """
        calls WHERE callee LIKE 'http:orders/%'
        GROUP BY trace_id HAVING count(*) > 1 AND bool_or(error_class = 'timeout')
    """,
    "permission_creep": "accesses WHERE resource = 'postgresql.crm.payment_cards'",
    "retry_storm": "calls WHERE kind = 'model' AND attempts > 1 AND fault_id IS NULL",
    "state_lost": "accesses WHERE resource = 'redis:0' AND access = 'read' AND rows = 0",
    "fault_latency": "requests WHERE fault_id = 'latency-credit'",
    "fault_outage": "requests WHERE fault_id = 'outage-credit'",
    "fault_throttling": "requests WHERE fault_id = 'throttle-gateway'",
}
# A jittered lookup whose server span was never sent has no handoff gap to see it in; a clock that
# is ahead shows only where both sides of a call are there.
BLINDED = {
    "crm_jitter": "calls WHERE callee LIKE 'http:crm/%' AND handoff_ms > 150",
    "clock_skew": "calls WHERE abs(skew_ms) > 50",
}


@pytest.fixture(scope="module")
def found(sample):
    model = engine.connect(sample.lake)

    def ask(evidence, cohort):
        with model.relations(Scope(cohort=cohort)) as cursor:
            rows = cursor.execute(f"SELECT trace_id FROM {evidence}").fetchall()
        return {trace_id for (trace_id,) in rows}

    yield ask
    model.close()


def planted(sample, fault, cohort):
    answer = sample.answers.of(fault, cohort)
    return set(answer.trace_ids) if answer else set()


@pytest.mark.parametrize("cohort", ["baseline", "pilot"])
@pytest.mark.parametrize("fault", EVIDENCE)
def test_every_planted_trace_is_found_and_no_other(sample, found, fault, cohort):
    assert found(EVIDENCE[fault], cohort) == planted(sample, fault, cohort)


@pytest.mark.parametrize("cohort", ["baseline", "pilot"])
@pytest.mark.parametrize("fault", BLINDED)
def test_what_lost_spans_hide_is_all_that_is_missed(sample, found, fault, cohort):
    seen = found(BLINDED[fault], cohort)

    assert seen <= planted(sample, fault, cohort)
    assert planted(sample, fault, cohort) - seen <= planted(sample, "orphan_spans", cohort)


@pytest.mark.parametrize("cohort", ["baseline", "pilot"])
def test_each_lost_context_cuts_one_trace_off_and_no_user_sees_it(sample, found, cohort):
    cut = found("nodes WHERE is_cut", cohort)
    requests = found("requests", cohort)

    assert len(cut) == sample.answers.of("lost_context", cohort).calls
    assert not cut & requests
    assert len(requests) == sample.answers.requests
