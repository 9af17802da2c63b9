"""Work for nobody has a share, an interval and a grade, and counts what the metrics count."""

import pytest

from analysis import engine, measures, waste
from analysis.scope import Scope

ABANDONED = """
agent root               0..100
  http_client pay       10..30 ! url_path=/pay server_address=pay error_type=timeout
    http_server /pay    12..60 service_name=pay
      db charges        40..50 service_name=pay db_system=postgresql db_operation=INSERT
      db charges        20..25 service_name=pay db_system=postgresql db_operation=INSERT
  http_client pay       65..95 url_path=/pay server_address=pay
    http_server /pay    66..94 service_name=pay
"""


def test_calls_left_behind_and_calls_made_after_that_are_shares_of_their_boundary(model):
    drawn = model("\n".join([ABANDONED] * 40))
    frame = waste.left_behind(drawn, Scope()).set_index("boundary")
    (pay,) = (frame.loc[name] for name in frame.index if "→ http:pay" in name)
    (charges,) = (frame.loc[name] for name in frame.index if "postgresql" in name)

    assert (pay["calls"], pay["abandoned"], pay["late"]) == (80, 40, 0)
    assert pay["abandoned_ratio"] == pytest.approx(0.5)
    assert pay["abandoned_ms"] == pytest.approx(14)
    assert (charges["calls"], charges["late"], charges["late_ratio"]) == (80, 40, 0.5)
    # Every trace has one of two: the units tell, not the calls.
    assert (pay["abandoned_ratio_units"], pay["abandoned_ratio_n_eff"]) == (
        40,
        pytest.approx(75, abs=5),
    )
    assert pay["abandoned_ratio_lower"] < 0.5 < pay["abandoned_ratio_upper"]
    assert pay["abandoned_ratio_grade"] == "solid"


def test_one_trace_is_too_few_for_a_share(model):
    (row,) = (
        row
        for row in waste.left_behind(model(ABANDONED), Scope()).itertuples()
        if "→ http:pay" in row.boundary
    )

    assert row.abandoned_ratio_grade == "insufficient"
    assert row.abandoned_ratio_upper != row.abandoned_ratio_upper


def test_a_storm_of_one_morning_is_too_few_to_say_how_often(model):
    stubborn = "agent root 0..100\n" + "".join(
        f"  tool get {at}..{at + 5} !\n" for at in range(0, 40, 10)
    )
    (row,) = (
        waste.in_storms(model("\n".join([stubborn] * 5)), Scope()).query("tries == 20").itertuples()
    )

    assert (row.storms, row.storm_ratio, row.storm_ratio_grade) == (1, 1.0, "insufficient")


def test_time_outs_at_odds_are_a_share_of_those_that_both_sides_tell(model):
    drawn = """
agent root              0..100
  tool pay             10..90 timeout_ms=50
    http_client bank   20..80 url_path=/b server_address=bank http_method=POST timeout_ms=60
  tool pay             91..95 timeout_ms=50
    http_client bank   92..93 url_path=/b server_address=bank http_method=POST timeout_ms=20
  tool pay             96..99 timeout_ms=50
    http_client bank   97..98 url_path=/b server_address=bank http_method=POST
"""
    (row,) = waste.at_odds(model("\n".join([drawn] * 12)), Scope()).itertuples()

    assert (row.calls, row.at_odds, row.at_odds_ratio_n) == (36, 12, 24)
    assert row.at_odds_ratio == pytest.approx(0.5)
    assert row.at_odds_ratio_lower < 0.5 < row.at_odds_ratio_upper


def test_shares_count_what_the_metrics_count(sample):
    with engine.connect(sample.lake) as model:
        told = {
            name: measures.ask(model, name, Scope()).set_index(["cohort", "boundary_id"])
            for name in ("storm_tries", "abandoned_calls")
        }
        storms = (
            model.ask("retry_storms")
            .groupby(["cohort", "boundary_id"])["tries"]
            .agg(["sum", "size"])
        )
        left = model.ask("abandoned_work").set_index(["cohort", "boundary_id"])

    mine = told["storm_tries"].query("storms > 0")
    assert mine["storms"].to_dict() == storms["size"].to_dict()
    in_them = (mine["storm_ratio"] * mine["tries"]).round().astype(int)
    assert in_them.to_dict() == storms["sum"].to_dict()
    mine = told["abandoned_calls"].query("abandoned > 0")
    assert mine["abandoned"].to_dict() == left["abandoned"].to_dict()
    assert told["abandoned_calls"]["late"].sum() == left["late_calls"].sum()
