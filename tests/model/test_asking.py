"""A model asks each question once where that is wanted, and only of what the scope names."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from analysis import catalog, engine
from analysis.scope import CONDITIONS, Scope

TWO_AGENTS = """
agent one 0..900
  tool get 10..100
  service pay 200..300 service_name=till

agent two 0..900
  tool get 10..100
"""


def test_threads_that_ask_the_same_wait_for_one_answer(model, monkeypatch):
    built, asked = model(TWO_AGENTS).once(), []
    answer = engine.Model._answer
    monkeypatch.setattr(
        engine.Model,
        "_answer",
        lambda self, *question: asked.append(question[0]) or answer(self, *question),
    )
    together = Barrier(4)

    def ask(_):
        together.wait()
        return built.ask("boundaries")

    with ThreadPoolExecutor(4) as pool:
        frames = list(pool.map(ask, range(4)))

    assert asked == ["boundaries"]
    assert all(frame.equals(frames[0]) for frame in frames)
    frames[0]["calls"] = 0
    assert (built.ask("boundaries")["calls"] > 0).all()
    assert built.once() is built


def test_a_question_that_failed_is_asked_again(model):
    built = model(TWO_AGENTS).once()

    with pytest.raises(catalog.CardError):
        built.ask("no such question")
    with pytest.raises(catalog.CardError):
        built.ask("no such question")
    assert not built.ask("boundaries").empty


SCOPES = [
    Scope(cohort="drawn"),
    Scope(agent="one"),
    Scope(service="till"),
    Scope(variant="pilot"),
]


@pytest.mark.parametrize("scope", SCOPES, ids=str)
def test_a_question_means_the_same_whichever_relations_are_made_for_it(model, scope, monkeypatch):
    built = model(TWO_AGENTS)
    names = catalog.names()
    few = {name: built.ask(name, scope) for name in names}
    monkeypatch.setattr(engine, "_named", lambda _, conditions: list(conditions))

    for name in names:
        assert built.ask(name, scope).equals(few[name]), name


def test_a_relation_that_another_rests_on_is_made_before_it():
    conditions = {name: " ".join(some.values()) for name, some in CONDITIONS.items()}

    assert engine._named("FROM critical_path", conditions) == ["requests", "critical_path"]
    assert engine._named(None, conditions) == list(conditions)
