"""A time-out that nobody tells is guessed from calls that were given up, where that is certain."""

import math
from pathlib import Path

import numpy as np
import pytest

from analysis.scope import Scope

DATA = Path(__file__).parents[3] / "shared" / "data"
AGENT = "agent root 0..9000\n"
ASKED = "url_path=/b http_method=POST"
ANSWERED = f"  http_client bank 10..60 {ASKED} http_status=200\n"
NAMED = "! error_type=ReadTimeout"
FIVE = (2000, 1990, 2001, 1999, 1985)


def gave_up(*lasting, more=""):
    return [f"  http_client bank 10..{10 + ms} {more} {ASKED}\n" for ms in lasting]


def below(line, *, by=2):
    """Draw a line of spans so much deeper."""
    return "".join(f"{' ' * by}{row}\n" for row in line.splitlines())


def in_tool(start, end, *, more="", fifth=""):
    """A tool whose only call begins at `start` and ends at `end`, five times, and once answered."""
    call = below(f"  http_client bank {start}..{end} {more} {ASKED}\n")
    return [f"  tool pay {fifth}\n{call}"] * 5 + [f"  tool pay 0..70\n{below(ANSWERED)}"]


FRONT = "url_path=/f http_method=POST service_name=app"


def through_front(front, bank):
    """A call to a service that itself calls the bank, five times given up, and once answered."""
    return [
        f"  http_client front 5..2010 {front} {FRONT}\n"
        f"    http_server /f 6..2009 url_path=/f http_method=POST service_name=front\n"
        f"      http_client bank 10..2008 {bank} {ASKED}\n"
    ] * 5 + [
        f"  http_client front 5..90 {FRONT} http_status=200\n"
        f"    http_server /f 6..89 url_path=/f http_status=200 http_method=POST"
        f" service_name=front\n"
        f"      http_client bank 10..60 {ASKED} http_status=200\n"
    ]


