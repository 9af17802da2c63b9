"""The faults injected into two recorded agent systems, held against what the traces show."""

from collections import Counter

import pytest

# What shows a fault, and where; a cohort whose clients give up sooner shows some otherwise.
CRM = "http:127.0.0.1/orders"
SHOWN = {
    "crm_500": ("hidden_failure", CRM),
    "crm_503_retry": ("hidden_failure", CRM),
    "crm_slow": ("slow_work", CRM),
    "db_locked": ("hidden_failure", "sqlite."),
    "llm_down": ("failed_request", "model:"),
    "llm_429": ("tried_again", "model:"),
    "llm_slow": ("slow_work", "model:"),
    "lost_context": ("broken_propagation", ""),
    "queue_delay": ("slow_way", CRM),
    "state_loss": ("state_lost", ""),
    "tool_timeout": ("timed_out", CRM),
}
GIVEN_UP = {"crm_slow": ("timed_out", CRM)}
# The client library tries again inside one span, and the endpoint's own spans are not recorded:
# a refusal that was mended, or a slower answer, looks like any other slow answer of a model.
UNSEEN = {"llm_429", "llm_slow"}


@pytest.mark.real
def test_every_fault_that_a_trace_can_show_is_found_where_it_was_injected(recorded):
    model, labels = recorded
    findings = model.ask("trace_findings")
    for cohort, turns in labels.items():
        shown = SHOWN | (GIVEN_UP if cohort == "pilot" else {})
        place = {
            trace: number
            for number, turn in enumerate(turns)
            for trace in turn["trace_ids"] + turn["cut_off_trace_ids"]
        }
        told = [
            (place[row.trace_id], row.finding, row.callee if isinstance(row.callee, str) else "")
            for row in findings[findings["cohort"] == cohort].itertuples()
        ]
        counts = Counter(turn["fault"] for turn in turns)
        print(f"\n{cohort}: fault, found, missed, false (of {counts[None]} turns without a fault)")  # noqa: T201
        for fault, (finding, where) in shown.items():
            seen = {
                number
                for number, name, callee in told
                if name == finding and (callee.startswith(where) if where else not callee)
            }
            planted = {number for number, turn in enumerate(turns) if turn["fault"] == fault}
            false = {number for number in seen if turns[number]["fault"] is None}
            found = len(seen & planted)
            print(f"  {fault}: {found}, {len(planted) - found}, {len(false)}")  # noqa: T201
            assert found == (0 if fault in UNSEEN else len(planted))
            # A way now and then is slow by itself: these ran on one busy machine.
            assert len(false) <= (2 if finding == "slow_way" else 0)


@pytest.mark.real
def test_a_server_that_works_on_after_its_caller_gave_up_is_no_other_clock(recorded):
    model, _ = recorded

    assert "clock_skew" not in set(model.ask("trace_findings")["finding"])
