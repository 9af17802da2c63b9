"""What was not seen is counted where it was not seen, and lowers the grade of what rests on it."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis import compliance, coverage, engine, measures
from analysis.compliance import Label
from analysis.contract_file import parse
from analysis.scope import Scope
from analysis.stats import Grade

_KEY = ["blind_spot", "service", "boundary", "found", "total"]
GRADES = list(Grade)  # the most trusted first

SEEN = """
http_server POST:/ask 0..100 service_name=front conversation_id=c{n} user_id=u service_version=1
  agent planner 5..95 service_version=1
    http_client crm 10..40 http_method=GET url_path=/crm
      http_server GET:/crm 15..35 service_name=crm service_version=1
    http_client bank 50..80 http_method=GET url_path=/bank
"""
UNSEEN = """
http_server POST:/ask 0..100 service_name=front
  agent planner 5..95
    http_client crm 10..40 http_method=GET url_path=/crm
    http_client bank 50..80 http_method=GET url_path=/bank

http_server GET:/crm 15..35 service_name=crm user_agent=python-requests/2

db d 60..70 service_name=crm parent=gone db_system=postgresql
"""


def drawing(seen, unseen):
    texts = [SEEN.format(n=n) for n in range(seen)] + [UNSEEN] * unseen
    return "\n".join(texts)


@pytest.fixture(scope="module")
def models(build, drawn):
    cohorts = {"good": drawing(40, 0), "fair": drawing(36, 4), "bad": drawing(10, 30)}
    return build([row for name, text in cohorts.items() for row in drawn(text, cohort=name)])


def told(model, cohort):
    frame = measures.ask(model, "blind_spots", Scope(cohort=cohort))
    return {
        tuple(each if isinstance(each, str) else None for each in key): (found, total)
        for *key, found, total in frame[_KEY].itertuples(index=False)
    }


def test_each_blind_spot_is_counted_with_its_denominator(models):
    spots = told(models, "bad")

    assert spots["far_side", "front", "agent:planner → http:crm/crm"] == (30, 40)
    assert spots["broken_context", "crm", None] == (30, 60)
    assert spots["missing_span", "crm", None] == (30, 70)
    assert spots["no_conversation", "front", None] == (30, 40)
    assert spots["no_user", "front", None] == (30, 40)
    assert spots["no_agent_version", "front", None] == (30, 40)
    assert ("sampling_untold", None, None) in spots


def test_what_is_seen_is_no_blind_spot(models):
    spots = {spot for spot, *_ in told(models, "good")}

    # Nobody answers at the bank, and no trace tells how it was sampled.
    assert not spots & {"broken_context", "missing_span", "no_conversation", "no_agent_version"}
    assert {"far_side", "sampling_untold", "unexplained"} <= spots


def test_each_has_a_share_with_an_interval_what_it_blinds_and_the_fix(models):
    frame = measures.ask(models, "blind_spots", Scope())

    assert (frame["share_lower"] <= frame["share"] + 1e-9).all()
    assert (frame["share"] <= frame["share_upper"] + 1e-9).all()
    assert frame["fix"].str.endswith(".").all()
    assert frame["blinds"].notna().all()
    assert frame["example_trace_id"].notna().all()


def test_state_and_handoffs_are_graded_down_where_their_evidence_is_unseen(models):
    handoffs = measures.ask(models, "handoff_tails", Scope()).set_index(["cohort", "boundary_id"])
    spots = measures.ask(models, "blind_spots", Scope())
    far = spots[(spots["blind_spot"] == "far_side") & spots["boundary"].str.contains("crm")]
    caps = far.set_index("cohort")["caps"]

    assert dict(caps) == {"fair": "indicative", "bad": "insufficient"}
    assert set(handoffs["p50_ms_grade"]["bad"]) == {"insufficient"}


@given(
    spot=st.sampled_from(sorted(coverage.SPOTS)),
    shares=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    grade=st.sampled_from(GRADES),
)
def test_worse_coverage_never_raises_a_grade(spot, shares, grade):
    less, more = (GRADES.index(coverage.cap(spot, share)) for share in sorted(shares))

    assert less <= more
    assert GRADES.index(coverage.stats.worse(grade, coverage.cap(spot, shares[0]))) >= GRADES.index(
        grade
    )


def test_no_measure_has_a_better_grade_than_what_it_computes(models):
    for name in sorted(set(coverage.DEPENDS) & set(measures.COMPUTED)):
        plain = measures.COMPUTED[name].answer(models, Scope())
        graded = measures.ask(models, name, Scope())
        for column in (each for each in plain.columns if each.endswith("_grade")):
            pairs = zip(plain[column], graded[column], strict=True)
            assert all(GRADES.index(a) <= GRADES.index(b) for a, b in pairs), (name, column)
        assert plain.drop(columns=[c for c in plain if c.endswith("_grade")]).equals(
            graded.drop(columns=[c for c in graded if c.endswith("_grade")])
        )


def test_traces_kept_because_they_failed_give_no_solid_rate(model):
    failed = "http_server POST:/ask 0..100 ! service_name=front\n  agent planner 5..95 !\n"
    well = failed.replace("!", "")
    built = model(kept="\n".join([failed] * 60 + [well] * 5), all="\n".join([well] * 60 + [failed]))
    spots = measures.ask(built, "blind_spots", Scope())
    rates = measures.ask(built, "tails_end_to_end", Scope()).set_index("cohort")

    assert set(spots.loc[spots["blind_spot"] == "outcome_sampling", "cohort"]) == {"kept"}
    assert rates["failed_ratio_grade"]["kept"] == rates["p50_ms_grade"]["kept"] == "insufficient"
    assert rates["failed_ratio_grade"]["all"] == "indicative"


PROMISES = parse(b"""
sla: {p95: 2s}
downstream_share: 30%
boundaries:
  - {match: "* -> agent:planner", budget: 1s}