# Every line is a trace. What is expected of a callee: guessed ms, given up, as long as the longest.
CASES = {
    "five as long as the longest": ([*gave_up(*FIVE), ANSWERED], {"bank": (1999, 5, 5)}),
    "named by the client's library": (gave_up(*FIVE, more=NAMED), {"bank": (1999, 5, 5)}),
    "some cancelled sooner": ([*gave_up(*FIVE, 300, 700), ANSWERED], {"bank": (1999, 7, 5)}),
    "four are too few": ([*gave_up(*FIVE[:4]), ANSWERED], {"bank": (None, 4, 4)}),
    "five of one trace are one": (
        ["".join(gave_up(2000, 2011, 2022, 2033, 1989)), ANSWERED],
        {"bank": (None, 5, 5)},
    ),
    "all within 2 % of 2,000": (
        [*gave_up(2040, 1960, 2000, 2010, 1961), ANSWERED],
        {"bank": (2000, 5, 5)},
    ),
    "one a little further away": (
        [*gave_up(2040, 1959, 2000, 2010, 1961), ANSWERED],
        {"bank": (None, 5, 4)},
    ),
    "most cancelled sooner": (
        [*gave_up(*FIVE, 300, 500, 700, 900, 1100, 1300), ANSWERED],
        {"bank": (None, 11, 5)},
    ),
    "an answer took as long": (
        [*gave_up(*FIVE), ANSWERED.replace("..60", "..2000")],
        {"bank": (None, 5, 5)},
    ),
    "an answer came just before": (
        [*gave_up(*FIVE), ANSWERED.replace("..60", "..1994")],
        {"bank": (1999, 5, 5)},
    ),
    "an answer took longer": (
        [*gave_up(*FIVE), ANSWERED.replace("..60", "..4000")],
        {"bank": (None, 5, 0)},
    ),
    "no call ever tells its end": (gave_up(*FIVE), {"bank": (None, 5, 5)}),
    "as short as a clock's tick": (
        [*gave_up(*[40] * 5), ANSWERED.replace("60", "20")],
        {"bank": (None, 5, 5)},
    ),
    "told": ([*gave_up(*FIVE, more="timeout_ms=3000"), ANSWERED], {"bank": (None, 5, 5)}),
    "tried again inside": (
        [*gave_up(*FIVE, more="retry_count=2"), ANSWERED],
        {"bank": (None, 5, 5)},
    ),
    "a gateway's answer": (
        [*gave_up(*FIVE, more="! http_status=504 error_type=504"), *gave_up(100)],
        {"bank": (None, 1, 0)},
    ),
    "a deadline that was handed down": (
        gave_up(*FIVE, more="! error_type=DEADLINE_EXCEEDED"),
        {},
    ),
    "its caller begins with it and ends with it": (
        in_tool(10, 2010, fifth="0..2011 ! error_type=TimeoutError"),
        {"bank": (2000, 5, 5)},
    ),
    "its caller began earlier and ends with it": (
        in_tool(510, 2010, fifth="0..2011"),
        {"bank": (None, 5, 0)},
    ),
    "its caller began earlier and goes on": (
        in_tool(510, 2510, fifth="0..2600"),
        {"bank": (2000, 5, 5)},
    ),
    "its caller began earlier, but it names its own": (
        in_tool(510, 2510, more=NAMED, fifth="0..2511"),
        {"bank": (2000, 5, 5)},
    ),
    "its caller has a time of its own that is over": (
        in_tool(10, 2002, fifth="0..2050 timeout_ms=2000"),
        {"bank": (None, 5, 0)},
    ),
    "another call of its caller ends with it": (
        [
            f"{line}  http_client shop 12..{10 + ms} url_path=/s http_method=POST\n"
            for line, ms in zip(gave_up(*FIVE), FIVE, strict=True)
        ]
        + [ANSWERED, ANSWERED.replace("bank", "shop")],
        {"bank": (None, 5, 0), "shop": (None, 5, 0)},
    ),
    "another call names the time-out": (
        [
            f"{line}  http_client shop 12..{12 + ms} {NAMED} url_path=/s http_method=POST\n"
            for line, ms in zip(gave_up(*FIVE), FIVE, strict=True)
        ]
        + [ANSWERED],
        {"bank": (None, 5, 0), "shop": (1999, 5, 5)},
    ),
    "a tool that runs beside its caller ends with it": (
        [f"{trace}  tool side 1..2009\n" for trace in in_tool(10, 2010, fifth="0..2011")[:5]]
        + [f"  tool pay 0..70\n{below(ANSWERED)}"],
        {"bank": (None, 5, 0)},
    ),
    "its own transport ends with it": (
        [f"  model bank 10..2010 http_method=POST\n    http_client host 11..2009 {ASKED}\n"] * 5
        + ["  model bank 10..60 http_method=POST http_status=200\n"],
        {"bank": (2000, 5, 5)},
    ),
    "of two within each other either": (
        through_front("", ""),
        {"bank": (None, 5, 0), "front": (None, 5, 0)},
    ),
    "the outer names the time-out": (
        through_front(NAMED, ""),
        {"bank": (None, 5, 0), "front": (2005, 5, 5)},
    ),
    "the outer is told that the inner gave up": (
        through_front("! http_status=504 error_type=504", ""),
        {"bank": (1998, 5, 5)},
    ),
}


def own_names(text, number):
    """Give a case hosts and tools of its own, so that all cases fit into one lake."""
    for name in ("bank", "front", "shop", "pay", "side"):
        text = text.replace(f" {name} ", f" {name}{number} ")
    return text


@pytest.fixture(scope="module")
def guesses(build, drawn):
    """Every case's rows of the metric, by the place of the case and the name of the callee."""
    drawing = "\n".join(
        AGENT + own_names(trace, number)
        for number, (traces, _) in enumerate(CASES.values())
        for trace in traces
    )
    model = build(drawn(drawing))

    def ask(number, scope=None):
        return {
            name: row
            for row in model.ask("guessed_timeouts", scope).itertuples()
            for name in ("bank", "front", "shop", "tool:pay", "tool:side")
            if f"{name}{number}/" in f"{row.boundary}/"
        }

    return ask


