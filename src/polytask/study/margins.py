"""How large a loss a study may overlook before it recommends a saving: fixed before the first run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from polytask.errors import PolytaskError, nearest
from polytask.tasks.task import Task

POINTS = 2.0
"""Hundredths of a metric that has a scale to 1: Dice, AUC, C, κ, R²."""
ERROR_SHARE = 0.05
"""Share of the error of the best constant answer, for metrics that are errors in a unit of their own."""
ERRORS = ("mae", "rmse")


def is_error(metric: str) -> bool:
    """Whether a metric is an error in the task's own unit instead of a share."""
    return metric.partition(".")[0] in ERRORS


def default_margin(folds: Sequence[Task]) -> float:
    """A task's margin from what each fold knows of it: 2 points, or 5 % of the error of a constant answer."""
    if not is_error(folds[0].primary):
        return POINTS
    return ERROR_SHARE * float(np.mean([float(getattr(task, "deviation", np.nan)) for task in folds]))


def read_margins(given: Sequence[str], defaults: Mapping[str, float]) -> dict[str, float]:
    """The margin of every task: the defaults, changed by `2.5` (tasks in points) or `lesion=3`, in that order.

    Args:
        given: what a person typed. defaults: task → margin in its unit; those in points are `POINTS`.

    Raises:
        PolytaskError: a task that is not there, or a margin that is not above 0.
    """
    margins = dict(defaults)
    for text in given:
        name, sign, number = text.rpartition("=")
        try:
            value = float(number)
        except ValueError:
            value = float("nan")
        if not (np.isfinite(value) and value > 0):
            raise PolytaskError(f"--margin {text}: expected a number above 0, or TASK=NUMBER")
        if sign and name not in margins:
            raise PolytaskError(f"--margin {text}: {nearest(name, list(margins))}")
        chosen = [name] if sign else [task for task, default in defaults.items() if default == POINTS]
        margins |= dict.fromkeys(chosen, value)
    return margins
