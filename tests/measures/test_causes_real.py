"""Injected faults of recorded systems are ranked; a table says what is found and missed."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from analysis import causes, engine, patterns
from analysis.scope import Scope
from ingest.load import load

DATA = Path(__file__).parents[3] / "shared" / "data"
NEZHA = DATA / "nezha-trainticket"
LLMMAS = DATA / "llmmas-faults" / "otlp-labelled"
FREE = {"2023-01-29": "faultfree-2023-01-29T0850", "2023-01-30": "faultfree-2023-01-30"}
# Its windows before the label are slow already: the delay of 1 s is there from 12:15:00 on.
BEGAN_EARLIER = "2023-01-30T1215"

pytestmark = pytest.mark.real


def cohort(name):
    return name.lower().replace("faultfree", "free")


@pytest.fixture(scope="module")
def trainticket(tmp_path_factory):
    if not NEZHA.is_dir():
        pytest.skip(f"{NEZHA.name} is not here")
    lake = tmp_path_factory.mktemp("trainticket") / "lake"
    for path in sorted((NEZHA / "otlp").glob("*.gz")):
        load([path], lake, cohort=cohort(path.name.split(".")[0]))
    with engine.connect(lake) as model:
        yield model


def ranked(model):
    """One row an episode and kind of baseline: the culprit's rank, and who was ranked first."""
    rows = []
    for label in json.loads((NEZHA / "labels.json").read_text(encoding="utf-8")):
        episode = label["episode"]
        began = datetime.fromisoformat(label["inject_time_utc"]).replace(tzinfo=UTC)
        after = Scope(cohort=cohort(episode), since=began)
        baselines = {
            "minutes before": Scope(cohort=cohort(episode), until=began),
            "fault-free window": Scope(cohort=cohort(FREE[episode[:10]])),
        }
        for baseline, before in baselines.items():
            found = causes.latency(model, before, after)
            places = list(found.ranking["place"])
            rows.append(
                {
                    "episode": episode,
                    "fault": label["fault_type"],
                    "culprit": label["root_cause_service"],
                    "baseline": baseline,
                    "requests": f"{found.requests_before}/{found.requests_after}",
                    "rank": places.index(f"service:{label['root_cause_service']}") + 1,
                    "cause": found.ranking["cause"].iloc[0],
                    "first": places[0].removeprefix("service:"),
                    "sure_ms": round(found.ranking["sure_ms"].iloc[0], 1),
                }
            )
    return pd.DataFrame(rows)


def test_injected_faults_of_a_system_of_services_are_ranked(trainticket):
    table = ranked(trainticket)
    print("\n" + table.to_string(index=False))  # noqa: T201
    share = table.groupby(["fault", "baseline"])["rank"].agg(
        episodes="size", top_1=lambda rank: sum(rank == 1), top_3=lambda rank: sum(rank <= 3)
    )
    print(share.to_string())  # noqa: T201

    network = table[(table["fault"] == "network_delay") & (table["rank"] > 1)]
    assert list(zip(network["episode"], network["baseline"], strict=True)) == [
        (BEGAN_EARLIER, "minutes before")
    ]
    cpu = table[table["fault"] == "cpu_contention"]
    near = cpu[cpu["baseline"] == "minutes before"]["rank"]
    # One of them is so slight that the bootstrap's buckets decide whether it comes first.
    assert sum(near == 1) in (3, 4)
    assert (sum(near <= 3), len(near)) == (4, 4)
    # The fault-free window is five hours older, and other services have grown slower since.
    assert sum(cpu[cpu["baseline"] == "fault-free window"]["rank"] <= 3) == 2


@pytest.mark.parametrize(
    ("fault", "before_call"), [("llm_delay", "model:ollama/llama2"), ("a2a_delay", "queue:Coder")]
)
def test_a_delay_between_two_agents_is_found_where_no_run_total_shows_it(
    tmp_path, fault, before_call
):
    if not LLMMAS.is_dir():
        pytest.skip(f"{LLMMAS.parent.name} is not here")
    lake = tmp_path / "lake"
    for side in ("baseline", fault):
        load(sorted(LLMMAS.glob(f"*_{side}_r*.jsonl")), lake, cohort=side)
    with engine.connect(lake) as model:
        found = causes.latency(model, Scope(cohort="baseline"), Scope(cohort=fault))
        requests = model.ask("request_latencies")
        gaps = patterns.ranked(model, Scope(cohort=fault))
    print("\n" + found.parts.to_string(index=False))  # noqa: T201
    spread = requests.groupby("cohort")["duration_ms"].agg(["mean", "std"])
    print(spread.to_string())  # noqa: T201

    first = found.parts.iloc[0]
    assert (first["place"], first["cause"]) == ("agent:Planner", "work")
    assert first["increase_ms"] == pytest.approx(1_000, abs=10)
    assert (spread["std"] > 5_000).all()
    # The ranking names the agent; what it did not tell of lies before the call that was held up.
    unexplained = gaps[gaps["pattern"] == "unexplained"].iloc[0]
    print(unexplained[["boundary", "other_boundary", "cost_ms"]].to_string())  # noqa: T201
    assert unexplained["other_boundary"] == f"agent:Planner → {before_call}"
