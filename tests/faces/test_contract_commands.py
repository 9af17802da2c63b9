"""What `orchrisk contracts` prints, and its exit codes: 0 yes, 1 no, 2 could not tell."""

import json
import re

import pytest
import yaml
from click.testing import CliRunner

from app import cli

COMMANDS = ("draft", "check", "diff", "export")


def run(*arguments):
    return CliRunner().invoke(cli.main, ["contracts", *map(str, arguments)])


@pytest.fixture(scope="module")
def drafted(sample, tmp_path_factory):
    told = run("draft", "--lake", sample.lake, "--contracts", sample.contracts)
    path = tmp_path_factory.mktemp("draft") / "contracts.yaml"
    path.write_text(told.stdout.replace("credit-score.openapi.yaml", "published.yaml"))
    published = sample.contracts.with_name("credit-score.openapi.yaml")
    path.with_name("published.yaml").write_text(published.read_text())
    return path


@pytest.fixture(scope="module")
def tight(drafted):
    """The draft with a share of the path that its pilot does not keep, by half."""
    path = drafted.with_name("tight.yaml")
    text = drafted.read_text()
    rule = text.index('match: "tool:crm_lookup -> http:crm/')
    path.write_text(
        text[:rule]
        + re.sub(
            r"on_path: (\d+)ms",
            lambda found: f"on_path: {int(found[1]) // 2}ms",
            text[rule:],
            count=1,
        )
    )
    return path


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example(command):
    told = run(command, "--help")

    assert told.exit_code == 0
    assert f"Example:\n    orchrisk contracts {command}" in told.output


def test_a_draft_has_no_error_on_its_baseline_and_the_pilot_breaks_what_was_planted(
    sample, drafted, tight
):
    before = run("check", drafted, "--lake", sample.lake, "--cohort", "baseline", "--json")
    after = run("check", tight, "--lake", sample.lake, "--cohort", "pilot", "--json")
    kinds = {each["kind"] for each in json.loads(before.stdout)}
    told = {(each["kind"], each["subject"]) for each in json.loads(after.stdout)}

    assert (before.exit_code, after.exit_code) == (0, 1)
    assert kinds <= {"unwise", "matches nothing"}
    assert ("no contract", "tool:get_history → postgresql.crm.payment_cards") in told
    assert {subject for kind, subject in told if kind == "broken"} == {
        "tool:crm_lookup -> http:crm/v1/customers/{id}"
    }


def test_what_breaks_its_share_of_the_path_fails_the_gate_in_its_files_too(sample, tight, tmp_path):
    sarif, junit = tmp_path / "check.sarif", tmp_path / "check.xml"
    told = CliRunner().invoke(
        cli.main,
        [
            *("check", "--lake", str(sample.lake), "--cohort", "pilot", "--json"),
            *("--contracts", str(tight), "--sarif", str(sarif), "--junit", str(junit)),
        ],
    )
    found = {(each["rule"], each["level"]) for each in json.loads(told.stdout)["findings"]}
    result, *_ = (
        each
        for each in json.loads(sarif.read_text())["runs"][0]["results"]
        if (each["ruleId"], each["level"]) == ("on_path", "error")
    )

    assert told.exit_code == 1
    assert ("on_path", "error") in found
    assert "on the critical path of" in result["message"]["text"]
    assert result["properties"]["traceIds"]
    assert result["locations"][0]["physicalLocation"]["region"]["startLine"] > 1
    assert 'classname="orchrisk.on_path"' in junit.read_text()


def test_a_wish_that_the_baseline_does_not_keep_could_not_be_drafted(sample):
    told = run("draft", "--lake", sample.lake, "--cohort", "baseline", "--sla", "1s")

    assert told.exit_code == 2
    assert "does not keep p95 within 1.00" in told.stderr
    soon = run("draft", "--lake", sample.lake, "--sla", "soon")
    assert soon.exit_code == 2
    assert "'--sla': `soon` is no duration; write for example 300ms or 1.5s." in soon.stderr


def test_an_empty_lake_and_a_missing_document_could_not_be_told(tmp_path):
    file = tmp_path / "contracts.yaml"
    file.write_text("openapi: [{service: score, file: none.yaml}]")
    nothing = run("draft", "--lake", tmp_path / "none")
    missing = run("check", file, "--lake", tmp_path / "none")

    assert (nothing.exit_code, missing.exit_code) == (2, 2)
    assert "none: there are no traces in this lake.\nHint: read some in" in nothing.stderr
    assert "contracts.yaml:1: openapi: none.yaml: cannot be read: No such file" in missing.stderr


def test_a_draft_differs_from_the_contract_it_was_drafted_beside_and_not_from_itself(
    sample, drafted
):
    same = run("diff", drafted, drafted)
    other = run("diff", sample.contracts, drafted)

    assert (same.exit_code, same.stdout) == (0, "Both promise the same.\n")
    assert other.exit_code == 1
    assert "looser   sla.p95" in other.stdout


def test_an_acknowledgement_that_is_over_is_told_and_no_difference(tmp_path):
    file = tmp_path / "contracts.yaml"
    file.write_text(
        "acknowledged: [{finding: budget, owner: ann, reason: moves, until: 2026-10-31}]"
    )
    over = run("diff", file, file, "--today", "2026-11-01")

    assert over.exit_code == 0
    assert "expired  acknowledged.budget *  –       ann until 2026-10-31: moves" in over.stdout
    assert over.stdout.endswith("Both promise the same. Over on 2026-11-01: 1 acknowledgement.\n")
    assert run("diff", file, file, "--today", "2026-10-31").stdout == "Both promise the same.\n"


def test_without_a_lake_only_the_text_is_checked(sample, tmp_path):
    told = run("check", sample.contracts, "--lake", tmp_path / "none")

    assert told.exit_code == 0
    assert told.stdout.startswith("Nothing is wrong with it.\nThere is no lake at ")


def test_an_export_prints_its_form_and_says_on_stderr_what_it_leaves_out(sample, tmp_path):
    told = run("export", sample.contracts, "--as", "envoy")
    policy = run("export", sample.contracts, "--as", "policy")
    (tmp_path / "nothing.yaml").write_text("service: a\n")

    assert [
        document["virtual_hosts"][0]["name"] for document in yaml.safe_load_all(told.stdout)
    ] == [
        "credit-score",
        "orders",
    ]
    assert "not exported: line 8: agent:loan-officer -> model:openai/*: it has no" in told.stderr
    assert json.loads(policy.stdout)["default"] == "deny"
    assert run("export", tmp_path / "nothing.yaml", "--as", "openslo").exit_code == 2
