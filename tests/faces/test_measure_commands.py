"""Every question has a name and an answer; what began a change is a command."""

import json

import pytest
from click.testing import CliRunner

from analysis import engine, measures
from analysis.scope import Scope
from app.cli import main


def run(*words):
    return CliRunner().invoke(main, list(map(str, words)))


def test_the_names_of_all_questions_are_listed():
    told = json.loads(run("metric", "--json").stdout)

    assert set(told) == set(measures.names()) >= {"patterns", "boundaries", "drift"}
    assert all(question.endswith("?") for question in told.values())


@pytest.mark.slow
def test_every_question_has_an_answer(sample):
    with engine.connect(sample.lake) as model:
        empty = [name for name in measures.names() if measures.ask(model, name, Scope()).empty]

    # The sample has no such faults planted, and fewer calls than a storm or a burst takes.
    print(empty)  # noqa: T201
    assert not {"patterns", "path_parts", "tries", "failure_reach", "hidden_failures"} & set(empty)


def test_a_question_is_answered_within_a_scope(sample):
    told = run("metric", "tries", "--lake", sample.lake, "--cohort", "pilot", "--json")

    assert {row["cohort"] for row in json.loads(told.stdout)} == {"pilot"}


def test_a_name_that_nobody_knows_is_refused(sample):
    told = run("metric", "no", "--lake", sample.lake)

    assert (told.exit_code, told.stdout) == (2, "")
    assert "orchrisk metric" in told.stderr


def test_what_a_change_would_have_done_is_replayed(sample):
    told = run("what-if", "* -> model:openai/*", "--lake", sample.lake, "--factor", 0.5, "--json")
    replayed = json.loads(told.stdout)

    assert told.exit_code == 0
    assert 0 < replayed["saved_ms"]["lower"] < replayed["saved_ms"]["upper"]
    assert all(row["after"] < row["before"] for row in replayed["figures"])


def test_a_change_of_a_boundary_that_is_not_one_is_refused(sample):
    nothing = run("what-if", "agent:nobody -> tool:none", "--lake", sample.lake, "--factor", 2)
    many = run("what-if", "*", "--lake", sample.lake, "--factor", 2)
    unsaid = run("what-if", "*", "--lake", sample.lake)

    assert {each.exit_code for each in (nothing, many, unsaid)} == {2}
    assert "the nearest is" in nothing.stderr
    assert "Hint: name one." in many.stderr
    assert "Say what changes" in unsaid.stderr


@pytest.mark.parametrize("sides", [("--baseline", "baseline", "--pilot", "pilot"), ()])
def test_what_began_a_change_between_two_cohorts_is_ranked(sample, sides):
    told = run("causes", "--lake", sample.lake, *sides, "--json")
    latency = json.loads(told.stdout)["latency"]

    added = sum(part["increase_ms"] for part in latency["parts"])
    assert told.exit_code == 0
    assert added + latency["mix"] == pytest.approx(latency["total"])


def test_a_moment_before_all_traces_has_no_side_to_compare(sample):
    told = run("causes", "--lake", sample.lake, "--at", "2001-01-01")

    assert told.exit_code == 2
    assert "Nothing." in told.stdout
