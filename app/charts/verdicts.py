"""Figures of the readiness and before/after pages: ranked parts, forest and dumbbell."""

import math

import pandas as pd
import plotly.graph_objects as go

from analysis import words
from app.charts.palette import Palette, axis, fade, figure, note, rows, safe, time_axis

ROW = 34  # px, the height of a row in the tables these figures stand beside
_FARTHEST = 60.0  # per cent; a rise beyond it is drawn as an arrow at the edge, its number printed
BAND = (-0.15, -0.10)  # the change that marks orchestration as a main cause


def ranking(frame: pd.DataFrame, palette: Palette) -> go.Figure:
    """Return stacked bars of bad requests per 1,000 by boundary, whiskers on the sum only."""
    y = list(range(len(frame)))
    total = frame["bad_per_1000"]
    top = max(float(total.max()), float(frame["bad_per_1000_upper"].max(skipna=True) or 0), 1e-9)
    parts = [
        {
            "type": "bar",
            "orientation": "h",
            "x": frame[column],
            "y": y,
            "marker": {"color": colour, "line": {"width": 1, "color": palette.ground}},
            "width": 0.42,
            "hoverinfo": "text",
            "hovertext": [
                f"{safe(name)}<br>{words.digits(value)} {word} per 1,000 requests"
                for name, value in zip(frame["boundary"], frame[column], strict=True)
            ],
        }
        for column, word, colour in (
            ("failed_per_1000", "failed", palette.breach),
            ("late_per_1000", "late", palette.late),
        )
    ]
    whiskers = {
        "type": "scatter",
        "mode": "text",
        "x": frame["bad_per_1000_upper"].fillna(total).clip(lower=total),
        "y": y,
        "text": [f"  <b>{words.digits(value)}</b>" for value in total],
        "textposition": "middle right",
        "textfont": {"color": palette.text},
        "cliponaxis": False,
        "hoverinfo": "skip",
    }
    spread = {
        "type": "scatter",
        "mode": "markers",
        "x": total,
        "y": y,
        "marker": {"size": 1, "color": palette.text},
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": (frame["bad_per_1000_upper"] - total).clip(lower=0),
            "arrayminus": (total - frame["bad_per_1000_lower"]).clip(lower=0),
            "color": palette.text,
            "thickness": 1.4,
            "width": 4,
        },
        "hoverinfo": "skip",
    }
    legend = (
        f'<span style="color:{palette.breach}">■</span> failed   '
        f'<span style="color:{palette.late}">■</span> late   ├─┤ 95 % interval of the sum'
    )
    return figure(
        [*parts, spread, whiskers],
        palette,
        height=ROW * (len(frame) + 1) + 2,
        barmode="stack",
        margin={"l": 4, "r": 8, "t": ROW, "b": 0},
        xaxis=axis(palette, visible=False, range=[0, top * 1.25]),
        yaxis={"visible": False, "range": [len(frame) - 0.5, -0.5], "fixedrange": True},
        annotations=[
            note(
                palette, 0, 1, legend, xref="paper", yref="paper", xanchor="left", yanchor="bottom"
            )
        ],
    )


def change_colour(label: str, palette: Palette) -> str:
    """Return the colour of a verdict about change; the word itself always stands beside it."""
    return {
        "proven": palette.good,
        "faster": palette.good,
        "slower": palette.breach,
        "no worse": palette.baseline,
    }.get(label, palette.baseline)


def forest(frame: pd.DataFrame, palette: Palette, *, row: int = ROW) -> go.Figure:
    """Return the change of a tail by boundary with its interval, the -10 to -15 % band shaded."""
    colours = [change_colour(str(label), palette) for label in frame["label"]]
    moved = (frame["ratio"] - 1) * 100
    lower, upper = (
        (frame[column].replace([math.inf, -math.inf], math.nan) - 1) * 100
        for column in ("ratio_lower", "ratio_upper")
    )
    is_bounded = lower.notna() & upper.notna()
    edges = pd.concat([moved, lower, upper, pd.Series([-25.0, 12.0])]).dropna()
    # One boundary that became ten times slower must not press all others into a line.
    low, high = max(float(edges.min()), -100.0), min(float(edges.max()), _FARTHEST)
    room = (high - low) * 0.06
    span = [low - room, high + room]
    said = [
        words.change(ratio) if known else words.TOO_FEW
        for ratio, known in zip(frame["ratio"], is_bounded, strict=True)
    ]
    dots = {
        "type": "scatter",
        "mode": "markers",
        "x": moved.clip(*span),
        "cliponaxis": False,
        "y": list(range(len(frame))),
        "marker": {
            "symbol": ["triangle-right" if far > span[1] else "circle" for far in moved],
            "size": 11,
            "color": [
                colour if known else palette.ground
                for colour, known in zip(colours, is_bounded, strict=True)
            ],
            "line": {
                "width": 2,
                "color": [palette.ground if known else palette.baseline for known in is_bounded],
            },
        },
        "hoverinfo": "text",
        "hovertext": [
            f"{safe(name)}<br>{words.change(ratio)} {words.change_interval(down, up)}<br>{label}"
            for name, ratio, down, up, label in zip(
                frame["boundary"],
                frame["ratio"],
                frame["ratio_lower"],
                frame["ratio_upper"],
                frame["label"],
                strict=True,
            )
        ],
    }
    lines = [
        {
            "type": "scatter",
            "mode": "lines",
            "x": [max(down, span[0]), min(up, span[1])],
            "y": [place, place],
            "line": {"color": colour, "width": 3},
            "hoverinfo": "skip",
        }
        for place, (down, up, known, colour) in enumerate(
            zip(lower, upper, is_bounded, colours, strict=True)
        )
        if known and down < span[1]
    ]
    return figure(
        [*lines, dots],
        palette,
        height=row * len(frame) + 92,
        margin={"l": 8, "r": 76, "t": 36, "b": 44, "pad": 6},
        xaxis=axis(
            palette,
            range=span,
            ticksuffix=f"{words.NARROW}%",
            title={
                "text": "change of the tail (left is better)",
                "font": {"size": 12, "color": palette.muted},
            },
        ),
        yaxis=rows(list(frame["boundary"]), palette),
        shapes=[
            {
                "type": "rect",
                "x0": BAND[0] * 100,
                "x1": BAND[1] * 100,
                "y0": 0,
                "y1": 1,
                "yref": "paper",
                "fillcolor": fade(palette.good, 0.16),
                "line": {"width": 0},
                "layer": "below",
            },
            {
                "type": "line",
                "x0": 0,
                "x1": 0,
                "y0": 0,
                "y1": 1,
                "yref": "paper",
                "line": {"color": palette.baseline, "width": 1.5},
                "layer": "below",
            },
        ],
        annotations=[
            note(
                palette,
                1.02,
                place,
                f"<b>{text}</b>",
                xref="paper",
                xanchor="left",
                font={"color": colour, "size": 13},
            )
            for place, (text, colour) in enumerate(zip(said, colours, strict=True))
        ],
    )


