"""A task beside the others, look by look."""

from __future__ import annotations

import numpy as np

from polytask.evaluation.doctor.chart import Chart
from polytask.evaluation.doctor.course import Array, Course

SMALLEST = 1e-12
"""Stands for a gradient of 0 where a ratio is taken."""
PART = 1 / 3
"""First and last part of a training that are set side by side: long enough to even out a batch's luck."""


def beside(values: Array, task: int, others: list[int]) -> Array:
    """A task's number over the usual one, `[L]`; NaN where it or all others are not there. `values`: `[L, T]`.

    Usual is the other's number; of three and more the middle one, the task itself included, so that one that is far off
    makes nobody else look odd. Others at 0 are left out.
    """
    there = np.isfinite(values)
    logs = np.log(np.where(there, np.maximum(values, SMALLEST), 1.0))
    found = np.full(len(values), np.nan)
    for k in range(len(values)):
        mine = [j for j in others if there[k, j] and values[k, j] > 0]
        if there[k, task] and mine:
            usual = mine if len(mine) == 1 else [*mine, task]
            found[k] = np.exp(logs[k, task] - np.median(logs[k, usual]))
    return found


def peers(chart: Chart, course: Course, task: int) -> list[int]:
    """The other tasks whose gradients can be compared in length.

    At the features those of voxel tasks are spread over a map and shorter than those of pooled tasks, the more so the
    larger the image (healthy runs: 4 times at 24² voxels, up to 100 times at 96² and 48³), so each is compared with its
    like; at the parameters, all.
    """
    others = [k for k in range(len(course.tasks)) if k != task]
    if chart.settings.balance.cut == "parameters":
        return others
    voxel = chart.is_voxel(course.tasks[task])
    return [k for k in others if chart.is_voxel(course.tasks[k]) == voxel]


def pulls(course: Course) -> Array:
    """Weight × gradient at the cut: what moves the shared features, `[L, T]`; 0 with weight 0, whose gradient nobody
    took."""
    return np.where(course.weights == 0, 0.0, course.weights * course.norms)


def mean(values: Array) -> float:
    """Over what is there; NaN where nothing is."""
    there = values[np.isfinite(values)]
    return float(there.mean()) if there.size else float("nan")


def middle(values: Array) -> float:
    """Median over what is there; NaN where nothing is."""
    there = values[np.isfinite(values)]
    return float(np.median(there)) if there.size else float("nan")


def last(means: Array) -> float:
    """Mean loss of the last part of the epochs; `means`: `[E]`."""
    return mean(means[-max(1, round(len(means) * PART)) :])