@pytest.mark.parametrize("number", range(len(CASES)), ids=CASES)
def test_it_is_guessed_only_where_the_calls_agree_and_nothing_else_explains_them(guesses, number):
    _, expected = list(CASES.values())[number]
    found = {
        name: (
            None if math.isnan(row.guessed_timeout_ms) else row.guessed_timeout_ms,
            row.given_up,
            row.at_longest,
        )
        for name, row in guesses(number).items()
    }

    assert found == expected


def test_a_callers_time_that_was_over_is_counted(guesses):
    found = guesses(list(CASES).index("its caller has a time of its own that is over"))

    assert found["bank"].at_callers_deadline == 5


@pytest.mark.parametrize("case", ["its caller began earlier and ends with it", "of two within"])
def test_a_narrow_scope_guesses_no_more(guesses, case):
    number = next(place for place, name in enumerate(CASES) if name.startswith(case))
    boundary = guesses(number)["bank"].boundary_id

    for scope in (Scope(boundary=boundary), Scope(agent="root", boundary=boundary)):
        rows = guesses(number, scope)
        assert all(math.isnan(row.guessed_timeout_ms) for row in rows.values())


def test_a_lake_without_calls_given_up_says_nothing(model):
    assert model(AGENT + ANSWERED).ask("guessed_timeouts").empty


def test_of_drawn_callees_those_with_a_time_out_are_found_and_no_other(build, drawn):
    """40 callees cut their calls at a time of their own, 40 are cancelled whenever it may be."""
    rng = np.random.default_rng(7)
    lines, cut_ms = [], {}
    for number in range(80):
        limit_ms = float(rng.uniform(200, 1000)) if number < 40 else math.inf
        for worked_ms in rng.lognormal(math.log(300), 1.0, 60):
            cancelled_ms = worked_ms * rng.uniform(0, 1) if rng.random() < 0.2 else math.inf
            took_ms = min(worked_ms, limit_ms, cancelled_ms if number >= 40 else math.inf)
            if took_ms == limit_ms:
                took_ms *= rng.uniform(1, 1.01)
                cut_ms.setdefault(f"bank{number}", []).append(took_ms)
            end = "http_status=200" if took_ms == worked_ms else ""
            lines.append(
                f"agent root 0..99999\n  http_client bank 10..{10 + took_ms:.3f} {ASKED} {end}"
            )
            lines[-1] = own_names(lines[-1], number)
    frame = build(drawn("\n\n".join(lines))).ask("guessed_timeouts")
    guessed = frame.dropna(subset=["guessed_timeout_ms"])
    found = dict(
        zip(
            guessed["boundary"].str.extract(r"http:(\w+)")[0],
            guessed["guessed_timeout_ms"],
            strict=True,
        )
    )

    assert len(frame) > 70
    assert found == {
        name: pytest.approx(np.median(times), abs=0.01)
        for name, times in cut_ms.items()
        if len(times) >= 5
    }
    assert len(found) > 20


@pytest.mark.real
def test_a_recorded_time_out_of_250_ms_is_found_and_no_other(recorded):
    """The client of the orders service waits 1 s in the baseline, where too few reach it."""
    model, _ = recorded
    found = model.ask("guessed_timeouts")
    guessed = found.dropna(subset=["guessed_timeout_ms"])

    assert guessed[["cohort", "boundary"]].to_numpy().tolist() == [
        ["pilot", "tool:get_order → http:127.0.0.1/orders/{id}"]
    ]
    assert guessed["guessed_timeout_ms"].item() == pytest.approx(250, rel=0.02)
    assert (found.loc[found["cohort"] == "baseline", "traces"] < 5).all()
