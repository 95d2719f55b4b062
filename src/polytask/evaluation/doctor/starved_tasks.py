"""Finds a task that hardly moves the shared features."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from polytask.evaluation.doctor.dead_heads import find_dead_heads
from polytask.evaluation.doctor.doctor_chart import MIN_GRADIENT_LOOKS, DoctorChart
from polytask.evaluation.doctor.finding import Finding
from polytask.evaluation.doctor.task_ratios import (
    average_final_epochs,
    compute_ratio_to_others,
    compute_weighted_gradients,
    find_known_median,
    list_comparable_tasks,
)
from polytask.evaluation.doctor.training_curves import Array, TrainingCurves

MAX_STARVED_RATIO, MAX_STARVED_LOSS_RATIO = 1 / 30, 1 / 10
"""A task starves below the first share of the others' weight × gradient; or below the first share of their weight and
the second of their weighted loss, so that a rule that gives learned tasks more weight starves nobody. In healthy runs
the median weight × gradient of tasks of one level was 1/15 to 17 times the usual one; a weight of 0.01 gives 1/100."""
MAX_SOLVED_LOSS = 0.1
"""A task whose loss is below this has short gradients because it is solved: that record does not count."""
MAX_LAGGING_SHARE = 0.5
"""A task whose loss fell at least this share of the others' fall is not starved, however short its gradient is. Norms
at the features depend on where in a map a task looks (17 times between two voxel tasks of a healthy run)."""
MIN_STARVED_SHARE = 2 / 3
"""Share of the gradient records that must show it, for a finding."""


def find_starved_tasks(chart: DoctorChart) -> Iterator[Finding]:
    """A task that hardly moves the shared features: its weighted loss or gradient is tiny beside the others'."""
    # A dead head is reported once: it would also count as starved.
    dead_tasks = {f.tasks[0] for f in find_dead_heads(chart)}
    for course in chart.courses:
        for k, task in enumerate(course.tasks):
            if task not in dead_tasks:
                yield from _find_starved_task(chart, course, k)


def _find_starved_task(chart: DoctorChart, course: TrainingCurves, k: int) -> Iterator[Finding]:
    task = course.tasks[k]
    everyone = [j for j in range(len(course.tasks)) if j != k]
    pull = compute_ratio_to_others(
        compute_weighted_gradients(course), k, list_comparable_tasks(chart, course, k)
    )
    worth = compute_ratio_to_others(course.weights * course.losses, k, everyone)
    weight = compute_ratio_to_others(course.weights, k, everyone)
    counts = np.isfinite(worth) & (course.losses[:, k] >= MAX_SOLVED_LOSS)
    if counts.sum() < MIN_GRADIENT_LOOKS:
        return
    # A weight set by hand to 1 or more is not the light one: then another's is too large.
    by_hand = chart.settings.balance.rule == "fixed" and chart.weight(task) >= 1
    light = (
        (worth < MAX_STARVED_LOSS_RATIO)
        & (weight < MAX_STARVED_RATIO)
        & (not chart.reads_gradients and not by_hand)
    )
    short = (pull < MAX_STARVED_RATIO) & _is_loss_lagging(course, k)
    few, of = int((counts & (light | short)).sum()), int(counts.sum())
    if few < MIN_STARVED_SHARE * of:
        return
    if (counts & light).sum() >= MIN_STARVED_SHARE * of:
        shown, what = weight, "its weight"
    else:
        shown, what = pull, "its weight × gradient at the cut"
    yield Finding(
        "starved",
        (task,),
        f"{task} hardly moves the shared features: in {few} of {of} gradient records {what} is under "
        f"1/{1 / MAX_STARVED_RATIO:.0f} of the "
        f"others' (median {find_known_median(shown[counts]):.2g} times theirs); its weight is "
        f"{find_known_median(course.weights[:, k]):.2g}, its "
        f"gradient {_format_gradient_norm(course.norms[:, k])}, the others' "
        f"{_format_gradient_norm(np.delete(course.norms, k, axis=1).ravel())}",
        {
            "share": few / of,
            "looks": of,
            "ratio": find_known_median(shown[counts]),
            "weight": find_known_median(course.weights[:, k]),
            "norm": find_known_median(course.norms[:, k]),
        },
        _suggest_starved_task_remedy(chart, task),
    )


def _format_gradient_norm(norms: Array) -> str:
    """Format the median gradient norm; a task without weight has none."""
    median = find_known_median(norms)
    return f"{median:.2g}" if np.isfinite(median) else "not recorded"


def _is_loss_lagging(course: TrainingCurves, k: int) -> bool:
    """Whether the loss of task `k` has fallen much less than the others' from 1, the loss of a constant answer."""
    falls = [1 - average_final_epochs(course.means[:, j]) for j in range(len(course.tasks))]
    others = find_known_median(np.array([f for j, f in enumerate(falls) if j != k]))
    return bool(others > 0.1 and falls[k] < MAX_LAGGING_SHARE * others)


def _suggest_starved_task_remedy(chart: DoctorChart, task: str) -> str:
    rule = chart.settings.balance.rule
    if rule == "fixed" and chart.weight(task) < 1:
        return (
            f"its weight was set to {chart.weight(task):g}: {chart.command} --set training.weights.{task}=1"
        )
    if rule in ("equal", "fixed"):
        return f"give every task the same influence: {chart.command} --balance imtl_g"
    return f"the rule {rule} gives it too little weight: {chart.command} --balance equal, or alone: --tasks {task}"
