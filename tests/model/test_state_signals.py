"""State that was lost is found where the traces show it, and what was kept is not called lost."""

import re
from pathlib import Path

import pytest

from analysis import engine, state
from analysis.catalog import card
from analysis.scope import Scope

DATA = Path(__file__).parents[3] / "shared" / "data"
MINUTE = 60_000

# Each drawing is a cohort of its own.
# What follows is every turn that the signal could judge, `!` where it was lost.
SIGNALS = {
    "S1 the token that comes in is the one that went out": (
        """
        agent a 0..10 conversation_id=c context_hash_out=one

        agent a 20..30 conversation_id=c context_hash_in=one context_hash_out=two

        agent a 40..50 conversation_id=c context_hash_in=one context_hash_out=three

        agent a 60..70 conversation_id=c
        """,
        {"S1": ["2", "3!"]},
    ),
    "S1 the entry speaks for what runs below it": (
        """
        http_server /chat 0..10 conversation_id=c context_hash_out=one
          agent a 1..9 context_hash_out=draft
          model m 2..3

        http_server /chat 20..30 conversation_id=c context_hash_in=one
          agent a 21..29 context_hash_in=draft
          model m 22..23
        """,
        {"S1": ["2"]},
    ),
    "S1 a turn that is not in the data is not judged over": (
        """
        agent a 0..10 conversation_id=c turn_index=1 context_hash_out=one

        agent a 20..30 conversation_id=c turn_index=3 context_hash_in=two
        """,
        {"S1": []},
    ),
    "S2 versions go on one by one": (
        """
        agent a 0..10 conversation_id=c context_version=1

        agent a 20..30 conversation_id=c context_version=2

        agent a 40..50 conversation_id=c context_version=2

        agent a 60..70 conversation_id=c context_version=4

        agent a 80..90 conversation_id=c context_version=3
        """,
        {"S2": ["2", "3!", "4!", "5!"]},
    ),
    "S2 a turn may read what the last one wrote, and write the next": (
        """
        agent a 0..10 conversation_id=c
          cache SET 8..9 db_operation=SET server_address=sessions context_version=1

        agent a 20..30 conversation_id=c
          cache GET 21..22 db_operation=GET server_address=sessions context_version=1
          cache SET 28..29 db_operation=SET server_address=sessions context_version=2

        agent a 40..50 conversation_id=c
          cache GET 41..42 db_operation=GET server_address=sessions context_version=2

        agent a 60..70 conversation_id=c
          cache GET 61..62 db_operation=GET server_address=sessions context_version=1
        """,
        {"S2": ["2", "3", "4!"]},
    ),
    "S3 who says whose conversation it serves says another, or none": (
        """
        http_server /chat 0..10 conversation_id=c
          agent a 1..9 conversation_id=c
            model m 2..3

        http_server /chat 20..30 conversation_id=c
          agent a 21..29
            model m 22..23

        http_server /chat 40..50 conversation_id=c
          agent a 41..49 conversation_id=other
            model m 42..43
        """,
        {"S3": ["1", "2!", "3!"]},
    ),
    "S3 a service that never says it loses nothing": (
        """
        http_server /chat 0..10 conversation_id=c
          http_client crm 1..9
            http_server /crm 2..8 service_name=crm
          model m 2..3
        """,
        {"S3": []},
    ),
    "S3 a service that says it elsewhere has lost it here": (
        """
        http_server /chat 0..10 conversation_id=c
          http_client crm 1..9
            http_server /crm 2..8 service_name=crm conversation_id=c
          model m 2..3

        http_server /chat 20..30 conversation_id=c
          http_client crm 21..29
            http_server /crm 22..28 service_name=crm
          model m 22..23
        """,
        {"S3": ["1", "2!"]},
    ),
    "S4 the same person asks the same in a new conversation": (
        f"""
        agent a 0..10 conversation_id=c user_id=u input_hash=hello

        agent a 20..30 conversation_id=d user_id=u input_hash=hello

        agent a 40..50 conversation_id=e user_id=v input_hash=hello

        agent a {40 * MINUTE}..{40 * MINUTE + 9} conversation_id=f user_id=u input_hash=hello

        agent a {41 * MINUTE}..{41 * MINUTE + 9} conversation_id=g user_id=u input_hash=new
        """,
        {"S4": ["d1!", "g1"]},
    ),
    "S5 a prompt much shorter than the last turn's": (
        """
        agent a 0..10 conversation_id=c
          model m 1..2 input_tokens=1000
          model m 3..4 input_tokens=4000

        agent a 20..30 conversation_id=c
          model m 21..22 input_tokens=601

        agent a 40..50 conversation_id=c
          model m 41..42 input_tokens=300

        agent a 60..70 conversation_id=c
          model other 61..62 input_tokens=10
        """,
        {"S5": ["2", "3!"]},
    ),
    "S5 a prompt of no tokens was not counted": (
        """
        agent a 0..10 conversation_id=c
          model m 1..2 input_tokens=1000

        agent a 20..30 conversation_id=c
          model m 21..22 input_tokens=0
        """,
        {"S5": []},
    ),
    "S5 tokens that came from the cache are part of the prompt": (
        """
        agent a 0..10 conversation_id=c
          model m 1..2 input_tokens=3000

        agent a 20..30 conversation_id=c
          model m 21..22 input_tokens=200 cache_read_tokens=3000
        """,
        {"S5": ["2"]},
    ),
    "S5 and S6 a history that was compacted is not lost": (
        """
        agent a 0..10 conversation_id=c
          model m 1..2 input_tokens=3000 input_message_count=40
          step summarize_history 3..9

        agent a 20..30 conversation_id=c
          model m 21..22 input_tokens=200 input_message_count=2
        """,
        {"S5": [], "S6": []},
    ),
    "S6 fewer messages than in the last turn": (
        """
        agent a 0..10 conversation_id=c
          model m 1..2 input_message_count=2
          model m 3..4 input_message_count=6

        agent a 20..30 conversation_id=c
          model m 21..22 input_message_count=4

        agent a 40..50 conversation_id=c
          model m 41..42 input_message_count=3
        """,
        {"S6": ["2", "3!"]},
    ),
    "S6 back at the first turn's length, where others grow": (
        """
        agent a 0..10 conversation_id=c
          model m 1..2 input_message_count=2

        agent a 20..30 conversation_id=c
          model m 21..22 input_message_count=2

        agent a 40..50 conversation_id=d
          model m 41..42 input_message_count=2

        agent a 60..70 conversation_id=d
          model m 61..62 input_message_count=6
        """,
        {"S6": ["c2!", "d2"]},
    ),
    "S6 a prompt of constant length has nothing to lose": (
        """
        agent a 0..10 conversation_id=c
          model m 1..2 input_message_count=2

        agent a 20..30 conversation_id=c
          model m 21..22 input_message_count=2
        """,
        {"S6": ["2"]},
    ),
    "S6 a window that is full drops no state": (
        """
        agent a 0..10 conversation_id=c
          model m 1..2 input_message_count=2

        agent a 20..30 conversation_id=c
          model m 21..22 input_message_count=10

        agent a 40..50 conversation_id=c
          model m 41..42 input_message_count=10
        """,
        {"S6": ["2", "3"]},
    ),
    "S6 a turn that failed left nothing to keep": (
        """
        agent a 0..10 ! conversation_id=c
          model m 1..2 input_message_count=2

        agent a 20..30 conversation_id=c
          model m 21..22 input_message_count=2

        agent a 40..50 conversation_id=c
          model m 41..42 input_message_count=4
        """,
        {"S6": ["2", "3"]},
    ),
    "S7 a tool that reads is asked the same again": (
        """
        agent a 0..10 conversation_id=c
          tool get_order 1..2 args_hash=x

        agent a 20..30 conversation_id=c
          tool get_order 21..22 args_hash=y

        agent a 40..50 conversation_id=c
          tool get_order 41..42 args_hash=x
          tool get_order 43..44 args_hash=x
        """,
        {"S7": ["2", "3!"]},
    ),
    "S7 asking again within a turn, after a failure or by writing is none": (
        """
        agent a 0..10 conversation_id=c
          tool get_order 1..2 args_hash=x
          tool get_order 3..4 args_hash=x
          tool get_user 5..6 ! args_hash=x
          tool update_order 7..8 args_hash=x

        agent a 20..30 conversation_id=c
          tool get_user 21..22 args_hash=x
          tool update_order 23..24 args_hash=x
        """,
        {"S7": ["2"]},
    ),
    "S7 what was written meanwhile may be read again": (
        """
        agent a 0..20 conversation_id=c
          tool get_order 1..5 args_hash=x
            db orders 2..3 db_system=postgresql db_operation=SELECT

        agent a 30..40 conversation_id=c
          db orders 31..32 db_system=postgresql db_operation=UPDATE
          db users 33..34 db_system=postgresql db_operation=UPDATE

        agent a 50..60 conversation_id=c
          tool get_order 51..52 args_hash=x

        agent a 70..80 conversation_id=c
          db users 71..72 db_system=postgresql db_operation=UPDATE
          tool get_order 73..74 args_hash=x
        """,
        {"S7": ["3", "4!"]},
    ),
    "S8 the same question again": (
        """
        agent a 0..10 conversation_id=c input_hash=hello

        agent a 20..30 conversation_id=c input_hash=more

        agent a 40..50 conversation_id=c input_hash=hello

        agent a 60..70 conversation_id=d input_hash=hello

        agent a 80..90 conversation_id=c
        """,
        {"S8": ["c2", "c3!"]},
    ),
    "S9 the session store has nothing": (
        """
        agent a 0..10 conversation_id=c
          cache GET 1..2 db_operation=GET server_address=session-store cache_hit=false

        agent a 20..30 conversation_id=c
          cache GET 21..22 db_operation=GET server_address=session-store cache_hit=true

        agent a 40..50 conversation_id=c
          db checkpoints 41..42 db_system=postgresql db_operation=SELECT db_rows=0

        agent a 60..70 conversation_id=c
          memory - 61..62 operation=search_memory memory_record_count=0

        agent a 80..90 conversation_id=c
          step load 81..82
            cache GET 81..82 db_operation=GET server_address=redis context_hit=false
        """,
        {"S9": ["2", "3!", "4!", "5!"]},
    ),
    "S9 a miss of any other store is none": (
        """
        agent a 0..10 conversation_id=c

        agent a 20..30 conversation_id=c
          db checkpoint_writes 20..21 db_system=postgresql db_operation=SELECT db_rows=0
          cache GET 21..22 db_operation=GET server_address=score-cache cache_hit=false
          db orders 23..24 db_system=postgresql db_operation=SELECT db_rows=0
        """,
        {"S9": []},
    ),
    "S9 what a slower store still had is not lost": (
        """
        agent a 0..10 conversation_id=c

        agent a 20..30 conversation_id=c
          cache GET 21..22 db_operation=GET server_address=session-store cache_hit=false
          db sessions 23..24 db_system=postgresql db_operation=SELECT db_rows=1
        """,
        {"S9": ["2"]},
    ),
    "S9 a session that an object store does not know": (
        """
        agent a 0..10 conversation_id=c

        agent a 20..30 conversation_id=c
          object_store S3.GetObject 21..22 ! bucket=sessions rpc_method=GetObject http_status=404
        """,
        {"S9": ["2!"]},
    ),
    "S10 a graph that goes on elsewhere starts over": (
        """
        agent a 0..10 conversation_id=c
          step graph:1 1..2
          step graph:2 3..4

        agent a 20..30 conversation_id=c
          step graph:3 21..22

        agent a 40..50 conversation_id=c
          step graph:1 41..42
          step graph:2 43..44
        """,
        {"S10": ["2", "3!"]},
    ),
    "S10 a graph without checkpoints starts over by design": (
        """
        agent a 0..10 conversation_id=c
          step graph:1 1..2

        agent a 20..30 conversation_id=c
          step graph:1 21..22
        """,
        {"S10": []},
    ),
    "S11 the provider's cache has no prefix": (
        f"""
        agent a 0..10 conversation_id=c
          model m 1..2 input_tokens=900 cache_read_tokens=500

        agent a 20..30 conversation_id=c
          model m 21..22 input_tokens=900 cache_read_tokens=800

        agent a 40..50 conversation_id=c
          model m 41..42 input_tokens=900 cache_read_tokens=0

        agent a {3 * MINUTE}..{3 * MINUTE + 9} conversation_id=c
          model m {3 * MINUTE + 1}..{3 * MINUTE + 2} input_tokens=900 cache_read_tokens=700

        agent a {9 * MINUTE}..{9 * MINUTE + 9} conversation_id=c
          model m {9 * MINUTE + 1}..{9 * MINUTE + 2} input_tokens=900 cache_read_tokens=0
        """,
        {"S11": ["2", "3!"]},
    ),
    "S12 two requests at once write the same": (
        """
        agent a 0..50 conversation_id=c
          db notes 1..2 db_system=postgresql db_operation=INSERT

        agent b 10..90 conversation_id=c
          db notes 11..12 db_system=postgresql db_operation=UPDATE

        agent a 100..150 conversation_id=c
          db notes 101..102 db_system=postgresql db_operation=INSERT

        agent b 140..190 conversation_id=c
          db other 141..142 db_system=postgresql db_operation=UPDATE
        """,
        {"S12": ["1!", "3"]},
    ),
    "S13 a session that is read and written without a version": (
        """
        agent a 0..10 conversation_id=c
          cache SET 1..2 db_operation=SET server_address=session-store

        agent a 20..30 conversation_id=c
          cache GET 21..22 db_operation=GET server_address=session-store
          cache SET 23..24 db_operation=SET server_address=session-store

        agent a 40..50 conversation_id=c context_version=3
          cache GET 41..42 db_operation=GET server_address=session-store
          cache SET 43..44 db_operation=SET server_address=session-store
        """,
        {"S13": ["1", "2!", "3"]},
    ),
}

