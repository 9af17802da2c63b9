"""Frames for pages, cached by what they depend on: the lake's fingerprint, contract and scope."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pandas as pd
import pyarrow as pa
import streamlit as st

from analysis import (
    access,
    check,
    compliance,
    contract_file,
    engine,
    impact,
    measures,
    path_budgets,
    pilot,
)
from analysis import contracts as promised
from analysis.contracts import Cohorts, Contracts
from analysis.engine import Model
from analysis.scope import Scope
from app import serve
from ingest.lake import Lake


@dataclass(frozen=True)
class Source:
    """What the pages show now: a lake in one state, judged by one contract."""

    lake: str
    fingerprint: str
    contracts: str
    digest: str


def source() -> Source:
    """Return the lake and contract as they stand now; either may have changed since."""
    path, contracts = serve.served_lake(), serve.served_contracts()
    lake = Lake(path)
    return Source(
        lake=str(path),
        fingerprint=lake.fingerprint() if lake.exists else "",
        contracts=str(contracts) if contracts else "",
        digest=hashlib.sha256(contracts.read_bytes()).hexdigest()
        if contracts and contracts.is_file()
        else "",
    )


def is_empty() -> bool:
    """Return whether there is nothing to draw: no lake yet, or one without spans."""
    now = source()
    return not now.fingerprint or _model(now).is_empty


def ledger() -> pd.DataFrame:
    """Return the history of ingest, one row a source; empty where there is no lake."""
    lake = Lake(serve.served_lake())
    return (
        cast(pd.DataFrame, lake.ledger().to_pandas()) if lake.exists else pa.table({}).to_pandas()
    )


def rejects() -> pd.DataFrame:
    """Return what was refused, up to 20 examples a reason and source, each masked."""
    return cast(pd.DataFrame, Lake(serve.served_lake()).rejects().to_pandas())


def contracts() -> Contracts | None:
    """Return the contract the pages judge by, or None where none was named.

    Raises:
        ContractError: If the file cannot be read; the message names file, line and key.
    """
    now = source()
    return _contracts(now.contracts, now.digest) if now.contracts else None


def cohorts() -> list[str]:
    """Return the cohorts of the lake, baseline before pilot where the contract names them."""
    return list(_model(source()).cohorts())


def sides() -> Cohorts:
    """Return which cohorts stand for before and after."""
    return promised.sides(cohorts(), contracts())


def sql(metrics: Sequence[str]) -> dict[str, str]:
    """Return the text of questions, as they are asked of the lake."""
    model = _model(source())
    return {metric: model.sql(metric) for metric in metrics}


def metric(name: str, scope: Scope) -> pd.DataFrame:
    """Return one question's frame within a scope."""
    return cast(pd.DataFrame, _answer(f"metric:{name}", source(), scope))


def boundaries(scope: Scope) -> pd.DataFrame:
    """Return calls, failures and percentiles of every boundary."""
    return cast(pd.DataFrame, _answer("boundaries", source(), scope))


def requests(scope: Scope) -> pd.DataFrame:
    """Return requests, failures and percentiles of user requests, one row a cohort."""
    return cast(pd.DataFrame, _answer("requests", source(), scope))


def budgets(scope: Scope) -> pd.DataFrame:
    """Return every boundary against its budget."""
    return cast(pd.DataFrame, _answer("budgets", source(), scope))


def on_path(scope: Scope) -> pd.DataFrame:
    """Return every boundary that was promised a share of the critical path against it."""
    return cast(pd.DataFrame, _answer("on_path", source(), scope))


def budget_ms(boundary_id: str | None) -> float | None:
    """Return what a boundary was promised, or None."""
    frame = budgets(Scope())
    promised = frame.loc[frame["boundary_id"] == boundary_id, "budget_ms"].dropna()
    return None if promised.empty else float(promised.iloc[0])


def with_budgets(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame by boundary_id with what each boundary was promised beside it."""
    promised = budgets(Scope()).drop_duplicates("boundary_id")[["boundary_id", "budget_ms"]]
    return frame.merge(promised, on="boundary_id", how="left")


def with_services(frame: pd.DataFrame, scope: Scope) -> pd.DataFrame:
    """Return a frame by boundary_id with the service that answers there, where it is known."""
    facts = _answer("callees", source(), scope).drop_duplicates("boundary_id")
    return frame.merge(facts[["boundary_id", "callee_service"]], on="boundary_id", how="left")


def promises(scope: Scope) -> pd.DataFrame:
    """Return requests within the SLA and within the downstream budget, one row a cohort."""
    return cast(pd.DataFrame, _answer("promises", source(), scope))


def footprint(scope: Scope) -> pd.DataFrame:
    """Return what each agent does to each resource, granted against used."""
    return cast(pd.DataFrame, _answer("footprint", source(), scope))


def comparison(scope: Scope, before: str | None, after: str | None) -> pilot.Comparison:
    """Return one cohort against another; None leaves a side to the contract and the names."""
    return cast(pilot.Comparison, _answer("comparison", source(), scope, (before, after)))


def checked(scope: Scope) -> check.Check:
    """Return the verdict on the pilot with its gates, figures, ranking, findings and risks."""
    return cast(check.Check, _answer("check", source(), scope))


def impacts(scope: Scope) -> list[impact.Impact]:
    """Return what the pilot changed, before beside after; none where a side is missing."""
    return cast(list[impact.Impact], _answer("impact", source(), scope))


@st.cache_resource(max_entries=2, show_spinner="Reading the lake …")
def _model(now: Source) -> Model:
    return engine.connect(Path(now.lake))


@st.cache_resource(max_entries=4, show_spinner=False)
def _contracts(path: str, digest: str) -> Contracts:  # noqa: ARG001 - the digest is the cache key
    return contract_file.load(Path(path))


_Sides = tuple[str | None, str | None]
_Answer = Callable[[Model, Contracts | None, Scope], Any]
_ANSWERS: dict[str, _Answer] = {
    "boundaries": lambda model, _, scope: measures.ask(model, "tails", scope),
    "requests": lambda model, _, scope: measures.ask(model, "tails_end_to_end", scope),
    "callees": compliance.callees,
    "budgets": compliance.by_boundary,
    "on_path": lambda model, contracts, scope: path_budgets.by_boundary(
        model, contracts, compliance.judged(model, contracts, scope)
    ),
    "promises": compliance.by_request,
    "footprint": access.footprint,
    "check": check.run,
    "impact": impact.of,
}


@st.cache_data(max_entries=200, show_spinner="Measuring …")
def _answer(name: str, now: Source, scope: Scope, sides: _Sides = (None, None)) -> Any:
    promised = _contracts(now.contracts, now.digest) if now.contracts else None
    model = _model(now).counting(promised.sensitive if promised else ())
    if name.startswith("metric:"):
        return model.ask(name.removeprefix("metric:"), scope)
    if name == "comparison":
        before, after = sides
        return pilot.compare(model, promised, scope, baseline=before, pilot=after)
    return _ANSWERS[name](model.once(), promised, scope)
