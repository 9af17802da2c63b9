import json
import re
import warnings
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path

import jsonschema
import pytest
from betterproto2 import Casing
from drawn_contracts import texts
from hypothesis import given, settings
from hypothesis import strategies as st

import analysis.exports
import sample_data
from analysis.contract_file import load, parse
from analysis.contracts import ContractError
from analysis.exports import envoy, openslo, policy

# Its classes are written in a way that pydantic will drop one day; the lock holds both still.
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from envoy_data_plane.envoy.config.route.v3 import RouteConfiguration

SAMPLE = load(Path(sample_data.__file__).with_name("contracts.yaml"))
POLICY = json.loads(
    Path(analysis.exports.__file__).with_name("policy.schema.json").read_text("utf-8")
)
NAME = {"type": "string", "pattern": "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"}
METRIC = {
    "type": "object",
    "additionalProperties": False,
    "required": ["metricSource"],
    "properties": {
        "metricSource": {
            "type": "object",
            "additionalProperties": False,
            "required": ["spec"],
            "properties": {
                "type": {"type": "string"},
                "spec": {
                    "type": "object",
                    "additionalProperties": {"type": ["string", "number", "boolean"]},
                },
            },
        }
    },
}
SHOWN = {"type": "string", "minLength": 1, "maxLength": 63}
# The fields we write and no others, by hand from OpenSLO v1 (github.com/OpenSLO/OpenSLO, README,
# schemas/v1, and what pkg/openslo/v1 asks beyond them): its own schemas are in no package.
OPENSLO = {
    "type": "object",
    "additionalProperties": False,
    "required": ["apiVersion", "kind", "metadata", "spec"],
    "properties": {
        "apiVersion": {"const": "openslo/v1"},
        "kind": {"const": "SLO"},
        "metadata": {
            "type": "object",
            "additionalProperties": False,
            "required": ["name"],
            "properties": {"name": NAME, "displayName": SHOWN},
        },
        "spec": {
            "type": "object",
            "additionalProperties": False,
            "required": ["service", "indicator", "timeWindow", "budgetingMethod", "objectives"],
            "properties": {
                "description": {"type": "string", "maxLength": 1050},
                "service": NAME,
                "indicator": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["metadata", "spec"],
                    "properties": {
                        "metadata": {
                            "type": "object",
                            "additionalProperties": False,
                            "required": ["name"],
                            "properties": {"name": NAME},
                        },
                        "spec": {
                            "type": "object",
                            "additionalProperties": False,
                            "required": ["ratioMetric"],
                            "properties": {
                                "ratioMetric": {
                                    "type": "object",
                                    "additionalProperties": False,
                                    "required": ["counter", "good", "total"],
                                    "properties": {
                                        "counter": {"type": "boolean"},
                                        "good": METRIC,
                                        "total": METRIC,
                                    },
                                }
                            },
                        },
                    },
                },
                "timeWindow": {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": 1,
                    "items": {
                        "type": "object",
                        "additionalProperties": False,
                        "required": ["duration", "isRolling"],
                        "properties": {
                            "duration": {"type": "string", "pattern": "^[1-9][0-9]*[mhdwMQY]$"},
                            "isRolling": {"const": True},
                        },
                    },
                },
                "budgetingMethod": {"enum": ["Occurrences", "Timeslices"]},
                "objectives": {
                    "type": "array",
                    "minItems": 1,
                    "items": {
                        "type": "object",
                        "additionalProperties": False,
                        "required": ["target"],
                        "properties": {
                            "displayName": SHOWN,
                            "target": {"type": "number", "minimum": 0, "exclusiveMaximum": 1},
                        },
                    },
                },
            },
        },
    },
}