def dumbbell(
    frame: pd.DataFrame,
    palette: Palette,
    *,
    row: int = ROW,
    names: tuple[str, str] = ("before", "after"),
) -> go.Figure:
    """Return both sides' tails on one row a boundary: over budget where known, else in ms."""
    has_budget = "budget_ms" in frame and bool(frame["budget_ms"].notna().any())
    unit = frame["budget_ms"] if has_budget else pd.Series(1.0, index=frame.index)
    before, after = frame["before_ms"] / unit, frame["after_ms"] / unit
    y = list(range(len(frame)))
    links = {
        "type": "scatter",
        "mode": "lines",
        "x": [x for pair in zip(before, after, strict=True) for x in (*pair, None)],
        "y": [place for place in y for _ in range(3)],
        "line": {"color": fade(palette.baseline, 0.45), "width": 4},
        "hoverinfo": "skip",
    }
    ends = [
        {
            "type": "scatter",
            "mode": "markers",
            "x": values,
            "y": y,
            "marker": {
                "size": 12,
                "color": palette.ground if is_hollow else palette.pilot,
                "line": {"width": 2.4, "color": palette.baseline if is_hollow else palette.pilot},
            },
            "hoverinfo": "text",
            "hovertext": [
                f"{safe(boundary)}<br>{safe(name)} {words.time(ms)}"
                for boundary, ms in zip(frame["boundary"], frame[column], strict=True)
            ],
        }
        for values, column, name, is_hollow in (
            (before, "before_ms", names[0], True),
            (after, "after_ms", names[1], False),
        )
    ]
    known = pd.concat([before, after]).dropna()
    known = known[known > 0]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.5, 2.0)
    if has_budget:
        low, high = min(low, 0.7) * 0.9, max(high, 1.4) * 1.1
        ticks = [
            tick
            for tick in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 0.75, 1, 1.5, 2, 3, 4, 6, 10, 20, 50)
            if low <= tick <= high
        ]
        x_axis = axis(
            palette,
            type="log",
            range=[math.log10(low), math.log10(high)],
            tickvals=ticks,
            ticktext=[f"{tick:g}×" for tick in ticks],
        )
    else:
        x_axis = time_axis(palette, low * 0.8, high * 1.2)
    says = "tail ÷ budget (log scale)" if has_budget else "tail (log scale)"
    x_axis["title"] = {"text": says, "font": {"size": 12, "color": palette.muted}}
    key = (
        f'<span style="color:{palette.baseline}">◯</span> {safe(names[0])}   '
        f'<span style="color:{palette.pilot}">⬤</span> {safe(names[1])}'
    )
    annotations = [
        note(palette, 0, 1, key, xref="paper", yref="paper", xanchor="left", yanchor="bottom")
    ]
    shapes = []
    if has_budget:
        shapes.append(
            {
                "type": "line",
                "x0": 1,
                "x1": 1,
                "y0": 0,
                "y1": 1,
                "yref": "paper",
                "line": {"color": palette.breach, "dash": "dash", "width": 1.6},
                "layer": "below",
            }
        )
        annotations += [
            note(palette, 0.01, place, "no budget", xref="paper", xanchor="left")
            for place, budget in enumerate(frame["budget_ms"])
            if pd.isna(budget)
        ]
        annotations.append(
            note(
                palette,
                0,
                1,
                "budget",
                yref="paper",
                xanchor="left",
                yanchor="bottom",
                font={"color": palette.breach, "size": 12},
            )
        )
    return figure(
        [links, *ends],
        palette,
        height=row * len(frame) + 92,
        margin={"l": 8, "r": 16, "t": 36, "b": 44, "pad": 6},
        xaxis=x_axis,
        yaxis={**rows(list(frame["boundary"]), palette), "showticklabels": False},
        shapes=shapes,
        annotations=annotations,
    )
