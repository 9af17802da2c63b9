"""The product says of each case what its answer key says: verdicts, culprit, remedy, figures."""

from dataclasses import dataclass

import numpy as np
import pytest
from click.testing import CliRunner

from analysis import check, contract_file, engine, impact, pilot
from analysis.check import Check
from analysis.impact import Impact, TicketDay, TicketError, read_tickets
from analysis.scope import Scope
from app import cli
from ingest import load
from sample_data.cases import write as cases

# Three systems of two months each are played, read and judged.
pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Case:
    """What was planted, and what the product says."""

    key: dict[str, cases.Side]
    before: Check
    after: Check
    label: str
    impacts: dict[str, Impact]
    tickets: list[TicketDay]
    said: str  # by `orchrisk demo --case`


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cases")
    found = {}
    for name in cases.CASES:
        traces, lake = folder / name / "traces", folder / name / "lake"
        said = ""
        if name == "orders":
            run = CliRunner().invoke(cli.main, ["demo", str(folder), "--case", name, "--no-serve"])
            assert run.exit_code == 0
            said = run.stdout
        sides = cases.write(name, traces)
        for cohort in ("baseline", "pilot"):
            load.load([traces / cohort], lake, cohort=cohort)
        promised, model = contract_file.load(traces / "contracts.yaml"), engine.connect(lake)
        compared = pilot.compare(model, promised, Scope())
        before, after = (
            check.run(model, promised, Scope(cohort=cohort), comparison=compared)
            for cohort in ("baseline", "pilot")
        )
        tickets = read_tickets(traces / "tickets.csv")
        impacts = impact.of(model, promised, Scope(), tickets)
        found[name] = Case(
            {side.cohort: side for side in sides},
            before,
            after,
            str(compared.label),
            {each.name: each for each in impacts},
            tickets,
            said,
        )
    return found


@pytest.mark.parametrize(
    ("case", "rules", "culprit", "remedy"),
    [
        (
            "bank",
            {"budget", "gate/within_sla", "gate/downstream"},
            "tool:credit_score → http:credit-score/v1/scores/{id}",
            "time-out",
        ),
        ("triage", {"gate/state_kept"}, "context of a conversation", "context token"),
        ("orders", {"access"}, "order-agent read postgresql.shop.payment_methods", "scope"),
    ],
)
def test_the_baseline_is_not_ready_for_the_planted_reason_and_the_pilot_is(
    told, case, rules, culprit, remedy
):
    found = told[case]

    assert found.before.readiness.label == "not ready"
    assert {each.rule for each in found.before.findings if each.level == "error"} == rules
    first = found.before.register[0]
    assert (first.subject, first.remedy) == (culprit, remedy)
    assert found.after.readiness.label == "ready"
    assert not [each for each in found.after.findings if each.level != "note"]


def test_the_bank_s_pilot_is_proven_and_the_others_are_no_worse(told):
    labels = {name: case.label for name, case in told.items()}

    assert labels == {"bank": "proven", "triage": "no worse", "orders": "no worse"}


def test_the_bank_s_mean_comes_down_to_about_850_ms_without_a_violation(told):
    found = told["bank"]
    wait, over = found.impacts["mean wait"], found.impacts["requests over the SLA"]

    assert wait.after == pytest.approx(850, abs=15)
    assert (wait.before, wait.after) == pytest.approx(
        [found.key[cohort].mean_ms for cohort in ("baseline", "pilot")], abs=0.1
    )
    assert (over.before, over.after) == pytest.approx(
        [1000 * found.key[c].late / found.key[c].requests for c in ("baseline", "pilot")]
    )
    assert over.after == 0 < over.before


def test_the_triage_bot_loses_what_was_planted_and_a_third_of_the_corrections_go(told):
    found = told["triage"]
    lost, tickets = found.impacts["turns that lost their context"], found.impacts["tickets"]

    later = found.key["baseline"].requests * 4 / 5  # of five turns the first has nothing to lose
    assert lost.before == pytest.approx(1000 * found.key["baseline"].lost_turns / later)
    assert lost.after == found.key["pilot"].lost_turns == 0
    assert tickets.ratio == pytest.approx(2 / 3)
    assert tickets.lower < 2 / 3 < tickets.upper < 1


def test_scoped_tokens_cut_sensitive_accesses_by_forty_percent(told):
    found = told["orders"]
    touched = found.impacts["sensitive accesses"]

    assert touched.ratio == pytest.approx(0.6)
    assert touched.before * 1.5 == pytest.approx(found.key["baseline"].sensitive_accesses)
    assert touched.upper < 1


def test_a_case_is_the_same_bytes_every_time(tmp_path):
    for folder in ("a", "b"):
        cases.write("bank", tmp_path / folder)
    names = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.*"))

    assert len(names) == 5
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_the_demo_plays_a_case(told):
    said = told["orders"].said

    assert "BEFORE: NOT READY: " in said
    assert "AFTER: READY: " in said
    assert "−40.0" in said


@pytest.mark.parametrize(
    "text", ["", "day,cohort,requests\n1,a,2\n", "cohort,requests,tickets\na,x,1\n"]
)
def test_a_ticket_file_that_is_none_is_refused(tmp_path, text):
    (tmp_path / "tickets.csv").write_text(text)
    if not text:
        assert read_tickets(tmp_path / "tickets.csv") == []
        return
    with pytest.raises(TicketError, match="day,cohort,requests,tickets"):
        read_tickets(tmp_path / "tickets.csv")


def test_few_days_of_tickets_have_no_interval():
    days = [TicketDay(cohort, 100, 3) for cohort in ("a", "b") for _ in range(27)]
    found = impact._tickets(days, "a", "b")

    assert found.ratio == 1
    assert np.isnan(found.lower)


def test_equal_rates_are_told_apart_no_more_often_than_promised():
    """600 pairs of 28 days without a change: the 95 % interval holds 1."""
    rng = np.random.default_rng(8)
    held = 0
    for _ in range(600):
        days = [
            TicketDay(cohort, 200, int(rng.poisson(6))) for cohort in ("a", "b") for _ in range(28)
        ]
        found = impact._tickets(days, "a", "b")
        held += found.lower <= 1 <= found.upper

    assert held / 600 >= 0.93
