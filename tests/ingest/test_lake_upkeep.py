"""Removing, cleaning up and checking: what is taken is gone and said so, the rest is untouched."""

import io
import json
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from ingest_drawn import DAY_NS, Span, json_lines, many

from ingest import compaction, removal, upkeep
from ingest.errors import LakeError
from ingest.lake import Lake
from ingest.load import load
from ingest.report import LoadReport

OLD_S = 8 * 86_400


def ingest(
    lake: Path, spans: Sequence[Span], *, cohort: str = "a", name: str = "dump"
) -> LoadReport:
    return load([(name, io.BytesIO(json_lines(spans, a_line=50)))], lake, cohort=cohort)


def spans_of(lake: Path) -> int:
    return sum(pq.ParquetFile(file).metadata.num_rows for file in Lake(lake).files())


def ledger_of(lake: Path) -> list[tuple[object, ...]]:
    rows = Lake(lake).ledger().to_pylist()
    return [(row["name"], row["kept"], row["removed"], row["state"]) for row in rows]


def age(*files: Path) -> None:
    for file in files:
        then = time.time() - OLD_S
        os.utime(file, (then, then))


def test_a_removed_source_is_gone_said_so_and_can_be_read_again(tmp_path: Path) -> None:
    ingest(tmp_path, many(30), name="one")
    ingest(tmp_path, many(20, seed=1), name="two")
    compaction.compact(tmp_path, more_than=1)  # so that one file holds spans of both
    before = Lake(tmp_path).fingerprint()
    taken = removal.remove(tmp_path, cohort="a", source="one")

    assert (taken.spans, taken.sources, taken.files) == (30, 1, 1)
    assert spans_of(tmp_path) == 20
    assert ledger_of(tmp_path) == [("one", 30, 30, "removed"), ("two", 20, 0, "there")]
    assert upkeep.problems(tmp_path) == []
    assert ingest(tmp_path, many(30), name="again").kept == 30
    assert ledger_of(tmp_path)[0] == ("one", 30, 30, "removed")
    assert ledger_of(tmp_path)[-1] == ("again", 30, 0, "there")
    assert ingest(tmp_path, many(30)).sources[0].already
    assert Lake(tmp_path).fingerprint() == before
    assert upkeep.problems(tmp_path) == []


def test_a_removed_day_leaves_the_other_days_and_comes_back_with_its_sources(
    tmp_path: Path,
) -> None:
    ingest(tmp_path, many(40, days=2), name="both")
    ingest(tmp_path, many(10, seed=3), name="first")
    days = [row["day"] for row in Lake(tmp_path).contents().to_pylist()]
    taken = removal.remove(tmp_path, cohort="a", day=days[1])

    assert taken.spans == 20
    assert [row["day"] for row in Lake(tmp_path).contents().to_pylist()] == days[:1]
    assert ledger_of(tmp_path) == [("both", 40, 20, "in part"), ("first", 10, 0, "there")]
    again = ingest(tmp_path, many(40, days=2), name="both")
    assert (again.kept, again.duplicates) == (20, 20)
    assert spans_of(tmp_path) == 50
    assert upkeep.problems(tmp_path) == []
    assert removal.remove(tmp_path, cohort="a", source="both").spans == 40
    assert upkeep.problems(tmp_path) == []
    assert spans_of(tmp_path) == 10


def test_a_removed_cohort_leaves_the_others_as_they_were(tmp_path: Path) -> None:
    ingest(tmp_path, many(30), cohort="a")
    ingest(tmp_path, many(30), cohort="a", name="copy of another name")
    ingest(tmp_path, [*many(30), *many(1, seed=9)], cohort="a", name="wider")
    ingest(tmp_path, many(10), cohort="b")
    kept = [file for file in Lake(tmp_path).files() if "cohort=b" in file]
    removal.remove(tmp_path, cohort="a")

    assert Lake(tmp_path).files() == kept
    states = {(row["cohort"], row["state"]) for row in Lake(tmp_path).ledger().to_pylist()}
    assert states == {("a", "removed"), ("b", "there")}
    assert upkeep.problems(tmp_path) == []
    assert ingest(tmp_path, many(30), cohort="a").kept == 30


def test_a_removal_warns_of_copies_that_others_brought(tmp_path: Path) -> None:
    ingest(tmp_path, many(30), name="first")
    ingest(tmp_path, many(31), name="second")
    planned = removal.plan(tmp_path, cohort="a", source="first")

    assert (planned.spans, planned.copies) == (30, 30)
    assert spans_of(tmp_path) == 31


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"cohort": "b"}, "nothing to remove of b"),
        ({"cohort": "a", "source": "x.json"}, "there is no source 'x.json' in a"),
        ({"cohort": "a", "source": "dump"}, "there are 2 sources 'dump' in a"),
    ],
)
def test_what_cannot_be_removed_is_one_clear_sentence(
    tmp_path: Path, asked: dict[str, str], said: str
) -> None:
    ingest(tmp_path, many(5))
    ingest(tmp_path, many(5, seed=1))
    before = DeltaTable(str(tmp_path)).version()

    with pytest.raises(LakeError, match=rf"(?s){said}.*Hint"):
        removal.remove(tmp_path, **asked)
    assert DeltaTable(str(tmp_path)).version() == before