STRENGTHS = {
    "certain": {"S1", "S2"},
    "strong": {"S3", "S6", "S9"},
    "medium": {"S4", "S5", "S7", "S8", "S10", "S12"},
    "weak": {"S11"},
    "risk": {"S13"},
}


def with_steps(rows):
    """Spans called graph:3 are of a graph's third step, as LangGraph's instrumentations say it."""
    for row in rows:
        if match := re.fullmatch(r"graph:(\d+)", row["name"]):
            row["vendor_kind"] = "task"
            row["attributes"] = [("traceloop.association.properties.langgraph_step", match[1])]
    return rows


@pytest.fixture(scope="module")
def told(drawn, build):
    """One model that holds every drawing, a cohort each."""
    rows = []
    for number, (drawing, _) in enumerate(SIGNALS.values()):
        rows += with_steps(drawn(drawing, cohort=f"c{number}", place=f"{number}/"))
    return build(rows)


@pytest.fixture(scope="module")
def judged(told, query):
    """What every signal says, by cohort and signal."""
    found = {}
    for cohort, signal, conversation, turn, is_lost in query(
        told,
        "SELECT cohort, signal, conversation_id, turn_index, is_lost FROM state_signals "
        "ORDER BY conversation_id, turn_index",
    ):
        found.setdefault((cohort, signal), []).append((conversation, turn, is_lost))
    return found


