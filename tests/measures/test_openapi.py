import json

import duckdb
import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from analysis import contract_check, openapi, openapi_check
from analysis.contract_file import parse
from analysis.contracts import ContractError, Document
from analysis.engine import Model
from analysis.scope import CONDITIONS, Scope

PUBLISHED = """\
openapi: 3.1.0
info: {title: Credit score, version: 2.3.0}
servers: [{url: "https://{region}.example.com/api"}]
paths:
  /v2/scores/{id}:
    get: {responses: {200: {description: ok}, 4XX: {description: wrong}}}
    delete: {responses: {204: {description: gone}, default: {description: wrong}}}
  /v2/scores/latest:
    post: {responses: {201: {description: made}}}
  /v2/reports:
    $ref: "#/components/pathItems/reports"
  /v2/models/{name}: {$ref: "models.yaml#/models"}
components:
  pathItems:
    reports:
      get: {responses: {200: {description: ok}}}
"""

CALLS = """
    tool:score  /v2/scores/{id}     GET     200  900
    tool:score  /v2/scores/{id}     GET     404   20
    tool:score  /v2/scores/{id}     GET     500    3
    tool:score  /v2/scores/{id}     GET     -      2
    tool:score  /v2/scores/{id}     DELETE  409    4
    tool:score  /v2/scores/{id}     PATCH   200    5
    tool:score  /v2/scores/{id}     -       -      6
    tool:score  /api/v2/reports     GET     200    7
    tool:old    /v1/scores/{id}     GET     200   11
    tool:older  /v1/scores/{id}     GET     200    2
    tool:score  /v2/scores/latest   GET     200    8
    tool:score  /v2/{id}/latest     PUT     200    9
    tool:score  /v2/models/fast     GET     200   10
    tool:score  /admin              GET     200    1
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    rows = []
    for line in CALLS.strip().splitlines():
        caller, path, method, status, n = line.split()
        name = f"{caller} {path}"
        told = [None if text == "-" else text for text in (method, status)]
        rows += [(name, caller, f"http:credit-score{path}", "credit-score", *told)] * int(n)
    path = tmp_path_factory.mktemp("openapi") / "model.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "CREATE TABLE calls (boundary_id TEXT, caller TEXT, callee TEXT, callee_service TEXT,"
            " http_method TEXT, http_status INTEGER, api_version TEXT, callee_version TEXT,"
            " cohort TEXT DEFAULT 'pilot',"
            " trace_id TEXT DEFAULT 'trace', call_id INTEGER DEFAULT 1,"
            " started_at TIMESTAMP DEFAULT '2026-03-02')"
        )
        connection.executemany(
            "INSERT INTO calls (boundary_id, caller, callee, callee_service, http_method,"
            " http_status) VALUES (?, ?, ?, ?, ?, ?)",
            rows,
        )
        for name in CONDITIONS.keys() - {"calls"}:
            connection.execute(f"CREATE TABLE {name} (cohort TEXT)")
    opened = duckdb.connect(":memory:")
    opened.execute(f"ATTACH '{path}' AS model (READ_ONLY)")
    with Model("drawn", path, opened) as drawn:
        yield drawn


def contract(folder, text=PUBLISHED, name="credit-score.openapi.yaml", rules=""):
    (folder / name).write_text(text)
    written = f"openapi: [{{service: credit-score, file: {name}}}]\n{rules}"
    return parse(written.encode(), str(folder / "contracts.yaml"))


def told(model, contracts, *, is_call):
    return [
        (each.subject, each.message)
        for each in openapi_check.deviations(model, contracts, Scope())
        if each.is_call == is_call
    ]


VERSIONED = """\
openapi: 3.1.0
info: {title: Orders, version: 2.3.0}
servers:
  - url: "https://api.example.com/{stage}/{version}"
    variables: {stage: {default: live}, version: {enum: [v2, v3], default: v3}}
paths:
  /orders:
    get: {responses: {200: {}}}
  /dated:
    parameters: [{$ref: "#/components/parameters/dated"}]
    get: {responses: {200: {}}}
components:
  parameters:
    dated:
      {name: X-API-Version, in: header, schema: {type: string, enum: ["2025-06-01", "2026-01-31"]}}
"""
ASKED = """
    /live/v2/orders    -            -        1
    /live/v1/orders    -            -        2
    /live/v1/orders    2            -        4
    /orders            2            -        8
    /orders            ["v2.3"]     -       16
    /orders            3            -       32
    /orders            2.1          -       64
    /orders            2026-01-31   -      128
    /orders            newest       2.9.1  256
    /orders            -            4.0.0  512
    /dated             2026-01-31   -     1024
    /dated             ["2024-01-01"] -   2048
    /dated             2.3.0        -     4096