def test_a_vacuum_takes_only_what_left_or_never_entered_long_ago(tmp_path: Path) -> None:
    for seed in range(3):
        ingest(tmp_path, many(10, seed=seed))
    merged_away = [Path(file) for file in Lake(tmp_path).files()]
    compaction.compact(tmp_path, more_than=1)
    (live,) = map(Path, Lake(tmp_path).files())
    left, young = live.with_name("part-left.parquet"), live.with_name("part-young.parquet")
    orphan, fresh = tmp_path / "_ledger" / "77.json", tmp_path / "_ledger" / "78.json"
    for file in (left, young):
        file.write_bytes(b"torn")
    for file in (orphan, fresh):
        file.write_text("[]")
    age(live, left, orphan, *merged_away)
    gone = upkeep.vacuum(tmp_path)

    assert sorted(gone) == sorted(file.relative_to(tmp_path) for file in (left, orphan))
    assert not left.exists()
    assert not orphan.exists()
    assert all(file.exists() for file in (live, young, fresh, *merged_away))
    upkeep.vacuum(tmp_path, retention_days=0)
    assert not any(file.exists() for file in (young, fresh, *merged_away))
    assert upkeep.problems(tmp_path) == []
    assert spans_of(tmp_path) == 30
    assert Lake(tmp_path).ledger().num_rows == 3


def damage_gone(lake: Path, file: Path) -> None:
    file.unlink()


def damage_torn(lake: Path, file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


def damage_rows(lake: Path, file: Path) -> None:
    table = pq.ParquetFile(file).read()
    pq.write_table(table.slice(1), file)


def damage_content(lake: Path, file: Path) -> None:
    table = pq.ParquetFile(file).read()
    place = table.column_names.index("content_hash")
    pq.write_table(
        table.set_column(place, "content_hash", table["source_record"].cast("int32")), file
    )


def damage_ledger(lake: Path, file: Path) -> None:
    (row,) = (lake / "_ledger").glob("*.json")
    row.write_text(row.read_text().replace('"kept": 20', '"kept": 19'))


def damage_twice(lake: Path, file: Path) -> None:
    copy = file.with_name("part-copy.parquet")
    copy.write_bytes(file.read_bytes())
    log = lake / "_delta_log"
    last = max(log.glob("*.json"))
    added = [line for line in last.read_text().splitlines() if '"add"' in line]
    text = "\n".join(added).replace(file.name, copy.name)
    (log / f"{int(last.stem) + 1:020}.json").write_text(text + "\n")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (damage_gone, "cannot be read"),
        (damage_torn, "cannot be read"),
        (damage_rows, "holds 19 rows, the lake's log says 20"),
        (damage_content, "says something else than its name"),
        (damage_ledger, "the ledger counts 19 spans of dump"),
        (damage_twice, "20 spans have the ids of another span"),
    ],
)
def test_a_check_finds_what_is_wrong(tmp_path: Path, damage: object, said: str) -> None:
    ingest(tmp_path, many(20))
    assert upkeep.problems(tmp_path) == []
    damage(tmp_path, Path(Lake(tmp_path).files()[0]))  # type: ignore[operator]

    assert any(said in sentence for sentence in upkeep.problems(tmp_path))


def test_spans_far_apart_in_time_that_share_ids_are_found_by_the_check(tmp_path: Path) -> None:
    span = Span()
    ingest(tmp_path, [span])
    ingest(tmp_path, [replace(span, start=span.start + 5 * DAY_NS)])

    (said,) = upkeep.problems(tmp_path)
    assert "1 spans have the ids of another span of the cohort" in said


def test_refusals_are_kept_with_examples_also_of_a_source_nothing_could_be_kept_of(
    tmp_path: Path,
) -> None:
    late = [replace(span, duration=-5) for span in many(30, seed=2)]
    report = load(
        [
            ("some.jsonl", io.BytesIO(json_lines([*many(5), *late], a_line=1))),
            ("none.txt", io.BytesIO(b"hello")),
            ("fine.jsonl", io.BytesIO(json_lines(many(3, seed=4)))),
        ],
        tmp_path,
        cohort="a",
    )
    rows = Lake(tmp_path).rejects().to_pylist()
    some = report.sources[0].digest

    assert {row["source"] for row in rows} == {"some.jsonl", "none.txt"}
    assert {row["count"] for row in rows if row["source"] == "some.jsonl"} == {30}
    assert Lake(tmp_path).rejects(some).to_pylist() == [
        row for row in rows if row["digest"] == some
    ]
    for row in rows:
        assert row["reason"]
        assert row["place"]
        assert row["mend"]
    assert len(list((tmp_path / "_rejects").iterdir())) == 2
    (line, *_) = next((tmp_path / "_rejects").glob(f"{some[:16]}-a.jsonl")).read_text().splitlines()
    assert json.loads(line)["count"] == 30


def test_a_name_that_is_no_text_is_in_ledger_and_rejects_all_the_same(tmp_path: Path) -> None:
    name = os.fsdecode(b"d\xffmp\n';.jsonl")
    load([(name, io.BytesIO(b"{}\n" + json_lines(many(3))))], tmp_path, cohort="a")
    load([(name, io.BytesIO(b"hello"))], tmp_path, cohort="a")

    names = {row["name"] for row in Lake(tmp_path).ledger().to_pylist()}
    assert names == {"d\\udcffmp\n';.jsonl"}
    assert {row["source"] for row in Lake(tmp_path).rejects().to_pylist()} <= names