@pytest.mark.parametrize("claim", SIGNALS)
def test_signal(judged, claim):
    cohort = f"c{list(SIGNALS).index(claim)}"
    for signal, expected in SIGNALS[claim][1].items():
        is_one = not any(turn[0].isalpha() for turn in expected)
        assert [
            ("" if is_one else conversation) + str(turn) + ("!" if is_lost else "")
            for conversation, turn, is_lost in judged.get((cohort, signal), [])
        ] == expected


def test_every_signal_has_one_strength_and_shows_a_span(told, query):
    rows = query(told, "SELECT DISTINCT signal, strength FROM state_signals")
    found = {}
    for signal, strength in rows:
        found.setdefault(strength, set()).add(signal)
    assert found == STRENGTHS

    assert query(
        told,
        "SELECT count(*) FROM state_signals ANTI JOIN nodes USING (node_id)",
    ) == [(0,)]
    assert query(
        told,
        "SELECT DISTINCT signal FROM state_signals WHERE is_lost AND earlier_node_id IS NULL "
        "ORDER BY signal",
    ) == [("S10",), ("S13",), ("S3",), ("S9",)]


def test_a_lost_turn_is_one_of_a_certain_or_strong_signal(told):
    cohort = f"c{list(SIGNALS).index('S9 the session store has nothing')}"
    scope = Scope(cohort=cohort)
    by_turn = told.ask("state_loss", scope)
    overview = told.ask("state_signals", scope).set_index("signal")

    assert by_turn["turns"].tolist() == [1, 1, 1, 1, 1]
    assert by_turn["judged_turns"].tolist() == [0, 1, 1, 1, 1]
    assert by_turn["lost_turns"].tolist() == [0, 0, 1, 1, 1]
    assert by_turn["judged_by_s9"].tolist() == [0, 1, 1, 1, 1]
    assert overview.loc["S9", ["judged_turns", "lost_turns", "conversations"]].tolist() == [4, 3, 1]
    assert overview.loc["S1", ["judged_turns", "lost_turns"]].tolist() == [0, 0]
    assert len(overview) == 13


