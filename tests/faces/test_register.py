"""The register names what was planted, whose it is and what mends it, and its scores add up."""

import pytest

from analysis import check, contract_file, engine
from analysis.scope import Scope


@pytest.fixture(scope="module")
def checks(sample):
    promised = contract_file.load(sample.contracts)
    model = engine.connect(sample.lake)
    return {
        cohort: check.run(model, promised, Scope(cohort=cohort)) for cohort in ("baseline", "pilot")
    }


PLANTED = [
    ("baseline", "risk/late", "tool:credit_score → http:credit-score", "credit-score", "time-out"),
    ("baseline", "risk/failing", "tool:credit_score → http:", "credit-score", "circuit breaker"),
    ("baseline", "risk/failing", "service:orders → postgresql", "orders", "mended callee"),
    ("baseline", "risk/duplicate-write", "tool:submit_app", "orders", "idempotency key"),
    ("baseline", "risk/retry-storm", "agent:loan-officer → model:", "", "circuit breaker"),
    ("baseline", "risk/state", "context of a conversation", "", "context token"),
    ("baseline", "risk/incomplete", "traces", "", "instrumentation"),
    ("pilot", "risk/access", "risk-reviewer read postgresql.crm", "risk-reviewer", "scope"),
    ("pilot", "risk/access", "risk-reviewer write postgresql.orders", "risk-reviewer", "scope"),
]


@pytest.mark.parametrize(("cohort", "rule", "subject", "owner", "remedy"), PLANTED)
def test_what_was_planted_stands_in_the_register(checks, cohort, rule, subject, owner, remedy):
    (found,) = (
        risk
        for risk in checks[cohort].register
        if risk.rule == rule and risk.subject.startswith(subject)
    )

    assert found.remedy == remedy
    assert owner in found.owner
    assert found.score_per_1000 > 0
    assert found.trace_ids or rule == "risk/incomplete"


def test_what_the_pilot_mended_is_no_risk_any_more(checks):
    rules = {risk.rule for risk in checks["pilot"].register}

    assert not rules & {"risk/duplicate-write", "risk/retry-storm", "risk/state"}


@pytest.mark.parametrize("cohort", ["baseline", "pilot"])
def test_scores_are_likelihood_times_impact_and_add_up_to_the_bad_requests(checks, cohort):
    told = checks[cohort]
    bad = [risk for risk in told.register if risk.unit == "bad requests"]
    parts = told.readiness.ranking[["failed_per_1000", "late_per_1000"]].to_numpy()

    for risk in told.register:
        product = risk.likelihood_per_1000 * risk.impact_ratio
        assert risk.score_per_1000 == pytest.approx(product)
        assert 0 < risk.impact_ratio <= 1 + 1e-9
    told_sum = sum(risk.score_per_1000 for risk in bad) + parts[parts < 0.1].sum()
    whole = told_sum + told.readiness.unattributed_per_1000
    assert whole == pytest.approx(told.readiness.total_per_1000)


@pytest.mark.parametrize("cohort", ["baseline", "pilot"])
def test_evidence_is_requests_that_went_bad(checks, sample, cohort):
    model = engine.connect(sample.lake)
    requests = model.ask("request_latencies", Scope(cohort=cohort)).set_index("trace_id")
    shown = {
        trace
        for risk in checks[cohort].register
        if risk.unit == "bad requests"
        for trace in risk.trace_ids
    }

    for risk in checks[cohort].register:
        if risk.rule in ("risk/late", "risk/failing"):
            assert (
                requests.loc[list(risk.trace_ids), "is_failed"]
                .eq(risk.rule == "risk/failing")
                .all()
            )
    seen = requests.loc[sorted(shown)]
    assert len(shown) > 3
    assert (seen["is_failed"] | (seen["duration_ms"] > 2000)).all()


def test_risks_are_told_and_never_decide(checks):
    for told in checks.values():
        notes = [each for each in told.findings if each.level == "note"]

        assert len(notes) == len(told.register)
        assert not any(each.counts for each in notes)
