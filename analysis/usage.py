"""How tools answer, and what conversations take in calls, tokens and money, with intervals."""

from types import MappingProxyType

import numpy as np
import pandas as pd

from analysis import samples, stats, tails
from analysis.engine import Model
from analysis.scope import Scope

QUANTILES = MappingProxyType({"p50": 0.5, "p95": 0.95})
# What a conversation takes, told apart; a conversation that does not tell it takes no part.
TAKEN = ("calls", "tool_calls", "model_calls", "input_tokens", "output_tokens", "cost_usd")


def tools(model: Model, scope: Scope) -> pd.DataFrame:
    """Return calls, share failed, p50 and p95 in ms of every tool, one row a cohort and tool.

    Over all its callers; MCP tools included. The unit is the conversation, else the trace.
    """
    told = samples.each(
        model,
        scope,
        ["client_ms", "is_error"],
        lambda _, calls: _answered(calls),
        by={"cohort": "cohort", "tool": "callee"},
        where="starts_with(callee, 'tool:') OR starts_with(callee, 'mcp:')",
    )
    rows = [dict(zip(("cohort", "tool"), key, strict=True)) | row for key, row in told.items()]
    return pd.DataFrame(rows, columns=["cohort", "tool", *_answered(_NO_CALLS)])


def conversations(model: Model, scope: Scope) -> pd.DataFrame:
    """Return p50, p95, sum and most of what a conversation takes, one row a cohort and quantity.

    Conversations are the unit. `n` counts those that tell the quantity; what no conversation is
    told for is `outside`, so that total + outside is the sum over all calls.
    """
    told = model.ask("conversation_usage", scope)
    rows = []
    for cohort, of_cohort in told.groupby("cohort", sort=True):
        is_named = of_cohort["conversation_id"].notna()
        for quantity in TAKEN:
            named = of_cohort[is_named & of_cohort[quantity].notna()]
            values = named[quantity].to_numpy(np.float64)
            ordered = stats.sample(values, named["conversation_id"], named["weight"])
            rows.append(
                {"cohort": cohort, "quantity": quantity, "n": len(named)}
                | {
                    name: figure
                    for quantile, p in QUANTILES.items()
                    for name, figure in tails.columns(
                        quantile, stats.percentile(ordered, p)
                    ).items()
                }
                | {
                    "total": float(values.sum()),
                    "outside": float(of_cohort.loc[~is_named, quantity].fillna(0).sum()),
                    "most": float(values.max()) if len(values) else float("nan"),
                    "most_conversation_id": named["conversation_id"].iloc[int(values.argmax())]
                    if len(values)
                    else None,
                }
            )
    return pd.DataFrame(rows, columns=_CONVERSATIONS)


def _answered(calls: pd.DataFrame) -> dict[str, object]:
    weights = calls["weight"].to_numpy(np.float64)
    units = stats.codes(calls["unit_id"])
    failed = stats.proportion(calls["is_error"], units, weights)
    waits = stats.sample(calls["client_ms"].to_numpy(np.float64), units, weights)
    row: dict[str, object] = {
        "calls": len(calls),
        "failed": int(calls["is_error"].sum()),
        "units": failed.units,
        **tails.columns("error_ratio", failed),
    }
    for quantile, p in QUANTILES.items():
        row |= tails.columns(f"{quantile}_ms", stats.percentile(waits, p))
    return row


_NO_CALLS = pd.DataFrame(
    {name: np.zeros(0) for name in ("client_ms", "is_error", "unit_id", "weight")}
)
_CONVERSATIONS = [
    *("cohort", "quantity", "n"),
    *(name for quantile in QUANTILES for name in tails.columns(quantile, stats.NOTHING)),
    *("total", "outside", "most", "most_conversation_id"),
]
