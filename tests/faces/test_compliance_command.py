"""What `orchrisk compliance` says, and with which exit code."""

import json

import pytest
from click.testing import CliRunner

from analysis import compliance, gates
from app.cli import main


def run(*arguments):
    return CliRunner().invoke(main, ["compliance", *map(str, arguments)])


@pytest.fixture(scope="module")
def told(sample):
    answer = run("--lake", sample.lake, "--contracts", sample.contracts, "--json")
    return answer.exit_code, json.loads(answer.stdout)


def test_a_broken_budget_is_exit_code_1_and_names_the_boundary(told):
    code, data = told
    broken = [row["boundary"] for row in data["budgets"] if row["label"] == "broken"]

    assert (code, data["label"]) == (1, "broken")
    assert any("crm" in name for name in broken)
    assert any("kafka" in name for name in broken)


def test_requests_come_first_and_their_parts_add_up(told):
    data = told[1]
    spent = sum(row["spent_ms"] for row in data["spenders"])

    assert next(iter(data)) == "label"
    assert data["requests"][0]["sla_label"] == "kept"
    assert sum(row["share_ratio"] for row in data["spenders"]) == pytest.approx(1)
    assert spent > 2000
    assert {row["window"] for row in data["burn"]} == {"all", "1 h", "6 h", "3 d"}


def test_the_same_lake_and_contract_give_the_same_bytes(sample):
    arguments = ("--lake", sample.lake, "--contracts", sample.contracts, "--json")

    assert run(*arguments).stdout == run(*arguments).stdout


def test_a_reader_sees_every_section(sample):
    answer = run("--lake", sample.lake, "--contracts", sample.contracts)

    for title in ("BROKEN:", "Requests", "Boundaries", "Burn", "Who spent", "fit?", "Time-outs"):
        assert title in answer.stdout


def test_without_a_contract_it_cannot_tell(sample):
    answer = run("--lake", sample.lake, "--cohort", "pilot")

    assert answer.exit_code == 2
    assert "Nothing was promised" in answer.stdout


@pytest.mark.parametrize("scope", [("--cohort", "nothing"), ("--service", "nobody")])
def test_an_empty_scope_cannot_tell(sample, scope):
    answer = run("--lake", sample.lake, "--contracts", sample.contracts, *scope)

    assert answer.exit_code == 2
    assert "No promise of the contract speaks of what is in this scope" in answer.stdout


def test_a_side_that_the_lake_does_not_hold_cannot_be_judged(sample, tmp_path):
    file = tmp_path / "contracts.yaml"
    file.write_text("sla: {p95: 2s}\ncohorts: {pilot: canary, baseline: canary}\n")
    answer = run("--lake", sample.lake, "--contracts", file)

    assert answer.exit_code == 2


def test_the_default_target_downstream_is_the_gates():
    assert gates.DEFAULTS["downstream"] == compliance.DOWNSTREAM_RATIO


def test_one_broken_promise_breaks_all_and_none_is_no_verdict():
    assert compliance.verdict(["kept", "broken", "not enough evidence"]) == "broken"
    assert compliance.verdict(["kept", "not enough evidence", "no budget"]) == "not enough evidence"
    assert compliance.verdict(["kept", "no budget"]) == "kept"
    assert compliance.verdict(["no budget"]) == "no budget"