"""


@pytest.fixture(scope="module")
def asked():
    """What `http_calls` tells of calls that ask for a version."""
    rows = []
    for line in ASKED.strip().splitlines():
        path, version, release, n = line.split()
        rows.append(
            {
                "boundary_id": path,
                "caller": "tool:orders",
                "callee": f"http:orders{path}",
                "http_method": "GET",
                "http_status": 200,
                "api_version": None if version == "-" else version,
                "callee_version": None if release == "-" else release,
                "calls": int(n),
                "example_trace_id": "trace",
            }
        )
    return pd.DataFrame(rows)


def api_of(folder, text):
    contracts = contract(folder, text)
    return openapi.load(contracts.openapi[0], contracts.path)


def test_callers_on_another_version_are_told_by_path_header_and_document(asked, tmp_path):
    """The path counts first, then a listed parameter, then the document's own version."""
    found = openapi_check._of_calls("orders", [api_of(tmp_path, VERSIONED)], asked)

    assert [(each.subject, each.message.split(":")[0], each.calls) for each in found] == [
        (
            "orders /live/v1/orders",
            "another version than the document's, v2 (2.3.0)",
            2 + 4,
        ),
        (
            "orders GET /dated",
            "asks for version 2.3.0, another than the document's, 2025-06-01, 2026-01-31",
            4096,
        ),
        (
            "orders GET /dated",
            "asks for version 2024-01-01, another than the document's, 2025-06-01, 2026-01-31",
            2048,
        ),
        ("orders GET /orders", "asks for version 2.1, another than the document's, 2.3.0", 64),
        ("orders GET /orders", "asks for version 3, another than the document's, 2.3.0", 32),
    ]


def test_a_call_is_of_the_version_of_one_of_several_documents(asked, tmp_path):
    later = VERSIONED.replace("2.3.0", "3.1.0").replace("2025-06-01", "2024-01-01")
    apis = [api_of(tmp_path, VERSIONED), api_of(tmp_path, later)]
    found = openapi_check._of_calls("orders", apis, asked)

    assert {each.calls for each in found} == {2 + 4, 64, 4096}


def test_a_release_of_another_major_number_asks_whether_the_document_still_holds(asked, tmp_path):
    """Where no release is numbered as the document is, nothing is said."""
    (found,) = openapi_check._of_releases("orders", [api_of(tmp_path, VERSIONED)], asked)
    other = api_of(tmp_path, VERSIONED.replace("version: 2.3.0", "version: 1.0.0"))

    assert list(openapi_check._of_releases("orders", [other], asked)) == []
    assert (found.is_call, found.message) == (
        False,
        "release 4.0.0 answers, the document is of 2.3.0; does it still hold? 512 calls.",
    )


def test_servers_with_too_many_variables_are_any_address(tmp_path):
    listed = "[" + ", ".join(f"v{n}" for n in range(99)) + "]"
    (operation,) = api_of(
        tmp_path,
        "openapi: 3.0.0\n"
        f"servers: [{{url: '/{{v}}', variables: {{v: {{enum: {listed}}}}}}}]\n"
        "paths: {/a: {get: {}}}",
    ).operations

    assert operation.bases == ("/{v}",)


@given(st.lists(st.integers(0, 99), min_size=1, max_size=4), st.integers(0, 4))
def test_a_version_is_that_of_which_it_tells_the_first_numbers(numbers, length):
    whole = ".".join(map(str, numbers))
    start = ".".join(map(str, numbers[:length]))
    other = ".".join(map(str, [numbers[0] + 1, *numbers[1:]]))

    assert openapi_check._is_same(f"v{whole}", whole) is True
    assert not start or openapi_check._is_same(start, whole) is True
    assert openapi_check._is_same(other, whole) is False
    assert openapi_check._is_same("2026-01-31", whole) is None
    assert openapi_check._is_same("newest", whole) is None


@given(st.text() | st.text('[]"{}v2.,', max_size=9))
def test_whatever_a_header_holds_is_a_text_or_nothing(value):
    assert openapi_check.asked_for(value) in (None, value.strip()) or "[" in value


EXPECTED = [
    (
        "credit-score /v1/scores/{id}",
        "another version than the document's, v2 (2.3.0): 13 calls from tool:old, "
        "tool:older; for example trace.",
    ),
    ("credit-score GET /admin", "no published path: 1 call from tool:score; for example trace."),
    (
        "credit-score GET /v2/scores/{id}",
        "no published status 500, only 200, 4xx: 3 calls from tool:score; for example trace.",
    ),
    (
        "credit-score PATCH /v2/scores/{id}",
        "no published method, only DELETE, GET: 5 calls from tool:score; for example trace.",
    ),
    (
        "credit-score PUT /v2/{id}/latest",
        "no published operation, whichever path it stands for: 9 calls from tool:score; "
        "for example trace.",
    ),
]


def test_calls_that_no_document_has_are_told_and_nothing_else(model, tmp_path):
    """A GET of /latest may be the id `latest`; of what another file says, nothing is said."""
    assert told(model, contract(tmp_path), is_call=True) == EXPECTED


