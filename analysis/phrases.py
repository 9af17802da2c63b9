"""How a figure reads inside a reason: three significant digits, a unit, an interval."""

import math

_NARROW = "\u202f"


def digits(value: float) -> str:
    """Return a number with three significant digits."""
    if not math.isfinite(value):
        return "none"
    if value == 0:
        return "0"
    decimals = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{decimals}f}".replace("-", "−")


def ms(value: float) -> str:
    """Return a duration: 231 ms, 1.51 s."""
    if math.isfinite(value) and abs(value) >= 999.5:
        return f"{digits(value / 1000)}{_NARROW}s"
    return f"{digits(value)}{_NARROW}ms"


def ms_interval(lower: float, upper: float) -> str:
    """Return an interval of durations; an open end reads none."""
    return f"[{ms(lower)} – {ms(upper)}]"


def percent(ratio: float) -> str:
    """Return a ratio as a percentage; what is below 100 % never reads 100 %."""
    if 0.999 <= ratio < 1:
        return f"{math.floor(ratio * 1e4 + 1e-9) / 100:.2f}{_NARROW}%"
    return f"{digits(ratio * 100)}{_NARROW}%"


def percent_interval(lower: float, upper: float) -> str:
    """Return an interval of ratios as percentages."""
    return f"[{percent(lower).removesuffix(f'{_NARROW}%')} – {percent(upper)}]"


def quantile(p: float) -> str:
    """Return the name of a quantile: p95, p99.9."""
    return f"p{p * 100:.4g}"


def moved(ratio: float) -> str:
    """Return a ratio after/before as a change in words: fell 31 %, rose 4 %, did not move."""
    percents = abs(ratio - 1) * 100
    if round(percents, 1) == 0:
        return "did not move"
    return f"{'fell' if ratio < 1 else 'rose'} {percents:.2g}{_NARROW}%"


def change_interval(lower: float, upper: float) -> str:
    """Return an interval of ratios as signed changes: [−37 – −24 %]."""
    ends = ("none" if not math.isfinite(end) else _signed(end) for end in (lower, upper))
    return f"[{' – '.join(ends)}{_NARROW}%]"


def _signed(ratio: float) -> str:
    percents = (ratio - 1) * 100
    return f"{percents:+.2g}".replace("-", "−") if abs(percents) < 99.5 else f"{percents:+.0f}"


def count(value: float) -> str:
    """Return a whole number with thousands separators."""
    return f"{value:,.0f}" if math.isfinite(value) else "no number of"
