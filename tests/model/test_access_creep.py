"""Unseen is as sure as the units make it; what begins late is told, what was rare is not."""

from datetime import timedelta
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest

from analysis import access, creep, engine
from analysis.scope import Scope
from ingest.load import load

DATA = Path(__file__).parents[3] / "shared" / "data"
DAY_MS = 86_400_000


def call(kind, name, start, rest=""):
    return f"  {kind} {name} {start + 10}..{start + 20} {rest}"


def visit(number, *lines, agent="clerk", rest=""):
    """Draw one trace of an agent, one a visit; every day has ten visits."""
    start = number * DAY_MS // 10
    drawn = [f"agent {agent} {start}..{start + 1000} {rest}"]
    drawn += [call(*line.split(" ", 2)[:2], start, *line.split(" ", 2)[2:]) for line in lines]
    return "\n".join(drawn)


CRM = "db_system=postgresql db_operation="


def found(model):
    frame = creep.changes(model, Scope())
    return {
        (row.change, row.resource): (row.evidence, row.units_before, row.uses)
        for row in frame.itertuples()
    }


@pytest.fixture(scope="module")
def watched(build, drawn):
    """Twenty days of one clerk, and what it begins to do on some of them."""
    visits = []
    for number in range(200):
        lines = [f"db orders {CRM}SELECT"]
        if number >= 3:
            lines.append(f"db stock {CRM}SELECT")
        if number >= 150 and number % 2:
            lines.append(f"db orders {CRM}UPDATE")
            lines.append(f"db cards {CRM}SELECT")
        if number >= 120 and number % 3 == 0:
            lines.append(f"db customers {CRM}SELECT")
        if number in (40, 130):
            lines.append(f"db refunds {CRM}SELECT")
        if number in (160, 170):
            lines.append(f"db audit {CRM}DELETE")
        visits.append(visit(number, *lines))
    return build(drawn("\n\n".join(visits)))


def test_what_begins_after_weeks_is_creep_and_what_begins_in_the_first_days_is_not(watched):
    told = found(watched)

    assert told["new resource", "postgresql.customers"] == ("creep", 120, 27)
    assert told["new resource", "postgresql.cards"] == ("creep", 151, 25)
    assert told["read to write", "postgresql.orders"] == ("creep", 151, 25)
    assert told["new resource", "postgresql.stock"] == ("burn-in", 3, 197)


def test_a_rare_use_is_seen_late_and_proves_nothing(watched):
    told = found(watched)

    assert told["new resource", "postgresql.refunds"][0] == "burn-in"
    assert told["new resource", "postgresql.audit"] == ("seen late", 160, 2)


def test_two_sensitive_tables_in_one_trace_are_joined_once_both_are_read(watched):
    frame = creep.changes(watched, Scope())
    (joined,) = frame[frame["change"] == "sensitive join"].itertuples()

    # Both are read first by the visit 153, the first odd one from 150 on that three divides.
    assert (joined.resource, joined.other_resource) == ("postgresql.cards", "postgresql.customers")
    assert (joined.evidence, joined.units_before) == ("creep", 153)
    assert joined.first_at - joined.watched_since == timedelta(days=15.3)
    assert sorted(joined.sensitivity) == ["financial", "pii"]


def test_a_tool_above_a_table_is_not_joined_with_it(build, drawn, query):
    lines = "\n\n".join(
        f"agent a {number}..{number + 0.9}\n"
        f"  tool get_customer {number}.1..{number}.5\n"
        f"    db customers {number}.2..{number}.3 {CRM}SELECT"
        for number in range(40)
    )
    model = build(drawn(lines))

    assert "sensitive join" not in set(model.ask("creep")["change"])


def test_a_new_version_ends_the_burn_in(build, drawn):
    visits = [
        visit(
            number,
            f"db orders {CRM}SELECT",
            *([f"db payroll {CRM}SELECT"] if number >= 40 else []),
            rest=f"service_version={1 + (number >= 40)}.0",
        )
        for number in range(60)
    ]
    rows = drawn("\n\n".join(visits))
    for row in rows:
        row["service_version"] = (
            "2.0" if row["start_ns"] >= rows[0]["start_ns"] + 4 * 86_400 * 10**9 else "1.0"
        )
    (told,) = creep.changes(build(rows), Scope()).itertuples()

    assert (told.evidence, told.units_before, told.uses) == ("creep with a version", 40, 20)
    assert (told.earlier_version, told.service_version) == ("1.0", "2.0")
    assert told.before_ratio_upper == pytest.approx(1 - 0.05 ** (1 / 40))


