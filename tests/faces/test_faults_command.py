"""What `orchrisk faults` says, and with which exit code."""

import json

from click.testing import CliRunner

from app.cli import main
from ingest import load

SCHEDULE = """id,boundary,kind,from,until
drill,tool:credit_score -> http:*,abort,{0},{1}
"""


def run(*arguments):
    return CliRunner().invoke(main, ["faults", *map(str, arguments)])


def test_planted_fault_tests_are_found_with_their_boundary(sample):
    answer = run("--lake", sample.lake, "--contracts", sample.contracts, "--json")
    tests = {row["id"]: row for row in json.loads(answer.stdout)["tests"]}

    assert set(tests) == {"latency-credit", "outage-credit", "throttle-gateway"}
    assert {name: row["fault"] for name, row in tests.items()} == {
        "latency-credit": "latency",
        "outage-credit": "abort",
        "throttle-gateway": "throttle",
    }
    for name in ("latency-credit", "outage-credit"):
        assert tests[name]["boundary"].startswith("tool:credit_score")
        assert tests[name]["degraded_requests"] == tests[name]["exposed_requests"] > 0
    assert tests["throttle-gateway"]["seen_as"] == ["tried_again"]
    for fault, name in (
        ("fault_latency", "latency-credit"),
        ("fault_outage", "outage-credit"),
        ("fault_throttling", "throttle-gateway"),
    ):
        planted = sample.answers.of(fault, "pilot").trace_ids
        assert tests[name]["exposed_requests"] == len(planted)


def test_too_few_exposed_requests_cannot_tell_and_the_untested_are_listed(sample):
    answer = run("--lake", sample.lake, "--contracts", sample.contracts, "--cohort", "pilot")

    assert answer.exit_code == 2
    assert answer.stdout.startswith("NOT ENOUGH EVIDENCE: 3 fault tests, 0 passed.")
    assert "or more, with as few failures, would settle it" in answer.stdout
    assert "That is no pass." in answer.stdout


def test_an_empty_scope_cannot_tell(sample):
    answer = run("--lake", sample.lake, "--cohort", "nothing")

    assert answer.exit_code == 2
    assert "Never tested: none." in answer.stdout


def test_a_lake_without_a_fault_test_is_no_pass(sample):
    answer = run("--lake", sample.lake, "--cohort", "baseline")

    assert answer.exit_code == 2
    assert "no fault test was seen" in answer.stdout


def test_a_schedule_tells_a_test_that_nobody_marked(sample, tmp_path):
    file = tmp_path / "drills.csv"
    file.write_text(SCHEDULE.format("2026-09-08T00:00Z", "2026-09-12T00:00Z"))
    answer = run("--lake", sample.lake, "--cohort", "baseline", "--schedule", file, "--json")
    (row,) = json.loads(answer.stdout)["tests"]

    assert (row["id"], row["source"], row["cohort"]) == ("drill", "schedule", "baseline")
    assert row["calls"] > row["exposed_requests"] > 0


def test_a_wrong_schedule_is_one_line_and_exit_code_2(sample, tmp_path):
    file = tmp_path / "drills.csv"
    file.write_text(SCHEDULE.format("2026-09-12", "2026-09-08"))
    answer = run("--lake", sample.lake, "--schedule", file)

    assert answer.exit_code == 2
    assert "entry 1: it ends before it begins" in answer.stderr


def test_the_same_lake_gives_the_same_bytes(sample):
    arguments = ("--lake", sample.lake, "--contracts", sample.contracts, "--json")

    assert run(*arguments).stdout == run(*arguments).stdout


def proxied(trace, hit):
    """One request of a service whose call goes through Envoy, as two OTLP JSON lines."""
    begin = 1_790_000_000_000_000_000 + trace * 20 * 10**9
    status = "503" if hit else "200"
    told = [
        ("app", 1, 0, 2, (0, 100), {"http.request.method": "POST", "http.route": "/chat"}),
        ("app", 2, 1, 3, (10, 50), {"server.address": "crm", "url.path": "/v1"}),
        ("envoy", 3, 2, 3, (11, 49), {"component": "proxy", "response_flags": "FI"}),
    ]
    for service, number, parent, kind, (first, last), attributes in told:
        if not hit:
            attributes = attributes | {"response_flags": "-"}
        if number > 1:
            attributes = attributes | {"http.request.method": "GET"}
            attributes = attributes | {"http.response.status_code": status}
        span = {
            "traceId": f"{trace + 1:032x}",
            "spanId": f"{trace * 10 + number:016x}",
            "parentSpanId": f"{trace * 10 + parent:016x}" if parent else "",
            "name": "GET" if parent else "POST /chat",
            "kind": kind,
            "startTimeUnixNano": str(begin + first * 10**6),
            "endTimeUnixNano": str(begin + last * 10**6),
            "attributes": [texts(*each) for each in attributes.items()],
            "status": {"code": 2} if hit and number > 1 else {},
        }
        resource = {"attributes": [texts("service.name", service)]}
        scopes = [{"scope": {"name": "drawn"}, "spans": [span]}]
        yield {"resourceSpans": [{"resource": resource, "scopeSpans": scopes}]}


def texts(key, value):
    return {"key": key, "value": {"stringValue": value}}


def test_what_envoy_injects_is_known_by_its_response_flags(tmp_path):
    lines = [line for trace in range(80) for line in proxied(trace, hit=30 <= trace < 62)]
    dump = tmp_path / "dump.jsonl"
    dump.write_text("\n".join(map(json.dumps, lines)))
    load.load([dump], tmp_path / "lake", cohort="pilot")

    answer = run("--lake", tmp_path / "lake", "--json")
    (row,) = json.loads(answer.stdout)["tests"]

    assert answer.exit_code == 1
    assert (row["source"], row["fault"], row["boundary"]) == (
        "proxy",
        "abort",
        "service:app → http:crm/v1",
    )
    assert (row["exposed_requests"], row["label"]) == (32, "silently wrong")
