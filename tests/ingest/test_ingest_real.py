"""Dumps of real exporters and of other people's readers, accepted or refused as they deserve."""

import json
from pathlib import Path

import pytest

from ingest.lake import Lake
from ingest.load import load

DATA = Path(__file__).parents[2].parent / "shared" / "data"

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not DATA.is_dir(), reason=f"no real data: {DATA.name} is missing"),
]

ODD = DATA / "derived-odd-and-bad"
EXPECTED = json.loads((ODD / "expected.json").read_text()) if ODD.is_dir() else {}


@pytest.mark.parametrize("name", EXPECTED)
def test_an_odd_or_bad_dump_is_accepted_or_refused_as_expected(tmp_path: Path, name: str) -> None:
    expected = EXPECTED[name]
    (source,) = load([ODD / name], tmp_path, cohort="odd").sources
    assert source.read == source.kept + source.duplicates + source.rejected
    spans = source.kept + source.duplicates
    match expected["verdict"]:
        case "accept":
            assert source.rejected == 0
            assert spans == (expected["spans"] or spans) > 0
        case "partial":
            assert spans == expected["spans"]
            assert source.rejected > 0
        case "reject":
            assert (spans, source.rejected) == (0, 1)
        case _:
            assert source.reasons or spans == (expected["spans"] or spans) > 0
    assert all(reject.place and reject.mend for reject in source.reasons)


def test_ids_written_in_other_ways_are_the_same_spans(tmp_path: Path) -> None:
    load([ODD / "01-plain.jsonl"], tmp_path, cohort="odd")
    same = [name for name in EXPECTED if name[:2] in ("10", "11", "12", "13", "14", "15")]
    report = load([ODD / name for name in same], tmp_path, cohort="odd")
    assert (report.kept, report.conflicts) == (0, 0)
    assert report.duplicates == 300 * len(same)


@pytest.mark.parametrize("app", ["agent-app-pydantic-ai", "agent-app-langgraph-openinference"])
def test_json_and_protobuf_of_one_run_are_the_same_spans(tmp_path: Path, app: str) -> None:
    json_report = load([DATA / app / "before" / "otlp"], tmp_path, cohort="before")
    proto_report = load([DATA / app / "before" / "proto"], tmp_path, cohort="before")
    assert json_report.kept > 1_000
    assert (proto_report.kept, proto_report.conflicts) == (0, 0)
    assert proto_report.duplicates == json_report.kept
    assert len(Lake(tmp_path).files()) == 1


@pytest.mark.parametrize("sdk", ["python-sdk", "node-sdk", "odd-otlp"])
def test_bodies_of_official_exporters_are_read_whatever_their_encoding(
    tmp_path: Path, sdk: str
) -> None:
    report = load([DATA / sdk], tmp_path, cohort="sdk")
    for source in report.sources:
        assert source.read == source.kept + source.duplicates + source.rejected
        assert source.kept or source.duplicates or source.reasons or source.already
    assert report.kept > 50
