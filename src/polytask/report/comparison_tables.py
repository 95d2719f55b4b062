"""Tables that compare two runs: paired differences, costs, and a warning about unequal training."""

from __future__ import annotations

from polytask.evaluation.run_comparison import RunComparison
from polytask.report.display_names import PLAIN_NAMES, DisplayNames
from polytask.report.metric_tables import (
    METRIC_TITLES,
    ReportTable,
    TableCell,
    build_estimate_cell,
    format_number,
)
from polytask.report.run_facts import format_step_time, format_training_time

ONE_TRAINING_WARNING = (
    "One training each: this compares two trained models, not two ways of training. With another seed the difference "
    "may have the other sign; `polytask study` with several seeds shows which way of training is better."
)


def build_comparison_table(comparison: RunComparison, names: DisplayNames = PLAIN_NAMES) -> ReportTable:
    """Build the table with the values of both runs and the paired differences of primary metric and skill."""
    rows = []
    for name, task in comparison.tasks.items():
        better = "" if task.higher else ", less is better"
        values = [TableCell(format_number(v)) for v in task.values]
        why = "one of the two runs has no such value"
        gaps = [build_estimate_cell(e, difference=True, why=why) for e in (task.difference, task.skill)]
        rows.append(
            (
                names.task(name),
                [TableCell(f"{METRIC_TITLES.get(task.metric, task.metric)}{better}"), *values, *gaps],
            )
        )
    mean = build_estimate_cell(comparison.mean_skill, difference=True, why="no skill is defined in both")
    if not mean.why:
        mean = mean._replace(n=f"{comparison.mean_skill.n} tasks")
    rows.append(("mean skill", [TableCell(""), TableCell(""), TableCell(""), TableCell(""), mean]))
    columns = ["task", "metric", comparison.run, comparison.other, "difference", "difference of skill"]
    return ReportTable(f"{comparison.run} against {comparison.other}", columns, rows)


def build_cost_comparison(comparison: RunComparison) -> ReportTable:
    """Build the table with the costs of both runs."""
    own_costs, other_costs = comparison.costs
    rows = [
        ("parameters", [TableCell(f"{c.parameters:,}".replace(",", " ")) for c in (own_costs, other_costs)]),
        ("steps", [TableCell(str(c.steps)) for c in (own_costs, other_costs)]),
        (
            "one step of every network",
            [TableCell(format_step_time(c.seconds_per_step)) for c in (own_costs, other_costs)],
        ),
        ("training", [TableCell(format_training_time(c.minutes)) for c in (own_costs, other_costs)]),
    ]
    return ReportTable("", ["cost", comparison.run, comparison.other], rows)


def warn_unequal_training(comparison: RunComparison) -> str:
    """Return a warning when the two runs were not trained for the same number of steps, else ""."""
    own_steps, other_steps = (c.steps for c in comparison.costs)
    # Up to 5 % more steps, for example after early stopping, are too few to explain a difference.
    if max(own_steps, other_steps) <= 1.05 * min(own_steps, other_steps):
        return ""
    return (
        f"Not trained equally long: {own_steps} steps against {other_steps}. Part of the difference may be the "
        "training time; `train --match RUN` trains for the same number of steps as RUN."
    )
