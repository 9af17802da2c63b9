"""How often agents go round in circles, hand work to and fro, or never end, and what that costs."""

import pandas as pd

from analysis import stats, tails
from analysis.engine import Model
from analysis.scope import Scope

# What is done in at least this share of turns is done by design, as two agents that review in turn.
HABIT_RATIO = 0.2
# A share of fewer turns than this says nothing of a habit.
MIN_TURNS = 5


def found(model: Model, scope: Scope) -> pd.DataFrame:
    """Return circles and open ends, one row a cohort, pattern, agent and cycle, the dearest first.

    found counts occurrences; turn_ratio is the share of the agent's turns with one (unit: the
    conversation). wall_ms, tokens and cost_usd are sums over what came after the first round, or
    over whole turns where none ended; they are of wall time, and overlap where turns do.
    """
    told = model.ask("endless", scope)
    worked = model.ask("agent_turns", scope)
    of_whom = dict(iter(worked.groupby(["cohort", "who"], sort=False)))
    key = ["cohort", "pattern", "who", "cycle"]
    told["cycle"] = told["cycle"].astype(object).where(told["cycle"].notna(), "")
    rows = []
    for values, some in told.groupby(key, sort=True):
        dearest = some.sort_values(["wall_ms", "trace_id"], ascending=[False, True]).iloc[0]
        turns = of_whom.get((values[0], values[2]), worked.iloc[:0])
        share = _share(turns, some)
        rows.append(
            dict(zip(key, values, strict=True))
            | {
                "found": len(some),
                "turns": some["turn_no"].nunique(),
                "of_turns": int(turns["turns"].sum()),
                **tails.columns("turn_ratio", share),
                "turn_ratio_units": share.units,
                "is_habit": share.n >= MIN_TURNS and share.value >= HABIT_RATIO,
                "most_repeats": some["repeats"].max(),
            }
            | {name: float(some[name].sum()) for name in _SUMS}
            | {"first_at": some["started_at"].min(), "example_trace_id": dearest["trace_id"]}
        )
    frame = pd.DataFrame(rows, columns=[*key, *_COLUMNS])
    frame["cycle"] = frame["cycle"].where(frame["cycle"] != "", None)
    return frame.sort_values(
        ["cohort", "wall_ms", *key[1:]],
        ascending=[True, False, True, True, True],
        ignore_index=True,
    )


def _share(turns: pd.DataFrame, some: pd.DataFrame) -> stats.Estimate:
    hits = some.groupby("home_no")["turn_no"].nunique().reindex(turns["home_no"], fill_value=0)
    weight = turns["weight"].to_numpy()
    sums = pd.DataFrame(
        {
            "unit": turns["unit_id"].to_numpy(),
            "hits": hits.to_numpy() * weight,
            "turns": turns["turns"].to_numpy() * weight,
        }
    )
    by_unit = sums.groupby("unit")[["hits", "turns"]].sum()
    return stats.proportion_of_counts(by_unit["hits"], by_unit["turns"], int(turns["turns"].sum()))


_SUMS = ("calls", "failed", "wall_ms", "input_tokens", "output_tokens", "cost_usd")
_COLUMNS = [
    *("found", "turns", "of_turns", *tails.columns("turn_ratio", stats.NOTHING)),
    *("turn_ratio_units", "is_habit", "most_repeats", *_SUMS, "first_at", "example_trace_id"),
]
