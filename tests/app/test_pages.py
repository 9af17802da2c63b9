"""What pages promise: no lake, a tiny lake and a real one are all drawn, never a stack trace."""

from html import escape

import pytest
from dashboard_lakes import HOSTILE, SAMPLE
from streamlit.testing.v1 import AppTest

from analysis import check, contract_file, engine, impact, words
from analysis.scope import Scope
from ingest.load import load

PAGES = ("readiness", "pilot", "budgets", "boundaries", "errors", "access", "ingest")
EVERY = pytest.mark.parametrize("page", PAGES)
# Every page but the one that fills a lake.
ASKING = pytest.mark.parametrize("page", PAGES[:-1])


def drawn(page, **query):
    at = AppTest.from_string(
        f"""
from app import state
from app.views import {page}

state.keep()
{page}.page()
""",
        default_timeout=60,
    )
    for key, value in query.items():
        at.query_params[key] = value
    return at.run()


def html(at):
    return "".join(element.proto.body for element in at.get("html"))


@pytest.fixture
def shown(monkeypatch):
    """Name the lake and the contract that pages show."""

    def show(lake, contracts=""):
        monkeypatch.setenv("ORCHRISK_LAKE", str(lake))
        monkeypatch.setenv("ORCHRISK_CONTRACTS", str(contracts))

    return show


@ASKING
def test_a_page_without_a_lake_says_kindly_what_to_do(page, shown, tmp_path):
    shown(tmp_path / "none")
    at = drawn(page)

    assert not at.exception
    assert "There are no traces here yet." in html(at)
    assert "orchrisk ingest" in html(at)


def test_the_ingest_page_without_a_lake_offers_to_fill_one(shown, tmp_path):
    shown(tmp_path / "none")
    at = drawn("ingest")

    assert not at.exception
    assert "Nothing was read into this lake yet." in html(at)


@EVERY
def test_a_lake_of_three_traces_is_drawn(page, shown, tiny_lake):
    shown(tiny_lake)
    at = drawn(page)

    assert not at.exception
    assert "There are no traces here yet." not in html(at)


@EVERY
def test_no_page_writes_a_hostile_name_as_markup(page, shown, tiny_lake):
    shown(tiny_lake)
    at = drawn(page)

    assert "<img" not in html(at)
    for kind in ("markdown", "caption", "title", "header", "subheader"):
        for element in at.get(kind):
            assert not [name for name in HOSTILE if name in element.value]


def test_three_traces_are_too_few_for_a_percentile(shown, tiny_lake):
    shown(tiny_lake)

    assert "too few" in html(drawn("boundaries"))


@EVERY
@pytest.mark.parametrize("contracts", ["", SAMPLE / "contracts.yaml"], ids=["free", "contract"])
def test_the_sample_is_drawn(page, contracts, shown, sample_lake):
    shown(sample_lake, contracts)

    assert not drawn(page).exception


@pytest.mark.parametrize("page", ["boundaries", "errors", "access", "budgets"])
def test_one_cohort_alone_can_be_looked_at(page, shown, sample_lake):
    shown(sample_lake, SAMPLE / "contracts.yaml")
    at = drawn(page, cohort="baseline")

    assert not at.exception
    assert at.query_params["cohort"] == "baseline"


def test_a_scope_that_holds_nothing_is_said_kindly(shown, sample_lake):
    shown(sample_lake, SAMPLE / "contracts.yaml")
    drawings = {page: drawn(page, since="2099-01-01") for page in PAGES}

    assert not [page for page, at in drawings.items() if at.exception]


def test_an_unreadable_scope_shows_everything(shown, sample_lake):
    shown(sample_lake)
    at = drawn("boundaries", since="yesterday", cohort="nobody", boundary="<script>")

    assert not at.exception


def test_budgets_name_the_contract_they_lack(shown, sample_lake):
    shown(sample_lake)

    assert "No contract is named" in html(drawn("budgets"))


