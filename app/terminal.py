"""Plain text for a terminal: aligned tables, no colors, no control characters from a trace."""

import unicodedata
from collections.abc import Sequence

# A span name may be any length; a terminal line is not. The last column holds sentences.
MAX_CELL = 64
MAX_LAST_CELL = 240


def clean(text: object, *, width: int = MAX_CELL) -> str:
    """Return text that cannot steer a terminal: control characters shown as `?`, cut to width."""
    shown = "".join("?" if unicodedata.category(char)[0] == "C" else char for char in str(text))
    return shown if len(shown) <= width else shown[: width - 1] + "…"


def table(headers: Sequence[str], rows: Sequence[Sequence[object]], *, right: str = "") -> str:
    """Return an aligned table.

    Args:
        headers: one name a column.
        rows: cells, any type; they are cleaned.
        right: one letter a column, `r` for right-aligned (numbers), anything else for left.
    """
    cells = [
        [*map(clean, row[:-1]), *(clean(cell, width=MAX_LAST_CELL) for cell in row[-1:])]
        for row in rows
    ]
    widths = [
        max([len(header), *(len(row[column]) for row in cells)])
        for column, header in enumerate(headers)
    ]
    sides = right.ljust(len(headers), "l")

    def line(row: Sequence[str]) -> str:
        return "  ".join(
            cell.rjust(width) if side == "r" else cell.ljust(width)
            for cell, width, side in zip(row, widths, sides, strict=True)
        ).rstrip()

    rule = ["─" * min(width, MAX_CELL) for width in widths]
    return "\n".join([line(headers), line(rule), *map(line, cells)])
