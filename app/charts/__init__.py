"""Frame to figure: one construction a chart, safe labels, colours of the live theme."""

from app.charts.access import matrix
from app.charts.budgets import bars
from app.charts.errors import escape_map, outcomes
from app.charts.palette import DARK, LIGHT, Palette
from app.charts.tails import daily, distribution, shift, tail
from app.charts.verdicts import ROW, dumbbell, forest, ranking

__all__ = [
    "DARK",
    "LIGHT",
    "ROW",
    "Palette",
    "bars",
    "daily",
    "distribution",
    "dumbbell",
    "escape_map",
    "forest",
    "matrix",
    "outcomes",
    "ranking",
    "shift",
    "tail",
]
