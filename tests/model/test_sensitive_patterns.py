"""What a contract calls sensitive counts in every question asked with that contract."""

import json

from click.testing import CliRunner

from analysis import access, creep
from analysis.contract_file import parse
from analysis.scope import Scope
from app import cli

TRACE = """
agent clerk 0..1000
  db gadgets 10..20 db_system=postgresql db_operation=SELECT
  http_client ask 30..40 http_method=POST server_address=api.partner.com
"""
GADGETS = parse(b'access: [{agent: clerk, sensitive: ["postgresql.gad*", "other.*"]}]')


def test_a_read_of_what_the_contract_calls_sensitive_before_a_call_out_is_egress(model):
    drawn = model(TRACE)
    told = drawn.counting(GADGETS.sensitive).ask("sensitive_egress", Scope(cohort="baseline"))

    assert drawn.ask("sensitive_egress").empty
    assert drawn.counting(("postgresql",)).ask("sensitive_egress").empty
    assert told["resource"].to_list() == ["postgresql.gadgets"]
    assert told["tags"].map(list).to_list() == [["contract"]]
    assert not told["is_sensitivity_inferred"].any()


def test_what_a_span_or_a_name_tells_stays_beside_what_the_contract_says(model):
    drawn = model(
        """
        agent clerk 0..1000
          db customers 10..20 db_system=postgresql db_operation=SELECT
          db gadgets 30..40 db_system=postgresql db_operation=SELECT
        """
    )
    was = drawn.ask("accesses").set_index("resource")["sensitivity"].map(list)
    now = drawn.counting(GADGETS.sensitive).ask("accesses").set_index("resource")
    footprint = access.footprint(drawn, GADGETS, Scope()).set_index("resource")["is_sensitive"]

    assert was["postgresql.gadgets"] == []
    assert list(now.loc["postgresql.gadgets", "sensitivity"]) == ["contract"]
    assert list(now.loc["postgresql.customers", "sensitivity"]) == was["postgresql.customers"]
    assert footprint["postgresql.gadgets"]


def test_two_tables_that_only_the_contract_calls_sensitive_are_joined(model):
    one = "agent clerk 0..100\n  db {name} 10..20 db_system=postgresql db_operation=SELECT\n\n"
    both = (
        "agent clerk 0..100\n  db gadgets 10..20 db_system=postgresql db_operation=SELECT\n"
        "  db notes 30..40 db_system=postgresql db_operation=SELECT\n\n"
    )
    drawn = model((one.format(name="gadgets") + one.format(name="notes")) * 3 + both)
    patterns = ("postgresql.gadgets", "postgresql.notes")

    assert "sensitive join" not in set(creep.changes(drawn, Scope())["change"])
    assert "sensitive join" in set(creep.changes(drawn.counting(patterns), Scope())["change"])


def test_thousands_of_patterns_are_asked_at_once(model):
    patterns = tuple(f"postgresql.schema{n}.[a-z]*_table{n}" for n in range(4000))
    told = model(TRACE).counting((*patterns, "*.gadgets")).ask("sensitive_egress")

    assert told["resource"].to_list() == ["postgresql.gadgets"]


def test_a_metric_asked_with_a_contract_counts_what_it_calls_sensitive(model, tmp_path):
    drawn = model(TRACE)
    file = tmp_path / "contracts.yaml"
    file.write_text("access: [{agent: clerk, sensitive: ['*.gadgets']}]")
    asked = ["metric", "sensitive_egress", "--lake", str(drawn.lake), "--json"]
    without, told = (
        json.loads(CliRunner().invoke(cli.main, [*asked, *more]).stdout)
        for more in ([], ["--contracts", str(file)])
    )

    assert without == []
    assert [row["tags"] for row in told] == [["contract"]]
