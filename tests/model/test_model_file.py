"""The model is built once a state of the lake, beside it, and asked without a way out."""

import subprocess
import sys
import threading
from datetime import UTC, datetime

import duckdb
import pytest

from analysis import catalog, engine, loading
from analysis.scope import Scope
from ingest.errors import OrchriskError

DRAWING = """
agent a 0..100 conversation_id=c
  tool get_order 10..40 !
  model gpt 50..90

agent b 86400000..86400100
  tool get_order 86400010..86400040
"""


def test_a_second_opening_finds_the_first_ones_file(drawn, build, tmp_path):
    lake = tmp_path / "lake"
    first = build(drawn(DRAWING), lake)
    written = first.path.stat().st_mtime_ns
    with engine.connect(lake) as second:
        assert (second.path, second.path.stat().st_mtime_ns) == (first.path, written)
    assert first.path.parent == lake / "_model"


def test_more_spans_make_another_model_and_remove_the_old_one(drawn, build, tmp_path):
    lake = tmp_path / "lake"
    before = build(drawn(DRAWING), lake)
    after = build(drawn("agent late 0..5", place="more"), lake)

    assert before.path != after.path
    assert [path.name for path in (lake / "_model").iterdir()] == [after.path.name]
    # The open model keeps answering from the file it opened.
    assert len(before.ask("request_latencies")) == 2


@pytest.mark.slow
def test_two_processes_that_build_at_once_both_end_well(drawn, build, tmp_path):
    lake = tmp_path / "lake"
    model = build(drawn(DRAWING), lake)
    model.path.unlink()
    script = (
        "import sys; from analysis import engine; "
        "print(len(engine.connect(sys.argv[1]).ask('latencies')))"
    )
    builders = [
        subprocess.Popen([sys.executable, "-c", script, str(lake)], stdout=subprocess.PIPE)
        for _ in range(2)
    ]

    assert [int(each.communicate(timeout=120)[0]) for each in builders] == [3, 3]
    assert [path.name for path in (lake / "_model").iterdir()] == [model.path.name]


def test_a_lake_that_cannot_be_written_beside_uses_the_cache(drawn, build, tmp_path, monkeypatch):
    lake = tmp_path / "lake"
    build(drawn(DRAWING), lake).path.unlink()
    (lake / "_model").rmdir()
    (lake / "_model").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with engine.connect(lake) as model:
        assert model.path.is_relative_to(tmp_path / "cache")
        assert model.cohorts() == ["baseline"]


def test_without_a_lake_every_metric_answers_its_columns_and_no_row(
    tmp_path, monkeypatch, build, drawn
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    full = build(drawn(DRAWING))
    with engine.connect(tmp_path / "none") as empty:
        assert empty.is_empty
        assert empty.cohorts() == []
        for card in catalog.cards():
            assert list(empty.ask(card.name).columns) == list(full.ask(card.name).columns)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("scope", "calls"),
    [
        (Scope(), 3),
        (Scope(cohort="baseline"), 3),
        (Scope(cohort="'; DROP TABLE calls; --"), 0),
        (Scope(agent="a"), 2),
        (Scope(since=datetime(2026, 3, 3, tzinfo=UTC)), 1),
        (Scope(until=datetime(2026, 3, 3, tzinfo=UTC)), 2),
        (Scope(service="app"), 3),
        (Scope(service="other"), 0),
        (Scope(variant="x"), 0),
        (Scope(boundary="0" * 16), 0),
    ],
)
def test_a_scope_narrows_what_is_asked(build, drawn, scope, calls):
    model = build(drawn(DRAWING))

    assert len(model.ask("latencies", scope)) == calls
    for card in catalog.cards():
        model.ask(card.name, scope)
    assert Scope.from_query(scope.to_query()) == scope


def test_threads_may_ask_at_once(build, drawn):
    model = build(drawn(DRAWING))
    counts = []

    def ask(agent):
        scope = Scope(agent=agent)
        counts.extend((agent, len(model.ask("latencies", scope))) for _ in range(10))

    threads = [threading.Thread(target=ask, args=(agent,)) for agent in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert set(counts) == {("a", 2), ("b", 1)}


def test_a_model_cannot_be_written_nor_left(build, drawn, query):
    model = build(drawn(DRAWING))
    for attack in (
        "DELETE FROM model.main.calls",
        "SELECT * FROM read_text('/etc/hostname')",
        "COPY (SELECT 1) TO '/tmp/orchrisk-out.csv'",
        "SET enable_external_access = true",
        "INSTALL httpfs",
    ):
        with pytest.raises(duckdb.Error):
            query(model, attack)


def test_a_question_that_takes_too_long_is_stopped(build, drawn, monkeypatch):
    endless = "SELECT sum(a.range + b.range) FROM range(10000000) AS a, range(10000000) AS b"
    model = build(drawn(DRAWING))
    monkeypatch.setattr(engine.Model, "sql", lambda *_: endless)

    with pytest.raises(engine.TooSlow, match="latencies: no answer within"):
        model.ask("latencies", timeout_s=0.2)


def test_a_question_that_needs_too_much_memory_is_refused(build, drawn, monkeypatch):
    endless = "SELECT list(a.range ORDER BY hash(a.range)) FROM range(200000000) AS a"
    monkeypatch.setattr(engine, "MEMORY_MB", 64)
    model = build(drawn(DRAWING))
    monkeypatch.setattr(engine.Model, "sql", lambda *_: endless)

    with pytest.raises(engine.TooLarge, match="latencies: needs more memory"):
        model.ask("latencies")
    with pytest.raises(OrchriskError):
        model.ask("latencies")


def test_a_metric_without_a_card_is_refused(tmp_path):
    (tmp_path / "mute.sql").write_text("SELECT 1")

    with pytest.raises(catalog.CardError, match=r"mute\.sql:1: a metric begins with its question"):
        catalog.card("mute", tmp_path)
    with pytest.raises(catalog.CardError, match="No metric is called 'loud'"):
        catalog.card("loud", tmp_path)


def test_every_metric_has_a_card_and_every_relation_is_described():
    assert all(card.question.endswith("?") and card.unit for card in catalog.cards())
    files = loading.all_steps()
    assert all(path.read_text().startswith("-- ") for path in files)
