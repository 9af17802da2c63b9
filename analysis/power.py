"""How many requests a pilot needs before it can show, or prove, a fall of its tail."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy import special

from analysis import stats
from analysis.comparability import PROOF_DAYS, days
from analysis.engine import Model
from analysis.scope import Scope

# Falls that are planned for, and those that are true where at least 10 % is to be proven.
SHOWN = (0.05, 0.10, 0.15, 0.20, 0.30)
PROVEN = (0.15, 0.20, 0.25, 0.30, 0.40)
POWER = 0.80
# What simulation asked for beyond the formula, which takes the interval's width for known.
MARGIN = 1.15
QUANTILES = (0.5, 0.95, 0.99)


def plan(
    model: Model, scope: Scope, baseline: str, *, quantiles: tuple[float, ...] = QUANTILES
) -> pd.DataFrame:
    """Return the requests a side that a pilot needs, from its baseline alone.

    One row a design, percentile, goal and true fall. With a chance of 80 %, `show` ends with an
    interval below 1, `prove` with at least 10 % proven. `sequential` compares periods, with the
    day as the unit; `concurrent` splits the traffic, with the conversation or trace as the unit.
    requests and days are a side; days are NaN where the baseline has less than two. Requests are
    NaN where the baseline's percentile has no interval yet; from `least` requests on it has one.
    """
    requests = model.ask("request_latencies", replace(scope, cohort=baseline))
    rows = []
    for design, units in _designs(requests).items():
        for p in quantiles:
            measured = _measured(requests, units, p, by_days=design == "sequential")
            least = math.ceil(stats.least_n(p) / max(measured.n_eff, 1.0) * measured.n)
            for goal, falls in (("show", SHOWN), ("prove", PROVEN)):
                for fall in falls:
                    # Fewer have no interval at all.
                    needed = max(needed_n(measured, goal=goal, fall=fall), least)
                    needed = needed if measured.is_bounded else math.nan
                    rows.append(
                        {
                            "design": design,
                            "quantile": p,
                            "goal": goal,
                            "fall_ratio": fall,
                            "requests": needed,
                            "days": _days(requests, needed, design),
                            "least": least,
                            "baseline_ms": measured.value,
                            "baseline_ms_lower": measured.lower,
                            "baseline_ms_upper": measured.upper,
                            "grade": str(measured.grade),
                        }
                    )
    return pd.DataFrame(rows, columns=_COLUMNS)


def needed_n(measured: stats.Estimate, *, goal: str, fall: float) -> float:
    """Return the observations a side for a power of 80 %, from one side's interval (Woodruff).

    n * ((z_a + z_b) * sqrt(2) * se / |ln r|)^2 with se from the interval of a percentile on its log
    scale and r the ratio that is left: of 1 to be shown (two-sided), of 0.9 to be proven
    (one-sided).
    """
    if not measured.is_bounded or measured.lower <= 0:
        return math.nan
    error = math.log(measured.upper / measured.lower) / (2 * float(special.ndtri(0.975)))
    level = 0.975 if goal == "show" else 0.95
    left = 1 - fall if goal == "show" else (1 - fall) / stats.PROVEN_RATIO
    if left >= 1:
        return math.inf
    wanted = float(special.ndtri(level) + special.ndtri(POWER)) * math.sqrt(2) * error
    return float(math.ceil(MARGIN * measured.n * (wanted / abs(math.log(left))) ** 2))


def _designs(requests: pd.DataFrame) -> dict[str, stats.Ints]:
    if requests.empty:
        return {}
    own = {"concurrent": stats.codes(requests["unit_id"])}
    if days(requests).nunique() < 2:
        return own
    return {"sequential": stats.codes(days(requests)), **own}


def _measured(
    requests: pd.DataFrame, units: stats.Ints, p: float, *, by_days: bool
) -> stats.Estimate:
    weights = requests["weight"].to_numpy(np.float64)
    values = requests["duration_ms"].to_numpy(np.float64)
    return stats.percentile(stats.sample(values, units, weights), p, by_days=by_days)


def _days(requests: pd.DataFrame, needed: float, design: str) -> float:
    span = days(requests).nunique()
    if not math.isfinite(needed) or span < 2:
        return math.nan
    # Two arms at once share the traffic.
    traffic = len(requests) / span / (2 if design == "concurrent" else 1)
    # Under seven days a side the days are too few for an interval that may be said.
    least = PROOF_DAYS if design == "sequential" else 1
    return float(max(least, math.ceil(needed / traffic)))


_COLUMNS = [
    *("design", "quantile", "goal", "fall_ratio", "requests", "days", "least"),
    *("baseline_ms", "baseline_ms_lower", "baseline_ms_upper", "grade"),
]
