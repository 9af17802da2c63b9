"""A contract may name the service behind a host; what the traces tell of it counts first."""

import pytest

from analysis import compliance
from analysis.contract_file import parse
from analysis.scope import Scope

TRACES = """
    agent root  0..900
      http_client score  10..60   server_address=10.0.0.7 url_path=/v1 http_method=GET
      http_client crm  100..200   server_address=crm url_path=/v2 http_method=GET
        http_server /v2  110..190 service_name=crm http_method=GET url_path=/v2 http_status=200
      tool lookup  300..400
"""
OPEN, TOLD, TOOL = "http:10.0.0.7/v1", "http:crm/v2", "tool:lookup"


def contract(aliases, *callees):
    rules = "".join(f'\n - {{match: "* -> {callee}", budget: 90ms}}' for callee in callees)
    return parse(f"aliases: {aliases}\nboundaries:{rules or ' []'}".encode())


@pytest.fixture
def drawn(model):
    return model(TRACES)


def services(drawn, promised):
    frame = compliance.callees(drawn, promised, Scope())
    return dict(zip(frame["callee"], frame["callee_service"], strict=True))


def test_an_alias_names_the_service_of_a_host_that_serves_nothing_here(drawn):
    assert services(drawn, None) == {OPEN: None, TOLD: "crm", TOOL: None}
    assert services(drawn, contract("{}")) == {OPEN: None, TOLD: "crm", TOOL: None}
    assert services(drawn, contract("{10.0.0.7: rating}")) == {
        OPEN: "rating",
        TOLD: "crm",
        TOOL: None,
    }


def test_a_rule_that_names_the_service_matches_the_host(drawn):
    promised = contract("{10.0.0.7: rating}", "service:rating/v1", "service:crm/*")
    found = compliance.by_boundary(drawn, promised, Scope()).set_index("callee")["rule"].dropna()

    assert found.to_dict() == {OPEN: "* -> service:rating/v1", TOLD: "* -> service:crm/*"}
    assert compliance.unmatched(drawn, promised, Scope()) == []


def test_without_its_alias_the_rule_matches_nothing(drawn):
    assert compliance.unmatched(drawn, contract("{}", "service:rating/*"), Scope()) == [
        "contracts.yaml:3: `* -> service:rating/*` matches no boundary of these traces."
    ]


def test_what_the_traces_tell_counts_before_an_alias(drawn):
    promised = contract("{crm: rating}", "service:rating/*", "service:crm/*")

    assert services(drawn, promised)[TOLD] == "crm"
    assert compliance.unmatched(drawn, promised, Scope()) == [
        "contracts.yaml:1: `crm` is no host whose service these traces leave open."
        " The nearest that is: `10.0.0.7`.",
        "contracts.yaml:3: `* -> service:rating/*` matches no boundary of these traces.",
    ]


def test_an_alias_that_meets_no_host_is_told_with_its_line_and_the_nearest_host(drawn):
    promised = contract("\n  10.0.0.7: rating\n  10.0.0.7:8080: other")

    assert compliance.unmatched(drawn, promised, Scope()) == [
        "contracts.yaml:3: `10.0.0.7:8080` is no host whose service these traces leave open."
        " The nearest that is: `10.0.0.7`."
    ]


@pytest.mark.parametrize(
    "drawing", ["agent root 0..900\n  tool lookup 300..400", "agent root 0..9"]
)
def test_where_no_host_is_called_an_alias_changes_nothing(model, drawing):
    drawn = model(drawing)
    promised = contract("{10.0.0.7: rating}")

    assert services(drawn, promised) == services(drawn, None)
    assert compliance.unmatched(drawn, promised, Scope()) == [
        "contracts.yaml:1: `10.0.0.7` is no host whose service these traces leave open."
        " There is none."
    ]
