"""How much state is lost at each turn of a conversation, with intervals."""

from dataclasses import replace

import pandas as pd

from analysis import stats, tails
from analysis.engine import Model
from analysis.scope import Scope

# A share of fewer conversations than this moves by more than three points with each one of them.
MIN_CONVERSATIONS = 30


def by_turn(model: Model, scope: Scope) -> pd.DataFrame:
    """Return turns, judged and lost ones and the share lost, one row a cohort and turn number.

    Lost is what a certain or strong signal says; the share is of the turns one of them could judge.
    Below `MIN_CONVERSATIONS` judged conversations the share is graded insufficient.
    """
    facts = model.ask("state_loss", scope)
    judged = model.ask("state_turns", scope)
    groups = judged.groupby(["cohort", "turn_index"], sort=False, observed=True).indices
    rows = []
    for key in zip(facts["cohort"], facts["turn_index"], strict=True):
        turns = judged.iloc[groups.get(key, [])]
        rows.append(tails.columns("lost_ratio", _share(turns, turns["is_lost"])))
    figures = pd.DataFrame(rows, columns=list(tails.columns("lost_ratio", stats.NOTHING)))
    return pd.concat([facts, figures], axis=1)


def kept(model: Model, scope: Scope, *, level: float = stats.LEVEL) -> stats.Estimate:
    """Return the share of judged turns that lost nothing; the conversation is the unit.

    First turns are left out: nothing was there to be kept.
    """
    judged = model.ask("state_turns", scope)
    later = judged[judged["turn_index"] > 1]
    return _share(later, ~later["is_lost"].astype(bool), level=level)


def _share(turns: pd.DataFrame, events: pd.Series, *, level: float = stats.LEVEL) -> stats.Estimate:
    estimate = stats.proportion(events, turns["conversation_id"], turns["weight"], level=level)
    if estimate.units < MIN_CONVERSATIONS:
        return replace(estimate, grade=stats.Grade.INSUFFICIENT)
    return estimate