def test_of_systems_that_do_not_change_one_in_twenty_has_a_false_creep_at_most():
    rng = np.random.default_rng(7)
    systems, alarms = 400, 0
    for _ in range(systems):
        rates = rng.uniform(0.01, 0.5, 60)
        used = rng.random((300, 60)) < rates
        used = used[:, used.any(axis=0)]
        before = used.argmax(axis=0).astype(float)
        _, q = creep.lateness(np.full(len(before), 300.0), before, used.sum(axis=0).astype(float))
        alarms += bool(((q <= creep.FALSE_RATIO) & (before >= creep.MIN_UNITS)).any())
    print(f"{alarms} of {systems} unchanged systems have a false creep")  # noqa: T201

    assert binomtest(alarms, systems, 0.05, alternative="greater").pvalue > 0.01


@pytest.mark.parametrize(
    ("units", "before", "uses"), [(12, 5, 3), (9, 0, 4), (10, 8, 2), (7, 3, 1)]
)
def test_the_chance_of_a_first_use_so_late_is_the_count_of_all_orders(units, before, uses):
    orders = list(combinations(range(units), uses))
    late = sum(order[0] >= before for order in orders) / len(orders)
    told, _ = creep.lateness(
        np.array([float(units)]), np.array([float(before)]), np.array([float(uses)])
    )

    assert told[0] == pytest.approx(late)


def test_uses_at_random_times_of_a_lake_are_not_called_creep(build, drawn):
    rng = np.random.default_rng(7)
    rates = rng.uniform(0.01, 0.5, 120)
    visits = [
        visit(
            number,
            *[f"db t{place} {CRM}SELECT" for place in np.flatnonzero(rng.random(120) < rates)],
        )
        for number in range(300)
    ]
    frame = creep.changes(build(drawn("\n\n".join(visits))), Scope())
    told = frame["evidence"].value_counts().to_dict()
    print(told)  # noqa: T201

    assert sum(told.values()) > 60
    assert not {"creep", "creep with a version"} & told.keys()


@pytest.mark.parametrize("n", [1, 12, 59, 299])
def test_unseen_in_n_units_leaves_what_the_rule_of_three_leaves(n):
    told = access.exact(0, n)

    assert told.upper == pytest.approx(1 - 0.05 ** (1 / n))
    assert told.upper == pytest.approx(binomtest(0, n, alternative="less").proportion_ci(0.95).high)
    assert str(told.grade) == ("solid" if n >= 299 else "indicative" if n >= 29 else "insufficient")


def test_what_one_cohort_never_did_is_unseen_there_as_surely_as_its_units_say(model):
    side = "\n\n".join(visit(number, f"db orders {CRM}SELECT") for number in range(12))
    more = side + "\n\n" + visit(13, f"db cards {CRM}SELECT")
    frame = access.use(model(baseline=side, pilot=more), Scope())
    cards = frame[frame["resource"] == "postgresql.cards"].set_index("cohort")

    assert cards["calls"].to_dict() == {"baseline": 0, "pilot": 1}
    assert cards.loc["baseline", "used_ratio_upper"] == pytest.approx(0.2209, abs=1e-4)
    assert cards["used_ratio_grade"].to_dict() == {
        "baseline": "insufficient",
        "pilot": "insufficient",
    }


def test_units_of_unlike_weight_count_as_fewer(build, drawn):
    rows = drawn("\n\n".join(visit(number, f"db orders {CRM}SELECT") for number in range(40)))
    first = min(row["trace_id"] for row in rows)
    for row in rows:
        row["weight"] = 40.0 if row["trace_id"] == first else 1.0
    (told,) = access.use(build(rows), Scope()).itertuples()

    # (40 + 39)^2 / (40^2 + 39) = 3.8
    assert (told.agent_units, told.used_ratio, told.used_ratio_n_eff) == (40, 1.0, 3.0)


EGRESS = """
agent clerk 0..1000
  db customers 10..20 db_system=postgresql db_operation=SELECT
  http_client ask 30..40 http_method=POST server_address={host}
"""


@pytest.mark.parametrize(
    ("host", "is_out"),
    [
        ("api.partner.com", True),
        ("93.184.216.34", True),
        ("api.partner.io", True),
        ("www.partner.de", True),
        ("orders.shop", False),
        ("kagent-tools.kagent", False),
        ("api.dev", False),
        ("pg-0.pg.qa", False),
        ("scores", False),
        ("scores.svc", False),
        ("scores.shop.svc.cluster.local", False),
        ("10.1.2.3", False),
        ("172.20.0.7", False),
        ("localhost", False),
    ],
)
def test_a_call_to_a_public_host_after_a_sensitive_read_is_told(model, host, is_out):
    frame = model(EGRESS.format(host=host)).ask("sensitive_egress")

    assert list(frame["host"]) == [host] * is_out
    assert list(zip(frame["resource"], frame["traces"], frame["writes"], strict=True)) == (
        [("postgresql.customers", 1, 1)] * is_out
    )


