"""A check's findings as files that other tools read: SARIF 2.1.0, JUnit XML, Markdown."""

import re
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from urllib.parse import quote
from xml.etree import ElementTree as ET

import orjson

from analysis import words
from analysis.findings import Finding, Level, Status
from analysis.gates import Gate
from analysis.risk import Readiness
from app.terminal import clean

SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
RULES = {
    "gate/success": "Share of user requests that succeed",
    "gate/within_sla": "Share of user requests within the SLA",
    "gate/downstream": "Share of user requests within the downstream budget",
    "gate/budgets": "Boundaries within their latency budget",
    "gate/on_path": "Boundaries within their share of the critical path",
    "gate/containment": "Share of injected faults that reached no user",
    "gate/slower": "Tail against the baseline",
    "gate/coverage": "Share of traces without missing spans",
    "gate/grants": "Accesses that the contract grants",
    "gate/escape": "User requests broken by a boundary",
    "gate/state_kept": "Turns that kept their context",
    "budget": "A boundary's latency budget",
    "on_path": "A boundary's share of a request's critical path",
    "access": "An access that no grant covers",
    "risk/failing": "Failures that start at a boundary and reach a user",
    "risk/late": "A boundary that makes requests late",
    "risk/duplicate-write": "A write made again after a time-out",
    "risk/retry-storm": "Retries that are themselves the load",
    "risk/access": "An agent that does more than it was given",
    "risk/state": "Context lost between turns",
    "risk/incomplete": "Traces that are cut or miss spans",
}
# More says nothing more to a reader of a pull request.
MAX_ROWS = 50
MAX_WORD = 300
# What XML 1.0 has no way to write.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>()#+!|~@&$])")


def sarif(
    found: Sequence[Finding], *, place: Path, cohort: str | None, has_baseline: bool
) -> bytes:
    """Return findings as one SARIF 2.1.0 run, in the order given.

    Args:
        found: The findings.
        place: The file they are shown at, the contract where there is one.
        cohort: Names the run, so that checks of two cohorts do not replace each other.
        has_baseline: Whether they were held against an earlier check.
    """
    rules = sorted({each.rule for each in found})
    log = {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "orchrisk",
                        "semanticVersion": metadata.version("orchrisk"),
                        "rules": [
                            {"id": rule, "shortDescription": {"text": RULES.get(rule, rule)}}
                            for rule in rules
                        ],
                    }
                },
                "automationDetails": {"id": f"orchrisk/{cohort or 'all'}/"},
                "results": [
                    _result(each, rules.index(each.rule), place, has_baseline=has_baseline)
                    for each in found
                ],
            }
        ],
    }
    return orjson.dumps(log, option=orjson.OPT_INDENT_2) + b"\n"


def _result(each: Finding, index: int, place: Path, *, has_baseline: bool) -> dict[str, object]:
    physical = {
        "artifactLocation": {"uri": _uri(place)},
        "region": {"startLine": each.line or 1},
    }
    told: dict[str, object] = {
        "ruleId": each.rule,
        "ruleIndex": index,
        "level": each.level,
        "message": {"text": words.sentences(each.message, each.remark, each.remedy)},
        "locations": [{"physicalLocation": physical, **_logical(each)}],
        "partialFingerprints": {"orchrisk/v1": each.key},
        "properties": {"owner": each.owner, "traceIds": list(each.trace_ids)},
    }
    if has_baseline:
        told["baselineState"] = "unchanged" if each.status == Status.KNOWN else "new"
    if each.status == Status.ACCEPTED:
        told["suppressions"] = [
            {"kind": "external", "status": "accepted", "justification": each.remark}
        ]
    return told


def _logical(each: Finding) -> dict[str, object]:
    if not each.subject:
        return {}
    return {"logicalLocations": [{"fullyQualifiedName": each.subject, "kind": "member"}]}


def _uri(place: Path) -> str:
    return place.as_uri() if place.is_absolute() else quote(place.as_posix())


def junit(found: Sequence[Finding], gates: Sequence[Gate], *, cohort: str | None) -> bytes:
    """Return a check as one JUnit test suite: a case a gate that passed, a case a finding.

    Risks are no tests and are left out.

    What is wrong is a failure, what is open an error, since a test without evidence did not pass;
    what does not count is skipped, with who accepted it.
    """
    cases = [_case("gate/" + gate.key, gate.name) for gate in gates if gate.label == "pass"]
    failures = errors = skipped = 0
    for each in found:
        if each.level == Level.NOTE:
            continue
        case = _case(each.rule, each.subject or RULES.get(each.rule, each.rule))
        if not each.counts:
            skipped += 1
            kind, type_ = "skipped", None
        elif each.level == Level.ERROR:
            failures += 1
            kind, type_ = "failure", each.rule
        else:
            errors += 1
            kind, type_ = "error", each.rule
        message = each.remark or each.message if kind == "skipped" else each.message
        part = ET.SubElement(case, kind, {"message": _xml(message)})
        if type_:
            part.set("type", type_)
            part.text = _xml("\n".join(filter(None, (each.remark, each.remedy, *each.trace_ids))))
        cases.append(case)
    suite = ET.Element(
        "testsuite",
        {
            "name": _xml(f"orchrisk check {cohort or ''}".strip()),
            "tests": str(len(cases)),
            "failures": str(failures),
            "errors": str(errors),
            "skipped": str(skipped),
        },
    )
    suite.extend(cases)
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    written: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return written + b"\n"


def _case(rule: str, name: str) -> ET.Element:
    return ET.Element(
        "testcase", {"classname": f"orchrisk.{rule.replace('/', '.')}", "name": _xml(name)}
    )


def _xml(text: str) -> str:
    return _NOT_XML.sub("?", text)


def markdown(
    readiness: Readiness, found: Sequence[Finding], *, title: str, reason: str, counts: str
) -> str:
    """Return a check as a comment for a pull request: the answer, what counts, the gates.

    Names come from traces: whatever would be markup, a mention or a link in them is written out.
    """
    signs = {"pass": "✅", "fail": "❌"}
    lines = [f"## orchrisk: {title}", "", _md(reason), ""]
    if counts not in reason:
        lines += [_md(counts), ""]
    rows = [
        (
            each.level if each.counts or each.level == Level.NOTE else each.status,
            _md(each.rule),
            _md(each.message),
            _md(words.sentences(each.remark, each.remedy)),
        )
        for each in found[:MAX_ROWS]
    ]
    if rows:
        lines += ["| | finding | what was seen | what to do |", "| --- | --- | --- | --- |"]
        lines += [f"| {' | '.join(row)} |" for row in rows]
        lines += [""]
    if len(found) > MAX_ROWS:
        lines += [f"{len(found) - MAX_ROWS} more with `--json`.", ""]
    lines += ["<details><summary>Gates</summary>", "", "| | gate | measured | required |"]
    lines += ["| --- | --- | --- | --- |"]
    lines += [
        f"| {signs.get(gate.label, '❔')} {gate.label} | {_md(gate.name)} "
        f"| {_md(words.measured(gate.measured, gate.unit))} "
        f"| {'≥' if gate.better == 'higher' else '≤'} "
        f"{_md(words.measured(gate.required, gate.unit))} |"
        for gate in readiness.gates
    ]
    return "\n".join([*lines, "", "</details>", ""])


def _md(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", clean(text, width=MAX_WORD))
