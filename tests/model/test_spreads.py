"""Tails are told by hour or version, apart for the way and the first chunk; jitter by itself."""

import pytest

from analysis import moments, spreads
from analysis.scope import Scope

STREAMS = """
agent root    0..100
  model m    10..20 provider=openai first_chunk_ms=4 service_version=1

agent root    0..200
  model m   110..150 provider=openai first_chunk_ms=8 service_version=2
"""

WAYS = """
agent root            0..100
  http_client rate   10..60 url_path=/rate server_address=rate http_method=GET
    http_server /rate 30..50 service_name=rate http_method=GET
"""


def test_a_tail_is_told_by_version(model):
    frame = spreads.by_key(model(STREAMS), Scope(), "version")
    models = frame[frame["version"] != "?"]

    assert dict(zip(models["version"], models["p50_ms"], strict=True)) == {"1": 10, "2": 40}


def test_the_first_chunk_and_the_way_are_measured_apart(model):
    chunks = spreads.by_key(model(STREAMS), Scope(), measure="first chunk")
    ways = spreads.by_key(model(WAYS), Scope(), measure="handoff")

    assert list(chunks["p95_ms"]) == [8]
    assert list(ways["p50_ms"]) == [30]


def test_a_small_tail_says_too_few(model):
    frame = spreads.by_key(model(STREAMS), Scope(), "hour")

    assert set(frame["p99_9_ms_grade"]) == {"insufficient"}
    assert frame["p99_9_ms_upper"].isna().all()


def test_a_call_is_its_requests_tenants_unless_it_says_so_itself(model):
    drawn = model("""
http_server /chat   0..100 tenant=one environment=prod
  agent root        5..90
    tool a         10..20
    tool a         30..70 tenant=two
""")
    frame = spreads.by_key(drawn, Scope(), "tenant")
    facts = drawn.ask("boundaries").set_index("callee")
    told = frame[frame["boundary_id"] == facts.loc["tool:a", "boundary_id"]]

    assert dict(zip(told["tenant"], told["p50_ms"], strict=True)) == {"one": 10, "two": 40}


def test_what_cannot_be_asked_is_said(model):
    with pytest.raises(ValueError, match="There are: hour"):
        spreads.by_key(model(STREAMS), Scope(), "colour")
    with pytest.raises(ValueError, match="There are: call"):
        spreads.by_key(model(STREAMS), Scope(), measure="mood")


def test_dispersion_and_jitter_from_call_to_call_are_two_numbers(model):
    calls, at = "", 0
    for took in (100, 110, 95, 300, 105):
        calls += f"  tool get {at}..{at + took}\n"
        at += 400
    drawn = model(f"agent root 0..2000\n{calls}")
    (spread,) = spreads.dispersion(drawn, Scope()).itertuples()
    (serial,) = spreads.serial_jitter(drawn, Scope()).itertuples()

    assert (spread.p50_ms, serial.serial_ms, spread.dispersion_ms) == (105, 105, 195)
    assert serial.serial_ratio == pytest.approx(1)
    assert spread.dispersion_ratio == pytest.approx(300 / 105)
    assert spreads.drift(drawn, Scope())["days"].tolist() == [1]


def test_nothing_is_told_of_a_boundary_that_has_no_reference(model):
    drawn = model(STREAMS)

    assert moments.bursts(drawn, Scope()).empty
    assert moments.changes(drawn, Scope()).empty