DURATION = {"type": "string", "pattern": "^[0-9]{1,12}(\\.[0-9]{1,9})?s$"}
# What Envoy asks of the fields we write beyond the types of its messages, by hand from the rules
# written beside them (api/envoy/config/route/v3/route_components.proto), and no other fields.
ROUTE = {
    "type": "object",
    "additionalProperties": False,
    "required": ["match", "route"],
    "properties": {
        "match": {
            "type": "object",
            "additionalProperties": False,
            "minProperties": 1,
            "maxProperties": 1,
            "properties": {
                "path": {"type": "string", "pattern": "^/"},
                "prefix": {"type": "string", "pattern": "^/"},
                "safe_regex": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["regex"],
                    "properties": {"regex": {"type": "string", "minLength": 1}},
                },
            },
        },
        "route": {
            "type": "object",
            "additionalProperties": False,
            "required": ["cluster"],
            "properties": {
                "cluster": {"type": "string", "minLength": 1},
                "timeout": DURATION,
                "retry_policy": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {
                        "retry_on": {"type": "string"},
                        "num_retries": {"type": "integer", "minimum": 0, "maximum": 2**32 - 1},
                        "per_try_timeout": DURATION,
                    },
                },
            },
        },
    },
}
ROUTES = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name", "virtual_hosts"],
    "properties": {
        "name": {"type": "string", "minLength": 1},
        "virtual_hosts": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["name", "domains", "routes"],
                "properties": {
                    "name": {"type": "string", "minLength": 1},
                    "domains": {"type": "array", "minItems": 1, "items": {"type": "string"}},
                    "routes": {"type": "array", "minItems": 1, "items": ROUTE},
                },
            },
        },
    },
}


def held(documents):
    """Hold exported routes against Envoy's own messages and the rules beside them."""
    for document in documents:
        jsonschema.Draft202012Validator(ROUTES).validate(document)
        read = RouteConfiguration.from_dict(document).to_dict(casing=Casing.SNAKE)
        assert seconds(read) == seconds(document)
        domains = [name.lower() for host in document["virtual_hosts"] for name in host["domains"]]
        # Envoy refuses a configuration in which two hosts have one domain.
        assert len(set(domains)) == len(domains)
    return documents


def seconds(value):
    """Durations may be written with more zeros, and what is zero may be left out."""
    if isinstance(value, dict):
        told = {name: seconds(each) for name, each in value.items()}
        return {name: each for name, each in told.items() if each not in (0, "", [])}
    if isinstance(value, list):
        return [seconds(each) for each in value]
    is_duration = isinstance(value, str) and re.fullmatch(r"[0-9.]+s", value)
    # Its classes keep whole microseconds.
    return round(float(value[:-1]), 6) if is_duration else value


def routes(text):
    return held(envoy(parse(text.encode())).documents)


CONTRACT = """\
aliases: {10.0.0.7: score, 10.0.0.8: crm}
boundaries:
  - {match: "agent:a -> http:score/v1/scores/{id}", timeout: 200ms, retries: 1, idempotent: true}
  - {match: "agent:a -> service:score/v1/free"}
  - {match: "* -> http:10.0.0.7/v1/*", timeout: 1.5s}
  - {match: "agent:a -> http:crm/v1/customers", timeout: 300ms, retries: 2}
  - {match: "agent:b -> http:crm/*", budget: 1s}
  - {match: "agent:a -> tool:x", timeout: 1s}
  - {match: "agent:a -> http:c*/v1", timeout: 1s}
"""


def test_envoy_gets_time_outs_and_retries_in_the_order_of_the_rules():
    first, anyone = routes(CONTRACT)
    score, crm = first["virtual_hosts"]

    assert (score["name"], score["domains"]) == (
        "score",
        ["score", "score:*", "10.0.0.7", "10.0.0.7:*"],
    )
    assert (crm["name"], crm["domains"]) == ("crm", ["crm", "crm:*", "10.0.0.8", "10.0.0.8:*"])
    assert [told(route) for route in score["routes"]] == [
        ("/v1/scores/[^/]+", "0.4s", "0.2s", 1, "5xx,reset,connect-failure,refused-stream"),
        ("/v1/free", "0s", None, None, None),
        ("/v1/", "1.5s", None, None, None),
    ]
    assert [told(route) for route in crm["routes"]] == [
        ("/v1/customers", "0.9s", "0.3s", 2, "connect-failure,refused-stream")
    ]
    assert [told(route) for host in anyone["virtual_hosts"] for route in host["routes"]] == [
        ("/v1/", "1.5s", None, None, None)
    ]


def told(route):
    (match,) = route["match"].values()
    policy = route["route"].get("retry_policy", {})
    return (
        match["regex"] if isinstance(match, dict) else match,
        route["route"]["timeout"],
        *(policy.get(name) for name in ("per_try_timeout", "num_retries", "retry_on")),
    )


