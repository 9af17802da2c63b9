"""Calls, tokens and cost are told by agent, model, tool and conversation, and add up."""

import random

import pytest

from analysis import measures
from analysis.scope import Scope

SUMS = ("calls", "failed", "input_tokens", "output_tokens", "cost_usd")
TOTALS = """
    SELECT
        cohort, count(*), count(*) FILTER (is_error),
        sum(input_tokens), sum(output_tokens), sum(cost_usd)
    FROM calls GROUP BY cohort ORDER BY cohort
"""


def drawing(rng, traces):
    """Turns of agents that ask models and tools, some tools models of their own.

    A model call is seen by two instrumentations half of the time; both tell the same tokens.
    """
    lines, truth = [], [0, 0, 0.0]
    for _ in range(traces):
        talk = f"conversation_id=c{rng.randrange(12)}" if rng.random() < 0.8 else ""
        lines += ["", f"agent {rng.choice('ab')} 0..1000 {talk}"]
        for step in range(rng.randrange(1, 5)):
            at = 10 + step * 200
            depth = "  "
            if rng.random() < 0.6:
                failed = "!" if rng.random() < 0.3 else ""
                lines.append(f"  tool {rng.choice('xyz')} {at}..{at + 150} {failed} {talk}")
                depth = "    "
            if depth == "  " or rng.random() < 0.5:
                tokens, answer, cost = rng.randrange(1, 900), rng.randrange(1, 90), rng.random()
                told = (
                    f"input_tokens={tokens} output_tokens={answer} cost_usd={cost} "
                    f"response_model={rng.choice('mn')} {talk}"
                )
                lines.append(f"{depth}model m {at + 5}..{at + 100} {told}")
                if rng.random() < 0.5:
                    lines.append(f"{depth}  model m {at + 6}..{at + 99} {told}")
                truth = [truth[0] + tokens, truth[1] + answer, truth[2] + cost]
    return "\n".join(lines), truth


@pytest.fixture(scope="module")
def drawn_usage(build, drawn):
    texts = {f"side{seed}": drawing(random.Random(seed), 50) for seed in range(4)}
    rows = [row for side, (text, _) in texts.items() for row in drawn(text, cohort=side)]
    return build(rows), {side: truth for side, (_, truth) in texts.items()}


def test_no_token_and_no_cent_is_doubled_or_lost(drawn_usage, query):
    model, truth = drawn_usage

    for cohort, _, _, *spent in query(model, TOTALS):
        assert spent == pytest.approx(truth[cohort])


@pytest.mark.parametrize("told_by", ["agent", "model", "tool"])
def test_what_each_took_adds_up_to_all_calls(drawn_usage, query, told_by):
    model, _ = drawn_usage
    frame = measures.ask(model, "usage", Scope())
    sums = frame[frame["told_by"] == told_by].groupby("cohort")[list(SUMS)].sum()

    for cohort, *totals in query(model, TOTALS):
        assert list(sums.loc[cohort]) == pytest.approx(totals)


def test_conversations_and_what_is_outside_add_up_to_all_calls(drawn_usage, query):
    model, _ = drawn_usage
    frame = measures.ask(model, "conversation_totals", Scope())
    both = (frame["total"] + frame["outside"]).groupby([frame["cohort"], frame["quantity"]]).sum()
    rows = measures.ask(model, "conversation_usage", Scope()).groupby("cohort")[list(SUMS)].sum()

    for cohort, *totals in query(model, TOTALS):
        told = dict(zip(SUMS, totals, strict=True))
        assert list(rows.loc[cohort]) == pytest.approx(totals)
        assert all(
            both[cohort, each] == pytest.approx(told[each]) for each in SUMS if each != "failed"
        )
    assert (frame["most"] <= frame["total"] + 1e-9).all()


def test_a_tool_has_its_calls_failures_and_times(model):
    built = model(
        """
agent a 0..900
  tool t 0..100
  tool t 100..400 !
    model m 150..300 input_tokens=7 output_tokens=2 cost_usd=0.5
  tool u 400..500
        """
    )
    tools = measures.ask(built, "tool_calls", Scope()).set_index("tool")
    usage = measures.ask(built, "usage", Scope())
    of_tool = usage[(usage["told_by"] == "tool") & (usage["name"] == "tool:t")].iloc[0]

    assert (tools["calls"]["tool:t"], tools["failed"]["tool:t"]) == (2, 1)
    assert (tools["p50_ms"]["tool:t"], tools["p95_ms"]["tool:t"]) == (100, 300)
    assert set(tools["p95_ms_grade"]) == {"insufficient"}
    assert (of_tool["input_tokens"], of_tool["cost_usd"], of_tool["model_calls"]) == (7, 0.5, 1)


def test_nothing_is_told_of_what_was_never_called(model):
    built = model("http_server GET:/a 0..9")

    assert measures.ask(built, "tool_calls", Scope()).empty
    assert measures.ask(built, "conversation_totals", Scope()).empty
