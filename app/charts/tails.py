"""Figures of latency: the tail, the distribution, the shift between two sides, and days."""

import math

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from analysis import words
from app.charts.palette import Palette, axis, fade, figure, note, safe, time_axis

_BIN = 1.02  # neighbouring bins of the `tail_bins` question are 2 % apart
_LEVELS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999)
# A level is drawn where at least this many calls lie beyond it: fewer are single stragglers.
_BEYOND = 3
_TIGHT = 1.15  # lines closer than this share one height for a label
_FEW_DAYS = 8


def _slower(bins: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, int]:
    """Return upper edges of bins in ms, the share of calls slower than each, and the calls."""
    ordered = bins.groupby("bin_ms", sort=True)["calls"].sum()
    calls = ordered.to_numpy(dtype=float)
    total = float(calls.sum())
    edges = ordered.index.to_numpy(dtype=float) * _BIN
    return edges, 1 - np.cumsum(calls) / total, int(total)


def _level_ms(bins: pd.DataFrame) -> dict[float, float]:
    """Return the duration at each level, for levels with enough calls beyond them."""
    edges, slower, total = _slower(bins)
    found = {}
    for level in _LEVELS:
        if total * min(level, 1 - level) >= _BEYOND:
            found[level] = float(edges[int(np.argmax(slower <= 1 - level + 1e-12))])
    return found


