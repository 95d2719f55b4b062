"""Tables that compare two runs: paired differences, costs, and a warning about unequal training."""

from __future__ import annotations

from polytask.evaluation.comparison import Comparison
from polytask.report.facts import minutes, seconds
from polytask.report.names import PLAIN, Names
from polytask.report.tables import NAMES, Cell, Table, cell, number

ONE_TRAINING = (
    "One training each: this compares two trained models, not two ways of training. With another seed the difference "
    "may turn; `polytask study` with several seeds says which way is better."
)


def comparison(found: Comparison, names: Names = PLAIN) -> Table:
    """Build the table with the values of both runs and the paired differences of primary metric and skill."""
    rows = []
    for name, task in found.tasks.items():
        better = "" if task.higher else ", less is better"
        values = [Cell(number(v)) for v in task.values]
        why = "one of the two has no such figure"
        gaps = [cell(e, difference=True, why=why) for e in (task.difference, task.skill)]
        rows.append(
            (names.task(name), [Cell(f"{NAMES.get(task.metric, task.metric)}{better}"), *values, *gaps])
        )
    mean = cell(found.mean_skill, difference=True, why="no skill is defined in both")
    if not mean.why:
        mean = mean._replace(n=f"{found.mean_skill.n} tasks")
    rows.append(("mean skill", [Cell(""), Cell(""), Cell(""), Cell(""), mean]))
    columns = ["task", "metric", found.run, found.other, "difference", "difference of skill"]
    return Table(f"{found.run} against {found.other}", columns, rows)


def prices(found: Comparison) -> Table:
    """Build the table with the costs of both runs."""
    mine, other = found.costs
    rows = [
        ("parameters", [Cell(f"{c.parameters:,}".replace(",", " ")) for c in (mine, other)]),
        ("steps", [Cell(str(c.steps)) for c in (mine, other)]),
        ("one step of every network", [Cell(seconds(c.seconds_per_step)) for c in (mine, other)]),
        ("training", [Cell(minutes(c.minutes)) for c in (mine, other)]),
    ]
    return Table("", ["cost", found.run, found.other], rows)


def unequal(found: Comparison) -> str:
    """Return a warning when the two runs were not trained for the same number of steps, else ""."""
    mine, other = (c.steps for c in found.costs)
    # Up to 5 % more steps, for example after early stopping, are too few to explain a difference.
    if max(mine, other) <= 1.05 * min(mine, other):
        return ""
    return (
        f"Not trained equally long: {mine} steps against {other}. Part of the difference may be the training time; "
        "`train --match` gives a run another one's number of steps."
    )
