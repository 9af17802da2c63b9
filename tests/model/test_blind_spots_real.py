"""What recorded systems do not tell, printed for each; a few known from their description."""

from pathlib import Path

import pytest

from analysis import engine, measures
from analysis.scope import Scope
from ingest.load import load

DATA = Path(__file__).parents[3] / "shared" / "data"
SETS = {
    "any-agent": "any-agent",
    "hotel": "traceweaver-hotel/hotel_load25.otlp.jsonl.gz",
    "kagent": "agentevals-kagent",
    "langfuse": "langfuse-frameworks",
    "langgraph": "agent-app-langgraph-openinference/before/otlp",
    "llmmas": "llmmas-faults/otlp-labelled",
    "monocle": "monocle",
    "nezha": "nezha-trainticket/otlp/2023-01-30T1215.otlp.jsonl.gz",
    "pydantic-ai": "agent-app-pydantic-ai/before/otlp",
}

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def shares(tmp_path_factory):
    missing = [path for path in SETS.values() if not (DATA / path).exists()]
    if missing:
        pytest.skip(f"{', '.join(missing)} is not here")
    lake = tmp_path_factory.mktemp("blind") / "lake"
    for cohort, path in SETS.items():
        load([DATA / path], lake, cohort=cohort)
    with engine.connect(lake) as model:
        spots = measures.ask(model, "blind_spots", Scope())
    counts = spots.groupby(["cohort", "blind_spot", "counted"])[["found", "total"]].sum()
    print(counts.to_string())  # noqa: T201
    return (counts["found"] / counts["total"]).droplevel("counted")


def test_an_instrumentation_that_cuts_traces_is_told(shares):
    # Each tool's HTTP and SQL spans are roots of their own; the other framework's are not.
    assert shares["langgraph", "broken_context"] > 0.5
    assert ("pydantic-ai", "far_side") not in shares
    assert ("pydantic-ai", "no_conversation") not in shares


def test_traces_without_a_service_or_session_are_told(shares):
    assert shares["any-agent", "no_service_name"] == 1
    assert shares["any-agent", "no_conversation"] == 1
    assert shares["llmmas", "no_agent_version"] == 1


def test_whole_traces_of_a_service_mesh_have_no_hole(shares):
    assert set(shares["hotel"].index) == {"sampling_untold", "unexplained"}


def test_nobody_tells_how_traces_were_sampled_and_nobody_is_accused(shares):
    assert all(shares[cohort, "sampling_untold"] == 1 for cohort in SETS)
    assert not [cohort for cohort, spot in shares.index if spot == "outcome_sampling"]
