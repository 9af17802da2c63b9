import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from drawn_pilots import model_in, requests
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from analysis import (
    access,
    compliance,
    drafting,
    findings,
    gates,
    path_budgets,
    pilot,
    promises,
    stats,
)
from analysis.contract_file import parse
from analysis.contracts import ContractError
from analysis.draft_text import pattern
from analysis.drafting import Wish
from analysis.scope import Scope

BASELINE = Scope(cohort="baseline")


@pytest.fixture(scope="module")
def month(tmp_path_factory):
    """A model of 6,000 requests before, as many after, in which one tool got slower by half."""
    before = requests("baseline", first_day=0, days=10, per_day=600, failed=0.004)
    after = requests("pilot", first_day=20, days=10, per_day=600, seed=1)
    after["ms_1"] *= 1.5
    frame = pd.concat([before, after], ignore_index=True)
    with model_in(tmp_path_factory.mktemp("month") / "model.duckdb", frame, None) as model:
        yield model


@pytest.fixture(scope="module")
def drafted(month):
    return drafting.draft(month, BASELINE)


def kept(model, contracts, scope):
    """What a contract says of a scope: boundaries, on the path, requests, accesses."""
    boundaries = compliance.by_boundary(model, contracts, scope)
    paths = path_budgets.by_boundary(model, contracts, scope)
    uses = access.footprint(model, contracts, scope)
    return (
        {*boundaries["label"]},
        {*paths["label"]},
        {*uses.loc[uses["cohort"] == scope.cohort, "grant"]},
        compliance.by_request(model, contracts, scope).iloc[0],
    )


def test_a_drafted_contract_passes_on_its_own_baseline(month, drafted):
    boundaries, paths, uses, whole = kept(month, drafted.contracts, BASELINE)

    assert (boundaries, paths, uses) == ({"kept"}, {"kept"}, {"granted"})
    assert whole["within_sla_ratio_lower"] >= 0.95
    assert whole["within_downstream_ratio_lower"] >= 0.949  # two-sided; the gate asks one side


def test_the_gates_that_a_draft_sets_pass_on_its_own_baseline(month, drafted):
    contracts = replace(drafted.contracts, cohorts=replace(drafted.contracts.cohorts, pilot=None))
    found = {
        gate.name: gate.label
        for gate in gates.judge(month, contracts, BASELINE, _no_comparison(month))
    }

    assert {
        name: found[name]
        for name in (
            "Request success",
            "Requests within the SLA",
            "Requests within the downstream budget",
            "Boundaries within their latency budget",
            "Boundaries within their share of the path",
            "No access beyond the grants",
        )
    } == dict.fromkeys(
        (
            "Request success",
            "Requests within the SLA",
            "Requests within the downstream budget",
            "Boundaries within their latency budget",
            "Boundaries within their share of the path",
            "No access beyond the grants",
        ),
        "pass",
    )


def _no_comparison(model):
    return pilot.compare(model, None, Scope(), baseline="baseline", pilot="baseline")


def test_a_planted_excess_breaks_the_draft_where_it_was_planted(month, drafted):
    boundaries = compliance.by_boundary(month, drafted.contracts, Scope(cohort="pilot"))
    paths = path_budgets.by_boundary(month, drafted.contracts, Scope(cohort="pilot"))

    assert list(boundaries.loc[boundaries["label"] == "broken", "callee"]) == ["tool:score"]
    assert list(paths.loc[paths["label"] == "broken", "rule"]) == ["agent:loan -> tool:score"]


def test_a_planted_excess_on_the_path_keeps_a_pilot_from_production(month, drafted):
    scope = Scope(cohort="pilot")
    told = {
        gate.key: gate
        for gate in gates.judge(month, drafted.contracts, scope, _no_comparison(month))
    }
    paths = path_budgets.by_boundary(month, drafted.contracts, scope)
    found = findings.of_gates([told["on_path"]], paths[:0], paths, paths[:0], {})

    assert told["on_path"].label == "fail"
    assert [each.subject for each in found if each.level == "error"] == ["agent:loan → tool:score"]
    assert {each.rule for each in found} == {"on_path"}
    assert (
        "1 of 3 boundaries with a share of the critical path break it"
        in gates.verdict([told["on_path"]])[1]
    )


def test_an_access_that_the_baseline_never_had_is_not_granted(tmp_path):
    frame = requests("baseline", first_day=0, days=10, per_day=40)
    with model_in(tmp_path / "model.duckdb", frame, None) as model:
        contracts = drafting.draft(model, BASELINE).contracts

    assert access._grant(contracts.access, "loan", "postgresql.crm.customers", "read") == "granted"
    assert (
        access._grant(contracts.access, "loan", "postgresql.crm.customers", "write")
        == access._grant(contracts.access, "loan", "postgresql.crm.cards", "read")
        == "not granted"
    )