def test_medium_signals_alone_lose_no_turn(told):
    cohort = f"c{list(SIGNALS).index('S8 the same question again')}"
    by_turn = told.ask("state_loss", Scope(cohort=cohort))

    assert by_turn["judged_turns"].tolist() == [0, 0, 0, 0]


def test_a_point_of_fewer_than_thirty_conversations_is_too_few(model):
    lines = [
        f"agent a {at}..{at + 5} conversation_id=c{number} context_version={version}"
        for number in range(40)
        for version, at in [(1, 100 * number), (2 if number % 4 else 1, 100 * number + 20)]
        + ([(3, 100 * number + 40)] if number < 29 else [])
    ]
    told = model("\n\n".join(lines))
    figures = state.by_turn(told, Scope())

    assert figures["judged_turns"].tolist() == [0, 40, 29]
    assert figures["lost_turns"].tolist() == [0, 10, 8]
    assert figures["lost_ratio"].tolist()[1:] == [0.25, 8 / 29]
    assert figures["lost_ratio_grade"].tolist() == ["insufficient", "solid", "insufficient"]
    assert figures["lost_ratio_lower"][1] < 0.25 < figures["lost_ratio_upper"][1]
    kept = state.kept(told, Scope())
    assert (kept.n, kept.units, kept.value) == (69, 40, pytest.approx(1 - 18 / 69))


