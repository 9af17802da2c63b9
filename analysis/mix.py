"""Did both sides do the same work, and which weights make it alike (METHODS.md, mix)."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis import stats, words
from analysis.comparability import HOURS_A_CLASS, Check, Design, Unit, Windows

# Shares that differ by more than this in all, beyond what chance brings, are standardised.
MIX_DISTANCE = 0.05
# More than this outside the strata both sides know: they did different work.
MIX_MISSING = 0.05
# A share of fewer requests is a guess; a dimension that cuts most strata below is left out.
LEAST_IN_STRATUM = 30

_SAID = {
    "operation": "operations",
    "model": "models",
    "tenant": "tenants",
    "hour": "hours of the day",
}


@dataclass(frozen=True)
class Mix:
    """Weights of the requests of both sides at the baseline's mix, and what the mix is made of."""

    weights: tuple[stats.Floats, stats.Floats]
    dimensions: tuple[str, ...]
    check: Check


@dataclass(frozen=True)
class _Strata:
    """The stratum of every request, and requests and weight of each stratum by side."""

    codes: tuple[stats.Ints, stats.Ints]
    counts: tuple[stats.Floats, stats.Floats]
    masses: tuple[stats.Floats, stats.Floats]

    @property
    def shares(self) -> tuple[stats.Floats, stats.Floats]:
        was, now = (mass / mass.sum() for mass in self.masses)
        return was, now

    def share_where(self, chosen: "np.ndarray[tuple[int], np.dtype[np.bool_]]") -> float:
        """Return the share of the requests that are in some strata, of the side with more."""
        return max(float(share[chosen].sum()) for share in self.shares)


def equal_mix(before: pd.DataFrame, after: pd.DataFrame, window: Windows) -> Mix:
    """Return weights that give both sides the strata of the baseline in equal shares.

    Strata are operation x model x tenant x class of hours, of what the frames tell. A dimension is
    left out, and named, where it cuts requests into strata too thin to weigh, and so is the model
    where most of it changed: that is the pilot and not its mix. A row of a stratum that only one
    side knows weighs 0; where these are more than 5 % the sides are not comparable. Where shares
    hardly differ, every weight is the row's own.

    Args:
        before: Requests with operation and weight, and model, tenant and started_at where told.
        after: The same of the other side.
        window: Hours count where both sides span days.
    """
    own = before["weight"].to_numpy(np.float64), after["weight"].to_numpy(np.float64)
    if not (own[0].sum() > 0 and own[1].sum() > 0):
        return Mix(own, (), Check(_NAME, ok=None, detail="One side has no requests."))
    used: list[str] = []
    left_out: list[str] = []
    strata = _counted((np.zeros(len(own[0]), np.intp), np.zeros(len(own[1]), np.intp)), own)
    for name in _SAID:
        values = _values(name, before, after, window)
        if values is None:
            continue
        alone = _counted(values, own)
        if len(alone.counts[0]) < 2:
            continue
        one_sided = alone.share_where(_is_one_sided(name, alone))
        if one_sided > MIX_MISSING and name != "model":
            detail = f"{words.percent(one_sided)} of requests are {_at(name)} only one side has."
            return Mix(own, (*used, name), Check(_NAME, ok=False, detail=detail))
        if one_sided > MIX_MISSING:
            left_out.append("models changed: that is the pilot's own doing and not weighed out")
            continue
        finer = _counted(_crossed(strata.codes, values, len(alone.counts[0])), own)
        thin = np.minimum(*finer.counts) < LEAST_IN_STRATUM
        if name != "operation" and finer.share_where(thin) > MIX_MISSING:
            left_out.append(f"{_SAID[name]} are too many to weigh, their strata too thin")
            continue
        used.append(name)
        strata = finer
    return _weighed(strata, own, used, left_out)