def test_a_document_reads_the_same_in_json_and_in_yaml(model, tmp_path):
    as_json = json.dumps(yaml.safe_load(PUBLISHED))

    assert told(model, contract(tmp_path, as_json, "api.json"), is_call=True) == EXPECTED


def test_published_operations_without_a_budget_or_a_timeout_are_told(model, tmp_path):
    rules = """\
boundaries:
  - {match: "* -> http:credit-score/v2/scores/*", budget: 1s, timeout: 2s}
  - {match: "* -> service:credit-score/api/v2/reports", budget: 1s}
"""
    assert told(model, contract(tmp_path, rules=rules), is_call=False) == [
        ("credit-score GET /v2/reports", "no timeout: 7 calls.")
    ]
    assert told(model, contract(tmp_path), is_call=False) == [
        ("credit-score GET /v2/scores/{id}", "no budget and no timeout: 948 calls."),
        ("credit-score DELETE /v2/scores/{id}", "no budget and no timeout: 948 calls."),
        ("credit-score POST /v2/scores/latest", "no budget and no timeout: 8 calls."),
        ("credit-score GET /v2/reports", "no budget and no timeout: 7 calls."),
    ]


def test_calls_that_are_not_published_are_errors_of_the_contract_check(model, tmp_path):
    found = contract_check._of_documents(model, contract(tmp_path), Scope())

    assert {each.kind for each in found} == {"not published", "no contract"}
    assert contract_check.Kind.NOT_PUBLISHED in contract_check.ERRORS


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("swagger: '1.2'", "no OpenAPI 3 and no Swagger 2.0 document."),
        ("[1]", "no OpenAPI 3 and no Swagger 2.0 document."),
        ("openapi: 3.0.0\npaths: [1]", "no OpenAPI 3 and no Swagger 2.0 document."),
        ("a: &a [1]\nb: *a", "`*a`: aliases are not read."),
        ("[" * 99, "nested deeper than 60 levels."),
        ("{", "neither JSON nor YAML: "),
        ("a: [", "neither JSON nor YAML: "),
        ("#" * (2 * 1024**2 + 1), "larger than 2 MiB."),
    ],
)
def test_a_hostile_document_is_refused_in_one_sentence_with_its_line(tmp_path, text, message):
    contracts = contract(tmp_path, text)

    with pytest.raises(ContractError) as refused:
        openapi.load(contracts.openapi[0], contracts.path)

    said = str(refused.value)
    assert said.startswith(f"{tmp_path}/contracts.yaml:1: openapi: credit-score.openapi.yaml: ")
    assert message in said
    assert "\n" not in said


def test_a_missing_document_names_the_line_that_asks_for_it(tmp_path):
    with pytest.raises(ContractError, match=r"yaml:7: openapi: none.yaml: cannot be read: No such"):
        openapi.load(Document("a", "none.yaml", 7), str(tmp_path / "contracts.yaml"))


def test_no_reference_is_followed_out_of_the_document_or_in_circles(tmp_path):
    text = """\
openapi: 3.0.3
paths:
  /far: {$ref: "http://127.0.0.1:9/api.yaml#/far"}
  /file: {$ref: "/etc/passwd"}
  /round: {$ref: "#/paths/~1round"}
  /near: {get: {}}
"""
    contracts = contract(tmp_path, text)
    api = openapi.load(contracts.openapi[0], contracts.path)

    assert api.unread == ("/far", "/file", "/round")
    assert [(each.method, each.path) for each in api.operations] == [("GET", "/near")]


def test_swagger_2_gives_its_base_path(tmp_path):
    contracts = contract(
        tmp_path, "swagger: '2.0'\nbasePath: /v1/\npaths: {/a: {get: {responses: {200: {}}}}}"
    )
    operation = openapi.load(contracts.openapi[0], contracts.path).operations[0]

    assert (operation.bases, operation.answers(200), operation.answers(201)) == (
        ("/v1",),
        True,
        False,
    )


@given(st.binary(max_size=200) | st.text("{}[]:- \nopenapi3.0&*\"'", max_size=80).map(str.encode))
def test_any_bytes_are_a_document_or_one_complaint(tmp_path_factory, raw):
    folder = tmp_path_factory.getbasetemp()
    (folder / "api.yaml").write_bytes(raw)
    said = ""
    try:
        openapi.load(Document("a", "api.yaml", 1), str(folder / "contracts.yaml"))
    except ContractError as error:
        said = str(error)

    assert "\n" not in said


SEGMENTS = st.lists(st.sampled_from(["a", "b", "v1", "{id}", "{x}.json", "7"]), max_size=3)


@given(SEGMENTS)
def test_a_published_path_is_surely_itself_and_never_one_of_another_length(segments):
    path = "/" + "/".join(segments)

    assert openapi_check._alike(path, path) is True
    assert openapi_check._alike(path + "/more", path.rstrip("/") + "/even/more") is None