def test_without_what_a_signal_needs_nothing_is_judged(model):
    told = model("agent a 0..10 conversation_id=c\n\nagent a 20..30 conversation_id=c")
    overview = told.ask("state_signals")

    assert overview["judged_turns"].sum() == 0
    assert state.kept(told, Scope()).units == 0
    assert state.by_turn(told, Scope())["lost_ratio"].isna().all()


def test_the_cards_name_what_the_answers_hold(told):
    for metric in ("state_loss", "state_turns", "state_signals", "conversation_coverage"):
        frame = told.ask(metric)
        assert set(card(metric).columns) <= set(frame.columns)
        assert not frame.duplicated(list(card(metric).grain)).any() or metric == "state_turns"


def test_the_session_store_that_lost_its_state_is_found_trace_by_trace(sample, query):
    with engine.connect(sample.lake) as model:
        lost = query(model, "SELECT cohort, signal, trace_id FROM state_signals WHERE is_lost")
        strong = model.ask("state_turns").query("is_lost")
    planted = sample.answers.of("state_lost", "baseline")

    assert sample.answers.of("state_lost", "pilot") is None
    assert {row for row in lost if row[1] != "S13"} == {
        ("baseline", signal, trace) for trace in planted.trace_ids for signal in ("S5", "S9")
    }
    assert set(strong["trace_id"]) == set(planted.trace_ids)
    # The baseline keeps its session without a version; the pilot's context token has one.
    assert {cohort for cohort, signal, _ in lost if signal == "S13"} == {"baseline"}


@pytest.mark.real
def test_the_recorded_turns_that_lost_their_history_are_found(recorded, query):
    model, labels = recorded
    planted = {
        (cohort, label["conversation"], label["turn"] + 1)
        for cohort, turns in labels.items()
        for label in turns
        if label["fault"] == "state_loss"
    }
    found = query(
        model,
        "SELECT cohort, conversation_id, turn_index FROM state_signals "
        "WHERE is_lost AND strength IN ('certain', 'strong')",
    )

    assert planted
    assert set(found) == planted
