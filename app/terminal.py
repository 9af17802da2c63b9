"""Plain text for a terminal: aligned tables, no colors, no control characters from a trace."""

import unicodedata
from collections.abc import Sequence

# A span name may be any length; a terminal line is not.
MAX_CELL = 64


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
    cells = [[clean(cell) for cell in row] for row in rows]
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

    return "\n".join([line(headers), line(["─" * width for width in widths]), *map(line, cells)])