def test_readiness_tells_the_findings_risks_and_changes_of_a_check(shown, sample_lake):
    shown(sample_lake, SAMPLE / "contracts.yaml")
    said = html(drawn("readiness"))
    promised = contract_file.load(SAMPLE / "contracts.yaml")
    with engine.connect(sample_lake) as model:
        told = check.run(model.counting(promised.sensitive), promised, Scope())
        changes = impact.of(model.counting(promised.sensitive), promised, Scope())

    found = [each for each in told.findings if each.level != "note"]
    assert found
    assert told.register
    assert changes
    for each in found:
        assert escape(each.message) in said
    for each in told.register[:12]:
        assert f"{escape(each.subject)}<br>" in said
        assert words.digits(each.score_per_1000) in said
        assert not each.trace_ids or each.trace_ids[0] in said
    for each in changes:
        assert words.change(each.ratio) in said


def test_a_broken_contract_is_told_with_its_line(shown, sample_lake, tmp_path):
    broken = tmp_path / "contracts.yaml"
    broken.write_text("sla: {p95: 2s}\nboundarys: []\n")
    shown(sample_lake, broken)
    at = AppTest.from_file("../../app/main.py", default_timeout=60).run()

    assert not at.exception
    assert [error.value for error in at.error] == ["This cannot be shown."]
    assert "contracts.yaml:2" in at.text[0].value


def test_the_frame_draws_the_first_page(shown, sample_lake):
    shown(sample_lake, SAMPLE / "contracts.yaml")
    at = AppTest.from_file("../../app/main.py", default_timeout=60).run()

    assert not at.exception
    assert "ready for production?" in html(at)


def test_a_lake_that_grows_is_seen_without_a_restart(shown, tmp_path, hostile_dump):
    lake = tmp_path / "lake"
    shown(lake)
    at = drawn("boundaries")
    before = html(at)
    load([hostile_dump], lake, cohort="pilot")
    after = html(at.run())

    assert "There are no traces here yet." in before
    assert "There are no traces here yet." not in after


@pytest.mark.parametrize("name", ["Pilot 2", "../up", "", "-x", "a" * 64])
def test_a_bad_cohort_name_is_refused_before_anything_is_read(name, shown, tmp_path):
    shown(tmp_path / "lake")
    at = drawn("ingest")
    at.text_input(key="cohort-name").set_value(name)
    at.button[0].click().run()

    assert not at.exception
    assert "That is no cohort name." in at.error[0].value
    assert not (tmp_path / "lake").exists()


def test_two_cohorts_that_nothing_names_are_compared_as_the_reader_says(
    shown, tmp_path, hostile_dump
):
    lake = tmp_path / "lake"
    for cohort in ("after", "before"):
        load([hostile_dump], lake, cohort=cohort)
    shown(lake)
    at = drawn("pilot")

    assert not at.exception
    assert [(box.label, box.value) for box in at.selectbox][:2] == [
        ("Before", "before"),
        ("After", "after"),
    ]


def test_the_ingest_page_shows_what_was_refused_by_its_shape(shown, tmp_path):
    dump = tmp_path / "mixed.jsonl"
    dump.write_text('{"resourceSpans": []}\n{"resourceSpans": [{"secret words": 12345}\n')
    load([dump], tmp_path / "lake", cohort="pilot")
    shown(tmp_path / "lake")
    at = drawn("ingest")

    assert not at.exception
    frame = next(each.value for each in at.dataframe if "sample" in each.value.columns)
    assert frame["reason"].tolist() == ["the line is not JSON"]
    assert "line 2" in frame["place"][0]
    assert frame["sample"][0]
    assert "secret" not in frame["sample"][0]
    assert "12345" not in frame["sample"][0]


def test_a_share_of_the_path_is_shown_against_its_promise(shown, sample_lake, tmp_path):
    contract = tmp_path / "contracts.yaml"
    contract.write_text('boundaries: [{match: "tool:crm_lookup -> http:crm/*", on_path: 1ms}]')
    shown(sample_lake, contract)
    at = drawn("budgets")

    assert not at.exception
    assert "What all calls of a request may take on its critical path" in html(at)
    assert "above the 1.00" in html(at)
