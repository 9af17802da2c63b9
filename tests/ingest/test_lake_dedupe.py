"""Copies are found as a slow search over whole ids finds them, in whatever shares they come."""

from collections.abc import Iterator
from contextlib import ExitStack, closing

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest import dedupe, keys
from ingest.errors import LakeError

Row = tuple[int, int, int]  # trace, span, content hash

# Few ids in each half, so that rows meet in one part of the key and not in another.
IDS = st.sampled_from([1, 2, 2**64, 2**64 + 1, 2**127])
ROWS = st.lists(st.tuples(IDS, st.sampled_from([1, 2, 2**63]), st.integers(-2, 1)), max_size=12)


def keys_of(rows: list[Row]) -> keys.Keys:
    table = pa.table(
        {
            "trace_id": pa.array([f"{trace:032x}" for trace, _, _ in rows], pa.string()),
            "span_id": pa.array([f"{span:016x}" for _, span, _ in rows], pa.string()),
            "start_ns": pa.array([1] * len(rows), pa.int64()),
            "duration_ns": pa.array([2] * len(rows), pa.int64()),
            "content_hash": pa.array([said for _, _, said in rows], pa.int32()),
        }
    )
    return keys.of_table(table)


def store_of(rows: list[Row], *, a_run: int = 5) -> keys.KeyStore:
    store = keys.KeyStore()
    for at in range(0, len(rows), a_run):
        store.append(keys.placed(keys_of(rows[at : at + a_run]), at))
    return store


def searched(sources: list[list[Row]], lake: list[Row]) -> list[tuple[list[bool], int]]:
    """Return which rows are copies and how many of them conflict, one row after the other."""
    first = {(trace, span): said for trace, span, said in lake}
    found = []
    for source in sources:
        copies, conflicts = [], 0
        for trace, span, said in source:
            copies.append((trace, span) in first)
            conflicts += first.setdefault((trace, span), said) != said
        found.append((copies, conflicts))
    return found


@settings(deadline=None, max_examples=60)
@given(sources=st.lists(ROWS, max_size=3), lake=ROWS, a_share=st.sampled_from([1, 3, 1_000]))
def test_copies_are_those_a_slow_search_finds_however_the_keys_are_shared_out(
    sources: list[list[Row]], lake: list[Row], a_share: int
) -> None:
    lake = list({row[:2]: row for row in lake}.values())

    def known() -> Iterator[keys.Keys]:
        yield keys_of(lake[:4])
        yield keys_of(lake[4:])

    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        patch.setattr("ingest.dedupe.KEYS_AT_ONCE", a_share)
        stores = [stack.enter_context(closing(store_of(rows))) for rows in sources]
        found = dedupe.across(stores, known)

    assert [(each.is_copy.tolist(), each.conflicts) for each in found] == searched(sources, lake)
    for each in found:
        assert each.duplicates + each.conflicts == each.is_copy.sum()
        assert (each.first_conflict is None) == (each.conflicts == 0)
        assert each.first_conflict is None or each.is_copy[each.first_conflict]


@given(rows=ROWS)
def test_within_one_run_the_first_copy_stays(rows: list[Row]) -> None:
    is_copy, is_conflict = dedupe.within(keys_of(rows))

    assert [(is_copy.tolist(), is_conflict.sum())] == searched([rows], [])


def test_two_ids_with_one_mixed_word_are_still_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.keys.mixed", lambda run: np.zeros(len(run), dtype=np.uint64))
    rows = [(1, 1, 0), (1, 2, 0), (2, 1, 0), (1, 1, 0)]
    with closing(store_of(rows)) as store:
        (found,) = dedupe.across([store], lambda: iter([keys_of([(2, 1, 5)])]))

    assert found.is_copy.tolist() == [False, False, True, True]
    assert (found.duplicates, found.conflicts, found.first_conflict) == (1, 1, 2)


@given(
    digits=st.lists(st.text("0123456789abcdefABCDEF", min_size=32, max_size=32), max_size=9),
    skipped=st.integers(0, 3),
)
def test_hex_becomes_the_number_it_writes(digits: list[str], skipped: int) -> None:
    whole = pa.chunked_array([digits[:4], digits[4:]], pa.string())
    words = keys.hex_words(whole.slice(skipped), 2)

    numbers = [(int(high) << 64) + int(low) for high, low in words]
    assert numbers == [int(text, 16) for text in digits[skipped:]]


@pytest.mark.parametrize("odd", ["ab", "", "0" * 33, None])
def test_an_id_of_another_length_is_refused(odd: str | None) -> None:
    with pytest.raises(LakeError, match=r"(?s)hex digits.*Hint"):
        keys.hex_words(pa.chunked_array([["0" * 32, odd]], pa.string()), 2)


@pytest.mark.parametrize("column", ["start_ns", "duration_ns", "content_hash"])
def test_spans_of_one_id_are_in_conflict_whichever_of_times_and_content_differs(
    column: str,
) -> None:
    span = {"trace_id": "a" * 32, "span_id": "b" * 16, "start_ns": 5, "duration_ns": 9}
    first = span | {"content_hash": 7}
    other = first | {column: 8}

    copies, conflicts = dedupe.within(keys.of_table(pa.Table.from_pylist([first, first, other])))

    assert copies.tolist() == [False, True, True]
    assert conflicts.tolist() == [False, False, True]


@given(rows=ROWS, seed=st.randoms(use_true_random=False))
def test_a_digest_is_the_same_in_any_order_and_adds_up(rows: list[Row], seed: object) -> None:
    mixed = list(rows)
    seed.shuffle(mixed)  # type: ignore[attr-defined]
    parts = [keys.digest(keys_of(part), "a") for part in (rows[:3], rows[3:])]

    assert keys.digest(keys_of(mixed), "a") == keys.digest(keys_of(rows), "a")
    assert keys.digest(keys_of(rows), "a") == sum(parts) % 2**64


def test_a_digest_tells_ids_contents_and_cohorts_apart() -> None:
    rows = [(1, 2, 3), (2, 1, 3), (1, 2, 4), (2**64, 2, 3), (1, 1, 3)]
    digests = [
        keys.digest(keys_of([row]), cohort) for row in rows for cohort in ("a", "b", "a" * 63)
    ]

    assert len(set(digests)) == len(digests)


def test_keys_come_back_by_share_whole_and_once_from_memory_and_from_disk(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = [(trace, 1, trace) for trace in range(1, 2_001)]
    for limit in (1 << 30, 1):
        monkeypatch.setattr("ingest.keys.KEYS_IN_MEMORY_BYTES", limit)
        store = store_of(rows, a_run=300)
        shares = [
            run for start in range(0, keys.BUCKETS, 50)
            for run in store.share(start, min(start + 50, keys.BUCKETS))
        ]  # fmt: skip
        places = np.concatenate([keys.places(run) for run in shares])

        assert sorted(places.tolist()) == list(range(2_000))
        together = np.concatenate(shares)
        assert (together[np.argsort(places), keys.LOW] == np.arange(1, 2_001)).all()
        store.close()