def _sides(frame: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    return [(str(name), side) for name, side in frame.groupby("cohort", sort=True)]


def tail(frame: pd.DataFrame, palette: Palette, *, budget_ms: float | None = None) -> go.Figure:
    """Return the share of calls slower than x, log-log, one line a cohort, cut at 3 calls."""
    data, notes = [], []
    floors, lows, highs = [], [], []
    for place, (cohort, bins) in enumerate(_sides(frame)):
        edges, slower, total = _slower(bins)
        keep = slower >= min(_BEYOND / total, 0.5)
        if not keep.any():
            keep = slower >= 0
        x, y = edges[keep], np.maximum(slower[keep], 0.5 / total)
        colour = palette.cohort(cohort, position=place)
        data.append(
            {
                "type": "scatter",
                "mode": "lines" if len(x) > 1 else "markers",
                "x": x,
                "y": y,
                "line": {"color": colour, "width": 2.4},
                "hoverinfo": "text",
                "hovertext": [
                    f"{safe(cohort)}: {words.percent(share)} of calls slower than {words.time(ms)}"
                    for ms, share in zip(x, y, strict=True)
                ],
            }
        )
        notes.append(
            note(
                palette,
                math.log10(x[-1]),
                math.log10(y[-1]),
                f"<b>{safe(cohort)}</b>",
                xanchor="left",
                xshift=6,
                yshift=-8 * place,
                font={"color": colour, "size": 12},
            )
        )
        floors.append(float(y.min()))
        lows.append(float(edges[int(np.argmax(slower <= 0.95))]))
        highs.append(float(x[-1]))
        if budget_ms is not None and total >= 1:
            over = float(np.interp(math.log(budget_ms), np.log(edges), slower, left=1.0, right=0.0))
            if over > 0 and over >= floors[-1]:
                data.append(
                    {
                        "type": "scatter",
                        "mode": "markers",
                        "x": [budget_ms],
                        "y": [over],
                        "marker": {
                            "size": 11,
                            "color": palette.ground,
                            "line": {"width": 2.6, "color": colour},
                        },
                        "hoverinfo": "skip",
                    }
                )
                notes.append(
                    note(
                        palette,
                        math.log10(budget_ms),
                        math.log10(over),
                        f"<b>{words.percent(over)}</b> over",
                        xanchor="left" if place == 0 else "right",
                        xshift=10 if place == 0 else -10,
                        yshift=10 if place == 0 else -10,
                        font={"color": colour, "size": 12},
                    )
                )
    marks = [(0.5, "p50"), (0.1, "p90"), (0.01, "p99"), (0.001, "p99.9"), (0.0001, "p99.99")]
    floor = min(floors, default=0.01)
    shown = [(share, name) for share, name in marks if share >= floor * 0.8]
    low, high = min(lows, default=1.0), max([*highs, budget_ms or 0.0], default=10.0)
    shapes = []
    if budget_ms is not None:
        low = min(low, budget_ms)
        shapes.append(_budget_line(palette, "x", budget_ms))
        notes.append(
            note(
                palette,
                math.log10(budget_ms),
                1,
                f"budget {words.time(budget_ms)}",
                yref="paper",
                xanchor="left",
                yanchor="bottom",
                font={"color": palette.breach, "size": 12},
            )
        )
    return figure(
        data,
        palette,
        height=340,
        margin={"l": 8, "r": 64, "t": 28, "b": 40, "pad": 4},
        xaxis=time_axis(palette, low, high * 1.1),
        yaxis=axis(
            palette,
            type="log",
            range=[math.log10(floor * 0.6), math.log10(1.25)],
            tickvals=[share for share, _ in shown],
            ticktext=[name for _, name in shown],
        ),
        shapes=shapes,
        annotations=notes,
    )


def distribution(
    frame: pd.DataFrame, palette: Palette, *, budget_ms: float | None = None
) -> go.Figure:
    """Return the cumulative share of calls faster than x, one line a cohort."""
    data, notes, lows, highs = [], [], [], []
    for place, (cohort, bins) in enumerate(_sides(frame)):
        edges, slower, _ = _slower(bins)
        colour = palette.cohort(cohort, position=place)
        # One leading point: the line starts on the floor even when one bin holds all calls.
        x, y = np.append(edges[0] / _BIN, edges), np.append(0.0, 1 - slower)
        data.append(
            {
                "type": "scatter",
                "mode": "lines",
                "x": x,
                "y": y,
                "line": {"color": colour, "width": 2.4},
                "hoverinfo": "text",
                "hovertext": [
                    f"{safe(cohort)}: {words.percent(share)} of calls within {words.time(ms)}"
                    for ms, share in zip(x, y, strict=True)
                ],
            }
        )
        middle = float(x[int(np.argmax(y >= 0.5 + 0.2 * place))])
        notes.append(
            note(
                palette,
                math.log10(middle),
                0.5 + 0.2 * place,
                f"<b>{safe(cohort)}</b>",
                xanchor="left",
                xshift=8,
                font={"color": colour, "size": 12},
            )
        )
        lows.append(float(x[0]))
        highs.append(float(x[-1]))
    low, high = min(lows, default=1.0), max(highs, default=10.0)
    shapes = []
    if budget_ms is not None:
        low, high = min(low, budget_ms), max(high, budget_ms)
        shapes.append(_budget_line(palette, "x", budget_ms))
    return figure(
        data,
        palette,
        height=320,
        xaxis=time_axis(palette, low, high),
        yaxis=axis(palette, range=[0, 1.03], tickformat=".0%"),
        shapes=shapes,
        annotations=notes,
    )


def shift(before: pd.DataFrame, after: pd.DataFrame, palette: Palette) -> go.Figure:
    """Return how far each percentile moved, over -log10(1-p), from the two sides' bins."""
    was, now = _level_ms(before), _level_ms(after)
    levels = [level for level in _LEVELS if level in was and level in now]
    x = [-math.log10(1 - level) for level in levels]
    y = [(now[level] / was[level] - 1) * 100 for level in levels]
    data = [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "x": x,
            "y": y,
            "line": {"color": palette.pilot, "width": 2.4},
            "marker": {"size": 7, "color": palette.pilot},
            "hoverinfo": "text",
            "hovertext": [
                f"p{level * 100:g}: {words.time(was[level])} → {words.time(now[level])}"
                f" ({words.change(now[level] / was[level])})"
                for level in levels
            ],
        }
    ]
    named = [(level, place) for level, place in zip(levels, x, strict=True)]
    ticks = [(place, f"p{level * 100:g}") for level, place in named if level in _NAMED]
    return figure(
        data,
        palette,
        height=320,
        xaxis=axis(
            palette, tickvals=[place for place, _ in ticks], ticktext=[name for _, name in ticks]
        ),
        yaxis=axis(palette, ticksuffix=f"{words.NARROW}%", range=_room([*y, 0.0, -18.0])),
        shapes=[
            {
                "type": "rect",
                "x0": 0,
                "x1": 1,
                "xref": "paper",
                "y0": -15,
                "y1": -10,
                "fillcolor": fade(palette.good, 0.16),
                "line": {"width": 0},
                "layer": "below",
            },
            {
                "type": "line",
                "x0": 0,
                "x1": 1,
                "xref": "paper",
                "y0": 0,
                "y1": 0,
                "line": {"color": palette.baseline, "width": 1.4},
                "layer": "below",
            },
        ],
    )


