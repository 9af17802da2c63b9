import json
import re
from contextlib import contextmanager, suppress
from datetime import date
from pathlib import Path

import jsonschema
import pytest
import yaml
from drawn_contracts import texts
from hypothesis import given, settings
from hypothesis import strategies as st

import analysis.contract_file
from analysis.contract_file import parse
from analysis.contracts import Alias, ContractError, host_of

SCHEMA = json.loads(
    Path(analysis.contract_file.__file__).with_name("contracts.schema.json").read_text("utf-8")
)

WHOLE = b"""\
service: loan-assistant
sla: {p95: 2s, success: 99.5%}        # per user request
downstream_share: 30%
cohorts: {baseline: before, pilot: after}
aliases:
  10.0.0.7: credit-score
boundaries:
  - match: "agent:loan-officer -> service:credit-score/*"
    budget: 200ms
    timeout: 300ms
    idempotent: true
    retries: 1
    fallback: cached-score
access:
  - agent: loan-officer
    allow: ["postgresql.crm.public.customers: read", "http:credit-score/*: read, execute"]
    sensitive: ["postgresql.crm.public.payment_cards"]
gates: {escape: 0.5%, containment: 90%, state_kept: 99%, coverage: 95%}
acknowledged:
  - {finding: budget, subject: "a -> b", owner: team-a, reason: "moves", until: "2026-12-31"}
"""


def test_a_whole_contract_is_read_with_the_line_of_every_promise():
    found = parse(WHOLE)

    assert found.sla.latency_ms == {0.95: 2000}
    assert found.sla.success_ratio == 0.995
    assert found.downstream_budget_ms == pytest.approx(600)
    assert (found.cohorts.baseline, found.cohorts.pilot) == ("before", "after")
    assert found.aliases == (Alias("10.0.0.7", "credit-score", 6),)
    rule = found.boundaries[0]
    assert (rule.budget_ms, rule.timeout_ms, rule.retries, rule.line) == (200, 300, 1, 8)
    assert (rule.quantile, rule.idempotent, rule.fallback) == (0.95, True, "cached-score")
    assert [(grant.resource, grant.access, grant.line) for grant in found.access] == [
        ("postgresql.crm.public.customers", "read", 16),
        ("http:credit-score/*", "read", 16),
        ("http:credit-score/*", "execute", 16),
    ]
    assert found.sensitive == ("postgresql.crm.public.payment_cards",)
    assert found.gates["escape"] == 0.005
    (accepted,) = found.acknowledged
    assert (accepted.owner, accepted.until, accepted.line) == ("team-a", date(2026, 12, 31), 20)
    assert accepted.covers("budget", "a → b")
    assert not accepted.covers("access", "a → b")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("slo: {p95: 2s}", "file.yaml:1: slo: unknown key. Did you mean `sla`?"),
        ("boundaries:\n - mtch: a -> b", "file.yaml:2: mtch: unknown key. Did you mean `match`?"),
        ("boundaries:\n - budget: 1s", "file.yaml:2: boundaries: a rule needs `match: "),
        ('boundaries:\n - match: "a b"', 'file.yaml:2: match: `a b` is not "caller -> callee"'),
        ("sla:\n  p95: 200", "file.yaml:2: p95: `200` is no duration; write for example 300ms"),
        ("sla: {p95: 0ms}", "file.yaml:1: p95: `0ms` is no duration"),
        ("gates: {coverage: 101%}", "file.yaml:1: coverage: `101%` is no percentage"),
        ("gates: {coverage: 0.95}", "file.yaml:1: coverage: `0.95` is no percentage"),
        ("sla: {p95: 1s, p95: 2s}", "file.yaml:1: p95: written twice, first on line 1."),
        ("access:\n - agent: a\n   allow: [x:y]", 'file.yaml:3: allow: `x:y` is not "resource: '),
        ("access:\n - agent: a\n   allow:\n    - x: read", "file.yaml:4: allow: expected a text; "),
        ('access:\n - agent: a\n   allow: ["x: raed"]', "Did you mean `read`?"),
        ("boundaries:\n - match: a -> b\n   retries: many", "file.yaml:3: retries: `many` is no"),
        ("boundaries:\n - match: a -> b\n   idempotent: 1", "`1` is neither true nor false."),
        ("- 1", "file.yaml:1: contract: expected a mapping"),
        ("service: [a]", "file.yaml:1: service: expected a text"),
        ("aliases: [a: b]", "file.yaml:1: aliases: expected a mapping of hosts to services: "),
        ("aliases:\n  http://a: b", "file.yaml:2: http://a: is no host; write it without scheme "),
        ("aliases:\n  a/v1: b", "file.yaml:2: a/v1: is no host; "),
        ("aliases:\n  a b: c", "file.yaml:2: a b: is no host; "),
        ('aliases: {"": b}', "file.yaml:1: aliases: expected a text"),
        ("aliases: {10.7: b}", "file.yaml:1: aliases: expected a text; quote it if it looks like "),
        ("aliases: {[a]: b}", "file.yaml:1: aliases: expected a text"),
        ("aliases:\n  a: b\n  a: c", "file.yaml:3: a: written twice, first on line 2."),
        ("aliases: {a: 7}", "file.yaml:1: a: expected a text"),
    ],
)
def test_a_complaint_names_file_line_key_and_the_nearest_known_name(text, message):
    with pytest.raises(ContractError, match=re.escape(message)):
        parse(text.encode(), "file.yaml")


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"a: &a [1]\nb: &b [*a, *a]\nc: [*b, *b]", "2: `*a`: aliases are not read."),
        (b"!!python/object/apply:os.system [ls]", "1: tag `tag:yaml.org,2002:python"),
        (b"[" * 9000, "nested deeper than 10 levels."),
        (b"sla: {p95: 2s", "no YAML: "),
        (b"\xff\xfe", "not UTF-8 at byte 0."),
        (b"sla: \x00", "no YAML: "),
        (b"", "empty; a contract starts with"),
        (b"a: 1\n---\nb: 2", "2: no YAML: "),
        (b"- " * 60_000, "1: nested deeper than 10 levels."),
        (b"boundaries: [" + b"[]," * 80_000 + b"]", "1: boundaries: expected a mapping"),
        (b"sla: {p95: " + b"9" * 200_000 + b"ms}", "1: p95: `" + "9" * 80 + "\u2026` is no"),
        (b"service:\n  !!binary aGk=", "2: tag `tag:yaml.org,2002:binary` is not read."),
        (b"service: !!set {a}", "1: tag `tag:yaml.org,2002:set` is not read."),
        (b"%YAML 9.9\n---\na: 1", "1: no YAML: found incompatible YAML document"),
        (b'service: "\\ud800"', "1: "),
        (b"<<: {sla: {p95: 1s}}", "1: <<: unknown key."),
        (b"? [a, b]\n: c", "1: ?: unknown key."),
        (b'"a\\n\\u202e": 1', "1: a ?: unknown key."),
        (b'sla: {p95: "1s\\n2s"}', "1: p95: `1s 2s` is no duration"),
        (b"boundaries: [{match: a -> b, retries: 010}]", "1: retries: `010` is no whole number"),
        (b"sla: {p95: ~}", "1: p95: `~` is no duration"),
        (b"service: 2026-12-31", "1: service: expected a text"),
        (b"boundaries: {match: a -> b}", "1: boundaries: expected a list"),
    ],
)
def test_a_hostile_file_is_refused_in_one_sentence(raw, message):
    with pytest.raises(ContractError, match=re.escape(message)) as caught:
        parse(raw, "file.yaml")

    said = str(caught.value)
    assert "\n" not in said
    assert len(said) < 300


