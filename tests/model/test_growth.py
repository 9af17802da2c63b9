"""However a model came to be, at once, in parts or from an earlier one, it says the same."""

import random
from pathlib import Path

import duckdb
import pytest

from analysis import build, growth
from ingest.lake import Lake

# Traces of every kind a load has to tie or to weigh: queues across traces, servers that programs
# call, models that fail, conversations, late spans, calls that lost the tool which made them.
KINDS = (
    """
    agent planner {t[0]}..{t[100]} conversation_id=c{talk} user_id=u{person}
      model gpt {t[5]}..{t[40]} provider=openai request_model=gpt input_message_count={messages}
      tool search {t[45]}..{t[90]}
        http_client crm {t[50]}..{t[80]} {fails} http_method=GET
    """,
    """
    agent planner 0..100
      model gpt 5..40 ! provider=openai request_model=gpt
      step retry 41..99
        model gpt 42..60 provider=openai response_model={answer} request_model=gpt
    """,
    """
    http_server orders 0..50 service_name=crm user_agent=python-requests/2
      db orders 5..20 db_system=postgresql service_name=crm
    """,
    """
    http_server orders 0..50 service_name=crm
      db orders 5..20 db_system=postgresql service_name=crm
    """,
    """
    agent sender 0..30
      http_client crm 1..9 http_method=GET
        http_server orders 2..8 service_name=crm
      queue_producer mails 10..11 id=p{n}

    queue_consumer mails 40..90 service_name=worker links=p{n}
      db outbox 50..70 {fails} db_system=postgresql service_name=worker
    """,
    """
    agent solo {at}..{until} service_name=solo
      tool search {at}..{until}

    http_client crm {at}..{until} {fails} http_method=GET service_name=solo
      db kb {at}..{until} service_name=crm
    """,
)

# what stands for what, and where
NUMBERED = (
    (
        "unit_no",
        "unit_id",
        """
        SELECT unit_no, unit_id FROM calls
        UNION ALL SELECT unit_no, unit_id FROM requests
        UNION ALL SELECT accesses.unit_no, calls.unit_id FROM accesses JOIN calls USING (call_id)
        """,
    ),
    (
        "turn_no",
        "turn_key",
        """
        SELECT turn_no, turn_key FROM trace_units
        UNION ALL
        SELECT accesses.turn_no, trace_units.turn_key
        FROM accesses
        LEFT JOIN trace_units USING (trace_no)
        """,
    ),
    (
        "boundary_no",
        "boundary",
        """
        SELECT boundary_no, cohort || '/' || boundary_id AS boundary FROM calls
        UNION ALL SELECT boundary_no, cohort || '/' || boundary_id FROM boundaries
        """,
    ),
    (
        "worker_no",
        "worker",
        """
        SELECT worker_no, (cohort, owner_agent, owner_service, service_version)::VARCHAR AS worker
        FROM calls
        UNION ALL
        SELECT worker_no, (cohort, owner_agent, owner_service, service_version)::VARCHAR
        FROM workers
        """,
    ),
    (
        "access_no",
        "touch",
        """
        SELECT access_no, (cohort, agent, resource, access, kind, owner_agent, service,
            service_version, sensitivity, is_sensitivity_inferred)::VARCHAR AS touch
        FROM accesses
        UNION ALL
        SELECT access_no, (cohort, agent, resource, access, kind, owner_agent, service,
            service_version, sensitivity, is_sensitivity_inferred)::VARCHAR
        FROM touches
        """,
    ),
    (
        "variety_no",
        "variety",
        """
        SELECT variety_no, (cohort, pattern, boundary_id, other_boundary_id)::VARCHAR AS variety
        FROM patterns
        UNION ALL
        SELECT variety_no, (cohort, pattern, boundary_id, other_boundary_id)::VARCHAR
        FROM varieties
        """,
    ),
)


def drawn_rows(drawn, seed: int, traces: int, *, place: str = "") -> list[dict]:
    rng = random.Random(seed)
    rows = []
    for number in range(traces):
        text = rng.choice(KINDS).format(
            n=f"{place}{number}",
            t=[1000 * number + at for at in range(101)],
            talk=rng.randrange(9),
            person=rng.randrange(5),
            messages=rng.randrange(1, 9),
            fails=rng.choice(["", "!"]),
            answer=rng.choice(["gpt-1", "gpt-1", "gpt-2"]) if seed % 2 else "gpt-1",
            # A later dump's first ones run at the same time: what was certain is not any more.
            at=number * 100,
            until=number * 100 + 50,
        )
        rows += drawn(text, place=f"{place}{seed}.{number}/")
    rng.shuffle(rows)
    return rows


