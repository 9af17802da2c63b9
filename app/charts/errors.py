"""Figures of the error page: how failures escape upward, and how they end."""

from collections import defaultdict
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from app import words
from app.charts.palette import Palette, fade, figure, note, safe

_HALF = 0.5  # an edge over which more than half escapes is marked

# How an origin can end, from the user's harm to none.
OUTCOMES = {
    "propagated": "reached the user",
    "root": "began at the user's request",
    "degraded": "degraded answer",
    "fallback_ok": "absorbed by fallback",
    "retried_ok": "absorbed by retry",
    "absorbed_in_call": "absorbed in the call",
    "handled": "handled by the caller",
    "async": "left behind, asynchronous",
}


def outcomes(frame: pd.DataFrame, palette: Palette) -> go.Figure:
    """Return bands from each boundary where failures start to how they ended.

    Columns: boundary, outcome, failures.
    """
    flows = frame.groupby(["boundary", "outcome"], sort=False)["failures"].sum().reset_index()
    flows = flows.sort_values("failures", ascending=False)
    boundaries = list(dict.fromkeys(flows["boundary"]))
    ends = [outcome for outcome in OUTCOMES if outcome in set(flows["outcome"])]
    ends += [outcome for outcome in dict.fromkeys(flows["outcome"]) if outcome not in ends]
    place = {("from", name): at for at, name in enumerate(boundaries)}
    place |= {("to", name): len(boundaries) + at for at, name in enumerate(ends)}
    colours = {outcome: _outcome_colour(outcome, palette) for outcome in ends}
    data: list[dict[str, Any]] = [
        {
            "type": "sankey",
            "arrangement": "fixed",
            "node": {
                "label": [safe(name) for name in boundaries]
                + [OUTCOMES.get(name, safe(name)) for name in ends],
                "color": [palette.baseline] * len(boundaries) + [colours[name] for name in ends],
                "thickness": 12,
                "pad": 18,
                "line": {"width": 0},
                "hoverlabel": {"font": {"size": 13}},
            },
            "link": {
                "source": [place["from", name] for name in flows["boundary"]],
                "target": [place["to", name] for name in flows["outcome"]],
                "value": flows["failures"],
                "color": [fade(colours[name], 0.28) for name in flows["outcome"]],
            },
            "textfont": {"color": palette.text, "size": 13, "shadow": "none"},
        }
    ]
    return figure(
        data,
        palette,
        height=max(200, 44 * max(len(boundaries), len(ends)) + 40),
        margin={"l": 4, "r": 4, "t": 12, "b": 12},
    )


def _outcome_colour(outcome: str, palette: Palette) -> str:
    if outcome in ("propagated", "root"):
        return palette.breach
    if outcome == "degraded":
        return palette.warn
    return palette.good if outcome in OUTCOMES and outcome != "async" else palette.baseline


def layers(edges: list[tuple[str, str]]) -> dict[str, int]:
    """Return each name's column: callers stand right of all they call; cycles are cut.

    An edge is (callee, caller). The longest way from a callee decides the column.
    """
    callers = defaultdict(list)
    for callee, caller in edges:
        callers[callee].append(caller)
    names = list(dict.fromkeys(name for edge in edges for name in edge))
    column = dict.fromkeys(names, 0)
    for _ in names:  # at most one pass a name: longer chains can only be cycles
        moved = False
        for callee in names:
            for caller in callers[callee]:
                if caller != callee and column[caller] <= column[callee] < len(names) - 1:
                    column[caller] = column[callee] + 1
                    moved = True
        if not moved:
            break
    return column


def escape_map(frame: pd.DataFrame, palette: Palette) -> go.Figure:
    """Return the call graph from origins (left) to users (right), edges by what escapes.

    Columns: caller, callee, failures, origins, escape_ratio.
    """
    edges = list(zip(frame["callee"].astype(str), frame["caller"].astype(str), strict=True))
    column = layers(edges)
    last = max(column.values(), default=0)
    by_column: dict[int, list[str]] = defaultdict(list)
    for name, at in sorted(column.items(), key=lambda item: (item[1], item[0])):
        by_column[at].append(name)
    tallest = max((len(names) for names in by_column.values()), default=1)
    spot = {
        name: (at, (index + 0.5) * tallest / len(names))
        for at, names in by_column.items()
        for index, name in enumerate(names)
    }
    origins = frame.groupby("callee")["origins"].sum()
    most = max(float(origins.max()) if len(origins) else 0, 1.0)
    data, notes = [], []
    for (callee, caller), ratio, failures in zip(
        edges, frame["escape_ratio"], frame["failures"], strict=True
    ):
        (x0, y0), (x1, y1) = spot[callee], spot[caller]
        share = 0.0 if pd.isna(ratio) else float(ratio)
        colour = palette.breach if share > _HALF else palette.baseline
        bend = (x0 + x1) / 2
        xs, ys = _curve((x0, y0), (bend, y0), (bend, y1), (x1, y1))
        data.append(
            {
                "type": "scatter",
                "mode": "lines",
                "x": xs,
                "y": ys,
                "line": {"color": fade(colour, 0.8), "width": 1.2 + 5 * share},
                "hoverinfo": "text",
                "hovertext": f"{safe(callee)} → {safe(caller)}<br>{words.percent(share)} of"
                f" {words.count(failures)} failures escape",
            }
        )
        notes.append(
            note(
                palette,
                bend,
                (y0 + y1) / 2,
                f"<b>{words.percent(share)}</b>",
                bgcolor=palette.ground,
                borderpad=1,
                font={"color": colour, "size": 12},
            )
        )
    sizes = [14 + 30 * (float(origins.get(name, 0)) / most) ** 0.5 for name in spot]
    data.append(
        {
            "type": "scatter",
            "mode": "markers",
            "x": [x for x, _ in spot.values()],
            "y": [y for _, y in spot.values()],
            "marker": {
                "size": sizes,
                "opacity": 1,
                "color": [
                    palette.breach if origins.get(name, 0) >= most * _HALF else palette.ground
                    for name in spot
                ],
                "line": {"width": 2, "color": palette.baseline},
            },
            "hoverinfo": "text",
            "hovertext": [
                f"{safe(name)}<br>{words.count(float(origins.get(name, 0)))} failures start here"
                for name in spot
            ],
        }
    )
    notes += [
        note(
            palette,
            x,
            y,
            safe(name, longest=28)
            + (f" · <b>{words.count(float(origins[name]))}</b>" if origins.get(name, 0) else ""),
            yshift=-size / 2 - 12,
            font={"color": palette.text, "size": 12},
        )
        for (name, (x, y)), size in zip(spot.items(), sizes, strict=True)
    ]
    return figure(
        data,
        palette,
        height=max(220, 92 * tallest + 40),
        margin={"l": 4, "r": 4, "t": 8, "b": 8},
        xaxis={"visible": False, "range": [-0.45, last + 0.45], "fixedrange": True},
        yaxis={"visible": False, "range": [tallest + 0.25, -0.1], "fixedrange": True},
        annotations=notes,
    )


def _curve(*points: tuple[float, float]) -> tuple[list[float], list[float]]:
    """Return a cubic Bézier through its four control points as 24 drawn points."""
    steps = [step / 23 for step in range(24)]
    weights = [((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3) for t in steps]
    return tuple(  # type: ignore[return-value]
        [sum(w * point[axis] for w, point in zip(row, points, strict=True)) for row in weights]
        for axis in (0, 1)
    )