def test_a_huge_file_is_refused_unread(tmp_path):
    path = tmp_path / "contracts.yaml"
    path.write_bytes(b"#" * 10_000_000)

    with pytest.raises(ContractError, match="larger than 256 KiB"):
        analysis.contract_file.load(path)


def test_a_missing_file_is_a_complaint_that_names_it(tmp_path):
    with pytest.raises(ContractError, match=r"nowhere\.yaml: cannot be read: No such file"):
        analysis.contract_file.load(tmp_path / "nowhere.yaml")


YAML_LIKE = st.text(st.sampled_from("a:- []{}&*!|>'\"#%\n\tsla95ms~?,"), max_size=60)


@given(st.one_of(st.binary(max_size=200), YAML_LIKE.map(str.encode)))
def test_any_bytes_are_a_contract_or_a_complaint_that_names_the_file(raw):
    with suppress(ContractError), annotated(raw):
        parse(raw)


@contextmanager
def annotated(raw):
    try:
        yield
    except ContractError as error:
        if not str(error).startswith("contracts.yaml"):
            raise AssertionError(f"{raw!r}: {error}") from error
        raise


DURATIONS = st.sampled_from(["300ms", "1.5s", "2min", "0ms", "0.0s", "12", "5 s", "s", "1e3ms"])
RATIOS = st.sampled_from(["99.5%", "100%", "0%", "100.1%", "101%", "7", "1,5%", "%", "099%"])
TEXTS = st.sampled_from(["a", "agent:x", " ", "", "yes", "12", "é", "a b"])
HOSTS = st.sampled_from(["10.0.0.7", "::1", "a:80", "h/p", "http://a", " ", "", " a", "7", "é"])
KEYS = st.sampled_from(["p50", "p95", "p99.9", "p97", "p0", "p100", "success", "budget", "match"])
MATCHES = st.sampled_from(["a -> b", "agent:* → tool:x y", "a->b", "-> b", " a -> b ", "a b"])
GRANTS = st.sampled_from(["x: read", "h:c/*: read, write", "x:read", "x: raed", "x: ", ": read"])
FLAGS = st.one_of(st.booleans(), st.integers(-1, 3), TEXTS)
RULES = st.fixed_dictionaries(
    {},
    optional={
        "match": MATCHES,
        "budget": DURATIONS,
        "on_path": DURATIONS,
        "quantile": KEYS,
        "timeout": DURATIONS,
        "idempotent": FLAGS,
        "retries": FLAGS,
        "fallback": TEXTS,
        "fall_back": TEXTS,
    },
)
ACCESS = st.fixed_dictionaries(
    {"agent": TEXTS}, optional={"allow": st.lists(GRANTS, max_size=2), "sensitive": st.lists(TEXTS)}
)
DAYS = st.sampled_from(["2026-12-31", "2026-13-01", "2026-1-1", "20261231", "", "soon"])
ACCEPTED = st.fixed_dictionaries(
    {"finding": TEXTS, "owner": TEXTS, "reason": TEXTS},
    optional={"subject": TEXTS, "until": DAYS, "til": DAYS},
)
FILES = st.fixed_dictionaries(
    {},
    optional={
        "service": TEXTS,
        "sla": st.one_of(
            st.dictionaries(KEYS, DURATIONS, max_size=2),
            st.fixed_dictionaries({"success": RATIOS}),
            st.lists(DURATIONS, max_size=1),
        ),
        "downstream_share": RATIOS,
        "cohorts": st.dictionaries(st.sampled_from(["baseline", "pilot", "after"]), TEXTS),
        "aliases": st.one_of(
            st.dictionaries(HOSTS, TEXTS, max_size=2), st.lists(HOSTS, max_size=1)
        ),
        "boundaries": st.lists(RULES, max_size=2),
        "access": st.lists(ACCESS, max_size=2),
        "gates": st.dictionaries(st.sampled_from(["escape", "coverage", "luck"]), RATIOS),
        "acknowledged": st.lists(ACCEPTED, max_size=2),
        "openapi": st.lists(
            st.dictionaries(st.sampled_from(["service", "file", "url"]), TEXTS), max_size=2
        ),
        "gate": TEXTS,
    },
).filter(bool)


