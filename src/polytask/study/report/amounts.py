"""Formats effects for readers: signs, units, intervals and p-values."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from polytask.report.facts import minutes
from polytask.report.tables import DASH, NAMES, number
from polytask.study.conclusions.gather import Asked

POINTS = "points"


def metric_of(asked: Asked) -> str:
    """Return the title of the primary metric, with its unit if it has one of its own."""
    name = NAMES.get(asked.metric, asked.metric)
    return f"{name} ({asked.unit})" if asked.unit not in ("", POINTS) else name


def unit_of(asked: Asked) -> str:
    """Return the unit in which the differences of a task are written."""
    return asked.unit or "the task’s unit"


def amount(value: float, asked: Asked) -> str:
    """Format a size in the unit of the differences: points with one decimal, or with two where it would read as 0."""
    if not isfinite(value):
        return DASH
    if asked.unit == POINTS:
        text = f"{value:.2f}" if abs(value) < 0.05 else f"{value:.1f}"
    else:
        text = number(value)
    # Without this, a tiny negative value would read "−0.0".
    return text.replace("-", "−") if text.strip("-−0.") else "0"


def change(value: float, asked: Asked) -> str:
    """Format a difference with its sign; a difference that rounds to 0 has no sign."""
    text = amount(value, asked)
    return text if not value > 0 or text == "0" else f"+{text}"


def between(low: float, high: float, asked: Asked) -> str:
    """Format an interval as `low to high`; "" when there is none."""
    return f"{change(low, asked)} to {change(high, asked)}" if isfinite(low) and isfinite(high) else ""


def percent(level: float) -> str:
    """Format a confidence level in percent, with as many decimals as it needs."""
    text = f"{100 * level:.2f}".rstrip("0").rstrip(".")
    return f"{text} %"


def probability(p: float) -> str:
    """Format a p-value with three decimals; smaller ones read `< 0.001`."""
    if not isfinite(p):
        return DASH
    # Above 0.9995 three decimals would read "1.000".
    return "< 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.9995 else "1"


def times(ratio: float) -> str:
    """Format a cost as a multiple of the single networks' cost."""
    return f"{ratio:.2f} ×" if ratio < 9.95 else f"{ratio:.0f} ×"


def duration(seconds: float) -> str:
    """Format the duration of a training in seconds, minutes or hours."""
    if not isfinite(seconds):
        return DASH
    return f"{seconds:.1f} s" if seconds < 90 else minutes(seconds / 60)


def short(name: str, most: int = 24) -> str:
    """Shorten a name so that it fits beside a drawing; the tables show the whole name."""
    return name if len(name) <= most else f"{name[: most - 1]}…"


def listed(names: Sequence[str]) -> str:
    """Join names as in `a, b and c`."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else list(names))


def counted(number: int, what: str) -> str:
    """Write a number with its noun: `1 fold`, `3 folds`."""
    return f"{number} {what}{'s' * (number != 1)}"
