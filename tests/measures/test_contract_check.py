from dataclasses import replace

import pytest
from drawn_pilots import model_in, requests
from hypothesis import given
from hypothesis import strategies as st

from analysis import contract_check, drafting, stats
from analysis.contract_check import least_units, of_text, of_traffic
from analysis.contract_file import parse
from analysis.scope import Scope

RULE = (
    "sla: {p95: 2s}\ndownstream_share: 30%\nboundaries:\n  - {match: 'agent:loan -> tool:score', "
)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """200 requests in 100 units: a model of 600 ms, a tool of 200 ms and, after it, HTTP of 120."""
    frame = requests("baseline", first_day=0, days=4, per_day=50)
    with model_in(tmp_path_factory.mktemp("check") / "model.duckdb", frame, None) as opened:
        yield opened


def told(found):
    # Narrow spaces before units read as spaces here.
    return [
        (each.kind, each.line, each.subject, each.message.replace("\u202f", " ")) for each in found
    ]


@pytest.mark.parametrize(
    ("terms", "kind", "message"),
    [
        (
            "budget: 500ms, timeout: 200ms",
            "impossible",
            "no call lasts as long as its budget of 500 ms: it ends after the timeout of 200 ms.",
        ),
        (
            "timeout: 700ms, retries: 2, idempotent: true",
            "impossible",
            "3 tries of 700 ms may take 2.10 s, longer than the SLA of 2.00 s for the "
            "whole request.",
        ),
        (
            "timeout: 3s",
            "impossible",
            "the timeout of 3.00 s may take 3.00 s, longer than the SLA of 2.00 s for "
            "the whole request.",
        ),
        (
            "retries: 1, idempotent: false",
            "impossible",
            "it is tried again, and must not be: idempotent is false.",
        ),
        ("retries: 1", "unwise", "it is tried again, and nothing says that it may: no idempotent."),
        (
            "budget: 2.5s",
            "unwise",
            "its budget of 2.50 s is longer than the SLA of 2.00 s; no request can wait for it.",
        ),
        (
            "on_path: 700ms",
            "impossible",
            "on_path 700 ms alone exceeds the downstream budget of 600 ms.",
        ),
    ],
)
def test_a_promise_that_cannot_be_kept_is_told_with_its_line(terms, kind, message):
    found = of_text(parse(f"{RULE}{terms}}}\n".encode()))

    assert told(found) == [(kind, 4, "agent:loan -> tool:score", message)]


@pytest.mark.parametrize(
    "terms", ["budget: 300ms, timeout: 200ms, retries: 1, idempotent: true", "on_path: 600ms", ""]
)
def test_a_promise_that_can_be_kept_is_not_complained_of(terms):
    assert of_text(parse(f"{RULE}{terms}}}\n".encode())) == []


def test_limits_that_no_traffic_could_prove_are_impossible():
    found = of_text(
        parse(b"sla: {p50: 3s, p95: 2s, success: 100%}\ngates: {escape: 0%, slower: 0%}\n")
    )

    assert told(found) == [
        ("impossible", 0, "sla", "p50 of 3.00 s lies above p95 of 2.00 s; it can never bind."),
        (
            "impossible",
            0,
            "gates.escape",
            "no number of requests proves 0 %; the gate never passes.",
        ),
        (
            "impossible",
            0,
            "gates.success",
            "no number of requests proves 100 %; the gate never passes.",
        ),
    ]


def test_what_matches_nothing_and_what_has_no_contract_is_told(model):
    contracts = parse(b"""\
cohorts: {baseline: baseline, pilot: canary}
aliases: {10.0.0.9: crm}
boundaries:
  - {match: "agent:* -> tool:*", budget: 400ms}
  - {match: "agent:loan -> tool:score", budget: 300ms}
  - {match: "agent:laon -> model:*", budget: 1s}
  - {match: "tool:score -> service:score/*"}
access:
  - {agent: loan, allow: ["postgresql.crm.*: read", "redis:0: read"], sensitive: [crm.cards]}
  - {agent: laon, allow: ["x: read"]}
""")

    assert told(of_traffic(model, contracts, Scope())) == [
        ("matches nothing", 0, "cohorts", "no cohort `canary` in this lake: baseline."),
        ("matches nothing", 0, "sensitive", "no resource of these traces is `crm.cards`."),
        (
            "matches nothing",
            2,
            "aliases",
            "`10.0.0.9` is no host whose service these traces leave open. There is none.",
        ),
        (
            "matches nothing",
            5,
            "agent:loan -> tool:score",
            "every boundary it matches is taken by line 4.",
        ),
        ("matches nothing", 6, "agent:laon -> model:*", "no boundary of these traces."),
        ("matches nothing", 9, "loan", "nothing that it touches is `redis:0`."),
        (
            "matches nothing",
            10,
            "laon",
            "no agent of these traces touches anything under this name.",
        ),
        (
            "no contract",
            0,
            "agent:loan → model:openai/gpt-4o",
            "no rule speaks of it: 200 calls, 33.3 % of all.",
        ),
        (
            "no contract",
            7,
            "tool:score → http:score/v1",
            "its rule sets no budget: 200 calls, 33.3 % of all.",
        ),
    ]