def tables(path: Path) -> dict[str, list[tuple]]:
    """Every row of every table of a model, sorted as text, for the order of rows says nothing.

    Numbers that only tell units and turns apart are held against what they stand for.
    """
    with duckdb.connect(str(path), read_only=True) as connection:
        names = [name for (name,) in connection.execute("SHOW TABLES").fetchall()]
        told = {}
        for name in names:
            columns = {row[0] for row in connection.execute(f"DESCRIBE {name}").fetchall()}
            same = ", ".join(sorted({number for number, *_ in NUMBERED} & columns))
            rows = connection.execute(
                f"SELECT * {f'EXCLUDE ({same})' if same else ''} FROM {name}"
            ).fetchall()
            told[name] = sorted(map(repr, rows))
        for number, key, relation in NUMBERED:
            ((numbers, keys, both, unnumbered),) = connection.execute(
                f"""
                SELECT
                    count(DISTINCT {number}),
                    count(DISTINCT {key}),
                    count(DISTINCT ({number}, {key})) FILTER ({key} IS NOT NULL),
                    count(*) FILTER (({number} IS NULL) <> ({key} IS NULL))
                FROM ({relation})
                """
            ).fetchall()
            assert numbers == keys == both > 0
            assert unnumbered == 0
        return {name: rows for name, rows in told.items() if name not in ("lake_files", "sizes")}


def built(lake: Path, target: Path, *, a_load: int = growth.SPANS_A_LOAD) -> dict[str, list[tuple]]:
    build.write(Lake(lake).snapshot(), target, a_load=a_load)
    return tables(target)


@pytest.mark.slow
def test_a_model_made_in_parts_is_the_model_made_at_once(drawn, lay, tmp_path):
    lake = lay(drawn_rows(drawn, 1, 60), tmp_path / "lake")

    whole = built(lake, tmp_path / "whole.duckdb")
    parts = {load: built(lake, tmp_path / f"{load}.duckdb", a_load=load) for load in (200, 90)}

    assert len(whole["calls"]) > 100
    assert any("'process'" in row for row in whole["joins"])
    for load, told in parts.items():
        assert told == whole, load


@pytest.mark.parametrize(
    ("seed", "most"),
    [
        (0, growth.CHANGED_RATIO),
        pytest.param(1, 1, marks=pytest.mark.slow),
        pytest.param(2, 1, marks=pytest.mark.slow),
    ],
)
def test_a_grown_model_is_the_model_made_anew(drawn, lay, tmp_path, monkeypatch, seed, most):
    # Of so few traces a dump changes many: what looks across them is made again for all, or some.
    monkeypatch.setattr(growth, "CHANGED_RATIO", most)
    rows = drawn_rows(drawn, seed, 50)
    rng = random.Random(seed)
    # Late spans of old traces come with later dumps, and links whose other end is not there yet.
    late = [row for row in rows if rng.random() < 0.1]
    first = [row for row in rows if row not in late]
    new = drawn_rows(drawn, seed + 100, 5, place="new")
    lake, cache = tmp_path / "lake", tmp_path / "cache"

    build.model_file(Lake(lay(first, lake)), cache)
    for number, dump in enumerate((late[::2] + new, late[1::2])):
        lay(dump, lake)
        anew = built(lake, tmp_path / f"anew{number}.duckdb")
        with monkeypatch.context() as patch:
            patch.setattr(growth, "build", _refused)
            grown = tables(build.model_file(Lake(lake), cache))
        differing = [name for name in anew if grown[name] != anew[name]]
        assert grown.keys() == anew.keys()
        assert not differing
        assert anew["turn_signals"]


@pytest.mark.slow
@pytest.mark.parametrize("left", [0, 0.5])
def test_from_an_earlier_model_that_is_spoilt_a_whole_one_is_made(drawn, lay, tmp_path, left):
    lake, cache = tmp_path / "lake", tmp_path / "cache"
    earlier = build.model_file(Lake(lay(drawn_rows(drawn, 0, 20), lake)), cache)
    data = earlier.read_bytes()
    earlier.write_bytes(data[: int(left * len(data))])
    lay(drawn_rows(drawn, 100, 2, place="new"), lake)

    assert tables(build.model_file(Lake(lake), cache)) == built(lake, tmp_path / "anew.duckdb")
    assert len(list(cache.iterdir())) == 1


def _refused(*_: object, **__: object) -> None:
    raise AssertionError("the model was made anew")
