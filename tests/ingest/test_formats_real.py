"""Exports of other tools and fixtures of other readers: all that holds spans is read."""

from pathlib import Path

import pytest

from ingest.load import load

DATA = Path(__file__).parents[2].parent / "shared" / "data"

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not DATA.is_dir(), reason=f"no real data: {DATA.name} is missing"),
]


@pytest.mark.parametrize(
    ("name", "spans"),
    [
        ("agentevals-kagent/jaeger-ui/helm.json", 96),
        ("agentevals-kagent/jaeger-ui/k8s.json", 73),
        ("odd-otlp/jaeger-ui/genaiTestTrace.json", 57),
        ("odd-otlp/jaeger-ui/testTrace.json", 4),
        ("derived-odd-and-bad/17-tempo-batches.json", 300),
        ("derived-odd-and-bad/23-length-delimited-zstd.binpb", 300),
        ("derived-odd-and-bad/24-plain.jsonl.zst", 300),
    ],
)
def test_exports_of_other_tools_are_read_whole(tmp_path: Path, name: str, spans: int) -> None:
    (source,) = load([DATA / name], tmp_path, cohort="other").sources
    assert (source.kept + source.duplicates, source.rejected) == (spans, 0)


@pytest.mark.parametrize("name", ["k8s", "helm"])
def test_jaegers_copy_of_a_trace_is_the_trace(tmp_path: Path, name: str) -> None:
    folder = DATA / "agentevals-kagent"
    first = load([folder / "otlp" / f"{name}.otlp.jsonl"], tmp_path, cohort="kagent")
    again = load([folder / "jaeger-ui" / f"{name}.json"], tmp_path, cohort="kagent")
    # In one span the OTLP copy keeps Jaeger's tag `error` beside the status that it stands for.
    assert (again.kept, again.conflicts) == (0, 1)
    assert again.duplicates == first.kept - 1