""")


def test_no_promise_is_called_kept_on_traces_that_were_kept_for_their_end(model):
    failed = "http_server POST:/ask 0..100 ! service_name=front\n  agent planner 5..95 !\n"
    well = failed.replace("!", "")
    built = model(
        kept="\n".join([failed] * 100 + [well] * 5), all="\n".join([well] * 100 + [failed])
    )
    told = {}
    for cohort in ("kept", "all"):
        (budget,) = compliance.by_boundary(built, PROMISES, Scope(cohort=cohort)).to_dict("records")
        (request,) = compliance.by_request(built, PROMISES, Scope(cohort=cohort)).to_dict("records")
        told[cohort] = budget, request

    assert [each["label"] for each, _ in told.values()] == ["not enough evidence", "kept"]
    assert [each["sla_label"] for _, each in told.values()] == ["not enough evidence", "kept"]
    assert [each["tail_ms_grade"] for each, _ in told.values()] == ["insufficient", "indicative"]
    assert told["kept"][0]["reason"].startswith("Too much was not seen")


@given(
    st.sampled_from(list(Label)),
    st.sampled_from(GRADES),
    st.sampled_from(GRADES),
)
def test_more_unseen_never_makes_a_label_pass_and_never_excuses_a_broken_one(label, cap, more):
    cap, more = sorted((cap, more), key=GRADES.index)
    frame = pd.DataFrame({"label": [str(label)]})

    def left(grade):
        (found,) = coverage.without_blind(
            frame,
            {"share_grade": np.array([grade], dtype=object)},
            figure="share",
            label="label",
            passed=(Label.KEPT,),
            unknown=str(Label.NOT_ENOUGH),
        )["label"]
        return found

    assert (left(more) == "kept") <= (left(cap) == "kept")
    assert (left(cap) == "broken") == (label == "broken") == (left(more) == "broken")


def test_what_a_probability_sampler_tells_is_no_reason_to_doubt(model):
    failed = (
        "http_server POST:/ask 0..100 ! service_name=front weight=4\n  agent a 5..95 weight=4\n"
    )
    built = model("\n".join([failed] * 60))
    spots = set(measures.ask(built, "blind_spots", Scope())["blind_spot"])

    assert "sampled" in spots
    assert not spots & {"outcome_sampling", "sampling_untold"}


@pytest.mark.slow
def test_the_sample_is_blind_where_its_key_says(sample):
    with engine.connect(sample.lake) as model:
        spots = measures.ask(model, "blind_spots", Scope(cohort="pilot"))
    found = spots.groupby("blind_spot")["found"].sum()

    assert found["broken_context"] == sample.answers.of("lost_context", "pilot").calls
    assert "no_conversation" not in found
