"""The largest loss that a study may accept when it recommends a cheaper arm; fixed before the first run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from polytask.errors import PolytaskError, suggest_word
from polytask.tasks.task import Task

DEFAULT_MARGIN_POINTS = 2.0
"""Default margin in points, hundredths of a metric whose best value is 1: Dice, AUC, C, κ, R²."""
DEFAULT_ERROR_SHARE = 0.05
"""Default margin of a metric that is an error: this share of the error of the best constant answer."""
ERROR_METRICS = ("mae", "rmse")


def is_error_metric(metric: str) -> bool:
    """Whether a metric is an error in the unit of the task, and not a share."""
    return metric.partition(".")[0] in ERROR_METRICS


def choose_default_margin(folds: Sequence[Task]) -> float:
    """Return the default margin of a task: 2 points, or 5 % of the error of a constant answer, averaged over folds."""
    if not is_error_metric(folds[0].primary):
        return DEFAULT_MARGIN_POINTS
    # `deviation` is the spread of the train answers, about the error of the best constant answer.
    return DEFAULT_ERROR_SHARE * float(np.mean([float(getattr(task, "deviation", np.nan)) for task in folds]))


def read_margins(given: Sequence[str], defaults: Mapping[str, float]) -> dict[str, float]:
    """Return the margin of every task: the defaults, changed in turn by texts such as `2.5` or `lesion=3`.

    Args:
        given: texts that were typed; a number without a task holds for all tasks in points.
        defaults: task → default margin in its unit.

    Raises:
        PolytaskError: there is no such task, or a margin is not above 0.
    """
    margins = dict(defaults)
    for text in given:
        name, sign, number = text.rpartition("=")
        try:
            value = float(number)
        except ValueError:
            value = float("nan")
        # Text that is no number is NaN here, so that both faults get the same message.
        if not (np.isfinite(value) and value > 0):
            raise PolytaskError(f"--margin {text}: expected a number above 0, or TASK=NUMBER")
        if sign and name not in margins:
            raise PolytaskError(f"--margin {text}: {suggest_word(name, list(margins))}")
        # A plain number is in points, so it cannot hold for tasks whose margin is in mm or days.
        chosen = (
            [name]
            if sign
            else [task for task, default in defaults.items() if default == DEFAULT_MARGIN_POINTS]
        )
        margins |= dict.fromkeys(chosen, value)
    return margins