def test_the_budgets_on_the_path_of_a_request_keep_the_sla_and_the_downstream_share(month, drafted):
    rules = compliance.rules_of(month, drafted.contracts, BASELINE)
    told = path_budgets.paths(month, BASELINE)
    whole, downstream = path_budgets.promised(
        told, {boundary: rule.on_path_ms for boundary, rule in rules.items()}
    )
    limit = drafted.contracts.downstream_budget_ms

    assert len(rules) == 3
    assert (path_budgets.sums(told, downstream) <= limit).mean() >= 0.95
    assert (
        path_budgets.sums(told, downstream).max() >= 0.98 * limit
    )  # it is shared out, not hoarded
    assert (path_budgets.sums(told, whole) <= drafted.contracts.sla.limit_ms).mean() >= 0.95


def test_the_same_baseline_gives_the_same_bytes_and_reads_as_what_was_meant(month, drafted):
    again = drafting.draft(month, BASELINE)

    assert again.text == drafted.text
    assert promises.differences(parse(drafted.text.encode()), drafted.contracts, {}) == []
    assert not re.search(r"\d{2}:\d{2}", drafted.text)  # no hour of its making


EARLIER = """\
service: "loan: \\"a\\" \\u2028 \U0001f4b0"
sla: {p95: 1s, p99: 4s}
aliases: {10.0.0.7: score}
boundaries:
  - {match: "agent:loan -> tool:*", retries: 1, idempotent: false, fallback: 'cached # "score"'}
  - {match: "agent:loan -> model:*", retries: 99, idempotent: true}
access: [{agent: x, sensitive: ["crm.*"]}]
gates: {escape: 0.5%}
openapi: [{service: score, file: score.yaml}]
acknowledged:
  - finding: budget
    subject: "agent:loan -> tool:score"
    owner: "team \\U0001f4b0: crm"
    reason: |
      moves to a new host,
      says "ann"
    until: 2026-12-31
"""


def test_a_draft_keeps_of_an_earlier_contract_what_no_traffic_tells(month, drafted):
    earlier = parse(EARLIER.encode())
    found = drafting.draft(month, BASELINE, Wish(given_up_ratio=0.01), earlier=earlier)
    rules = {rule.callee: rule for rule in found.contracts.boundaries}
    gone = promises.differences(drafted.contracts, found.contracts, {})

    assert [replace(each, line=0) for each in found.contracts.acknowledged] == [
        replace(each, line=0) for each in earlier.acknowledged
    ]
    assert found.contracts.service == earlier.service
    assert (found.contracts.sensitive, found.contracts.gates) == (("crm.*",), {"escape": 0.005})
    assert (rules["tool:score"].retries, rules["tool:score"].idempotent) == (1, False)
    assert rules["tool:score"].fallback == 'cached # "score"'
    assert "# no retries: 100 tries would take longer than the SLA" in found.text
    assert "# The earlier p99: 4000ms was not held against the baseline." in found.text
    assert {each.change for each in gone} == {"added"}


def test_a_wish_that_the_baseline_does_not_keep_is_refused_with_what_would_hold(month):
    with pytest.raises(ContractError, match=r"does not keep p95 within 1[.]00.s: .* prove 1[.]5"):
        drafting.draft(month, BASELINE, Wish(sla_ms=1000))
    with pytest.raises(ContractError, match=r"--downstream-share 3[0-9]%") as refused:
        drafting.draft(month, BASELINE, Wish(sla_ms=1600))
    fits = float(re.search(r"--downstream-share (\d+)%", str(refused.value))[1]) / 100
    drafted = drafting.draft(month, BASELINE, Wish(sla_ms=1600, downstream_share_ratio=fits))

    assert drafted.contracts.sla.limit_ms == 1600
    assert kept(month, drafted.contracts, BASELINE)[:2] == ({"kept"}, {"kept"})


def test_a_timeout_gives_up_no_more_good_calls_than_said(month):
    contracts = drafting.draft(month, BASELINE, Wish(given_up_ratio=0.01)).contracts
    with month.relations(BASELINE) as cursor:
        calls = cursor.sql("SELECT caller, callee, client_ms, is_error FROM calls").df()
    good = calls[~calls["is_error"]]
    limits = {rule.callee: rule.timeout_ms for rule in contracts.boundaries if rule.timeout_ms}
    lost = {
        callee: (good.loc[good["callee"] == callee, "client_ms"] > limit).mean()
        for callee, limit in limits.items()
    }

    assert len(lost) == 3
    assert all(0 < share <= 0.01 for share in lost.values())


