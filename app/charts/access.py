"""The figure of the access page: what each agent does to each resource, granted against used."""

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from analysis import words
from app.charts.palette import Palette, axis, fade, figure, note, safe

ROW = 58
_WIDE = 1270  # px of a page; few resources share it, many scroll sideways
_COLUMN = (106, 150)  # px of one resource's column, least and most
_LEFT = 170
_RIGHT = 250
# The same slot for the same letter in every cell.
SLOTS = {
    "read": ("R", 0),
    "write": ("W", 1),
    "delete": ("D", 2),
    "execute": ("X", 3),
    "admin": ("A", 2),
    "unknown": ("?", 0),
}
_STEP_PX = 25


def width(frame: pd.DataFrame) -> int:
    """Return the pixels the matrix needs: wider ones scroll sideways."""
    return _LEFT + _RIGHT + _column(frame) * int(frame["resource"].nunique())


def _column(frame: pd.DataFrame) -> int:
    fair = (_WIDE - _LEFT - _RIGHT) // max(int(frame["resource"].nunique()), 1)
    return min(max(fair, _COLUMN[0]), _COLUMN[1])


def matrix(frame: pd.DataFrame, palette: Palette) -> go.Figure:
    """Return the agent x resource matrix with R, W and D slots and a bar of used of granted.

    Columns: agent, resource, access, calls, grant, is_new, is_sensitive. Rows that differ only in
    the kind of call are one square.
    """
    frame = frame.groupby(["agent", "resource", "access"], as_index=False, sort=False).agg(
        calls=("calls", "sum"),
        grant=("grant", "first"),
        is_new=("is_new", "max"),
        is_sensitive=("is_sensitive", "max"),
    )
    busiest = frame.groupby("agent")["calls"].sum().sort_values(ascending=False, kind="stable")
    agents = [str(name) for name in busiest.index]
    # What needs a look stands where a narrow screen still shows it.
    looks = frame.assign(stray=frame["grant"] == "not granted").groupby("resource", sort=True)
    columns = looks[["stray", "is_new", "is_sensitive", "calls"]].agg(
        {"stray": "max", "is_new": "max", "is_sensitive": "max", "calls": "sum"}
    )
    columns = columns.sort_values(list(columns.columns), ascending=False, kind="stable")
    resources = [str(name) for name in columns.index]
    sensitive = set(frame.loc[frame["is_sensitive"].astype(bool), "resource"].astype(str))
    row_of = {name: at for at, name in enumerate(agents)}
    column_of = {name: at for at, name in enumerate(resources)}
    # The squares keep their distance in px, however wide a column is.
    step = _STEP_PX / _column(frame)
    slots = [_slot(row, row_of, column_of, step, palette) for row in frame.to_dict("records")]
    cells = frame.groupby(["agent", "resource"], as_index=False)["calls"].sum()
    data = [_squares(slots), _dots([slot for slot in slots if slot["is_new"]], palette)]
    edge = len(resources)
    matrix_px = _column(frame) * edge
    matrix_share = matrix_px / (matrix_px + _RIGHT)
    notes = [
        note(
            palette,
            column_of[str(resource)] + 0.5,
            row_of[str(agent)] + 0.78,
            words.digits(float(calls)) if calls >= 1e5 else words.count(float(calls)),
            font={"color": palette.muted, "size": 12},
        )
        for agent, resource, calls in zip(
            cells["agent"], cells["resource"], cells["calls"], strict=True
        )
    ]
    notes += [
        note(
            palette,
            column_of[name] + 0.5,
            0,
            _header(name, palette, is_sensitive=name in sensitive),
            yanchor="bottom",
            yshift=6,
            font={"color": palette.text, "size": 12},
        )
        for name in resources
    ]
    has_contract = bool((frame["grant"] != "no contract").any())
    shapes = [_tint(column_of[name], len(agents), palette) for name in sensitive]
    shapes += [
        {
            "type": "line",
            "xref": "paper",
            "x0": 0,
            "x1": 1,
            "y0": at,
            "y1": at,
            "line": {"color": palette.grid, "width": 1},
            "layer": "below",
        }
        for at in range(len(agents) + 1)
    ]
    if has_contract:
        bars, bar_notes = _granted(frame, row_of, palette)
        data += bars
        notes += bar_notes
        notes.append(
            note(
                palette,
                0,
                0,
                "used of granted",
                xref="x2",
                xanchor="left",
                yanchor="bottom",
                yshift=6,
                font={"color": palette.text, "size": 12},
            )
        )
    most = max((int(n) for n in frame.groupby("agent")["resource"].size()), default=1)
    return figure(
        data,
        palette,
        height=ROW * len(agents) + 88,
        width=width(frame),
        margin={"l": _LEFT, "r": 8, "t": 70, "b": 10},
        barmode="stack",
        xaxis={
            "visible": False,
            "range": [0, edge],
            "domain": [0, matrix_share - 0.02] if has_contract else [0, matrix_share],
            "fixedrange": True,
        },
        xaxis2={
            "visible": False,
            "range": [0, most * 1.6],
            "domain": [matrix_share, 1],
            "anchor": "y",
            "fixedrange": True,
        },
        yaxis=axis(
            palette,
            range=[len(agents), 0],
            tickvals=[at + 0.5 for at in range(len(agents))],
            ticktext=[safe(name, longest=24) for name in agents],
            showgrid=False,
            showline=False,
            tickfont={"color": palette.text, "size": 13},
            automargin=False,
        ),
        shapes=shapes,
        annotations=notes,
    )


