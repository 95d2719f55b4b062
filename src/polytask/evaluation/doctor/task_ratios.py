"""Compares a task with the others in every record of the gradients."""

from __future__ import annotations

import numpy as np

from polytask.evaluation.doctor.doctor_chart import DoctorChart
from polytask.evaluation.doctor.training_curves import Array, TrainingCurves

MIN_RATIO_VALUE = 1e-12
"""Replaces a gradient of 0 where a ratio is taken."""
END_SHARE = 1 / 3
"""Share of the epochs that counts as the end of a training: long enough to average out single batches."""


def compute_ratio_to_others(values: Array, task: int, others: list[int]) -> Array:
    """Divide a task's value by the usual value in each gradient record.

    With one other task, the usual value is that task's value. With more it is the median over them and the task
    itself, so that one task that is far off makes no other task look odd. Other tasks with the value 0 are left out.

    Args:
        values: `[L, T]`. task: column of the task. others: columns that it is compared with.

    Returns:
        Ratios `[L]`, NaN where the task or all others are unknown.
    """
    known = np.isfinite(values)
    # Ratios are compared as logarithms: ten times as much and a tenth are then equally far off.
    logs = np.log(np.where(known, np.maximum(values, MIN_RATIO_VALUE), 1.0))
    ratios = np.full(len(values), np.nan)
    for k in range(len(values)):
        compared = [j for j in others if known[k, j] and values[k, j] > 0]
        if known[k, task] and compared:
            usual = compared if len(compared) == 1 else [*compared, task]
            ratios[k] = np.exp(logs[k, task] - np.median(logs[k, usual]))
    return ratios


def list_comparable_tasks(chart: DoctorChart, course: TrainingCurves, task: int) -> list[int]:
    """List the other tasks whose gradient norms can be compared with that of a task.

    At the features, gradients of voxel tasks are spread over a map and shorter than those of pooled tasks, the more so
    the larger the image (healthy runs: 4 times at 24² voxels, up to 100 times at 96² and 48³). So a task is compared
    only with others of its level. At the parameters all tasks can be compared.
    """
    others = [k for k in range(len(course.tasks)) if k != task]
    if chart.settings.balance.cut == "parameters":
        return others
    voxel = chart.is_voxel(course.tasks[task])
    return [k for k in others if chart.is_voxel(course.tasks[k]) == voxel]


def compute_weighted_gradients(course: TrainingCurves) -> Array:
    """Compute weight × gradient norm at the cut, which moves the shared features, `[L, T]`; 0 where the weight is 0."""
    # The gradient of a task with weight 0 is not computed, so its norm is NaN in the log.
    return np.where(course.weights == 0, 0.0, course.weights * course.norms)


def average_known(values: Array) -> float:
    """Average the known values; NaN where none is known."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else float("nan")


def find_known_median(values: Array) -> float:
    """Find the median of the known values; NaN where none is known."""
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else float("nan")


def find_final_losses(chart: DoctorChart) -> dict[str, float]:
    """Find where the loss of every task ended: task → mean of the last epochs. Tasks without an epoch are left out."""
    return {
        task: average_final_epochs(curves.means[:, k])
        for curves in chart.courses
        for k, task in enumerate(curves.tasks)
        if len(curves.means)
    }


def average_final_epochs(means: Array) -> float:
    """Average the loss over the last third of the epochs; `means`: `[E]`."""
    return average_known(means[-max(1, round(len(means) * END_SHARE)) :])
