"""Granted against used against unseen: what every agent touched, and how sure that is."""

import math
from collections.abc import Hashable, Mapping
from dataclasses import replace
from enum import StrEnum
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Any

import pandas as pd

from analysis import stats, tails
from analysis.contracts import Contracts, Grant, sides
from analysis.engine import Model
from analysis.scope import Scope

# From least to most, each covering what stands before it; unknown may be anything.
LATTICE = ("none", "read", "execute", "write", "delete", "admin")
# Unseen in so many units, a use is no longer possible in one of ten, of a hundred (rule of three).
INDICATIVE_UNITS = 29
SOLID_UNITS = 299


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
    used_ratio is the share of the agent's units that did it: both bounds are one-sided at 95 %, and
    the upper one is all that can be said of what is unseen.
    """
    worked = _worked(model, replace(scope, cohort=None))
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
                **_share(worked.get((use["cohort"], use["agent"])), use),
            }
        )
    rows += [_unseen(grant, judged, patterns, worked) for grant in _idle(grants, rows, judged)]
    return pd.DataFrame(rows, columns=_COLUMNS)


def use(model: Model, scope: Scope) -> pd.DataFrame:
    """Return how many of an agent's units touched what, one row a cohort, agent, resource, access.

    What an agent does in one cohort and in another not stands there, too, with no calls: unseen, as
    sure as the agent's units make it. Bounds as in `footprint`.
    """
    worked = _worked(model, scope)
    used = model.ask("accesses", scope)
    done = {tuple(row[name] for name in _USE): row for row in used.to_dict("records")}
    known = {key[1:] for key in done}
    cohorts = sorted({cohort for cohort, _ in worked})
    rows: list[dict[str, Any]] = []
    for cohort in cohorts:
        for agent, resource, access in sorted(known):
            row = done.get((cohort, agent, resource, access))
            kind = _kind(done, cohorts, (agent, resource, access))
            never: Mapping[Hashable, Any] = {"kind": kind, **_NEVER}
            rows.append(
                {
                    **{str(name): value for name, value in (row or never).items()},
                    **dict(zip(_USE, (cohort, agent, resource, access), strict=True)),
                    **_share(worked.get((cohort, agent)), row),
                }
            )
    return pd.DataFrame(rows, columns=_USE_COLUMNS)


def exact(events: int, n: int) -> stats.Estimate:
    """Return a share of independent units with exact one-sided 95 % bounds (Clopper and Pearson).

    Without an event the upper bound is 1 - 0.05^(1/n), about 3/n: unseen is no proof of never.
    """
    if n < 1:
        return stats.NOTHING
    lower, upper = stats.binomial_bounds(events, n, level=stats.ONE_SIDED)
    graded = stats.Grade.SOLID if n >= SOLID_UNITS else stats.Grade.INDICATIVE
    if n < INDICATIVE_UNITS:
        graded = stats.Grade.INSUFFICIENT
    return stats.Estimate(events / n, lower, upper, n, float(n), n, graded)


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


def _worked(model: Model, scope: Scope) -> dict[tuple[str, str], dict[Hashable, Any]]:
    """Return by cohort and agent how much it was seen at work."""
    rows = model.ask("agent_units", scope).to_dict("records")
    return {(row["cohort"], row["agent"]): row for row in rows}


def _share(worked: Mapping[Hashable, Any] | None, use: Mapping[Any, Any] | None) -> dict[str, Any]:
    """Return the share of an agent's units with a use, exact for independent units."""
    if worked is None:
        return {"agent_units": 0, **tails.columns("used_ratio", stats.NOTHING)}
    share = use["weighed_units"] / worked["weighed_units"] if use else 0.0
    share = 0.0 if math.isnan(share) else min(share, 1.0)
    # Units of unlike weight tell less than as many of one weight.
    n = math.floor(worked["n_eff"] + 1e-9)
    events = max(1, min(n, round(share * n))) if share > 0 else 0
    units = int(worked["units"])
    estimate = replace(exact(events, n), value=share, n=units, units=units)
    return {"agent_units": units, **tails.columns("used_ratio", estimate)}


def _kind(
    done: Mapping[tuple[Any, ...], Mapping[Hashable, Any]],
    cohorts: list[str],
    key: tuple[str, str, str],
) -> str | None:
    return next(
        (str(done[cohort, *key]["kind"]) for cohort in cohorts if (cohort, *key) in done), None
    )


def _unseen(
    grant: Grant,
    cohort: str | None,
    patterns: tuple[str, ...],
    worked: Mapping[tuple[str, str], Mapping[Hashable, Any]],
) -> dict[str, Any]:
    mine = [row for (side, agent), row in worked.items() if side == cohort and grant.is_for(agent)]
    # Agents of one conversation are no two units: the one seen most tells.
    most = max(mine, key=lambda row: float(row["n_eff"]), default=None)
    return {
        "cohort": cohort,
        "agent": grant.agent,
        "resource": grant.resource,
        "access": grant.access,
        "calls": 0,
        "failed": 0,
        "sensitivity": [],
        "is_sensitive": grant.resource in patterns,
        "grant": str(Granted.UNSEEN),
        "is_new": False,
        "units": 0,
        "turns": 0,
        **_share(most, None),
    }


_USE = ("cohort", "agent", "resource", "access")
_NEVER: Mapping[Hashable, Any] = MappingProxyType(
    {"calls": 0, "failed": 0, "units": 0, "turns": 0, "sensitivity": []}
)
_SHARE = ("agent_units", *tails.columns("used_ratio", stats.NOTHING))
_COLUMNS = [
    *(*_USE, "kind", "calls", "failed", "rows", "units", "turns"),
    *("first_at", "last_at", "first_trace_id", "first_version", "sensitivity", "is_sensitive"),
    *("is_sensitivity_inferred", "grant", "is_new", "before_access", *_SHARE),
]
_USE_COLUMNS = [
    *(*_USE, "kind", "calls", "failed", "rows", "units", "turns"),
    *("first_at", "last_at", "first_trace_id", "first_version", "sensitivity"),
    *("is_sensitivity_inferred", *_SHARE),
]