def _header(name: str, palette: Palette, *, is_sensitive: bool) -> str:
    """Return a column's head: its family, then the part that tells it from its neighbours."""
    family, leaf = split(name)
    lines = [f'<span style="color:{palette.warn}">sensitive</span>'] if is_sensitive else []
    lines.append(f'<span style="color:{palette.muted}">{safe(family, longest=16)}</span>')
    lines.append(f"<b>{safe(leaf, longest=16)}</b>" if is_sensitive else safe(leaf, longest=16))
    return "<br>".join(lines)


def split(name: str) -> tuple[str, str]:
    """Return a resource's family and leaf: `postgresql.crm.customers` is crm and customers."""
    kind, _, rest = name.partition(":")
    path = [part for part in (rest.split("/") if rest else kind.split(".")) if part]
    leaf = path[-1] if path else name
    # A placeholder alone tells nothing: scores/{id} does.
    if leaf.startswith("{") and len(path) > 1:
        return path[0], f"{path[-2]}/{leaf}"
    if len(path) > 1:
        return (path[0] if rest else path[-2]), leaf
    return kind, leaf


def _slot(
    row: dict[Any, Any],
    row_of: dict[str, int],
    column_of: dict[str, int],
    step: float,
    palette: Palette,
) -> dict[str, Any]:
    """Return one square: its place, letter, fill and what a pointer reads."""
    access = str(row["access"])
    letter, slot = SLOTS.get(access, ("·", 1))
    grant, is_used, is_new = str(row["grant"]), int(row["calls"] or 0) > 0, bool(row["is_new"])
    if not is_used or grant == "unseen":
        fill, ink = palette.ground, palette.muted
    elif grant == "not granted":
        fill, ink = palette.breach, palette.ground
    elif is_new:
        fill, ink = palette.pilot, palette.ground
    else:
        fill, ink = fade(palette.baseline, 1.0), palette.ground
    return {
        "x": column_of[str(row["resource"])] + 0.5 + (slot - 1.5) * step,
        "y": row_of[str(row["agent"])] + 0.4,
        "letter": letter,
        "fill": fill,
        "ink": ink,
        "edge": palette.breach if grant == "not granted" else palette.baseline,
        "is_new": is_new,
        "corner": step * 0.45,
        "says": f"{safe(row['agent'])}: {access} {safe(row['resource'], longest=80)}"
        f"<br>{words.count(float(row['calls'] or 0))} calls, {grant}{', new' if is_new else ''}",
    }


def _squares(slots: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers+text",
        "x": [slot["x"] for slot in slots],
        "y": [slot["y"] for slot in slots],
        "text": [f"<b>{slot['letter']}</b>" for slot in slots],
        "textfont": {"color": [slot["ink"] for slot in slots], "size": 11},
        "marker": {
            "symbol": "square",
            "size": 20,
            "opacity": 1,
            "color": [slot["fill"] for slot in slots],
            "line": {
                "width": 1.2,
                "color": [slot["edge"] for slot in slots],
            },
        },
        "cliponaxis": False,
        "hoverinfo": "text",
        "hovertext": [slot["says"] for slot in slots],
    }


def _dots(slots: list[dict[str, Any]], palette: Palette) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [slot["x"] + slot["corner"] for slot in slots],
        "y": [slot["y"] - 0.19 for slot in slots],
        "marker": {
            "size": 9,
            "opacity": 1,
            "color": palette.pilot,
            "line": {"width": 1.6, "color": palette.ground},
        },
        "cliponaxis": False,
        "hoverinfo": "skip",
    }


def _tint(column: int, agents: int, palette: Palette) -> dict[str, Any]:
    return {
        "type": "rect",
        "x0": column,
        "x1": column + 1,
        "y0": 0,
        "y1": agents,
        "fillcolor": fade(palette.late, 0.13),
        "line": {"width": 0},
        "layer": "below",
    }


def _granted(
    frame: pd.DataFrame, row_of: dict[str, int], palette: Palette
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the bars "used, unseen, without a grant" of each agent and their words."""
    counts = pd.crosstab(frame["agent"], frame["grant"]).reindex(list(row_of))
    parts = [("granted", palette.baseline), ("unseen", palette.ground)]
    parts.append(("not granted", palette.breach))
    bars = [
        {
            "type": "bar",
            "orientation": "h",
            # None, not 0: an empty segment would still draw its outline.
            "x": [int(n) or None for n in counts[grant]],
            "y": [at + 0.5 for at in row_of.values()],
            "xaxis": "x2",
            "width": 0.32,
            "marker": {"color": colour, "line": {"width": 1.2, "color": palette.baseline}},
            "hoverinfo": "text",
            "hovertext": [f"{int(n)} {grant}" for n in counts[grant]],
        }
        for grant, colour in parts
        if grant in counts
    ]
    notes = []
    for agent, at in row_of.items():
        if not sum(int(counts[grant][agent]) for grant, _ in parts if grant in counts):
            continue  # the contract does not speak of this agent
        used, unseen, stray = (
            int(counts[grant][agent]) if grant in counts else 0
            for grant in ("granted", "unseen", "not granted")
        )
        extra = f' <b style="color:{palette.breach}">+{stray}</b>' if stray else ""
        notes.append(
            note(
                palette,
                used + unseen + stray,
                at + 0.5,
                f" {used} of {used + unseen}{extra}",
                xref="x2",
                xanchor="left",
                font={"color": palette.text, "size": 12},
            )
        )
    return bars, notes
