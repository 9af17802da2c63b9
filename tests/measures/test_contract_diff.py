import datetime as dt
import random
import re
from fnmatch import fnmatchcase

from hypothesis import given
from hypothesis import strategies as st
from test_contract_file import WHOLE

from analysis import gates
from analysis.contract_file import parse
from analysis.globs import expression, meet
from analysis.promises import differences


def told(
    before: str, after: str, *, today: dt.date | None = None
) -> list[tuple[str, str, str, str]]:
    found = differences(parse(before.encode()), parse(after.encode()), gates.DEFAULTS, today=today)
    # Narrow spaces before units read as spaces here.
    return [
        (
            each.change,
            each.promise,
            *(text.replace("\u202f", " ") for text in (each.before, each.after)),
        )
        for each in found
    ]


BASE = """\
sla: {p95: 2s, success: 99%}
boundaries:
  - {match: "agent:a -> tool:x", budget: 200ms, timeout: 1s}
  - {match: "agent:a -> tool:*", budget: 500ms}
access:
  - {agent: a, allow: ["crm.*: read"]}
gates: {escape: 0.5%}
"""


def test_a_contract_differs_in_nothing_from_itself():
    assert told(WHOLE.decode(), WHOLE.decode()) == []


def test_units_layout_and_defaults_written_out_make_no_difference():
    other = """\
gates: {escape: 0.50%, containment: 90%, success: 99.0%, within_sla: 95%}
access:
  - agent: a
    allow:
      - "crm.*: read"
boundaries:
  - match: "agent:a → tool:x"
    timeout: 1000ms
    budget: 0.2s
    quantile: p95
  - match: "agent:a -> tool:*"
    budget: 500ms
sla: {success: 99%, p95: 2000ms}
"""
    assert told(BASE, other) == []


def test_every_promise_that_moved_is_told_with_its_direction():
    other = """\
sla: {p95: 1.5s, success: 98%}
boundaries:
  - {match: "agent:a -> tool:x", budget: 300ms, retries: 2}
  - {match: "agent:b -> tool:*", budget: 500ms}
access:
  - {agent: a, allow: ["crm.*: write"], sensitive: [crm.cards]}
gates: {escape: 0.1%, coverage: 90%}
openapi: [{service: score, file: score.yaml}]
acknowledged: [{finding: broken_budget, owner: ann, reason: known, until: 2026-12-31}]
"""
    assert told(BASE, other) == [
        ("tighter", "sla.p95", "2.00 s", "1.50 s"),
        ("looser", "sla.success", "99.0 %", "98.0 %"),
        ("removed", "agent:a -> tool:*", "budget 500 ms, p95", ""),
        ("looser", "agent:a -> tool:x: budget", "200 ms", "300 ms"),
        ("removed", "agent:a -> tool:x: timeout", "1.00 s", ""),
        ("added", "agent:a -> tool:x: retries", "", "2"),
        ("added", "agent:b -> tool:*", "", "budget 500 ms, p95"),
        ("tighter", "access.a", "read crm.*", ""),
        ("looser", "access.a", "", "write crm.*"),
        ("added", "sensitive", "", "crm.cards"),
        ("looser", "gates.coverage", "95.0 %", "90.0 %"),
        ("tighter", "gates.escape", "0.500 %", "0.100 %"),
        ("added", "openapi.score", "", "score.yaml"),
        ("added", "acknowledged.broken_budget *", "", "ann until 2026-12-31: known"),
    ]


ACCEPTED = """\
acknowledged:
  - {finding: budget, subject: "a -> b", owner: ann, reason: moves, until: 2026-10-31}
  - {finding: access, owner: bob, reason: audited, until: 2026-12-31}
  - {finding: risk/late, owner: cay, reason: known, until: 2026-12-31}
"""


def test_acknowledgements_are_told_as_added_removed_changed_and_expired():
    other = """\
acknowledged:
  - {finding: risk/state, owner: dan, reason: fixed soon, until: 2026-11-30}
  - {finding: risk/late, owner: eve, reason: known, until: 2026-12-31}
  - {finding: budget, subject: "a -> b", owner: ann, reason: moves later, until: 2026-11-30}
"""
    first_of_december = dt.date(2026, 12, 1)

    assert told(ACCEPTED, other, today=first_of_december) == [
        ("removed", "acknowledged.access *", "bob until 2026-12-31: audited", ""),
        (
            "looser",
            "acknowledged.budget a -> b",
            "ann until 2026-10-31: moves",
            "ann until 2026-11-30: moves later",
        ),
        (
            "other",
            "acknowledged.risk/late *",
            "cay until 2026-12-31: known",
            "eve until 2026-12-31: known",
        ),
        ("added", "acknowledged.risk/state *", "", "dan until 2026-11-30: fixed soon"),
        ("expired", "acknowledged.risk/state *", "", "dan until 2026-11-30: fixed soon"),
        ("expired", "acknowledged.budget a -> b", "", "ann until 2026-11-30: moves later"),
    ]
    assert [each[0] for each in told(ACCEPTED, ACCEPTED, today=dt.date(2026, 11, 1))] == ["expired"]
    assert told(ACCEPTED, ACCEPTED, today=dt.date(2026, 10, 31)) == []


def test_rules_that_both_match_a_call_may_not_change_places_unseen():
    rules = re.findall(r"  - \{match.*\n", BASE)
    swapped = BASE.replace("".join(rules), "".join(reversed(rules)))

    assert told(BASE, swapped) == [
        (
            "other",
            "which rule counts where both match: agent:a -> tool:x; agent:a -> tool:*",
            "agent:a -> tool:x",
            "agent:a -> tool:*",
        )
    ]


NAMES = [f"agent:a{place} -> tool:{callee}" for place in range(4) for callee in "xyz"]


@given(st.permutations(NAMES), st.randoms(use_true_random=False))
def test_the_order_of_rules_that_never_meet_makes_no_difference(names, shuffler: random.Random):
    rules = [
        f'  - {{match: "{name}", budget: {len(name) + place}ms}}'
        for place, name in enumerate(names)
    ]
    before = "boundaries:\n" + "\n".join(rules)
    shuffler.shuffle(rules)

    assert told(before, "boundaries:\n" + "\n".join(rules)) == []


@given(st.text("ab?*[]!^-\\n.", max_size=8), st.text("ab^-\n.", max_size=6))
def test_a_glob_and_its_expression_match_the_same_texts(pattern, text):
    is_met = re.fullmatch(expression(pattern), text, re.DOTALL) is not None

    assert is_met == fnmatchcase(text, pattern)


@given(st.text("ab?*", max_size=5), st.text("ab?*", max_size=5), st.text("ab", max_size=6))
def test_a_name_that_matches_two_globs_proves_that_they_meet(one, other, name):
    if fnmatchcase(name, one) and fnmatchcase(name, other):
        assert meet(one, other)


@given(st.text("ab", max_size=5), st.text("ab?*[]!", max_size=6))
def test_a_plain_name_meets_a_glob_only_where_it_matches_it(name, pattern):
    assert meet(name, pattern) == fnmatchcase(name, pattern)
