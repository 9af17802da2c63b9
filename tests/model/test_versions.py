"""What an agent is made of, when that changed, what moved with it, and which versions met."""

import numpy as np
import pandas as pd
import pytest

from analysis import engine, versions
from analysis.scope import Scope

HOUR_MS = 3_600_000


def visit(
    number,
    *,
    every_ms=6 * HOUR_MS,
    model="gpt-4",
    tools=("get",),
    app="1.0",
    ms=100,
    own="7.0",
    failed=False,
    temperature=0.2,
):
    """Draw one trace: an agent asks its model, then its tools, of which each calls the shop."""
    start = number * every_ms
    lines = [
        f"agent clerk {start}..{start + 9000} service_version={app}",
        f"  model {model} {start + 10}..{start + 20} service_version={app} "
        f"temperature={temperature}",
    ]
    at = start + 30
    for tool in tools:
        end = at + ms + 20
        mark = "!" if failed else ""
        lines += [
            f"  tool {tool} {at}..{end} service_version={app}",
            f"    http_client ask {at + 5}..{end - 5} {mark} service_version={app} "
            "server_address=shop http_route=/x http_method=GET",
            f"      http_server /x {at + 10}..{end - 10} service_name=shop service_version={own}",
        ]
        at = end + 10
    return "\n".join(lines)


@pytest.fixture(scope="module")
def changed(build, drawn):
    """Forty days, ten visits each: a model, a tool, and with the app's new version its speed."""
    rng = np.random.default_rng(5)
    visits = [
        visit(
            number,
            every_ms=24 * HOUR_MS // 10,
            model="gpt-4" if number < 100 else "gpt-5",
            tools=("get", "put") if number >= 300 and number % 2 else ("get",),
            temperature=0.2 if number < 150 else 0.7,
            app="1.0" if number < 200 else "2.0",
            ms=round(float((100 if number < 200 else 250) * rng.lognormal(0, 0.05)), 3),
        )
        for number in range(400)
    ]
    return build(drawn("\n\n".join(visits)))


def test_each_part_that_came_or_went_is_told_with_its_day(changed):
    frame = versions.drift(changed, Scope())
    sure = frame[frame["is_sure"]]
    told = set(zip(sure["who"], sure["part"], sure["value"], sure["change"], strict=True))

    assert told == {
        ("agent:clerk", "model", "model:?/gpt-4", "ended"),
        ("agent:clerk", "model", "model:?/gpt-5", "began"),
        ("agent:clerk", "parameters", "temperature 0.2", "ended"),
        ("agent:clerk", "parameters", "temperature 0.7", "began"),
        ("agent:clerk", "tool", "tool:put", "began"),
        ("service:app", "version", "1.0", "ended"),
        ("service:app", "version", "2.0", "began"),
    }
    put = sure[sure["value"] == "tool:put"].iloc[0]
    assert (put["units_without"], put["uses"], put["units"]) == (301, 50, 400)
    # Thirty days and 2.4 hours after noon of the 2nd of March.
    assert put["day"] == pd.Timestamp("2026-04-01")


def test_the_fingerprint_of_a_day_names_versions_models_and_tools(changed):
    frame = changed.ask("fingerprints").set_index("day")
    first, last = frame.iloc[0], frame.iloc[-1]

    assert list(first["models"]) == ["model:?/gpt-4"]
    assert list(last["parameters"]) == ["temperature 0.7"]
    assert list(last["versions"]) == ["app 2.0"]
    assert list(last["tools"]) == ["tool:get", "tool:put"]
    assert first["fingerprint"] == frame.iloc[3]["fingerprint"] != last["fingerprint"]


def test_boundaries_that_were_slower_with_a_version_are_told_and_others_are_not(changed):
    frame = versions.moved(changed, Scope())
    mine = frame[frame["what"].str.contains("2.0 began")].set_index("callee")

    assert mine.loc["tool:get", "label"] == "slower"
    assert mine.loc["tool:get", "ratio_lower"] > 1.5
    assert mine.loc["model:?/gpt-5", "label"] != "slower"
    assert set(mine["unit"]) == {"day"}
    other = frame[frame["what"].str.contains("gpt-5")].set_index("callee")
    assert other.loc["tool:get", "after_days"] <= versions.MAX_DAYS + 1


def test_parts_used_now_and_then_are_no_drift(build, drawn):
    rng = np.random.default_rng(3)
    names = [f"t{place}" for place in range(12)]
    visits = []
    for number in range(120):
        used = [name for name in names if rng.random() < 0.2]
        visits.append(visit(number, tools=used or ["t0"]))
    frame = versions.drift(build(drawn("\n\n".join(visits))), Scope())

    assert len(frame) > 12
    assert not frame["is_sure"].any()


def test_a_pair_of_versions_that_fails_more_is_told(build, drawn):
    visits = []
    for number in range(200):
        app, own = ("1.0", "2.0")[number % 2], ("7.0", "8.0")[number // 2 % 2]
        is_bad = (app, own) == ("1.0", "8.0") and number % 3 == 0
        visits.append(visit(number, every_ms=60_000, app=app, own=own, failed=is_bad))
    frame = versions.pairs(build(drawn("\n\n".join(visits))), Scope())
    told = {
        (row.caller_version, row.callee_version): (row.calls, row.label)
        for row in frame.itertuples()
    }

    assert told == {
        ("1.0", "7.0"): (50, "fewer failures"),
        ("1.0", "8.0"): (50, "more failures"),
        ("2.0", "7.0"): (50, "fewer failures"),
        ("2.0", "8.0"): (50, "fewer failures"),
    }
    # All calls fell in hours in which both versions of the shop answered.
    assert frame["mixed_calls"].tolist() == frame["calls"].tolist()


def test_one_version_after_another_is_no_mix(build, drawn):
    visits = [visit(number, own="7.0" if number < 20 else "8.0") for number in range(40)]
    frame = versions.pairs(build(drawn("\n\n".join(visits))), Scope())

    assert frame["mixed_calls"].tolist() == [0, 0]
    assert frame["label"].tolist() == ["too few", "too few"]


def test_the_versions_that_the_sample_changes_are_all_the_drift_there_is(sample):
    with engine.connect(sample.lake) as model:
        frame = versions.drift(model, Scope())
        moved = versions.moved(model, Scope())
    sure = frame[frame["is_sure"]]

    assert set(zip(sure["who"], sure["value"], strict=True)) == {
        ("service:crm", "3.4.1"),
        ("service:crm", "3.5.0"),
        ("service:planner", "2.8.1"),
        ("service:planner", "3.0.0"),
    }
    at = sure.loc[(sure["value"] == "3.5.0"), "changed_at"].iloc[0]
    assert pd.Timestamp("2026-09-15 12:00") <= at < pd.Timestamp("2026-09-16")
    credit = moved[
        (moved["who"] == "service:planner") & (moved["callee"] == "tool:credit_score")
    ].iloc[0]
    assert credit["label"] in ("proven", "faster")
    of_crm = moved[moved["who"] == "service:crm"]
    assert not set(of_crm["label"]) & {"proven", "slower"}
