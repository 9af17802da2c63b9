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
    judged = model.ask("judged_units", scope)
    groups = dict(iter(judged.groupby(["cohort", "turn_index"], sort=False)))
    keys = zip(facts["cohort"], facts["turn_index"], strict=True)
    rows = [
        tails.columns("lost_ratio", _share(some, some["lost"]))
        for some in (groups.get(key, judged.iloc[:0]) for key in keys)
    ]
    figures = pd.DataFrame(rows, columns=list(tails.columns("lost_ratio", stats.NOTHING)))
    return pd.concat([facts, figures], axis=1)


def kept(model: Model, scope: Scope, *, level: float = stats.LEVEL) -> stats.Estimate:
    """Return the share of judged turns that lost nothing; the conversation is the unit.

    First turns are left out: nothing was there to be kept.
    """
    judged = model.ask("judged_units", scope)
    later = judged[judged["turn_index"].isna()]
    return _share(later, later["judged"] - later["lost"], level=level)


def _share(units: pd.DataFrame, events: pd.Series, *, level: float = stats.LEVEL) -> stats.Estimate:
    if units.empty:
        return stats.NOTHING
    estimate = stats.proportion_of_counts(
        events, units["judged"], int(units["turns"].sum()), units=units["units"], level=level
    )
    if estimate.units < MIN_CONVERSATIONS:
        return replace(estimate, grade=stats.Grade.INSUFFICIENT)
    return estimate
