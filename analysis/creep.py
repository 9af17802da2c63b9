"""What agents began to touch, and how sure it is that they had not before."""

from enum import StrEnum

import numpy as np
import pandas as pd
from scipy import special

from analysis import access, stats, tails
from analysis.engine import Model
from analysis.scope import Scope

# A week holds every weekday: what comes first within it may only have been waiting for its day.
MIN_DAYS = 7
# Unseen in fewer units it may be in every tenth.
MIN_UNITS = 30
# A use seen once or twice is rare, whenever it is seen.
MIN_USES = 5
FALSE_RATIO = 0.05


class Evidence(StrEnum):
    """What the traces say of a first use."""

    CREEP = "creep"
    WITH_VERSION = "creep with a version"
    SEEN_LATE = "seen late"  # rare uses look like that, too
    BURN_IN = "burn-in"  # the agent was watched for too short a time before


def changes(model: Model, scope: Scope) -> pd.DataFrame:
    """Return what each agent first did after its first unit, the surest and latest first.

    One row a new resource, a read that became a write, a higher access, or two sensitive resources
    first joined in one trace. units_before are those in which it could have been seen and was not:
    before_ratio_upper is the most it can have been in then (95 %, rule of three), since_ratio how
    often it was from then on, without the first, with one-sided 95 % bounds. p_value is how likely
    uses that come at any time would all have come so late; q_value bounds the false ones.
    """
    frame = model.ask("creep", scope)
    units, before, uses = (
        frame[name].to_numpy(np.float64) for name in ("units", "units_before", "uses")
    )
    days = (frame["first_at"] - frame["watched_since"]).dt.total_seconds() / 86_400
    is_versioned = frame["earlier_version"].notna() & (frame["units_before_version"] >= MIN_UNITS)
    is_watched = (before >= MIN_UNITS) & ((days >= MIN_DAYS) | is_versioned)
    p, q = lateness(units, before, uses)
    is_creep = is_watched & (q <= FALSE_RATIO)
    evidence = np.select(
        [~is_watched, is_creep & is_versioned, is_creep],
        [str(Evidence.BURN_IN), str(Evidence.WITH_VERSION), str(Evidence.CREEP)],
        str(Evidence.SEEN_LATE),
    )
    # The first use chose where the units since begin, so it does not count.
    since = [
        tails.columns("since_ratio", access.exact(int(use) - 1, int(unit - earlier) - 1))
        for use, unit, earlier in zip(uses, units, before, strict=True)
    ]
    names = list(tails.columns("since_ratio", stats.NOTHING))
    bounds = pd.DataFrame(since, columns=names, index=frame.index)
    told = frame.assign(
        watched_days=days,
        evidence=evidence,
        before_ratio_upper=1 - 0.05 ** (1 / np.maximum(before, 1)),
        p_value=p,
        q_value=q,
    ).join(bounds)
    # What was there from the first unit on has not begun: it only counts among what was tested.
    told = told[before > 0]
    order = told["evidence"].map({str(each): place for place, each in enumerate(_ORDER)})
    return (
        told.assign(order=order)
        .sort_values(["order", "first_at", "agent", "change", "resource", "other_resource"])
        .drop(columns="order")
        .reset_index(drop=True)
    )


def lateness(
    units: stats.Floats, before: stats.Floats, uses: stats.Floats
) -> tuple[stats.Floats, stats.Floats]:
    """Return p and q of first uses this late, one a thing that is used.

    Of K uses at random places among N units none is among the first t with C(N-t, K) / C(N, K): the
    exact law of the first place. q corrects for all that came first at any time, early ones, too:
    to test the late ones alone would be to choose them by what is tested. Fewer than `MIN_USES`
    uses, which do not depend on the order, are not tested and have q NaN.

    Args:
        units: N, the units that could have shown a use.
        before: t, those before the first use.
        uses: K, those with a use.
    """
    p = np.exp(_log_choose(units - before, uses) - _log_choose(units, uses))
    tested = np.where(uses >= MIN_USES, p, np.nan)
    return p, np.asarray(stats.false_discovery([float(each) for each in tested]))


def _log_choose(n: stats.Floats, k: stats.Floats) -> stats.Floats:
    chosen = special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1)
    return np.asarray(chosen, dtype=np.float64)


_ORDER = (Evidence.WITH_VERSION, Evidence.CREEP, Evidence.SEEN_LATE, Evidence.BURN_IN)
