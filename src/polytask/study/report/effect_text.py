"""Formats effects for readers: signs, units, intervals and p-values."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from polytask.report.metric_tables import DASH, METRIC_TITLES, format_number
from polytask.report.run_facts import format_training_time
from polytask.study.conclusions.finished_runs import TaskInfo

POINTS_UNIT = "points"


def format_metric_with_unit(task_info: TaskInfo) -> str:
    """Return the title of the primary metric, with its unit if it has one of its own."""
    name = METRIC_TITLES.get(task_info.metric, task_info.metric)
    return f"{name} ({task_info.unit})" if task_info.unit not in ("", POINTS_UNIT) else name


def format_effect_unit(task_info: TaskInfo) -> str:
    """Return the unit in which the differences of a task are written."""
    return task_info.unit or "the task’s unit"


def format_amount(value: float, task_info: TaskInfo) -> str:
    """Format a size in the unit of the differences: points with one decimal, or with two where it would read as 0."""
    if not isfinite(value):
        return DASH
    if task_info.unit == POINTS_UNIT:
        text = f"{value:.2f}" if abs(value) < 0.05 else f"{value:.1f}"
    else:
        text = format_number(value)
    # Without this, a tiny negative value would read "−0.0".
    return text.replace("-", "−") if text.strip("-−0.") else "0"


def format_change(value: float, task_info: TaskInfo) -> str:
    """Format a difference with its sign; a difference that rounds to 0 has no sign."""
    text = format_amount(value, task_info)
    return text if not value > 0 or text == "0" else f"+{text}"


def format_change_interval(low: float, high: float, task_info: TaskInfo) -> str:
    """Format an interval as `low to high`; "" when there is none."""
    return (
        f"{format_change(low, task_info)} to {format_change(high, task_info)}"
        if isfinite(low) and isfinite(high)
        else ""
    )


def format_confidence_level(level: float) -> str:
    """Format a confidence level in percent, with as many decimals as it needs."""
    text = f"{100 * level:.2f}".rstrip("0").rstrip(".")
    return f"{text} %"


def format_p_value(p: float) -> str:
    """Format a p-value with three decimals; smaller ones read `< 0.001`."""
    if not isfinite(p):
        return DASH
    # Above 0.9995 three decimals would read "1.000".
    return "< 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.9995 else "1"


def format_cost_ratio(ratio: float) -> str:
    """Format a cost as a multiple of the single networks' cost."""
    return f"{ratio:.2f} ×" if ratio < 9.95 else f"{ratio:.0f} ×"


def format_training_duration(seconds: float) -> str:
    """Format the duration of a training in seconds, minutes or hours."""
    if not isfinite(seconds):
        return DASH
    return f"{seconds:.1f} s" if seconds < 90 else format_training_time(seconds / 60)


def shorten_name(name: str, max_letters: int = 24) -> str:
    """Shorten a name so that it fits beside a drawing; the tables show the whole name."""
    return name if len(name) <= max_letters else f"{name[: max_letters - 1]}…"


def join_with_and(names: Sequence[str]) -> str:
    """Join names as in `a, b and c`."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else list(names))


def count_with_noun(number: int, noun: str) -> str:
    """Write a number with its noun: `1 fold`, `3 folds`."""
    return f"{number} {noun}{'s' * (number != 1)}"