def test_accesses_nobody_granted_are_traffic_without_a_contract(model):
    contracts = parse(b"access:\n  - {agent: loan, allow: ['redis:0: read']}\n")
    found = [each for each in told(of_traffic(model, contracts, Scope())) if each[2] == "loan"]

    assert found == [
        ("matches nothing", 2, "loan", "nothing that it touches is `redis:0`."),
        ("no contract", 0, "loan", "read postgresql.crm.customers is not granted: 200 calls."),
    ]


def test_sums_beyond_the_downstream_share_are_told_and_a_promise_on_the_path_is_held(model):
    contracts = parse(b"""\
sla: {p95: 2s}
downstream_share: 20%
boundaries:
  - {match: "agent:loan -> tool:score", budget: 400ms, quantile: p50}
  - {match: "tool:score -> http:score/*", budget: 200ms, on_path: 40ms, quantile: p50}
  - {match: "agent:loan -> model:*", budget: 1.5s, on_path: 1.4s}
""")
    capped = replace(
        contracts,
        boundaries=(replace(contracts.boundaries[0], on_path_ms=350.0), *contracts.boundaries[1:]),
    )
    found = told(of_traffic(model, contracts, Scope()))
    wider = parse(contracts_text(contracts, share="30%"))

    assert [each[:3] for each in found] == [
        ("broken", 5, "tool:score -> http:score/*"),
        ("unwise", 0, "budgets"),
    ]
    assert "were each call to take its budget, 100 % of 200 requests would take more" in found[1][3]
    for kept in (wider, capped):  # a wider share, or a promise on the path that keeps the sum
        assert [each[2] for each in told(of_traffic(model, kept, Scope()))] == [
            "tool:score -> http:score/*"
        ]


def contracts_text(contracts, *, share):
    rules = "".join(
        f"  - {{match: '{rule.match}', budget: {rule.budget_ms}ms, quantile: "
        f"p{100 * rule.quantile:g}"
        + (f", on_path: {rule.on_path_ms}ms}}\n" if rule.on_path_ms else "}\n")
        for rule in contracts.boundaries
    )
    return f"sla: {{p95: 2s}}\ndownstream_share: {share}\nboundaries:\n{rules}".encode()


def test_promises_on_the_path_that_add_up_to_more_than_the_share_are_impossible(model):
    contracts = parse(b"""\
sla: {p95: 2s}
downstream_share: 30%
boundaries:
  - {match: "agent:loan -> tool:score", on_path: 350ms}
  - {match: "tool:score -> http:score/*", on_path: 300ms}
  - {match: "agent:loan -> model:*", on_path: 1.4s}
""")
    found = [each for each in told(of_traffic(model, contracts, Scope())) if each[2] == "on_path"]

    assert found == [
        (
            "impossible",
            0,
            "on_path",
            f"add up to {sum_} on the path of requests (95.0 % need less); {limit}.",
        )
        for sum_, limit in (
            ("2.05 s", "the SLA is 2.00 s"),
            ("650 ms", "the downstream budget is 600 ms"),
        )
    ]


def test_a_gate_that_so_few_requests_could_not_prove_is_told(model):
    contracts = parse(b"sla: {p95: 9s, success: 99%}\ngates: {within_sla: 90%}\n")
    found = [each for each in told(of_traffic(model, contracts, Scope())) if "gates" in each[2]]

    assert found == [
        (
            "unwise",
            0,
            "gates.success",
            "99.0 % needs 268 units without one miss to be proven; these traces have 100.",
        ),
    ]


@given(st.floats(0.5, 0.9999))
def test_the_least_units_are_those_that_prove_a_share_and_one_fewer_does_not(share):
    n = int(least_units(share))

    assert stats.wilson(1.0, n, level=stats.ONE_SIDED)[0] >= share - 1e-9
    assert n == 1 or stats.wilson(1.0, n - 1, level=stats.ONE_SIDED)[0] < share + 1e-9


def test_a_drafted_contract_has_no_error_and_leaves_out_no_traffic(model):
    contracts = drafting.draft(model, Scope(cohort="baseline")).contracts
    found = [*of_text(contracts), *of_traffic(model, contracts, Scope())]

    assert {each.kind for each in found} <= {contract_check.Kind.UNWISE}
