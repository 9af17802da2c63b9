"""How spans lie in the lake changes nothing of what it says, and costs few bytes."""

import io
import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ingest_drawn import START_NS, Span, json_lines, many

from analysis import build
from ingest import compaction, keys, parquet, upkeep
from ingest.lake import Lake
from ingest.load import load
from ingest.schema import SPANS

COLUMNS = (
    "trace_id, span_id, start_ns, duration_ns, name, parent_span_id, conversation_id, attributes"
)


def ingest(lake: Path, spans: Sequence[Span], *, cohort: str = "a", a_line: int = 50) -> None:
    load([("dump", io.BytesIO(json_lines(spans, a_line=a_line)))], lake, cohort=cohort)


def rows_of(lake: Path) -> list[tuple[object, ...]]:
    with duckdb.connect() as connection:
        query = f"SELECT {COLUMNS}, cohort, day FROM read_parquet($1, hive_partitioning = true)"
        found = connection.execute(query, [Lake(lake).files()]).fetchall()
    return sorted(found, key=repr)


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    seed=st.integers(0, 1_000),
    cuts=st.lists(st.integers(1, 59), max_size=3),
    piece=st.sampled_from([7, 25, 10_000]),
)
def test_the_fingerprint_is_the_same_in_any_order_split_and_layout(
    tmp_path_factory: pytest.TempPathFactory, seed: int, cuts: list[int], piece: int
) -> None:
    folder = tmp_path_factory.mktemp("lakes")
    spans = many(60, days=2)
    ingest(folder / "once", spans)
    random.Random(seed).shuffle(spans)
    edges = [0, *sorted(set(cuts)), 60]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ingest.staging.PIECE_ROWS", piece)
        for start, end in pairwise(edges):
            ingest(folder / "parts", spans[start:end], a_line=5)
    parts = Lake(folder / "parts")

    assert parts.fingerprint() == Lake(folder / "once").fingerprint()
    assert rows_of(parts.path) == rows_of(folder / "once")
    compaction.compact(parts.path, more_than=1)
    assert len(parts.files()) == 2
    assert parts.fingerprint() == Lake(folder / "once").fingerprint()


def test_a_span_more_or_less_or_elsewhere_is_another_fingerprint(tmp_path: Path) -> None:
    spans = many(20)
    ways = {
        "whole": (spans, "a"),
        "less": (spans[1:], "a"),
        "more": ([*spans, *many(1, seed=1)], "a"),
        "elsewhere": (spans, "b"),
        "renamed": ([replace(spans[0], name="other"), *spans[1:]], "a"),
        "later": ([replace(spans[0], start=START_NS + 1), *spans[1:]], "a"),
    }
    for way, (drawn, cohort) in ways.items():
        ingest(tmp_path / way, drawn, cohort=cohort)

    prints = {Lake(tmp_path / way).fingerprint() for way in [*ways, "no lake"]}
    assert len(prints) == len(ways) + 1


def test_a_file_that_another_program_named_counts_in_the_fingerprint(tmp_path: Path) -> None:
    ingest(tmp_path / "ours", many(30))
    ingest(tmp_path / "theirs", many(10))
    ingest(tmp_path / "theirs", many(30)[10:])
    before = Lake(tmp_path / "theirs").fingerprint()
    DeltaTable(str(tmp_path / "theirs")).optimize.compact()

    (file,) = Lake(tmp_path / "theirs").files()
    assert len(Path(file).name) != len(Path(Lake(tmp_path / "ours").files()[0]).name)
    assert Lake(tmp_path / "theirs").fingerprint() == before
    assert before == Lake(tmp_path / "ours").fingerprint()
    assert upkeep.problems(tmp_path / "theirs") == []


def test_a_compaction_keeps_the_model_that_is_built(tmp_path: Path) -> None:
    for seed in range(3):
        ingest(tmp_path, many(20, seed=seed))
    lake = Lake(tmp_path)
    model = build.model_file(lake)
    built = model.stat().st_mtime_ns
    compaction.compact(tmp_path, more_than=1)

    assert build.model_file(lake) == model
    assert model.stat().st_mtime_ns == built


def test_files_of_few_but_heavy_spans_are_not_merged_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if a piece of ten spans filled memory: it holds few rows, and yet is no small file.
    monkeypatch.setattr("ingest.staging.PIECE_ROWS", 10)
    monkeypatch.setattr("ingest.parquet.SMALL_BYTES", 1)
    ingest(tmp_path, many(100), a_line=10)
    before = Lake(tmp_path).files()

    assert compaction.compact(tmp_path, more_than=1) == []
    assert Lake(tmp_path).files() == before


def test_a_day_that_gathers_many_small_files_is_merged_by_the_ingest(tmp_path: Path) -> None:
    spans, said = many(110), []
    for at in range(0, 110, 10):
        ingest(tmp_path, spans[at : at + 10])
        said.append(len(Lake(tmp_path).files()))

    assert said == [1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3]
    assert Lake(tmp_path).ledger().num_rows == 11
    assert upkeep.problems(tmp_path) == []
    ingest(tmp_path / "whole", spans)
    assert rows_of(tmp_path) == rows_of(tmp_path / "whole")