def test_the_routes_of_the_sample_have_the_form_that_envoy_reads():
    assert len(held(envoy(SAMPLE).documents)) > 0


@pytest.mark.parametrize(
    "change",
    [
        {"virtual_hostz": []},
        {"name": 7},
        {"virtual_hosts": [{"name": "a", "routes": [{"match": {"path": "/", "prefix": "/"}}]}]},
        {"virtual_hosts": [{"routes": [{"route": {"timeout": "soon"}}]}]},
    ],
)
def test_envoy_s_messages_refuse_what_is_no_route(change):
    document = {**envoy(SAMPLE).documents[0], **change}

    with pytest.raises((KeyError, ValueError)):
        RouteConfiguration.from_dict(document)


@settings(max_examples=60)
@given(texts())
def test_whatever_is_drawn_is_exported_in_the_form_of_each_tool(text):
    contracts = parse(text.encode())
    for form, hold in ((envoy, held), (openslo, objectives), (policy, policies)):
        with suppress(ContractError):
            hold(form(contracts).documents)


def objectives(documents):
    service, *rest = documents
    assert (service["apiVersion"], service["kind"]) == ("openslo/v1", "Service")
    for document in rest:
        jsonschema.Draft202012Validator(OPENSLO).validate(document)
    names = [each["metadata"]["name"] for each in rest]
    assert len(set(names)) == len(names)


def policies(documents):
    (document,) = documents
    jsonschema.Draft202012Validator(POLICY).validate(document)


def test_what_is_no_route_is_told_with_its_line():
    assert envoy(parse(CONTRACT.encode())).left_out == (
        "line 4: agent:a -> service:score/v1/free: it has no timeout and no retries.",
        "line 7: agent:b -> http:crm/*: it has no timeout and no retries.",
        "line 8: agent:a -> tool:x: its callee is no service that is asked over HTTP.",
        "line 9: agent:a -> http:c*/v1: a cluster needs one service, not a pattern.",
    )


PATHS = st.text("ab/*?[]!^-.", max_size=7).map(lambda text: "/" + text)


@given(PATHS, st.text("ab/^-.", max_size=7).map(lambda text: "/" + text))
def test_a_route_matches_the_paths_that_the_rule_matches(pattern, path):
    match = analysis.exports._match(pattern)
    is_met = (
        path == match.get("path")
        or ("prefix" in match and path.startswith(match["prefix"]))
        or ("safe_regex" in match and re.fullmatch(match["safe_regex"]["regex"], path) is not None)
    )

    assert is_met == fnmatchcase(path, pattern)


def test_openslo_documents_are_those_of_the_specification():
    service, *found = openslo(SAMPLE).documents
    objectives(openslo(SAMPLE).documents)

    assert (service["kind"], service["metadata"]["name"]) == ("Service", "loan-assistant")
    assert [
        (each["metadata"]["displayName"], each["spec"]["objectives"][0]["target"])
        for each in found[:4]
    ] == [
        ("request latency p95", 0.95),
        ("request success", 0.99),
        ("downstream budget", 0.95),
        ("agent:loan-officer -> model:openai/*", 0.95),
    ]
    names = [each["metadata"]["name"] for each in found]
    assert len(names) == 3 + len(SAMPLE.boundaries)


@given(st.text(max_size=90))
def test_any_name_becomes_one_of_rfc_1123(name):
    assert re.fullmatch(NAME["pattern"], analysis.exports._slug(name))


def test_a_policy_grants_what_the_contract_grants_and_nothing_else():
    (document,) = policy(SAMPLE).documents
    jsonschema.Draft202012Validator(POLICY).validate(document)

    assert document["default"] == "deny"
    assert {
        (agent["agent"], allow["resource"], access)
        for agent in document["agents"]
        for allow in agent["allow"]
        for access in allow["access"]
    } == {(grant.agent, grant.resource, grant.access) for grant in SAMPLE.access}
    assert document["sensitive"] == ["postgresql.crm.payment_cards"]


@pytest.mark.parametrize("form", [envoy, openslo, policy])
def test_a_contract_without_such_promises_is_a_complaint(form):
    with pytest.raises(ContractError, match=r"file[.]yaml: nothing to export: there is not "):
        form(parse(b"service: a", "file.yaml"))
