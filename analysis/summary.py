"""Everything the monthly page says, as plain data: verdicts, boundaries, errors, access."""

import dataclasses
import datetime as dt
import math
from collections.abc import Mapping
from importlib import metadata
from typing import Any

import numpy as np
import pandas as pd

from analysis import access, check, compliance, gates, impact, measures, pilot, stats
from analysis.contracts import Contracts, sides
from analysis.engine import Model
from analysis.scope import Scope

# What the figures came out of: another version may give others.
_LIBRARIES = ("orchrisk", "duckdb", "numpy", "pandas", "scipy")


def collect(model: Model, contracts: Contracts | None, scope: Scope) -> dict[str, Any]:
    """Return the month as data that JSON can hold; the same lake and contract give the same data.

    Frames become lists of rows. NaN and infinity become null, times ISO 8601 in UTC.
    """
    model = model.once()
    comparison = pilot.compare(model, contracts, scope)
    told = check.run(model, contracts, scope, comparison=comparison)
    everything = {
        "cohorts": sides(model.cohorts(), contracts),
        "readiness": told.readiness,
        "check": {
            "outcome": told.outcome,
            "counts": told.counts,
            "findings": told.findings,
            "register": told.register,
            "warnings": told.warnings,
            "as_of": told.as_of,
        },
        "impact": impact.of(model, contracts, scope),
        "comparison": _told(comparison),
        "end_to_end": measures.ask(model, "tails_end_to_end", scope),
        "boundaries": measures.ask(model, "tails", scope),
        "compliance": {
            "boundaries": told.budgets,
            "requests": told.requests,
            "on_path": told.on_path,
            "warnings": compliance.unmatched(model, contracts, scope),
        },
        "errors": {
            "origins": model.ask("error_origins", scope),
            "chains": model.ask("error_chains", scope),
            "outcomes": model.ask("outcomes", scope),
        },
        "access": access.footprint(model, contracts, scope),
        "method": {
            "confidence": stats.LEVEL,
            "proven_ratio": stats.PROVEN_RATIO,
            "gate_limits": dict(gates.DEFAULTS),
            "bootstrap_seed": stats.SEED,
            "bootstrap_replicates": stats.REPLICATES,
            "description": "analysis/METHODS.md",
        },
        "data": {
            "lake_fingerprint": model.fingerprint,
            "contract": contracts.path if contracts else None,
            "contract_digest": contracts.digest if contracts else None,
            "scope": scope.to_query(),
            "versions": {name: metadata.version(name) for name in _LIBRARIES},
        },
    }
    month: dict[str, Any] = plain(everything)
    return month


def plain(value: object) -> Any:
    """Return a value as JSON knows it: frames as rows, NaN as null, times as text."""
    if isinstance(value, pd.DataFrame):
        return [plain(row) for row in value.to_dict("records")]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)
        }
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [plain(item) for item in value]
    if value is None or value is pd.NaT or value is pd.NA:
        return None
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, dt.date):
        return value.isoformat()
    return str(value)


def _told(comparison: pilot.Comparison) -> dict[str, object]:
    """Return a comparison without the samples behind its headline."""
    return {
        field.name: getattr(comparison, field.name)
        for field in dataclasses.fields(comparison)
        if field.name != "headline"
    }
