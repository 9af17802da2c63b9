"""Fault tests: seen where they were made, and what became of the requests that met them."""

import math
from datetime import UTC
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from analysis import fault_schedule, fault_tests, recovery, risk, stats
from analysis.contract_file import parse
from analysis.fault_schedule import Mark, Planned, ScheduleError
from analysis.fault_tests import FAILED, PASSED, Counts, Label, contained
from analysis.scope import Scope

CONTRACT = parse(b"sla: {p95: 2s}")
RUNS = 70
TOOLS = "abcdefgphr"
# What a request looks like while its tool is made to fail; f is the mark.
SHAPES = {
    "a": "agent root {0}..{4}\n  tool a {1}..{2} ! {f}\n  tool a {2}..{3}\n",
    "b": "agent root {0}..{4} is_degraded=true\n  tool b {1}..{2} ! {f}\n",
    "c": "agent root {0}..{4}\n  tool c {1}..{2} ! {f}\n",
    "d": "agent root {0}..{4} !\n  tool d {1}..{2} ! {f}\n",
    "e": "agent root {0}..{4}\n  tool e {1}..{2} {f}\n",
    "g": "agent root {0}..{4}\n  tool g {1}..{2} {f}\n",
    "h": "agent root {0}..{4}\n  tool h {1}..{2} ! {f}\n  tool h {2}..{3}\n",
    "r": "agent root {0}..{4}\n  tool r {1}..{2} ! {f}\n  tool r {2}..{3}\n",
    "p": "agent root {0}..{4}\n  tool p {1}..{2} ! {f}\n  tool p {2}..{3}\n",
}
HOUR = 3_600_000


def usual(at):
    tools = "".join(
        f"  tool {name} {at + 10 * place}..{at + 10 * place + 5 + at % 3}\n"
        for place, name in enumerate(TOOLS)
    )
    return f"agent root {at}..{at + 200}\n{tools}"


def shape(name, at, mark):
    if name == "f":
        tries = "".join(
            f"  tool f {at + 20 * place}..{at + 20 * place + 5} {'!' if place < 7 else ''} {mark}\n"
            for place in range(8)
        )
        return f"agent root {at}..{at + 200}\n{tries}"
    return SHAPES[name].format(at, at + 10, at + 16, at + 22, at + 200, f=mark)


