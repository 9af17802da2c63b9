"""Fault tests in recorded agent systems: each kind of fault is a test of its labelled turns."""

import pytest

from analysis import fault_tests
from analysis.fault_schedule import Planned
from analysis.scope import Scope

pytestmark = pytest.mark.real

# Where each kind was made, and whether its boundary can show it at all.
PLACES = {
    "llm_down": "* -> model:*",
    "llm_429": "* -> model:*",
    "llm_slow": "* -> model:*",
    "crm_500": "* -> http:*",
    "crm_503_retry": "* -> http:*",
    "crm_slow": "* -> http:*",
    "queue_delay": "* -> http:*",
    "tool_timeout": "* -> http:*",
    "db_locked": "* -> http:*",
}


def test_planted_faults_are_seen_and_quiet_turns_are_not(recorded):
    model, labels = recorded
    seen = {}
    for cohort, turns in labels.items():
        quiet = [turn for turn in turns if turn["fault"] is None][::10]
        windows = [
            (kind, place, turn)
            for kind, place in PLACES.items()
            for turn in turns
            if turn["fault"] == kind
        ] + [(f"quiet {place}", place, turn) for place in set(PLACES.values()) for turn in quiet]
        planned = [
            Planned(name, place, name, turn["start_unix_nano"], turn["end_unix_nano"])
            for name, place, turn in windows
        ]
        told = fault_tests.judge(model, None, Scope(cohort=cohort), planned=planned).tests
        told = told.sort_values("id")
        print(told[["cohort", "id", "calls", "exposed_requests", "seen_as", "label"]].to_string())  # noqa: T201
        for row in told.itertuples():
            seen[cohort, row.id] = bool(row.seen_as) if isinstance(row.seen_as, list) else False

    planted = {key: is_seen for key, is_seen in seen.items() if not key[1].startswith("quiet")}
    false = [key for key, is_seen in seen.items() if key[1].startswith("quiet") and is_seen]
    missed = [key for key, is_seen in planted.items() if not is_seen]
    print(f"found {len(planted) - len(missed)} of {len(planted)}, missed {missed}, false {false}")  # noqa: T201
    assert not false
    assert len(planted) - len(missed) >= len(planted) / 2
