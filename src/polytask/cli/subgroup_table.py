"""Prints for whom a model is worse: the worst group of each task, and the calibration of all groups."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite
from typing import TYPE_CHECKING

from polytask.cli.evaluation_table import format_estimate_cells, format_metric_value

if TYPE_CHECKING:
    from rich.table import Table

    from polytask.evaluation.evaluation_result import Estimate, Evaluation


def make_subgroups_table(evaluation: Evaluation) -> Table:
    """Make a table of every site and subgroup: how its primary metric and its calibration error differ from others."""
    from rich.box import SIMPLE
    from rich.table import Table
    from rich.text import Text

    shown = Table(
        title=Text(f"{evaluation.run}, each group against all others"), box=SIMPLE, padding=(0, 1, 0, 0)
    )
    for head in ("task", "group"):
        shown.add_column(head)
    for head in ("n", "difference", "95 % interval", "calibration error", "difference", "95 % interval"):
        shown.add_column(head, justify="right")
    for name, task in evaluation.tasks.items():
        rows = [
            (f"{column} {group}", own[name])
            for column, groups in evaluation.subgroups.items()
            for group, own in groups.items()
        ]
        for k, (group, result) in enumerate(rows):
            calibrated = isfinite(result.calibration.estimate)
            shown.add_row(
                Text(f"{name}, {task['primary']}" if k == 0 else ""),
                Text(group),
                str(result.primary.n),
                *format_difference_cells(result.difference),
                format_metric_value(result.calibration.estimate) if calibrated else "–",
                *(format_difference_cells(result.calibration_difference) if calibrated else ("", "")),
                end_section=k == len(rows) - 1,
            )
    return shown


def format_difference_cells(difference: Estimate) -> tuple[str, str]:
    """Format a difference and its interval; without an interval there are too few subjects for a number."""
    if not isfinite(difference.low):
        return "too few", ""
    value, interval, _ = format_estimate_cells(difference)
    return value, interval


def describe_worst_groups(evaluation: Evaluation) -> Iterator[str]:
    """Name the worst group of each task, and say how many were looked at."""
    from polytask.evaluation.subgroup_results import explain_comparisons, find_worst_group

    if not evaluation.subgroups:
        return
    for name, task in evaluation.tasks.items():
        worst = find_worst_group(evaluation.subgroups, name, bool(task["higher"]))
        if worst is not None:
            e = worst.difference
            clear = "" if worst.clear else "; the interval includes 0"
            yield (
                f"{name}: worst of {worst.compared} groups is {worst.column} {worst.group}: {task['primary']} "
                f"{e.estimate:+.3f} ({e.low:+.3f} to {e.high:+.3f}) against all others{clear}"
            )
    yield explain_comparisons(evaluation.subgroups)