@pytest.mark.parametrize("lacks", ["", "kind", "name"])
def test_rows_lie_by_trace_kind_name_start_and_span_whatever_they_lack(lacks: str) -> None:
    rng = random.Random(5)
    rows = [
        {
            "trace_id": f"{rng.choice([1, 2, 2**64]):032x}",
            "kind": rng.choice([None, "CLIENT", "SERVER"]),
            "name": rng.choice(["b", "", "a\u00e9", "\U0001f600", "\ufb01"]),
            "start_ns": rng.randint(1, 2),
            "span_id": f"{number + 1:016x}",
            "duration_ns": 0,
            "content_hash": 0,
        }
        for number in range(400)
    ]
    rng.shuffle(rows)
    table = pa.Table.from_pylist(rows)
    if lacks:
        table = table.drop_columns([lacks])

    by = [name for name in ("trace_id", "kind", "name", "start_ns", "span_id") if name != lacks]
    expected = sorted(rows, key=lambda row: tuple(row[name] or "" for name in by))
    order = parquet.sort_order(table, keys.of_table(table))

    assert [rows[place]["span_id"] for place in order] == [row["span_id"] for row in expected]


def test_rows_that_all_lack_a_kind_can_be_sorted() -> None:
    row = {"trace_id": "a" * 32, "span_id": "b" * 16, "start_ns": 1, "duration_ns": 1}
    table = pa.table(
        {name: pa.array([cell]) for name, cell in (row | {"content_hash": 1}).items()}
        | {"kind": pa.nulls(1, pa.string())}
    )

    assert parquet.sort_order(table, keys.of_table(table)).tolist() == [0]
    empty = table.slice(0, 0)
    assert parquet.sort_order(empty, keys.of_table(empty)).tolist() == []


def test_merged_files_are_sorted_and_the_merged_ones_stay_readable(tmp_path: Path) -> None:
    spans = many(90)
    random.Random(3).shuffle(spans)
    for at in range(0, 90, 30):
        ingest(tmp_path, spans[at : at + 30])
    before = Lake(tmp_path).files()
    (merged,) = compaction.compact(tmp_path, more_than=1)
    (file,) = Lake(tmp_path).files()

    table = pq.ParquetFile(file).read()
    columns = ("trace_id", "kind", "name", "start_ns")
    order = list(zip(*(table[name].to_pylist() for name in columns), strict=True))
    assert (merged.files_before, merged.files_after, merged.spans) == (3, 1, 90)
    assert order == sorted(order)
    assert sum(pq.ParquetFile(old).metadata.num_rows for old in before) == 90
    actions = pa.table(DeltaTable(str(tmp_path)).get_add_actions(flatten=True)).to_pylist()
    assert actions[0]["min.trace_id"] == table["trace_id"][0].as_py()
    assert compaction.compact(tmp_path, more_than=1) == []


def test_every_encoding_is_read_alike_by_arrow_duckdb_and_delta(tmp_path: Path) -> None:
    spans = [
        replace(
            span,
            attributes={**span.attributes, "gen_ai.conversation.id": f"talk-{at // 7}", "é": "ü"},
            events=(("exception", {"exception.message": f"it broke {at}"}),) if at % 5 == 0 else (),
            links=((at + 1, 3),) if at % 3 == 0 else (),
        )
        for at, span in enumerate(many(300, days=2))
    ]
    ingest(tmp_path, spans)
    files = Lake(tmp_path).files()
    delta = pa.table(DeltaTable(str(tmp_path)).to_pyarrow_table()).sort_by("span_id")
    arrow = pa.concat_tables(pq.ParquetFile(file).read() for file in files).sort_by("span_id")
    with duckdb.connect() as connection:
        found = connection.sql(
            "SELECT * FROM read_parquet($files, hive_partitioning = true) ORDER BY span_id",
            params={"files": files},
        ).to_arrow_table()

    assert set(delta.column_names) == set(SPANS.names)
    for name in arrow.column_names:
        read = arrow[name].to_pylist()
        assert delta[name].to_pylist() == read
        assert found[name].to_pylist() == read
    assert arrow["span_id"].to_pylist() == sorted(span.span_id for span in spans)
    assert {len(events or []) for events in arrow["events"].to_pylist()} == {0, 1}


def test_a_span_of_an_ordinary_trace_takes_at_most_50_bytes(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    spans = [span for _ in range(700) for span in ordinary_trace(rng)]
    ingest(tmp_path, spans, a_line=500)

    (file,) = Lake(tmp_path).files()
    opened = pq.ParquetFile(file)
    # The footer is the same for a hundred spans and a hundred thousand.
    assert (Path(file).stat().st_size - opened.metadata.serialized_size) / len(spans) <= 50


def ordinary_trace(rng: np.random.Generator) -> list[Span]:
    trace, start = int.from_bytes(rng.bytes(16)) or 1, START_NS + int(rng.integers(10**12))
    ids = [int.from_bytes(rng.bytes(8)) or 1 for _ in range(int(rng.integers(8, 13)))]
    talk = f"conv-{rng.integers(10**6):06}"
    return [
        Span(
            trace=trace,
            span=span,
            parent=0 if at == 0 else ids[at - 1],
            name=("chat gpt-4o", "POST /v1/score", "SELECT customers")[at % 3],
            start=start + at * 1_000_000 + int(rng.integers(10**6)),
            duration=int(rng.lognormal(17, 1)),
            attributes={
                "gen_ai.operation.name": "chat",
                "gen_ai.request.model": "gpt-4o",
                "gen_ai.provider.name": "openai",
                "gen_ai.usage.input_tokens": int(rng.integers(100, 4_000)),
                "gen_ai.usage.output_tokens": int(rng.integers(10, 900)),
                "gen_ai.conversation.id": talk,
                "http.request.method": "POST",
                "url.full": "https://api.example.com/v1/chat",
                "server.address": "api.example.com",
                "http.response.status_code": 200,
                "gen_ai.request.temperature": round(float(rng.random()), 2),
            },
        )
        for at, span in enumerate(ids)
    ]