def test_what_goes_back_to_where_it_was_read_is_no_egress(model):
    drawing = """
agent clerk 0..1000
  http_client ask 10..20 http_method=GET server_address=api.partner.com http_route=/customers
  http_client ask 30..40 http_method=POST server_address=api.partner.com http_route=/orders
  http_client ask 50..60 http_method=POST server_address=api.other.com http_route=/orders
"""
    frame = model(drawing).ask("sensitive_egress")

    assert list(frame["host"]) == ["api.other.com"]


def test_a_call_before_the_read_by_another_agent_or_to_one_of_us_is_no_egress(model):
    drawing = """
agent clerk 0..1000
  http_client ask 1..5 http_method=POST server_address=api.partner.com
  db customers 10..20 db_system=postgresql db_operation=SELECT
  http_client ask 30..40 http_method=POST server_address=api.ours.com
    http_server own 32..38 service_name=own http_route=/x
  agent other 50..90
    http_client ask 60..70 http_method=POST server_address=api.partner.com
"""

    assert model(drawing).ask("sensitive_egress").empty


def test_a_table_of_two_agents_is_shared_and_one_agent_in_two_traces_is_not(model):
    drawing = """
agent a 0..100
  db orders 1..2 db_system=postgresql db_operation=SELECT
  db own 3..4 db_system=postgresql db_operation=SELECT

agent a 200..300
  db own 203..204 db_system=postgresql db_operation=SELECT

agent b 400..500
  db orders 401..402 db_system=postgresql db_operation=UPDATE
"""
    (told,) = model(drawing).ask("shared_resources").itertuples()

    assert (told.resource, told.agents, list(told.agent_names)) == (
        "postgresql.orders",
        2,
        ["a", "b"],
    )
    assert told.writers == 1


@pytest.mark.real
def test_of_two_recorded_systems_the_new_card_reads_are_the_only_creep(recorded):
    model, labels = recorded
    frame = creep.changes(model, Scope())
    told = frame[frame["evidence"].isin(["creep", "creep with a version"])]
    changes = set(
        zip(told["change"], told["resource"], told["other_resource"].fillna(""), strict=True)
    )
    planted = {
        ("new resource", "sqlite.payment_cards", ""),
        ("sensitive join", "sqlite.customers", "sqlite.payment_cards"),
    }
    print(  # noqa: T201
        f"creep: found {len(changes & planted)}, missed {len(planted - changes)}, "
        f"false {len(changes - planted)}; not told: {frame['evidence'].value_counts().to_dict()}"
    )

    assert changes == planted
    assert set(told["agent"]) == {"support_agent"}
    assert set(told["service_version"]) == {"2.0.0"}
    traces = {trace for turn in labels["pilot"] for trace in turn["trace_ids"]}
    assert set(told["first_trace_id"]) <= traces
    assert set(told["cohort"]) == {"pilot"}


def test_the_planted_creep_of_the_sample_is_told_with_its_first_trace(sample):
    planted = sample.answers.of("permission_creep", "pilot")
    with engine.connect(sample.lake) as model:
        frame = creep.changes(model, Scope())
    told = frame[frame["evidence"].str.startswith("creep")]
    mine = told[told["agent"] == "risk-reviewer"]

    assert set(zip(mine["change"], mine["resource"], strict=True)) == {
        ("new resource", "postgresql.crm.payment_cards"),
        ("read to write", "postgresql.orders.applications"),
    }
    assert set(mine["first_trace_id"]) == {planted.trace_ids[0]}
    # What else is new in the pilot is the cache that it answers from.
    assert set(told["resource"]) - set(mine["resource"]) <= {"redis:1"}


@pytest.mark.real
def test_six_thousand_recorded_requests_are_answered_in_a_moment(tmp_path):
    """A filter pushed below the windows took minutes here, and not in smaller lakes."""
    folder = DATA / "traceweaver-hotel"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not here")
    load([folder], tmp_path, cohort="pilot")
    with engine.connect(tmp_path) as model:
        frame = model.ask("creep", timeout_s=20)

    assert len(frame) == 5
    assert set(frame["units"]) == {6000}