def test_the_fall_of_the_worked_example_is_shared_out_as_it_says():
    """Four calls, 4 s, 30 %: METHODS.md, budgets. Sum of the four at one quantile is 1,200 ms."""
    rng = np.random.default_rng(5)
    drawn = [median * rng.lognormal(0, 0.6, 5000) for median in (50, 200, 250, 35)]
    samples = tuple(stats.sample(values, np.arange(5000)) for values in drawn)
    told = path_budgets.Paths(
        tuple("abcd"),
        np.ones(4),
        np.tile(np.arange(4), 5000),
        np.repeat(np.arange(5000), 4),
        np.ones(5000),
        samples,
    )
    levels = path_budgets.allot(told, 1200, 0.95, of=np.ones(4), beside=np.zeros(4))
    budgets, p = path_budgets.at(told, levels), levels[0]

    assert np.ptp(levels) < 0.001
    assert budgets.sum() == pytest.approx(1200, rel=0.002)
    assert all(
        (values <= budget).mean() == pytest.approx(p, abs=1e-3)
        for values, budget in zip(drawn, budgets, strict=True)
    )


def test_a_boundary_whose_tail_leaps_does_not_hold_the_others_back():
    values = [np.r_[np.full(700, 10.0), np.full(300, 5000.0)], np.linspace(1, 1000, 1000)]
    told = path_budgets.Paths(
        ("leaps", "rises"),
        np.ones(2),
        np.tile(np.arange(2), 1000),
        np.repeat(np.arange(1000), 2),
        np.ones(1000),
        tuple(stats.sample(some, np.arange(1000)) for some in values),
    )
    levels = path_budgets.allot(told, 910, 0.95, of=np.ones(2), beside=np.zeros(2))

    assert list(path_budgets.at(told, levels)) == [10, 900]
    assert levels == pytest.approx([0.7, 0.9], abs=1e-3)


NAMES = st.text(min_size=1, max_size=12) | st.text("a*?[]!->: \"'\\#\n", min_size=1, max_size=12)


@given(NAMES)
def test_any_name_becomes_a_glob_that_matches_it_and_can_be_written_in_a_rule(name):
    text = f'boundaries:\n  - match: "{_escaped(pattern(name))} -> {_escaped(pattern(name))}"\n'
    rule = parse(text.encode("utf-8", "strict")).boundaries[0]

    assert rule.covers(name, name)


def _escaped(text):
    return text.replace("\\", "\\\\").replace('"', '\\"')


@settings(max_examples=5, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(
    st.integers(0, 10**6),
    st.sampled_from([80, 300]),
    st.sampled_from([0.2, 0.3, 0.6]),
    st.sampled_from([0.5, 0.9, 0.95]),
)
def test_any_drawn_baseline_keeps_what_is_drafted_from_it(
    tmp_path_factory, seed, per_day, share, quantile
):
    frame = requests("baseline", first_day=0, days=4, per_day=per_day, seed=seed)
    folder = tmp_path_factory.mktemp("drawn")
    with model_in(folder / "model.duckdb", frame, None) as model:
        wish = Wish(quantile=quantile, downstream_share_ratio=share)
        found = drafting.draft(model, BASELINE, wish)
        boundaries, paths, uses, _ = kept(model, found.contracts, BASELINE)

    assert boundaries <= {"kept", "no budget"}
    assert paths <= {"kept"}
    assert uses == {"granted"}
    assert found.downstream_ms <= found.downstream_limit_ms * (1 + 1e-9)
    assert found.whole_ms <= found.sla_ms * (1 + 1e-9)


def test_the_order_in_which_requests_were_read_changes_no_byte_of_a_draft(tmp_path):
    frame = requests("baseline", first_day=0, days=4, per_day=80, failed=0.02)
    texts = []
    for place, order in enumerate((frame, frame.sample(frac=1, random_state=3))):
        with model_in(tmp_path / f"model{place}.duckdb", order, None) as model:
            texts.append(drafting.draft(model, BASELINE).text)

    assert texts[0] == texts[1]


@pytest.mark.slow
def test_a_month_alike_breaks_no_draft_and_a_tool_a_quarter_slower_breaks_most(tmp_path):
    """12 drafts of 1,000 requests, each held against a fresh month and one with a slower tool."""
    broken = {"alike": 0, "slower": 0, "elsewhere": 0}
    for seed in range(12):
        before = requests("baseline", first_day=0, days=5, per_day=200, seed=seed)
        alike = requests("alike", first_day=20, days=5, per_day=200, seed=1000 + seed)
        slower = requests("slower", first_day=20, days=5, per_day=200, seed=2000 + seed)
        slower["ms_1"] *= 1.25
        frame = pd.concat([before, alike, slower], ignore_index=True)
        with model_in(tmp_path / f"model{seed}.duckdb", frame, None) as model:
            contracts = drafting.draft(model, BASELINE).contracts
            for cohort in ("alike", "slower"):
                told = compliance.by_boundary(model, contracts, Scope(cohort=cohort))
                callees = set(told.loc[told["label"] == "broken", "callee"])
                broken[cohort] += "tool:score" in callees or (cohort == "alike" and bool(callees))
                broken["elsewhere"] += cohort == "slower" and bool(callees - {"tool:score"})

    assert broken["alike"] == broken["elsewhere"] == 0
    assert broken["slower"] >= 10
