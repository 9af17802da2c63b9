"""Spans that real instrumentations emit become the handoffs, accesses and errors they are."""

import hashlib
import json
from pathlib import Path

import pytest

from analysis import engine
from ingest.load import load

CASES = Path(__file__).parents[3] / "shared" / "boundary-cases.jsonl"
KINDS = {"INTERNAL": 1, "SERVER": 2, "CLIENT": 3, "PRODUCER": 4, "CONSUMER": 5}
STATUS = {"UNSET": 0, "OK": 1, "ERROR": 2}
START_NS = 1_772_452_800_000_000_000

pytestmark = pytest.mark.real


def read():
    if not CASES.is_file():
        return []
    return [json.loads(line) for line in CASES.read_text(encoding="utf-8").splitlines()]


def ident(text, digits):
    return hashlib.sha256(text.encode()).hexdigest()[:digits]


def value(plain):
    if isinstance(plain, bool):
        return {"boolValue": plain}
    if isinstance(plain, int):
        return {"intValue": str(plain)}
    if isinstance(plain, float):
        return {"doubleValue": plain}
    if isinstance(plain, list):
        return {"arrayValue": {"values": [value(item) for item in plain]}}
    return {"stringValue": plain}


def pairs(attributes):
    return [{"key": key, "value": value(plain)} for key, plain in attributes.items()]


def otlp(case):
    """One case as OTLP JSON, its spans in one trace."""
    return {
        "resourceSpans": [
            {
                "resource": {"attributes": pairs(span.get("res", {}))},
                "scopeSpans": [
                    {
                        "scope": {"name": span.get("scope", "")},
                        "spans": [
                            {
                                "traceId": ident(case["id"], 32),
                                "spanId": ident(case["id"] + span["id"], 16),
                                "parentSpanId": span.get("parent")
                                and ident(case["id"] + span["parent"], 16),
                                "flags": span.get("flags", 0),
                                "name": span["name"],
                                "kind": KINDS[span["kind"]],
                                "startTimeUnixNano": str(
                                    START_NS + round(span["start"] * 1_000_000)
                                ),
                                "endTimeUnixNano": str(START_NS + round(span["end"] * 1_000_000)),
                                "status": {
                                    "code": STATUS[span.get("status", "UNSET")],
                                    "message": span.get("message", ""),
                                },
                                "attributes": pairs(span.get("attrs", {})),
                                "events": [
                                    {"name": event["name"], "attributes": pairs(event["attrs"])}
                                    for event in span.get("events", [])
                                ],
                            }
                        ],
                    }
                ],
            }
            for span in case["spans"]
        ]
    }


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    """The model of every case, each a cohort of its own: no system answers for another."""
    if not CASES.is_file():
        pytest.skip(f"{CASES} is not here")
    folder = tmp_path_factory.mktemp("cases")
    for case in read():
        dump = folder / f"{case['id']}.json"
        dump.write_text(json.dumps(otlp(case)), encoding="utf-8")
        (report,) = load([dump], folder / "lake", cohort=case["id"].lower()).sources
        assert report.kept == len(case["spans"])
    return engine.connect(folder / "lake")


def asked(query, model, case, sql):
    names = {ident(case["id"] + span["id"], 16): span["id"] for span in case["spans"]}
    sql = sql.replace("$trace", f"'{ident(case['id'], 32)}'")
    return [
        tuple(names.get(cell, cell) if isinstance(cell, str) else cell for cell in row)
        for row in query(model, sql)
    ]


@pytest.mark.parametrize("case", read(), ids=lambda case: case["id"])
def test_a_case_is_read_as_described(cases, query, case):
    expected = case["expect"]
    found = {
        name: {"type": kind, "error": error}
        for name, kind, error in asked(
            query,
            cases,
            case,
            "SELECT span_id, type, error_class FROM nodes WHERE trace_id = $trace",
        )
    }
    for name, told in expected["spans"].items():
        wanted = {key: told[key] for key in ("type", "error") if key in told}

        assert {key: found[name][key] for key in wanted} == wanted, name

    calls = asked(
        query, cases, case, "SELECT caller, kind, callee, access FROM calls WHERE trace_id = $trace"
    )

    assert sorted(calls) == sorted(tuple(row) for row in expected["boundaries"])

    failures = asked(
        query,
        cases,
        case,
        """
        SELECT span_id, if(is_origin, 'origin', 'propagated'), outcome
        FROM failures INNER JOIN nodes ON node_id = failure_id
        WHERE failures.trace_id = $trace
        """,
    )
    if "errors" in expected:
        assert {name: [role, outcome] for name, role, outcome in failures} == expected["errors"]

    for name, times in expected.get("latency", {}).items():
        (row,) = (
            dict(zip(times, row[1:], strict=True))
            for row in asked(
                query,
                cases,
                case,
                f"SELECT span_id, {', '.join(times)} FROM calls WHERE trace_id = $trace",
            )
            if row[0] == name
        )

        assert row == times

    if "input_tokens" in expected:
        assert asked(
            query, cases, case, "SELECT sum(input_tokens) FROM calls WHERE trace_id = $trace"
        ) == [(expected["input_tokens"],)]
    if "conversation" in expected:
        assert asked(
            query,
            cases,
            case,
            "SELECT DISTINCT conversation_id FROM nodes WHERE trace_id = $trace",
        ) == [(expected["conversation"],)]
