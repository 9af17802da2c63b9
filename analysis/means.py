"""Means a request, of sums by bucket: the estimate, its bootstrap interval and its grade."""

import numpy as np

from analysis import stats

# Units below which a mean is only a hint, and from which it is solid.
INDICATIVE_UNITS = 30
SOLID_UNITS = 200


def mean(
    part: stats.Floats, whole: stats.Floats, n: int, units: int, *, level: float = stats.LEVEL
) -> stats.Estimate:
    """Return one sum over another, both by bucket, with the interval of `stats.bootstrap`.

    The grade is a matter of the units alone (METHODS.md, means).
    """
    if whole.sum() <= 0:
        return stats.NOTHING
    sums = np.column_stack([part, whole])
    lower, upper = stats.bootstrap(lambda each: each[:, 0] / each[:, 1], sums, level=level)
    graded = stats.Grade.INDICATIVE if units >= INDICATIVE_UNITS else stats.Grade.INSUFFICIENT
    if units >= SOLID_UNITS:
        graded = stats.Grade.SOLID
    if np.isnan(lower) or np.isnan(upper):
        graded = stats.Grade.INSUFFICIENT
    value = float(part.sum() / whole.sum())
    return stats.Estimate(value, lower, upper, n, float(min(units, n)), units, graded)