def _weighed(
    strata: _Strata,
    own: tuple[stats.Floats, stats.Floats],
    used: list[str],
    left_out: list[str],
) -> Mix:
    was, now = strata.shares
    names = " × ".join(_SAID[name] for name in used) or _SAID["operation"]
    distance = float(np.abs(was - now).sum() / 2)
    only_one = np.minimum(*strata.counts) == 0
    missing = strata.share_where(only_one)
    more = f" Not weighed: {'; '.join(left_out)}." if left_out else ""
    if missing > MIX_MISSING:
        detail = f"{words.percent(missing)} of requests are of {names} only one side has."
        return Mix(own, tuple(used), Check(_NAME, ok=False, detail=detail + more))
    said = f"Shares of {names} differ by {words.percent(distance)} in all"
    if distance <= MIX_DISTANCE + _by_chance(strata):
        return Mix(own, tuple(used), Check(_NAME, ok=True, detail=f"{said}.{more}"))
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = np.where(only_one, 0.0, was / now)
    weights = (
        own[0] * ~only_one[strata.codes[0]],
        own[1] * factor[strata.codes[1]],
    )
    dropped = f" {words.percent(missing)} that only one side has are left out." if missing else ""
    detail = f"{said}; standardised to the baseline's.{dropped}{more}"
    return Mix(weights, tuple(used), Check(_NAME, ok=None, detail=detail))


def _values(
    name: str, before: pd.DataFrame, after: pd.DataFrame, window: Windows
) -> tuple[stats.Ints, stats.Ints] | None:
    """Return a dimension of both sides as small numbers; None where the frames do not tell it."""
    sides = before, after
    if name == "hour":
        spans_days = window.unit is Unit.DAY or (
            window.design is Design.CONCURRENT and min(window.before_days, window.after_days) > 1
        )
        if not spans_days or not all("started_at" in side for side in sides):
            return None
        hours = [side["started_at"].dt.hour.to_numpy() // HOURS_A_CLASS for side in sides]
        return hours[0].astype(np.intp), hours[1].astype(np.intp)
    if not all(name in side for side in sides):
        return None
    told = pd.concat([side[name] for side in sides], ignore_index=True)
    if told.isna().all():
        return None
    code = pd.factorize(told, use_na_sentinel=False)[0].astype(np.intp)
    return code[: len(before)], code[len(before) :]


def _crossed(
    codes: tuple[stats.Ints, stats.Ints], values: tuple[stats.Ints, stats.Ints], count: int
) -> tuple[stats.Ints, stats.Ints]:
    """Return the strata cut by another dimension, numbered without holes."""
    both = np.concatenate([code * count + value for code, value in zip(codes, values, strict=True)])
    code = pd.factorize(both, sort=True)[0].astype(np.intp)
    return code[: len(codes[0])], code[len(codes[0]) :]


def _counted(
    codes: tuple[stats.Ints, stats.Ints], own: tuple[stats.Floats, stats.Floats]
) -> _Strata:
    size = 1 + max(int(code.max(initial=0)) for code in codes)
    counts = [np.bincount(code, minlength=size).astype(np.float64) for code in codes]
    masses = [
        np.bincount(code, weights=weight, minlength=size).astype(np.float64)
        for code, weight in zip(codes, own, strict=True)
    ]
    return _Strata(codes, (counts[0], counts[1]), (masses[0], masses[1]))


def _is_one_sided(name: str, alone: _Strata) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    """Return which values only one side has; rare tenants come and go, which says nothing."""
    least = 1 if name == "operation" else LEAST_IN_STRATUM
    return np.asarray((np.minimum(*alone.counts) == 0) & (np.maximum(*alone.counts) >= least))


def _by_chance(strata: _Strata) -> float:
    """Return the distance two samples of one mix have on average, requests being independent."""
    both = strata.counts[0] + strata.counts[1]
    share = both / both.sum()
    spread = share * (1 - share) * sum(1 / count.sum() for count in strata.counts)
    return float(np.sqrt(2 / math.pi * spread).sum() / 2)


def _at(name: str) -> str:
    return f"{'at' if name == 'hour' else 'of'} {_SAID[name]}"


_NAME = "mix of operations"
