"""Colours of the two themes, and what every figure shares: layout, safe labels, axes of time."""

import math
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from analysis import words

LONGEST_LABEL = 46
_FONT = 13


@dataclass(frozen=True)
class Palette:
    """Colours by meaning, as hex; a word or a shape always stands beside a colour."""

    text: str
    muted: str
    grid: str
    baseline: str
    pilot: str
    breach: str
    warn: str
    good: str
    late: str
    ground: str
    is_dark: bool

    def cohort(self, name: str, *, position: int = 0) -> str:
        """Return a cohort's colour: grey for what was before, blue for what is judged now."""
        known = {"baseline": self.baseline, "pilot": self.pilot}
        order = (self.pilot, self.baseline, self.warn, self.good, self.breach)
        return known.get(name, order[position % len(order)])


LIGHT = Palette(
    text="#1A1F26",
    muted="#5B6470",
    grid="#E9ECEF",
    baseline="#7B8490",
    pilot="#0B62B0",
    breach="#C2410C",
    warn="#B45309",
    good="#0A7D63",
    late="#E0A02A",
    ground="#FFFFFF",
    is_dark=False,
)
DARK = Palette(
    text="#E7EAEE",
    muted="#9BA6B3",
    grid="#232B35",
    baseline="#98A3B0",
    pilot="#5AAEF0",
    breach="#FF8A5C",
    warn="#F5B14C",
    good="#3DBF9E",
    late="#F5B14C",
    ground="#10151B",
    is_dark=True,
)


def fade(colour: str, opacity: float) -> str:
    """Return a hex colour as rgba text of the given opacity."""
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:g})"


def safe(text: object, *, longest: int = LONGEST_LABEL) -> str:
    """Return a name as Plotly text that can be no markup, its middle cut when long."""
    plain = " ".join(str(text).split()).replace("&", "＆").replace("<", "‹").replace(">", "›")
    if len(plain) <= longest:
        return plain
    half = (longest - 1) // 2
    return f"{plain[: longest - half - 1]}…{plain[-half:]}"


def figure(
    data: list[dict[str, Any]], palette: Palette, *, height: int, **layout: Any
) -> go.Figure:
    """Return a figure built in one construction, with the product's plain layout."""
    base: dict[str, Any] = {
        "height": height,
        "margin": {"l": 8, "r": 8, "t": 24, "b": 8, "pad": 4},
        "showlegend": False,
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": palette.text, "size": _FONT},
        "hoverlabel": {"font": {"size": _FONT}},
        "dragmode": False,
        "bargap": 0.5,
    }
    return go.Figure(data=data, layout={**base, **layout})


def axis(palette: Palette, **more: Any) -> dict[str, Any]:
    """Return an axis with a thin grid and muted ticks."""
    return {
        "gridcolor": palette.grid,
        "linecolor": fade(palette.baseline, 0.5),
        "showline": True,
        "zeroline": False,
        "fixedrange": True,
        "ticks": "",
        "tickfont": {"color": palette.muted, "size": 12},
        "title": {"text": ""},
        "automargin": True,
        **more,
    }


def time_axis(palette: Palette, low_ms: float, high_ms: float, **more: Any) -> dict[str, Any]:
    """Return a log axis of durations with ticks at 1, 2 and 5 times powers of ten."""
    low, high = max(low_ms, 1e-3), max(high_ms, 2e-3)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if math.log10(high / low) < 3.2 else (1,)
    ticks = [step * 10.0**decade for decade in decades for step in steps]
    shown = [tick for tick in ticks if low * 0.8 <= tick <= high * 1.25]
    return axis(
        palette,
        type="log",
        tickvals=shown,
        ticktext=[_short_time(tick) for tick in shown],
        range=[math.log10(low * 0.9), math.log10(high * 1.1)],
        **more,
    )


def _short_time(value_ms: float) -> str:
    """Return a round duration without the zeros that a measured one carries."""
    said = words.time(value_ms)
    number, unit = said.split(words.NARROW)
    return f"{float(number.replace(',', '')):g}{words.NARROW}{unit}"


def note(palette: Palette, x: float | str, y: float, text: str, **more: Any) -> dict[str, Any]:
    """Return an annotation without an arrow; give `xref`/`yref` for paper coordinates."""
    return {
        "x": x,
        "y": y,
        "text": text,
        "showarrow": False,
        "font": {"color": palette.muted, "size": 12},
        **more,
    }


def rows(labels: list[str], palette: Palette, **more: Any) -> dict[str, Any]:
    """Return a y axis with one unit a row, the first label on top; labels may repeat."""
    return axis(
        palette,
        tickvals=list(range(len(labels))),
        ticktext=[safe(label) for label in labels],
        range=[len(labels) - 0.5, -0.5],
        showgrid=False,
        tickfont={"color": palette.text, "size": 13},
        **more,
    )
