"""Every question by its name: the metric files, and the measures that compute intervals on them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import pandas as pd

from analysis import (
    access,
    catalog,
    coverage,
    creep,
    fault_tests,
    faults,
    loops,
    moments,
    patterns,
    spreads,
    state,
    tails,
    timeouts,
    usage,
    versions,
    waste,
)
from analysis.engine import Model
from analysis.scope import Scope


@dataclass(frozen=True)
class Measure:
    """A question and the function that answers it with a frame."""

    question: str
    answer: Callable[[Model, Scope], pd.DataFrame]


# Named apart from the metric files, on which they rest.
COMPUTED: Mapping[str, Measure] = MappingProxyType(
    {
        "tails": Measure("How slow is every boundary, at worst?", tails.by_boundary),
        "tails_end_to_end": Measure("How slow are whole requests, at worst?", tails.end_to_end),
        "tails_to_p99_9": Measure("How slow is one call in a thousand?", spreads.by_key),
        "handoff_tails": Measure("How slow is the way alone, at worst?", spreads.handoffs),
        "dispersion": Measure(
            "How far are slow calls of a boundary from usual ones?", spreads.dispersion
        ),
        "serial_jitter": Measure(
            "How uneven is every boundary from call to call?", spreads.serial_jitter
        ),
        "drift": Measure("How does a boundary's p50 move from day to day?", spreads.drift),
        "burst_times": Measure(
            "In which minutes was a boundary slow beyond chance?", moments.bursts
        ),
        "change_points": Measure("From when on was a boundary faster or slower?", moments.changes),
        "patterns": Measure("Which ways of calling cost requests most?", patterns.ranked),
        "path_shares": Measure("What do requests wait for, by kind?", patterns.kinds),
        "failure_reach": Measure("Whom do failures reach, and who absorbs them?", faults.reach),
        "hidden_failures": Measure("What do failures cost that no user saw?", faults.hidden),
        "tries": Measure("How many tries does a call take?", faults.retries),
        "access_use": Measure(
            "How many of its conversations did an agent touch what in?", access.use
        ),
        "access_creep": Measure(
            "What did an agent begin to touch, and how sure is that?", creep.changes
        ),
        "loops": Measure(
            "How often do agents go round in circles or never end, and at what cost?", loops.found
        ),
        "version_drift": Measure(
            "When did a model, tool, handoff or version come or go?", versions.drift
        ),
        "version_effects": Measure(
            "Which boundaries changed when an agent or service did?", versions.moved
        ),
        "version_mix": Measure("How often do versions that meet each other fail?", versions.pairs),
        "storm_tries": Measure(
            "Which share of its tries did a boundary see in retry storms?", waste.in_storms
        ),
        "abandoned_calls": Measure(
            "How often did a callee work on when its caller had gone?", waste.left_behind
        ),
        "timeouts_at_odds": Measure(
            "How often may a callee take longer than its caller waits?", waste.at_odds
        ),
        "tool_calls": Measure("How often do tools fail, and how slow are they?", usage.tools),
        "conversation_totals": Measure(
            "What does a conversation take in calls, tokens and money?", usage.conversations
        ),
        "blind_spots": Measure(
            "What was not seen, what does that blind, and what mends it?", coverage.blind_spots
        ),
        "fault_tests": Measure(
            "What became of the requests that met an injected fault?", fault_tests.of_spans
        ),
        "suggested_timeouts": Measure(
            "After how long is waiting for an answer no longer worth it?", timeouts.suggested
        ),
        "state_by_turn": Measure("How much state is lost at each turn?", state.by_turn),
    }
)


def names() -> tuple[str, ...]:
    """Return the names of all questions, sorted."""
    return tuple(sorted({*catalog.names(), *COMPUTED}))


def question(name: str) -> str:
    """Return the question behind a name; raises catalog.CardError where there is none."""
    return COMPUTED[name].question if name in COMPUTED else catalog.card(name).question


def ask(model: Model, name: str, scope: Scope) -> pd.DataFrame:
    """Return the answer to a question by its name, with the grades that its blind spots leave.

    Raises:
        catalog.CardError: There is no such question.
    """
    if name not in COMPUTED:
        return model.ask(name, scope)
    return coverage.lowered(name, COMPUTED[name].answer(model, scope), model, scope)
