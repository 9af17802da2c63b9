"""Figures of the budgets page: every boundary's tail as a share of its budget."""

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from analysis import words
from app.charts.palette import Palette, axis, fade, figure, note, rows, safe

ROW = 34
_NEAR = 0.85  # a tail this close to its budget is marked, though it still keeps it
_WIDEST = 3.0  # a bar beyond three budgets is cut there; its number is printed


def bars(frame: pd.DataFrame, palette: Palette) -> go.Figure:
    """Return each boundary's tail as a share of budget, ticks for p50 and p95, 100 % dashed.

    Columns: boundary, of_budget_ratio, label, budget_ms, tail_ms, tail_ms_lower, tail_ms_upper,
    and where known p50_ms, p95_ms.
    """
    y = list(range(len(frame)))
    shares = frame["of_budget_ratio"].astype(float)
    edge = min(max(float(shares.max(skipna=True) or 1) * 1.05, 1.25), _WIDEST)
    colours = [
        _colour(str(label), share, palette)
        for label, share in zip(frame["label"], shares, strict=True)
    ]
    data: list[dict[str, Any]] = [
        {
            "type": "bar",
            "orientation": "h",
            "x": shares.clip(upper=edge),
            "y": y,
            "width": 0.42,
            "marker": {"color": colours},
            "hoverinfo": "text",
            "hovertext": [
                f"{safe(name)}<br>tail {words.time(tail)} {words.time_interval(low, high)}"
                f"<br>budget {words.time(budget)}: {label}"
                for name, tail, low, high, budget, label in zip(
                    frame["boundary"],
                    frame["tail_ms"],
                    frame["tail_ms_lower"],
                    frame["tail_ms_upper"],
                    frame["budget_ms"],
                    frame["label"],
                    strict=True,
                )
            ],
        }
    ]
    for column, size in (("p50_ms", 14), ("p95_ms", 20)):
        if column in frame:
            data.append(
                {
                    "type": "scatter",
                    "mode": "markers",
                    "x": (frame[column] / frame["budget_ms"]).clip(upper=edge),
                    "y": y,
                    "marker": {
                        "symbol": "line-ns",
                        "size": size,
                        "line": {"width": 2, "color": palette.text},
                    },
                    "hoverinfo": "text",
                    "hovertext": [f"{column[:3]} {words.time(ms)}" for ms in frame[column]],
                }
            )
    return figure(
        data,
        palette,
        height=ROW * len(frame) + 64,
        margin={"l": 8, "r": 84, "t": 12, "b": 32, "pad": 6},
        xaxis=axis(palette, range=[0, edge * 1.02], tickformat=".0%"),
        yaxis=rows(list(frame["boundary"]), palette),
        shapes=[
            {
                "type": "rect",
                "x0": 0,
                "x1": 1,
                "y0": 0,
                "y1": 1,
                "yref": "paper",
                "fillcolor": fade(palette.baseline, 0.09),
                "line": {"width": 0},
                "layer": "below",
            },
            {
                "type": "line",
                "x0": 1,
                "x1": 1,
                "y0": 0,
                "y1": 1,
                "yref": "paper",
                "line": {"color": palette.text, "dash": "dash", "width": 1.4},
            },
        ],
        annotations=[
            note(
                palette,
                1.02,
                place,
                _said(str(label), share),
                xref="paper",
                xanchor="left",
                font={"size": 13, "color": colour if label == "broken" else palette.text},
            )
            for place, (label, share, colour) in enumerate(
                zip(frame["label"], shares, colours, strict=True)
            )
        ],
    )


def _colour(label: str, share: float, palette: Palette) -> str:
    if label == "broken":
        return palette.breach
    if label == "kept":
        return palette.warn if share >= _NEAR else palette.good
    return palette.baseline


def _said(label: str, share: float) -> str:
    """Return the share at the end of a bar; undecided rows say so beside it."""
    number = f"<b>{words.percent(share)}</b>"
    return number if label in ("kept", "broken") else f"{number} ?"
