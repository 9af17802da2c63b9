"""Groups are answered from numbers alone, and say what the rows say."""

import numpy as np
import pytest

from analysis import samples
from analysis.scope import Scope

CALLS = 60
_DRAWN = np.random.default_rng(5)
LINES = "\n\n".join(
    f"""
    http_server /chat 0..900 conversation_id=c{n % 7}
      agent {"ab"[n % 2]} 1..800
        model m 2..{int(took)} {"!" if n % 9 == 0 else ""}
        db SELECT {int(took)}..{int(took) + 5} db_collection=t{n % 3}
    """
    for n, took in enumerate(_DRAWN.lognormal(4, 0.6, CALLS) + 3)
)


@pytest.fixture(scope="module")
def told(build, drawn):
    return build(drawn(LINES))


def rows(_key, calls):
    return sorted(zip(calls["client_ms"], calls["is_error"], calls["weight"], strict=True))


def test_every_group_has_the_rows_that_the_metric_has(told):
    answered = samples.each(told, Scope(), ["client_ms", "is_error"], rows)
    listed = told.ask("latencies").groupby(["cohort", "boundary_id"])

    assert len(answered) == len(listed) > 6
    for key, some in listed:
        assert answered[key] == rows(key, some)


def test_a_unit_is_one_whatever_its_name_becomes(told):
    answered = samples.each(
        told, Scope(), ["client_ms"], lambda _, calls: calls["unit_id"].nunique()
    )
    listed = told.ask("latencies").groupby(["cohort", "boundary_id"])["unit_id"].nunique()

    assert answered == listed.to_dict()
    assert max(answered.values()) == 7


def test_rows_are_left_out_and_gathered_as_asked(told):
    answered = samples.each(
        told,
        Scope(),
        ["client_ms"],
        lambda _, calls: len(calls),
        by={"agent": "nullif(owner_agent, 'a')"},
        where="callee LIKE 'model:%'",
    )

    assert answered == {("b",): CALLS // 2, (None,): CALLS // 2}


def test_a_scope_narrows_and_nothing_at_all_is_no_group(told):
    figures = ["client_ms", "is_error"]
    some = samples.each(told, Scope(agent="a"), figures, rows)
    all_of_them = samples.each(told, Scope(), figures, rows)

    assert 0 < len(some) < len(all_of_them)
    assert samples.each(told, Scope(agent="nobody"), figures, rows) == {}
