"""What a request waited for at a handoff is the callee's work or the way to it, and all adds up."""

import pytest

TWO_SERVICES = """
http_server /chat      0..100 http_method=POST
  agent planner        5..95
    http_client rate  10..60 url_path=/rate server_address=rate http_method=GET
      http_server /rate 30..50 service_name=rate http_method=GET
        db loans      35..45 db_system=postgresql service_name=rate
    model m           65..90 provider=openai

http_server /chat      0..40 http_method=POST
"""


def parts(model, drawing):
    frame = model(drawing).ask("path_parts")
    by = frame.groupby("place")[["calls", "work_ms", "handoff_ms"]].sum()
    return frame, {place: tuple(row) for place, row in by.iterrows()}


def test_the_way_is_what_the_caller_waits_for_outside_the_callee(model):
    _, found = parts(model, TWO_SERVICES)

    assert found == {
        "agent:planner": (1, 15, 0),
        "model:openai/m": (1, 25, 0),
        "postgresql.loans": (1, 10, 0),
        "service:app": (2, 50, 0),
        "service:rate": (1, 10, 30),
    }


def test_parts_add_up_to_the_requests(model):
    frame, _ = parts(model, TWO_SERVICES)

    assert (frame["work_ms"] + frame["handoff_ms"]).sum() == pytest.approx(140)
    assert frame.loc[frame["boundary_id"].isna(), "calls"].sum() == 2


def test_a_call_is_told_with_the_handoff_it_was_made_in(model):
    frame, _ = parts(model, TWO_SERVICES)
    places = dict(zip(frame["boundary_id"], frame["place"], strict=True))

    told = {row.place: places.get(row.outer_boundary_id) for row in frame.itertuples()}

    assert told["postgresql.loans"] == "service:rate"
    assert told["model:openai/m"] == "agent:planner"


def test_failed_requests_are_told_by_where_they_began(model):
    frame = model("""
agent root    0..100 !
  tool a     10..20 !
  tool b     30..40 !

agent root    0..50
""").ask("failure_parts")
    owed = frame[frame["failed"] > 0]

    assert dict(zip(owed["place"], owed["failed"], strict=True)) == {"tool:a": 0.5, "tool:b": 0.5}
    assert frame["requests"].sum() == 2
