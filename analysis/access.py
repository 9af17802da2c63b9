"""Granted against used: what every agent touched, and what is new since the baseline."""

from dataclasses import replace
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any

import pandas as pd

from analysis.contracts import Contracts, Grant, sides
from analysis.engine import Model
from analysis.scope import Scope

# From least to most, each covering what stands before it; unknown may be anything.
LATTICE = ("none", "read", "execute", "write", "delete", "admin")


class Granted(StrEnum):
    """How a use and a grant meet."""

    GRANTED = "granted"
    NOT_GRANTED = "not granted"
    UNSEEN = "unseen"  # granted, never used
    NO_CONTRACT = "no contract"


def footprint(model: Model, contracts: Contracts | None, scope: Scope) -> pd.DataFrame:
    """Return every access of every agent, one row a cohort, agent, resource and access.

    Grants nobody used in the judged cohort stand at the end as `unseen`, with no calls. `is_new`
    marks what the pilot does and the baseline did not; `before_access` is what the baseline did.
    """
    used = model.ask("accesses", replace(scope, cohort=None))
    named = sides(model.cohorts(), contracts)
    before = used[used["cohort"] == named.baseline]
    done = before.groupby(["agent", "resource"])["access"].agg(set).to_dict()
    grants = contracts.access if contracts else ()
    patterns = contracts.sensitive if contracts else ()
    judged = scope.cohort or named.pilot
    rows: list[dict[str, Any]] = []
    for use in used.to_dict("records"):
        if scope.cohort is not None and use["cohort"] != scope.cohort:
            continue
        was = done.get((use["agent"], use["resource"]), set())
        tags = use["sensitivity"]
        marked = any(fnmatchcase(use["resource"], pattern) for pattern in patterns)
        rows.append(
            {
                **{str(name): value for name, value in use.items()},
                "sensitivity": [] if tags is None else [str(tag) for tag in tags],
                "is_sensitive": marked or (tags is not None and len(tags) > 0),
                "grant": str(_grant(grants, use["agent"], use["resource"], use["access"])),
                "is_new": bool(
                    use["cohort"] == named.pilot and len(before) and use["access"] not in was
                ),
                "before_access": highest(was),
            }
        )
    rows += [_unseen(grant, judged, patterns) for grant in _idle(grants, rows, judged)]
    return pd.DataFrame(rows, columns=_COLUMNS)


def highest(accesses: set[str]) -> str | None:
    """Return the most that a set of accesses allows, `unknown` where one of them is unknown."""
    known = [access for access in LATTICE if access in accesses]
    if "unknown" in accesses:
        return "unknown"
    return known[-1] if known else None


def _grant(grants: tuple[Grant, ...], agent: str, resource: str, access: str) -> Granted:
    """Return how a use meets the grants; who the contract does not name has no contract."""
    mine = [grant for grant in grants if grant.is_for(agent)]
    if not mine:
        return Granted.NO_CONTRACT
    here = [grant.access for grant in mine if fnmatchcase(resource, grant.resource)]
    # What an access did may be unknown; then any grant on the resource is taken to cover it.
    if access == "none" or (access == "unknown" and here):
        return Granted.GRANTED
    is_covered = access in LATTICE and any(
        LATTICE.index(word) >= LATTICE.index(access) for word in here
    )
    return Granted.GRANTED if is_covered else Granted.NOT_GRANTED


def _idle(grants: tuple[Grant, ...], rows: list[dict[str, Any]], cohort: str | None) -> list[Grant]:
    """Return the grants whose access nobody used; reading a tool counts as executing it."""
    uses = [row for row in rows if row["cohort"] == cohort]
    return [
        grant
        for grant in grants
        if not any(
            grant.is_for(row["agent"])
            and fnmatchcase(row["resource"], grant.resource)
            and (
                row["access"] in (grant.access, "unknown")
                or (row["access"], grant.access) == ("read", "execute")
            )
            for row in uses
        )
    ]


def _unseen(grant: Grant, cohort: str | None, patterns: tuple[str, ...]) -> dict[str, Any]:
    return {
        "cohort": cohort,
        "agent": grant.agent,
        "resource": grant.resource,
        "access": grant.access,
        "calls": 0,
        "failed": 0,
        "traces": 0,
        "sensitivity": [],
        "is_sensitive": grant.resource in patterns,
        "grant": str(Granted.UNSEEN),
        "is_new": False,
    }


_COLUMNS = [
    *("cohort", "agent", "resource", "access", "kind", "calls", "failed", "rows", "traces"),
    *("first_at", "last_at", "first_trace_id", "sensitivity", "is_sensitive"),
    *("is_sensitivity_inferred", "grant", "is_new", "before_access"),
]