@pytest.fixture(scope="module")
def lake(build, drawn, tmp_path_factory):
    """Two quiet hours, eight tests of half an hour each, and quiet hours after each of them."""
    folder = tmp_path_factory.mktemp("faults") / "lake"
    traces = [usual(60_001 * place) for place in range(120)]
    for number, name in enumerate(TOOLS):
        start = (3 + 2 * number) * HOUR
        mark = "fault_type=abort" if name == "p" else f"fault_id=test-{name} fault_type=abort"
        mark = "" if name == "g" else mark
        traces += [shape(name, start + 20_011 * place, mark) for place in range(RUNS)]
        if name == "h":  # who never met the fault fails meanwhile
            traces += [
                f"agent root {at}..{at + 50} !\n  tool x {at + 1}..{at + 5}\n"
                for at in range(start + 5_000, start + 1_200_000, 30_000)
            ]
        if name == "r":  # and this one fails on when the fault is over
            end = start + 20_011 * RUNS
            traces += [shape(name, end + 10_007 * each, "") for each in range(300)]
        traces += [usual(start + HOUR // 2 + 30_011 * place) for place in range(30)]
    model = build(drawn("\n".join(traces)), folder)
    return model, folder


@pytest.fixture(scope="module")
def told(lake):
    return fault_tests.judge(lake[0], CONTRACT, Scope())


@pytest.mark.parametrize(
    ("tool", "label", "exposed"),
    [
        ("a", "contained", RUNS),
        ("b", "degraded gracefully", RUNS),
        ("c", "silently wrong", RUNS),
        ("d", "not contained", RUNS),
        ("e", "not observed", RUNS),
        ("f", "amplified", RUNS),
        ("h", "amplified", RUNS),
        ("r", "not contained", RUNS),
    ],
)
def test_each_fate_has_its_label(told, tool, label, exposed):
    row = told.tests.set_index("id").loc[f"test-{tool}"]

    assert (row["label"], row["exposed_requests"]) == (label, exposed)
    assert row["boundary"] == f"agent:root → tool:{tool}"
    assert row["fault"] == "abort"
    assert row["reason"]


def test_failing_labels_of_so_many_requests_are_sure_at_the_risk_all_share(told):
    failing = told.tests[told.tests["label"].isin(list(map(str, FAILED)))]

    assert failing["is_proven"].all()
    assert not told.tests["is_proven"][~told.tests["label"].isin(list(map(str, FAILED)))].any()


def test_the_gate_rests_on_each_test_and_names_what_was_never_tested(lake, told):
    def found(until):
        scope = Scope(cohort="baseline", until=until.to_pydatetime().replace(tzinfo=UTC))
        answer = risk.readiness(lake[0], CONTRACT, scope)
        return next(gate for gate in answer.gates if gate.key == "containment")

    until = told.tests.set_index("id")["until_at"] + pd.Timedelta(minutes=40)
    one, two, three = (found(until[f"test-{name}"]) for name in "abc")

    assert (one.label, two.label, three.label) == ("pass", "pass", "fail")
    assert (one.measured, two.measured) == (1, 1)
    assert three.measured == pytest.approx(2 / 3)
    assert one.missing.startswith("Never tested, which is no pass: agent:root → tool:")
    assert three.missing.startswith("test-c: silently wrong. Never tested")


def test_the_reason_names_what_was_worse(told):
    reasons = told.tests.set_index("id")["reason"]

    assert "tried" in reasons["test-f"]
    assert "never met the fault" in reasons["test-h"]
    assert "still worse" in reasons["test-r"]


def test_bounds_stand_beside_what_was_seen(told):
    row = told.tests.set_index("id").loc["test-a"]

    assert "failed" in row["seen_as"]
    assert row["contained_ratio"] == 1
    assert row["contained_ratio_lower"] == pytest.approx(0.05 ** (1 / RUNS))
    assert row["p95_ms_upper"] <= row["sla_ms"]


def test_what_a_proxy_injects_is_a_test_without_an_id(told):
    found = told.tests[told.tests["source"] == "proxy"]

    assert found["boundary"].tolist() == ["agent:root → tool:p"]
    assert found["label"].tolist() == ["contained"]
    assert told.unplaced == 0


def test_what_was_not_hit_is_listed_as_untested(told):
    assert set(told.untested["boundary"]) == {f"agent:root → tool:{name}" for name in "egx"}


def test_a_schedule_tells_tests_that_spans_do_not(lake):
    start = 1772452800 + (3 + 2 * TOOLS.index("c")) * 3600
    window = (start * 10**9, (start + 1800) * 10**9)
    planned = [
        Planned("drill", "agent:* -> tool:c", "abort", *window),
        Planned("nobody", "agent:* -> tool:z", "abort", *window),
        Planned("idle", "agent:* -> tool:g", "abort", *window),
    ]

    rows = fault_tests.judge(lake[0], CONTRACT, Scope(), planned=planned).tests.set_index("id")

    assert rows.loc["drill", "label"] == "silently wrong"
    assert rows.loc["drill", "exposed_requests"] == RUNS
    assert rows.loc[["nobody", "idle"], "label"].tolist() == ["not observed"] * 2
    assert "is called that" in rows.loc["nobody", "reason"]


BAGGAGE = """
agent root    0..100 fault_id=bag
  tool outer 10..90 ! fault_id=bag
    http_client inner.api 20..60 ! fault_id=bag
"""


def test_a_mark_in_baggage_counts_at_its_target_else_at_the_innermost_call(model):
    made = model(BAGGAGE)
    inner = fault_tests.judge(made, None, Scope()).tests
    aimed = fault_tests.judge(
        made, None, Scope(), marks=({}, {"bag": Mark("abort", "outer")})
    ).tests

    assert inner["boundary"].tolist() == ["tool:outer → http:inner.api"]
    assert aimed["boundary"].tolist() == ["agent:root → tool:outer"]
    assert inner["calls"].tolist() == aimed["calls"].tolist() == [1]


def test_a_marked_span_that_is_part_of_no_call_is_counted(model):
    drawn = BAGGAGE.replace(" fault_id=bag", "")
    made = model(drawn)
    with made.relations() as cursor:
        ((trace_id, span_id),) = cursor.execute(
            "SELECT trace_id, span_id FROM nodes WHERE name = 'root'"
        ).fetchall()
    marks = {("baseline", trace_id, span_id): Mark("abort", None)}

    told = fault_tests.judge(made, None, Scope(), marks=(marks, {}))

    assert (len(told.tests), told.unplaced) == (0, 1)


def test_asking_again_gives_the_same_answer(lake, told):
    again = fault_tests.judge(lake[0], CONTRACT, Scope())

    pd.testing.assert_frame_equal(again.tests, told.tests)


RANK = [*PASSED, Label.NOT_ENOUGH, *FAILED]
COUNTS = st.integers(1, 400).flatmap(
    lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(0, n), st.integers(0, n))
)


def place(label):
    return 0 if label in PASSED else 1 if label is Label.NOT_ENOUGH else 2


@given(COUNTS, st.sampled_from([0.8, 0.9, 0.95]))
def test_one_more_failure_never_improves_a_label(drawn, required):
    n, failed, silent, degraded = drawn
    silent = min(silent, n - failed)
    degraded = min(degraded, n - failed - silent)
    before = contained(Counts(n, failed, silent, degraded), required)[0]
    added = contained(Counts(n + 1, failed + 1, silent, degraded), required)[0]

    assert place(added) >= place(before)
    if failed + silent < n:
        turned = contained(
            Counts(n, failed + 1, silent, min(degraded, n - failed - silent - 1)), required
        )
        assert place(turned[0]) >= place(before)


@pytest.mark.parametrize(
    ("required", "exposed", "allowed"),
    [(0.9, 30, 0), (0.9, 60, 1), (0.9, 100, 4), (0.9, 300, 21), (0.95, 60, 0), (0.95, 300, 8)],
)
def test_as_many_failures_are_allowed_as_the_exact_bound_says(required, exposed, allowed):
    assert contained(Counts(exposed, allowed, 0, 0), required)[0] in PASSED
    assert contained(Counts(exposed, allowed + 1, 0, 0), required)[0] not in PASSED


@pytest.mark.parametrize("required", [0.8, 0.9, 0.95])
@pytest.mark.parametrize("exposed", [20, 60, 300, 1000])
def test_a_system_at_the_limit_is_passed_or_failed_once_in_twenty_at_most(required, exposed):
    chance = binom.pmf(range(exposed + 1), exposed, 1 - required)
    labels = [contained(Counts(exposed, lost, 0, 0), required)[0] for lost in range(exposed + 1)]

    for some in (PASSED, FAILED):
        assert sum(p for p, label in zip(chance, labels, strict=True) if label in some) <= 0.05


@pytest.mark.parametrize(("required", "least"), [(0.8, 14), (0.9, 29), (0.95, 59), (0.99, 299)])
def test_so_many_exposed_requests_without_a_failure_are_the_least(required, least):
    assert contained(Counts(least, 0, 0, 0), required)[0] is Label.CONTAINED
    assert contained(Counts(least - 1, 0, 0, 0), required)[0] is Label.NOT_ENOUGH


def test_one_failed_test_fails_all_and_no_test_is_no_pass():
    assert fault_tests.verdict(["contained", "amplified"]) is Label.AMPLIFIED
    assert fault_tests.verdict(["contained", "not observed"]) is Label.NOT_OBSERVED
    assert fault_tests.verdict(["contained", "degraded gracefully"]) is Label.GRACEFUL
    assert fault_tests.verdict([]) is Label.NOT_ENOUGH


YAML = """
- {id: crm-down, boundary: "tool:crm -> http:crm/*", kind: abort,
   from: 2026-10-21T08:00Z, until: "2026-10-21T09:00+00:00"}
"""
CSV = """id,boundary,kind,from,until
crm-down,tool:crm -> http:crm/*,abort,2026-10-21T08:00Z,2026-10-21 09:00
"""


def written(folder, text):
    file = folder / "schedule"
    file.write_text(text)
    return file


def test_yaml_and_csv_say_the_same(tmp_path):
    told = [fault_schedule.load(written(tmp_path, text)) for text in (YAML, CSV)]

    assert told[0] == told[1]
    assert told[0][0].until_ns - told[0][0].from_ns == 3600 * 10**9


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("tests: 1", "expected a list"),
        ("- 5", "entry 1: expected a test"),
        (YAML.replace("kind: abort,", ""), "kind"),
        (YAML.replace(" -> ", " to "), "caller -> callee"),
        (YAML.replace("2026-10-21T09:00+00:00", "2026-10-21T07:00"), "ends before"),
        (YAML.replace("2026-10-21T09:00+00:00", "tomorrow"), "no time"),
        ("- &a {id: 1}\n- *a", "aliases"),
        ("- [", "no YAML"),
    ],
)
def test_a_wrong_schedule_is_refused_with_its_place(tmp_path, text, why):
    with pytest.raises(ScheduleError, match=why) as caught:
        fault_schedule.load(written(tmp_path, text))

    assert str(tmp_path) in str(caught.value)


