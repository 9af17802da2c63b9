"""Circles, rallies and open ends are told of the turns that have them, and of no honest work."""

from pathlib import Path

import pytest

from analysis import loops
from analysis.scope import Scope

DATA = Path(__file__).parents[3] / "shared" / "data"


def run(*steps, start=0, agent="clerk", end="", args=None):
    """Draw one run of an agent: its model answers before each step, which is the tools it calls."""
    lines, at = [], start
    for number, step in enumerate(steps):
        lines.append(f"  model gpt {at}..{at + 10} input_tokens=100 output_tokens=10 cost_usd=0.01")
        at += 10
        for tool in step.split():
            told = f"args_hash={args[number]}" if args else ""
            lines.append(f"  tool {tool} {at}..{at + 10} {told}")
            at += 10
    lines.append(f"  model gpt {at}..{at + 10} input_tokens=100 output_tokens=10 cost_usd=0.01")
    return "\n".join([f"agent {agent} {start}..{at + 10} {end}", *lines])


def told(model):
    frame = model.ask("endless")
    return list(zip(frame["pattern"], frame["cycle"], frame["repeats"], strict=True))


def test_the_same_tool_five_times_with_the_model_between_is_a_loop(model):
    drawn = model(run(*["search"] * 5))
    (row,) = loops.found(drawn, Scope()).itertuples()

    assert told(drawn) == [("loop", "tool:search", 5)]
    # Beyond the first round: four rounds of 20 ms, a model and a tool each.
    assert (row.wall_ms, row.calls, row.input_tokens) == (80, 8, 400)
    assert row.cost_usd == pytest.approx(0.04)


HONEST = {
    "four times": run(*["search"] * 4),
    "many tools of one answer": run("get get get get get get get get"),
    "another tool each time": run("a", "b", "c", "d", "e", "f"),
    "never five alike in a row": run("a", "a", "a", "b", "a", "a", "a", "b", "c"),
    "three times with other arguments": run(*["get"] * 3, args=["x", "y", "z"]),
    "twice with the same arguments": run("get", "get", "put", args=["x", "x", "x"]),
    "two runs of three": run(*["get"] * 3) + "\n\n" + run(*["get"] * 3, start=5000),
}


@pytest.mark.parametrize("drawing", HONEST.values(), ids=HONEST.keys())
def test_honest_work_is_no_loop(model, drawing):
    assert told(model(drawing)) == []


def test_three_times_the_same_arguments_is_a_loop(model):
    drawn = model(run(*["get"] * 4, args=["x", "y", "y", "y"]))

    assert told(drawn) == [("loop with the same arguments", "tool:get", 3)]


def test_a_cycle_of_two_and_of_three_steps_is_told_by_its_period(model):
    pairs, triples = model(run(*["read", "think"] * 5)), model(run(*["a", "b", "c"] * 5))

    assert told(pairs) == [("loop", "tool:read → tool:think", 5)]
    assert told(triples) == [("loop", "tool:a → tool:b → tool:c", 5)]


def test_a_session_of_many_turns_in_one_trace_is_no_loop(model):
    turns = "\n".join(
        f"  model gpt {at}..{at + 10}\n  tool get {at + 10}..{at + 20}\n"
        f"  model gpt {at + 20}..{at + 30}"
        for at in range(0, 60_000, 10_000)
    )

    assert told(model(f"agent live 0..70000 conversation_id=c\n{turns}")) == []


HANDED = """
workflow flow 0..1000
  agent {0} 10..100
    model gpt 20..30 input_tokens=5
  agent {1} 110..200 handoff_from={0}
    model gpt 120..130 input_tokens=5
  agent {2} 210..300 handoff_from={1}
    model gpt 220..230 input_tokens=5
  agent {3} 310..400 handoff_from={2}
    model gpt 320..330 input_tokens=5
"""


def test_work_that_goes_to_and_fro_is_ping_pong(model):
    frame = model(HANDED.format("a", "b", "a", "b")).ask("endless")
    (row,) = frame.itertuples()

    assert (row.pattern, row.cycle, row.repeats) == ("ping-pong", "a ⇄ b", 3)
    # From the first handoff on: three of the four models.
    assert (row.wall_ms, row.input_tokens) == (290, 15)


@pytest.mark.parametrize("agents", ["abcd", "abac", "abbb"])
def test_a_chain_and_one_question_back_are_no_ping_pong(model, agents):
    assert told(model(HANDED.format(*agents))) == []


LIMITS = {
    "GraphRecursionError": "",
    "langgraph.errors.GraphRecursionError": "Recursion limit of ? reached",
    "agents.exceptions.MaxTurnsExceeded": "Max turns (?) exceeded",
    "AgentMaxStepsError": "Reached max steps.",
    "UsageLimitExceeded": "The next request would exceed the request_limit of ?",
}


@pytest.mark.parametrize(("error", "message"), LIMITS.items())
def test_a_run_that_a_limit_stopped_is_told(build, drawn, error, message):
    rows = drawn(run("a", "b") + "\n\n" + run("a", start=1000))
    rows[0] |= {"exception_type": error, "exception_message": message or None, "status": "ERROR"}
    (row,) = loops.found(build(rows), Scope()).itertuples()

    assert (row.pattern, row.who, row.turns, row.of_turns) == (
        "stopped by a limit",
        "agent:clerk",
        1,
        2,
    )
    assert row.turn_ratio_lower < 0.5 < row.turn_ratio_upper


@pytest.mark.parametrize(
    ("error", "message"),
    [
        ("RateLimitError", "Rate limit reached for requests"),
        ("UsageLimitExceeded", "Exceeded the total_tokens_limit of ?"),
        ("MaxRetryError", "Max retries exceeded with url"),
        ("ToolException", "maximum number of results reached"),
    ],
)
def test_another_limit_is_not_the_limit_of_steps(build, drawn, error, message):
    rows = drawn(run("a", "b"))
    rows[0] |= {"exception_type": error, "exception_message": message, "status": "ERROR"}

    assert told(build(rows)) == []


def test_a_run_of_which_only_the_inner_work_arrived_is_open_where_others_end(build, drawn):
    ended = "\n\n".join(run("a", start=1000 * place) for place in range(3))
    cut = drawn(run("a", start=9000), place="cut")[1:]
    whole = drawn(ended)
    for row in cut:
        row["trace_id"] = "f" * 32
    frame = build(whole + cut).ask("endless")

    assert list(zip(frame["pattern"], frame["who"], strict=True)) == [
        ("no end seen", "service:app")
    ]
    # Where no run ever arrives whole, its callers are not in the data.
    assert told(build(cut)) == []


def test_what_most_turns_do_is_a_habit(model):
    drawing = "\n\n".join(run(*["search"] * 6, start=1000 * place) for place in range(8))
    (row,) = loops.found(model(drawing), Scope()).itertuples()

    assert (row.found, row.turns, row.of_turns, row.is_habit) == (8, 8, 8, True)


@pytest.mark.real
def test_two_recorded_systems_without_a_loop_show_none(recorded):
    model, _ = recorded
    frame = model.ask("endless")
    of_turns = model.ask("request_counts")["requests"].sum()
    print(f"{len(frame)} false in {of_turns} turns")  # noqa: T201

    assert frame.empty
    assert of_turns > 200
