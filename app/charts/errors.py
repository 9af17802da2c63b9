"""Figures of the error page: how failures escape upward, and how they end."""

from collections import defaultdict
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from analysis import words
from app.charts.palette import Palette, fade, figure, note, safe

_HALF = 0.5  # an edge over which more than half escapes is marked

# What can become of a failing call, from the user's harm to none.
OUTCOMES = {
    "root": "failed the user's request",
    "propagated": "passed on to the caller",
    "degraded": "degraded answer",
    "fallback_ok": "absorbed by fallback",
    "retried_ok": "absorbed by retry",
    "absorbed_in_call": "absorbed in the call",
    "handled": "handled by the caller",
    "async": "left behind, asynchronous",
}


def outcomes(frame: pd.DataFrame, palette: Palette) -> go.Figure:
    """Return bands from the boundary of each failing call to what became of it.

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
    if outcome == "root":
        return palette.breach
    if outcome in ("propagated", "degraded"):
        return palette.late
    return palette.good if outcome in OUTCOMES and outcome != "async" else palette.baseline


def layers(edges: list[tuple[str, str]]) -> dict[str, int]:
    """Return each name's column, users rightmost: a callee stands left of all its callers.

    An edge is (callee, caller). The longest way down from the top decides; cycles are cut.
    """
    callers = defaultdict(list)
    for callee, caller in edges:
        if callee != caller:
            callers[callee].append(caller)
    names = list(dict.fromkeys(name for edge in edges for name in edge))
    depth = dict.fromkeys(names, 0)
    for _ in names:  # at most one pass a name: longer ways can only be cycles
        moved = False
        for callee in names:
            below = max((depth[caller] + 1 for caller in callers[callee]), default=0)
            if depth[callee] < below < len(names):
                depth[callee] = below
                moved = True
        if not moved:
            break
    deepest = max(depth.values(), default=0)
    return {name: deepest - at for name, at in depth.items()}


def _places(column: dict[str, int], edges: list[tuple[str, str]]) -> dict[str, tuple[int, float]]:
    """Return each name's place: columns from the right, a callee near the mean of its callers."""
    tallest = max((list(column.values()).count(at) for at in set(column.values())), default=1)
    spot: dict[str, tuple[int, float]] = {}
    for at in sorted(set(column.values()), reverse=True):
        names = [name for name in column if column[name] == at]
        wanted = {}
        for name in names:
            above = [
                spot[caller][1] for callee, caller in edges if callee == name and caller in spot
            ]
            wanted[name] = sum(above) / len(above) if above else 0.0
        names.sort(key=lambda name: (wanted[name], name))
        for index, name in enumerate(names):
            spot[name] = (at, (index + 0.5) * tallest / len(names))
    return spot


def escape_map(frame: pd.DataFrame, palette: Palette) -> go.Figure:
    """Return the call graph from origins (left) to users (right), edges by what is passed on.

    Columns: caller, callee, failures, origins, absorbed, and where known callee_service: a service
    that is called by an address and calls others under its name is one circle.
    """
    frame = frame.dropna(subset=["caller", "callee"])
    callers = set(frame["caller"].astype(str))
    services = frame["callee_service"] if "callee_service" in frame else frame["callee"]
    callees = [
        f"service:{service}" if f"service:{service}" in callers else str(callee)
        for callee, service in zip(frame["callee"], services, strict=True)
    ]
    frame = frame.assign(callee=callees)
    edges = list(zip(callees, frame["caller"].astype(str), strict=True))
    column = layers(edges)
    last = max(column.values(), default=0)
    spot = _places(column, edges)
    tallest = max((list(column.values()).count(at) for at in column.values()), default=1)
    origins = frame.groupby("callee")["origins"].sum()
    most = max(float(origins.max()) if len(origins) else 0, 1.0)
    data, notes = [], []
    for (callee, caller), absorbed, failures in zip(
        edges, frame["absorbed"], frame["failures"], strict=True
    ):
        (x0, y0), (x1, y1) = spot[callee], spot[caller]
        share = 1 - float(absorbed) / float(failures) if failures else 0.0
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
                f" {words.count(failures)} failures are passed on",
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
        height=max(200, 84 * tallest + 30),
        margin={"l": 4, "r": 4, "t": 8, "b": 8},
        xaxis={"visible": False, "range": [-0.45, last + 0.45], "fixedrange": True},
        yaxis={"visible": False, "range": [tallest + 0.2, -0.05], "fixedrange": True},
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
