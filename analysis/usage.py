"""How tools answer, and what conversations take in calls, tokens and money, with intervals."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from analysis import samples, stats, tails
from analysis.engine import Model
from analysis.scope import Scope

QUANTILES = MappingProxyType({"p50": 0.5, "p95": 0.95})
# What a conversation takes, told apart; a conversation that does not tell it takes no part.
TAKEN = ("calls", "tool_calls", "model_calls", "input_tokens", "output_tokens", "cost_usd")


_IS_TOOL = """
    boundary_no IN (
        SELECT boundary_no
        FROM boundaries
        WHERE starts_with(callee, 'tool:')
            OR starts_with(callee, 'mcp:')
    )
"""


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
        where=_IS_TOOL,
    )
    rows = [dict(zip(("cohort", "tool"), key, strict=True)) | row for key, row in told.items()]
    return pd.DataFrame(rows, columns=["cohort", "tool", *_answered(_NO_CALLS)])


def conversations(model: Model, scope: Scope) -> pd.DataFrame:
    """Return p50, p95, sum and most of what a conversation takes, one row a cohort and quantity.

    Conversations are the unit. `n` counts those that tell the quantity; what no conversation is
    told for is `outside`, so that total + outside is the sum over all calls.
    """
    # What is kept of traces knows no service, agent or hour.
    is_whole = scope == Scope(cohort=scope.cohort)
    told = model.ask("conversation_sums" if is_whole else "conversation_usage", scope)
    asked = [
        (str(cohort), some, quantity)
        for cohort, some in told.groupby("cohort", sort=True)
        for quantity in TAKEN
    ]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        rows = list(pool.map(lambda each: {"cohort": each[0]} | _taken(*each[1:]), asked))
    names = _names(model, scope, {row["most_unit"] for row in rows} - {None})
    rows = [row | {"most_conversation_id": names.get(row["most_unit"])} for row in rows]
    return pd.DataFrame(rows, columns=_CONVERSATIONS)


def _names(model: Model, scope: Scope, units: set[Any]) -> dict[Any, str]:
    """Return the ids of conversations by their hash."""
    with model.relations(replace(scope, cohort=None)) as cursor:
        named = cursor.execute(
            """
            SELECT DISTINCT
                hash(conversation_id),
                conversation_id
            FROM trace_usage
            WHERE hash(conversation_id) IN (SELECT unnest(?::UBIGINT[]))
            """,
            [sorted(units)],
        ).fetchall()
    return dict(named)


def _taken(conversations: pd.DataFrame, quantity: str) -> dict[str, Any]:
    """Return what is said of one quantity of conversations, and what calls of none took of it."""
    is_named = conversations["is_named"].to_numpy(np.bool_)
    taken = conversations[quantity].to_numpy(np.float64)
    is_told = is_named & ~np.isnan(taken)
    values = taken[is_told]
    hashes, weights = (conversations[name].to_numpy()[is_told] for name in ("unit_id", "weight"))
    # A row is a conversation.
    ordered = stats.sample(values, np.arange(len(values)), weights)
    quantiles = stats.percentiles(ordered, [*QUANTILES.values()])
    return (
        {"quantity": quantity, "n": len(values)}
        | {
            name: figure
            for quantile, found in zip(QUANTILES, quantiles, strict=True)
            for name, figure in tails.columns(quantile, found).items()
        }
        | {
            "total": float(values.sum()),
            "outside": float(np.nansum(taken[~is_named])),
            "most": float(values.max()) if len(values) else float("nan"),
            # Of several that took the most, one whatever their order.
            "most_unit": int(hashes[values == values.max()].min()) if len(values) else None,
        }
    )


def _answered(calls: pd.DataFrame) -> dict[str, object]:
    weights = calls["weight"].to_numpy(np.float64)
    units = stats.codes(calls["unit_id"])
    failed = stats.proportion(calls["is_error"], units, weights)
    waits = stats.sample(
        calls["client_ms"].to_numpy(np.float64), units, weights, bucket=calls["bucket"].to_numpy()
    )
    row: dict[str, object] = {
        "calls": len(calls),
        "failed": int(calls["is_error"].sum()),
        "units": failed.units,
        **tails.columns("error_ratio", failed),
    }
    told = stats.percentiles(waits, [*QUANTILES.values()])
    for quantile, found in zip(QUANTILES, told, strict=True):
        row |= tails.columns(f"{quantile}_ms", found)
    return row


_NO_CALLS = pd.DataFrame(
    {name: np.zeros(0) for name in ("client_ms", "is_error", "unit_id", "bucket", "weight")}
)
_CONVERSATIONS = [
    *("cohort", "quantity", "n"),
    *(name for quantile in QUANTILES for name in tails.columns(quantile, stats.NOTHING)),
    *("total", "outside", "most", "most_conversation_id"),
]