_NAMED = (0.05, 0.5, 0.8, 0.9, 0.95, 0.99, 0.999)


def _room(values: list[float]) -> list[float]:
    low, high = min(values), max(values)
    return [low - (high - low) * 0.08, high + (high - low) * 0.08]


def _budget_line(palette: Palette, along: str, value: float) -> dict[str, object]:
    other = "y" if along == "x" else "x"
    return {
        "type": "line",
        f"{along}0": value,
        f"{along}1": value,
        f"{other}0": 0,
        f"{other}1": 1,
        f"{other}ref": "paper",
        "line": {"color": palette.breach, "dash": "dash", "width": 1.6},
    }


def daily(frame: pd.DataFrame, palette: Palette, *, budget_ms: float | None = None) -> go.Figure:
    """Return p50 and p95 by UTC day, one pair of lines a cohort, with the budget line."""
    data, notes = [], []
    newest = frame["day"].max()
    sides = _sides(frame)
    for place, (cohort, side) in enumerate(sides):
        side = side.sort_values("day")
        colour = palette.cohort(cohort, position=place)
        for column, name, width, dash in (
            ("p95_ms", "p95", 2.4, "solid"),
            ("p50_ms", "p50", 1.6, "dot"),
        ):
            data.append(
                {
                    "type": "scatter",
                    "mode": "lines+markers",
                    "x": side["day"],
                    "y": side[column],
                    "line": {"color": colour, "width": width, "dash": dash},
                    "marker": {"size": 6, "color": colour},
                    "hoverinfo": "text",
                    "hovertext": [
                        f"{safe(cohort)} {day:%-d %b %Y}: {name} {words.time(ms)}"
                        f" of {words.count(calls)} calls"
                        for day, ms, calls in zip(
                            pd.to_datetime(side["day"]), side[column], side["calls"], strict=True
                        )
                    ],
                }
            )
            last = float(side[column].iloc[-1])
            is_tight = float(side["p95_ms"].iloc[-1]) < last * _TIGHT
            shift_px = -14 if name == "p50" and is_tight else 0
            if last > 0:
                notes.append(
                    note(
                        palette,
                        pd.Timestamp(side["day"].iloc[-1]).isoformat(),
                        math.log10(last),
                        f"{safe(cohort)} {name}",
                        # A line that ends before the others would write over their start.
                        # Nor may p50 write over p95 where both are one call, nor one cohort
                        # over another that ends on the same day.
                        **(
                            {"xanchor": "right", "yshift": 14}
                            if side["day"].iloc[-1] != newest
                            else {"xanchor": "left", "xshift": 7, "yshift": shift_px}
                            if place == len(sides) - 1
                            else {"xanchor": "right", "xshift": -7, "yshift": shift_px}
                        ),
                        font={"color": colour, "size": 12},
                    )
                )
    days = [pd.Timestamp(day).isoformat() for day in sorted(frame["day"].unique())]
    values = [float(v) for v in pd.concat([frame["p50_ms"], frame["p95_ms"]]).dropna() if v > 0]
    edges = [*values, *([budget_ms] if budget_ms else [])] or [1.0, 10.0]
    shapes = []
    if budget_ms is not None:
        shapes.append(_budget_line(palette, "y", budget_ms))
        notes.append(
            note(
                palette,
                0,
                math.log10(budget_ms),
                f"budget {words.time(budget_ms)}",
                xref="paper",
                xanchor="left",
                yanchor="bottom",
                font={"color": palette.breach, "size": 12},
            )
        )
    return figure(
        data,
        palette,
        height=340,
        margin={"l": 8, "r": 96, "t": 28, "b": 40, "pad": 4},
        xaxis=axis(
            palette,
            type="date",
            tickformat="%-d %b",
            **({"nticks": 8} if len(days) > _FEW_DAYS else {"tickvals": days}),
        ),
        yaxis=time_axis(palette, min(edges), max(edges)),
        shapes=shapes,
        annotations=notes,
    )