@settings(max_examples=300, deadline=None)
@given(FILES)
def test_the_published_schema_and_the_reader_agree_on_every_file(content):
    raw = yaml.safe_dump(content, allow_unicode=True).encode()
    is_valid = jsonschema.Draft202012Validator(SCHEMA).is_valid(yaml.safe_load(raw))
    try:
        parse(raw)
        is_read = True
    except ContractError:
        is_read = False

    assert is_read == is_valid


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=5,
)


@settings(max_examples=200)
@given(texts(), ODD, st.randoms(use_true_random=False))
def test_a_contract_with_one_odd_value_is_read_where_the_schema_takes_it(text, odd, chance):
    content = json.loads(text)
    jsonschema.Draft202012Validator(SCHEMA).validate(content)
    parse(text.encode())
    place = content
    while children := [
        (place, key)
        for key in (place if isinstance(place, dict) else range(len(place)))
        if isinstance(place, dict | list)
    ]:
        place, key = chance.choice(children)
        if not isinstance(place[key], dict | list) or not place[key] or chance.random() < 0.3:
            place[key] = odd
            break
        place = place[key]
    is_valid = jsonschema.Draft202012Validator(SCHEMA).is_valid(content)
    try:
        parse(yaml.safe_dump(content, allow_unicode=True, width=1000).encode())
        is_read = True
    except ContractError:
        is_read = False

    assert is_read == is_valid


def test_the_example_contract_is_valid_by_the_published_schema():
    jsonschema.Draft202012Validator(SCHEMA).validate(yaml.safe_load(WHOLE))


@pytest.mark.parametrize(
    ("caller", "callee", "service", "covered"),
    [
        ("agent:loan-officer", "http:credit-score/v1/score/{id}", "credit-score", True),
        ("agent:loan-officer", "http:10.0.0.7/v1/score", "credit-score", True),
        ("agent:loan-officer", "tool:credit_score", None, False),
        ("agent:other", "http:credit-score/v1", "credit-score", False),
    ],
)
def test_a_callee_may_be_written_by_its_service(caller, callee, service, covered):
    assert (parse(WHOLE).rule_for(caller, callee, service) is not None) == covered


def test_the_first_rule_that_matches_counts():
    found = parse(
        b"boundaries:\n - {match: 'a -> tool:x', budget: 1s}\n - {match: '* -> *', budget: 2s}"
    )

    assert found.rule_for("a", "tool:x").budget_ms == 1000
    assert found.rule_for("a", "tool:y").budget_ms == 2000


@pytest.mark.parametrize(
    ("callee", "host"),
    [
        ("http:10.0.0.7/v1/score", "10.0.0.7"),
        ("http:10.0.0.7", "10.0.0.7"),
        ("http:::1/v1", "::1"),
        ("http:/v1", None),
        ("rpc:10.0.0.7/Score", "10.0.0.7"),
        ("tool:10.0.0.7/score", None),
        ("postgresql.crm.customers", None),
    ],
)
def test_a_host_is_read_from_callees_that_are_asked_over_http_or_rpc(callee, host):
    assert host_of(callee) == host
