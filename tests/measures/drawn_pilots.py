"""A model over drawn requests: a test says what happened, the metric files run on it."""

from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

from analysis import loading
from analysis.engine import Model
from analysis.scope import CONDITIONS

DAY_NS = 86_400 * 10**9
FIRST_DAY = 20_000  # days since 1970: 2024-10-04
BOUNDARIES = (
    ("agent:loan", "model", "model:openai/gpt-4o", None),
    ("agent:loan", "tool", "tool:score", None),
    ("tool:score", "service", "http:score/v1", "score"),
)


def requests(
    cohort: str,
    *,
    first_day: int,
    days: int,
    per_day: int,
    factor: float = 1.0,
    failed: float = 0.0,
    drift: float = 1.0,
    operation: str = "POST /chat",
    seed: int = 0,
) -> pd.DataFrame:
    """Return drawn requests of one cohort: a row each, with the ms spent at each boundary."""
    rng = np.random.default_rng([seed, first_day, days, per_day])
    n = days * per_day
    day = np.repeat(np.arange(days), per_day)
    trend = np.where(day >= days / 2, drift, 1.0)
    start = (FIRST_DAY + first_day + day) * DAY_NS + rng.integers(0, DAY_NS // 2, n)
    drawn = {
        "cohort": cohort,
        "operation": operation,
        "start_ns": start,
        "is_failed": rng.random(n) < failed,
        "own_ms": rng.lognormal(3, 0.3, n),
        "unit": [f"{cohort}-{first_day}-{place // 2}" for place in range(n)],
    }
    for place, median in enumerate((600, 200, 120)):
        drawn[f"ms_{place}"] = median * factor * trend * rng.lognormal(0, 0.4, n)
    return pd.DataFrame(drawn)


def model_in(path: Path, frame: pd.DataFrame, accesses: pd.DataFrame | None) -> Model:
    """Write the relations of drawn requests to a file and return the model that reads it."""
    width = len(BOUNDARIES) + 1
    frame = frame.reset_index(drop=True)
    node = np.arange(len(frame), dtype=np.int64) * width
    ms = frame[[f"ms_{place}" for place in range(len(BOUNDARIES))]]
    duration = frame["own_ms"] + ms.sum(axis=1)
    units = pd.factorize(frame["unit"])[0].astype("int32")
    common = {
        "cohort": frame["cohort"],
        "trace_no": np.arange(len(frame)),
        "trace_id": [f"{place:032x}" for place in range(len(frame))],
        "start_ns": frame["start_ns"],
        "started_at": pd.to_datetime(frame["start_ns"], unit="ns"),
        "day": pd.to_datetime(frame["start_ns"], unit="ns").dt.date,
        "conversation_id": frame["unit"].astype(str),
        "unit_id": frame["unit"].astype(str),
        "unit_no": units,
        "boundary_no": None,
        "worker_no": None,
        "bucket": units % 100,
        "pilot_variant": None,
        "tenant": None,
        "environment": None,
        "fault_id": None,
        "weight": 1.0,
    }
    asked = pd.DataFrame(
        common
        | {
            "request_id": node,
            "operation": frame["operation"],
            "duration_ms": duration,
            "is_failed": frame["is_failed"],
            "is_trace_failed": frame["is_failed"],
            "is_first_of_trace": True,
            "is_user_told": False,
            "turn_index": 1,
            "is_conversing": True,
            "service": "planner",
            "aggregated_input_tokens": None,
            "aggregated_output_tokens": None,
            "aggregated_cost_usd": None,
        }
    )
    told = {
        "service": "planner",
        "is_leaf": True,
        "is_first": True,
        "weight": 1.0,
        "bucket": units % 100,
    }
    calls, paths = (
        [],
        [
            asked[["cohort", "trace_no", "trace_id", "request_id"]].assign(
                node_id=node,
                boundary_id=None,
                kind=None,
                self_ns=(frame["own_ms"] * 1e6).astype("int64"),
                **told,
            )
        ],
    )
    for place, (caller, kind, callee, service) in enumerate(BOUNDARIES):
        before_ms = frame["own_ms"] + ms.iloc[:, :place].sum(axis=1)
        begun = frame["start_ns"] + (before_ms * 1e6).astype("int64")
        call = pd.DataFrame(
            common
            | {
                "call_id": node + place + 1,
                "request_id": node,
                # One after another, after the request's own work.
                "start_ns": begun,
                "end_ns": begun + (ms[f"ms_{place}"] * 1e6).astype("int64"),
                "path_ns": (ms[f"ms_{place}"] * 1e6).astype("int64"),
                "boundary_id": f"{place:016x}",
                "caller": caller,
                "kind": kind,
                "callee": callee,
                "callee_service": service,
                "owner_agent": "loan",
                "owner_service": "planner",
                "observed_side": "both",
                "client_ms": ms[f"ms_{place}"],
                "handoff_ms": 1.0,
                "queue_ms": None,
                "first_chunk_ms": None,
                "service_version": frame["cohort"] + ".1",
                "attempts": 1,
                "caller_id": None,
                "error_class": None,
                "timeout_ms": None,
                "http_method": None,
                "is_error": frame["is_failed"] & (place == 1),
                "input_tokens": 1,
                "output_tokens": 1,
                "cost_usd": 0.001 if kind == "model" else None,
            }
        )
        calls.append(call)
        paths.append(
            call[["cohort", "trace_no", "trace_id", "boundary_id", "kind"]].assign(
                request_id=node,
                node_id=call["call_id"],
                call_id=call["call_id"],
                self_ns=(call["client_ms"] * 1e6).astype("int64"),
                **told,
            )
        )
    every = pd.concat(calls, ignore_index=True)
    failing = every[every["is_error"]]
    tables = {
        "calls": every,
        "requests": asked,
        "critical_path": pd.concat(paths, ignore_index=True),
        "failures": failing.assign(
            failure_id=failing["call_id"],
            request_id=failing["call_id"] - 2,
            is_origin=True,
            is_visible=True,
            origin_weight=1.0,
            parent_failure_id=None,
            outcome="root",
        ),
        "nodes": asked[["cohort", "trace_no", "trace_id", "service"]].assign(
            node_id=node,
            parent_id=pd.Series(pd.NA, index=asked.index, dtype="Int64"),
            type="server",
            start_ns=frame["start_ns"],
            end_ns=frame["start_ns"],
            composite_id=None,
            role="composite",
            error_class=None,
            error_type=None,
            exception_type=None,
            parent_state="root",
            is_cut=False,
            service_version=frame["cohort"] + ".1",
        ),
        "accesses": accesses if accesses is not None else _accesses(every, "read"),
    }
    with duckdb.connect(str(path)) as connection:
        for name, table in tables.items():
            connection.register("drawn", table)
            connection.execute(f"CREATE TABLE {name} AS FROM drawn")
            connection.unregister("drawn")
        connection.execute("ALTER TABLE accesses ALTER sensitivity TYPE VARCHAR[]")
        connection.execute(
            "CREATE TABLE groups AS "
            "SELECT call_id AS node_id, call_id AS group_id, cohort FROM calls"
        )
        connection.execute("CREATE TABLE dropped (node_id BIGINT)")
        for table, column in (
            ("calls", "boundary_no"),
            ("calls", "worker_no"),
            ("accesses", "access_no"),
            ("accesses", "turn_no"),
        ):
            connection.execute(f"ALTER TABLE {table} DROP COLUMN IF EXISTS {column}")
            connection.execute(f"ALTER TABLE {table} ADD COLUMN {column} INTEGER")
        connection.execute(
            "CREATE TABLE trace_units (trace_no BIGINT, turn_key VARCHAR, turn_no INTEGER)"
        )
        for name in ("sights", "trace_usage", "traces", "trace_holes", "service_work"):
            connection.execute(f"CREATE TABLE {name} AS {loading.selection(name)}")
        # What drawn requests say nothing of is there and empty.
        known = {name for (name,) in connection.execute("SHOW TABLES").fetchall()}
        for name in CONDITIONS.keys() - known:
            connection.execute(
                f"CREATE TABLE {name} AS SELECT call_id AS node_id, started_at AS window_at, "
                "owner_service AS service, trace_no AS joined_trace_no, NULL::VARCHAR AS user_id, "
                "NULL::VARCHAR AS span_id, NULL::VARCHAR AS fault_type, "
                "NULL::VARCHAR AS fault_target, "
                "NULL::VARCHAR AS pattern, NULL::VARCHAR AS other_boundary_id, "
                "NULL::INTEGER AS variety_no, * FROM calls LIMIT 0"
            )
        connection.execute((loading.SQL / "whole" / "05_numbers.sql").read_text(encoding="utf-8"))
    opened = duckdb.connect(":memory:")
    opened.execute(f"ATTACH '{path}' AS model (READ_ONLY)")
    return Model("drawn", path, opened)


def _accesses(calls: pd.DataFrame, access: str) -> pd.DataFrame:
    columns = [
        *("cohort", "call_id", "trace_id", "kind", "started_at", "is_error", "pilot_variant"),
        *("service_version", "weight", "unit_no", "owner_agent"),
    ]
    return calls.loc[calls["kind"] == "service", columns].assign(
        turn_no=None,
        access_no=None,
        is_first_of_call=True,
        agent="loan",
        resource="postgresql.crm.customers",
        access=access,
        service="planner",
        rows=1,
        sensitivity=None,
        is_sensitivity_inferred=False,
    )
