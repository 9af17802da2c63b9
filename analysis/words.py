"""Figures as people read them: three significant digits, a unit, an interval, or "too few".

Reasons, pages and commands all say a number through here, so that it reads the same everywhere.
"""

import math

NARROW = "\u202f"  # narrow no-break space before a unit
TOO_FEW = "too few"
NO_INTERVAL = "[no interval]"

# From ms to the unit a person would say, largest first.
_TIME_UNITS = ((60_000.0, "min"), (1_000.0, "s"), (1.0, "ms"), (0.001, "µs"))


def digits(value: float | None, *, significant: int = 3) -> str:
    """Return a number with three significant digits and thousands separators, or an en dash."""
    if value is None or not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    magnitude = math.floor(math.log10(abs(value)))
    # Rounding may carry into the next power of ten: 9.996 is read as 10.0, not 10.00.
    if round(abs(value), significant - 1 - magnitude) >= 10 ** (magnitude + 1):
        magnitude += 1
    decimals = max(0, significant - 1 - magnitude)
    return f"{value:,.{decimals}f}".replace("-", "−")


def count(value: float | None) -> str:
    """Return a whole number with thousands separators, or an en dash."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"{round(value):,}".replace("-", "−")


def counted(value: float, noun: str) -> str:
    """Return a count with its noun: 1 day, 30 days."""
    return f"{count(value)} {noun}{'' if value == 1 else 's'}"


def sentences(*parts: str) -> str:
    """Return parts one after another, with a full stop between where a part has none."""
    told = [part for part in parts if part]
    ended = [part if part.endswith((".", "…")) else f"{part}." for part in told[:-1]]
    return " ".join([*ended, *told[-1:]])


def _time_unit(value_ms: float) -> tuple[float, str]:
    for size, unit in _TIME_UNITS:
        # A rounded 999.7 ms would read "1,000 ms"; it is said as 1.00 s.
        if abs(value_ms) >= size * 0.9995:
            return size, unit
    return _TIME_UNITS[-1] if value_ms else (1.0, "ms")


def time(value_ms: float | None) -> str:
    """Return a duration given in ms in the unit a person would use: 62.3 ms, 1.51 s, 4.20 min."""
    if value_ms is None or math.isnan(value_ms):
        return "–"
    size, unit = _time_unit(value_ms)
    return f"{digits(value_ms / size)}{NARROW}{unit}"


def time_interval(lower_ms: float, upper_ms: float, *, like_ms: float | None = None) -> str:
    """Return an interval of durations in one unit: `[1.02 – 1.31 s]`; "none" where unbounded.

    The unit is that of `like_ms`, the estimate it stands beside, else of the larger bound.
    """
    known = [bound for bound in (lower_ms, upper_ms) if not math.isnan(bound)]
    if not known:
        return NO_INTERVAL
    size, unit = _time_unit(max(known) if like_ms is None else like_ms)
    if math.isnan(upper_ms):
        return f"[{digits(lower_ms / size)}{NARROW}{unit} – none]"
    lower = "none" if math.isnan(lower_ms) else digits(lower_ms / size)
    return f"[{lower} – {digits(upper_ms / size)}{NARROW}{unit}]"


def percent(ratio: float | None) -> str:
    """Return a ratio as a percentage with at most three significant digits: 96.2 %, 0.412 %."""
    if ratio is None or math.isnan(ratio):
        return "–"
    # 99.97 % must not be rounded into a perfect score.
    if 0.999 <= ratio < 1:
        return f"{math.floor(ratio * 1e4) / 100:.2f}{NARROW}%"
    return f"{digits(ratio * 100)}{NARROW}%"


def percent_interval(lower: float, upper: float) -> str:
    """Return an interval of ratios as percentages: `[1.02 – 1.31 %]`."""
    return _interval(percent(lower), percent(upper))


def _interval(lower: str, upper: str) -> str:
    """Return an interval of percentages; an end that is not known reads "none"."""
    if lower == upper == "–":
        return NO_INTERVAL
    if upper == "–":
        return f"[{lower} – none]"
    low = "none" if lower == "–" else lower.removesuffix(f"{NARROW}%")
    return f"[{low} – {upper}]"


def change(ratio: float | None) -> str:
    """Return a ratio after/before as a signed change: 0.82 is −18.0 %."""
    if ratio is None or math.isnan(ratio):
        return "–"
    percents = (ratio - 1) * 100
    # Beyond a tenth of a per cent the digits of a small change say nothing.
    said = f"{percents:+.1f}" if abs(percents) < 99.95 else f"{percents:+,.0f}"
    return f"{'0' if float(said.replace(',', '')) == 0 else said}{NARROW}%".replace("-", "−")


def change_interval(lower: float, upper: float) -> str:
    """Return an interval of ratios after/before as signed changes: `[−24.1 – −3.02 %]`."""
    return _interval(change(lower), change(upper))


def moved(ratio: float) -> str:
    """Return a ratio after/before as a change in words: fell 31 %, rose 4 %, did not move."""
    percents = abs(ratio - 1) * 100
    if round(percents, 1) == 0:
        return "did not move"
    return f"{'fell' if ratio < 1 else 'rose'} {percents:.2g}{NARROW}%"


def quantile(p: float) -> str:
    """Return the name of a quantile: p95, p99.9."""
    return f"p{p * 100:.4g}"


def is_said(grade: str | None, upper: float | None) -> bool:
    """Return whether a figure may be shown: graded above insufficient and bounded above."""
    return grade in ("solid", "indicative") and upper is not None and not math.isnan(upper)


def tail(estimate_ms: float, lower_ms: float, upper_ms: float, grade: str) -> str:
    """Return a percentile with its interval, or the words "too few"."""
    if not is_said(grade, upper_ms):
        return TOO_FEW
    return f"{time(estimate_ms)} {time_interval(lower_ms, upper_ms, like_ms=estimate_ms)}"


def share(estimate: float, lower: float, upper: float) -> str:
    """Return a ratio with its interval."""
    return f"{percent(estimate)} {percent_interval(lower, upper)}"


def measured(value: float, unit: str) -> str:
    """Return a figure in its unit: ms, ratio, change (0.05 is +5 %), usd, else a count."""
    if unit == "ms":
        return time(value)
    if unit == "ratio":
        return percent(value)
    if unit == "change":
        return change(1 + value)
    if unit == "usd":
        return f"${digits(value)}"
    return count(value)


def measured_interval(lower: float, upper: float, unit: str) -> str:
    """Return the interval of a figure in its unit; a count without one was counted whole."""
    if unit == "ms":
        return time_interval(lower, upper)
    if unit == "ratio":
        return percent_interval(lower, upper)
    if unit == "change":
        return change_interval(1 + lower, 1 + upper)
    if math.isnan(lower) and math.isnan(upper):
        return NO_INTERVAL if unit == "usd" else "all counted"
    ends = ("none" if math.isnan(end) else measured(end, unit) for end in (lower, upper))
    return f"[{' – '.join(ends)}]"
