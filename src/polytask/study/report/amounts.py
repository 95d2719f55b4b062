"""How effects are written for people: signs, units, probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from polytask.report.facts import minutes
from polytask.report.tables import DASH, NAMES, number
from polytask.study.conclusions.gather import Asked

POINTS = "points"


def metric_of(asked: Asked) -> str:
    """The primary metric with its unit, if it has one of its own."""
    name = NAMES.get(asked.metric, asked.metric)
    return f"{name} ({asked.unit})" if asked.unit not in ("", POINTS) else name


def unit_of(asked: Asked) -> str:
    """Of differences."""
    return asked.unit or "the task’s unit"


def amount(value: float, asked: Asked) -> str:
    """A size in the unit of the differences: points with one decimal, and a second one where it would read as 0."""
    if not isfinite(value):
        return DASH
    if asked.unit == POINTS:
        text = f"{value:.2f}" if abs(value) < 0.05 else f"{value:.1f}"
    else:
        text = number(value)
    return text.replace("-", "−") if text.strip("-−0.") else "0"


def change(value: float, asked: Asked) -> str:
    """With its sign. What rounds to nothing has none."""
    text = amount(value, asked)
    return text if not value > 0 or text == "0" else f"+{text}"


def between(low: float, high: float, asked: Asked) -> str:
    """An interval; "" without one."""
    return f"{change(low, asked)} to {change(high, asked)}" if isfinite(low) and isfinite(high) else ""


def percent(level: float) -> str:
    """A level of confidence, as many decimals as it needs."""
    text = f"{100 * level:.2f}".rstrip("0").rstrip(".")
    return f"{text} %"


def probability(p: float) -> str:
    """A p-value."""
    if not isfinite(p):
        return DASH
    return "< 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.9995 else "1"


def times(ratio: float) -> str:
    """Against the single networks together."""
    return f"{ratio:.2f} ×" if ratio < 9.95 else f"{ratio:.0f} ×"


def duration(seconds: float) -> str:
    """Of a training."""
    if not isfinite(seconds):
        return DASH
    return f"{seconds:.1f} s" if seconds < 90 else minutes(seconds / 60)


def short(name: str, most: int = 24) -> str:
    """A name that fits beside a drawing; the tables have all of it."""
    return name if len(name) <= most else f"{name[: most - 1]}…"


def listed(names: Sequence[str]) -> str:
    """`a, b and c`."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else list(names))


def counted(number: int, what: str) -> str:
    """`1 fold`, `3 folds`."""
    return f"{number} {what}{'s' * (number != 1)}"