def test_a_schedule_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ScheduleError, match="cannot be read"):
        fault_schedule.load(Path(tmp_path) / "none.yaml")


def slow_recovery(at, is_bad, end_ns, most):
    """Minutes until three minutes with calls in a row are good, one after another."""
    minutes = sorted({(each - end_ns) // (60 * 10**9) for each in at if each >= end_ns})
    good = [
        sum(
            bad
            for each, bad in zip(at, is_bad, strict=True)
            if (each - end_ns) // (60 * 10**9) == m
        )
        <= most * sum((each - end_ns) // (60 * 10**9) == m for each in at)
        for m in minutes
    ]
    runs = (m for m, *three in zip(minutes, good, good[1:], good[2:], strict=False) if all(three))
    return next(runs, None)


@given(st.lists(st.lists(st.booleans(), min_size=5, max_size=7), min_size=1, max_size=12))
def test_recovery_agrees_with_walking_through_the_minutes(drawn):
    calls = pd.DataFrame(
        [
            (minute * 60 * 10**9 + place * 10**9, is_bad)
            for minute, some in enumerate(drawn)
            for place, is_bad in enumerate(some)
        ],
        columns=["start_ns", "is_error"],
    ).assign(client_ms=1.0, unit_id=range(sum(map(len, drawn))), weight=1.0)
    usual = pd.DataFrame({"is_error": [True] * 10 + [False] * 90, "client_ms": 1.0, "weight": 1.0})
    usual["unit_id"] = range(100)
    most = stats.independent(10, 100).upper

    found = recovery.minutes(calls, usual, [(-(10**12), 0)], 1.0)
    expected = slow_recovery(calls["start_ns"], calls["is_error"], 0, most)

    assert found.by_minutes == expected or (expected is None and math.isnan(found.by_minutes))


def test_marks_without_an_id_are_told_by_span(lake):
    nameless, named = fault_schedule.marks(lake[0])

    assert len(nameless) == RUNS
    assert set(named) == {f"test-{name}" for name in "abcdefhr"}
    assert named["test-a"] == Mark("abort", None)
