"""Finds a loss that is on another scale than the others."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from polytask.array_types import NAN
from polytask.evaluation.doctor.doctor_chart import MIN_GRADIENT_LOOKS, DoctorChart
from polytask.evaluation.doctor.finding import Finding
from polytask.evaluation.doctor.task_ratios import (
    compute_ratio_to_others,
    compute_weighted_gradients,
    find_known_median,
    list_comparable_tasks,
)
from polytask.evaluation.doctor.training_curves import TrainingCurves

MAX_START_LOSS, MIN_START_LOSS = 3.0, 0.1
"""A loss that is divided by a constant answer's loss cannot begin above or below these. Healthy first epochs had 0.5 to
1.1 and first batches 0.36 to 1.5, so both must agree; no later epoch had more than 1.4."""
MAX_FULL_LOSS_RATIO, MAX_WEIGHTED_LOSS_RATIO = 10.0, 3.0
"""Limits of weight × loss relative to the others'. The first takes every loss below 1 as 1, so that a task that learns
late does not look heavy; the second takes real losses, so that a rule that gives learned tasks more weight is no
fault."""
MAX_GRADIENT_RATIO = 100.0
"""Limit of weight × gradient relative to the others', with three or more tasks of one level. Single healthy records
reach 52, medians 17."""
MIN_HEAVY_SHARE = 2 / 3
"""Share of the gradient records that must be above the limits, for a finding."""


def find_scale_problems(chart: DoctorChart) -> Iterator[Finding]:
    """A loss on another scale: far from 1 at the start, or with its weight far above the others'."""
    for course in chart.courses:
        risen = list(_find_runaway_losses(chart, course))
        yield from risen
        for k, task in enumerate(course.tasks):
            if not any(task in f.tasks for f in risen):
                yield from list(_find_odd_start(chart, course, k)) or _find_heavy_task(chart, course, k)


def _find_odd_start(chart: DoctorChart, course: TrainingCurves, k: int) -> Iterator[Finding]:
    """Find a loss that is not about 1 before training."""
    if not len(course.means) or not np.isfinite(course.means[0, k]):
        return
    task, epoch = course.tasks[k], float(course.means[0, k])
    known_losses = course.losses[:, k][np.isfinite(course.losses[:, k])]
    first = float(known_losses[0]) if len(known_losses) else epoch
    # A run that starts from trained weights may well begin with a low loss.
    trained = chart.run.record.get("init") is not None
    if not (min(first, epoch) > MAX_START_LOSS or (max(first, epoch) < MIN_START_LOSS and not trained)):
        return
    constant = chart.constants[task]
    yield Finding(
        "scale",
        (task,),
        f"the loss of {task} began at {first:.3g} (mean of the first epoch {epoch:.3g}); divided by a constant "
        f"answer's it begins at about 1, so its constant {constant:g} does not fit its labels",
        {"first": first, "epoch": epoch, "constant": constant},
        f"plan again (`polytask plan` measures it), or {chart.command} --set "
        f"folds.{chart.run.record['fold']}.tasks.{task}.constant={constant * first:.4g}",
    )


def _find_runaway_losses(chart: DoctorChart, course: TrainingCurves) -> Iterator[Finding]:
    """Find losses that rose far above 1 after a start at about 1: the training diverged."""
    risen = {}
    for k, task in enumerate(course.tasks):
        means, losses = course.means[:, k], course.losses[:, k]
        first = next(iter(losses[np.isfinite(losses)]), NAN)
        top = float(np.nanmax(means)) if np.isfinite(means).any() else NAN
        if first <= MAX_START_LOSS < top:
            risen[task] = (float(first), top)
    if risen:
        words = ", ".join(f"{t} from {first:.2f} to {top:.3g}" for t, (first, top) in risen.items())
        yield Finding(
            "scale",
            tuple(risen),
            f"the training diverged; first recorded loss and highest mean loss of an epoch: {words}",
            {t: top for t, (_, top) in risen.items()},
            f"smaller steps: {chart.command} --set training.rate={chart.lower_learning_rate:.2g} --set training.clip=1",
        )


def _find_heavy_task(chart: DoctorChart, course: TrainingCurves, k: int) -> Iterator[Finding]:
    """Find a task whose weighted loss or gradient is an order of magnitude above the others' in most records."""
    task = course.tasks[k]
    others, alike = [j for j in range(len(course.tasks)) if j != k], list_comparable_tasks(chart, course, k)
    worth = compute_ratio_to_others(course.weights * course.losses, k, others)
    full = compute_ratio_to_others(
        course.weights * np.maximum(course.losses, 1.0), k, others
    )  # a loss below 1 counts as 1
    pull = compute_ratio_to_others(compute_weighted_gradients(course), k, alike)
    of = int(np.isfinite(worth).sum())
    if of < MIN_GRADIENT_LOOKS:
        return
    # A weight set by hand to 1 or less is not the heavy one: then another's is too small.
    by_hand = chart.settings.balance.rule == "fixed" and chart.weight(task) <= 1
    heavy = (
        (worth > MAX_WEIGHTED_LOSS_RATIO)
        & (full > MAX_FULL_LOSS_RATIO)
        & (not chart.reads_gradients and not by_hand)
    )
    long = (pull > MAX_GRADIENT_RATIO) & (len(alike) >= 2)
    few = int((heavy | long).sum())
    if few < MIN_HEAVY_SHARE * of:
        return
    weight = find_known_median(course.weights[:, k])
    if heavy.sum() >= MIN_HEAVY_SHARE * of:
        ratio, limit, what = (
            find_known_median(full),
            MAX_FULL_LOSS_RATIO,
            "weight × loss (a loss below 1 counts as 1)",
        )
    else:
        ratio, limit, what = find_known_median(pull), MAX_GRADIENT_RATIO, "weight × gradient at the cut"
    yield Finding(
        "scale",
        (task,),
        f"{task} outweighs the others: in {few} of {of} gradient records its {what} is over {limit:g} times theirs "
        f"(median {ratio:.3g} times); its weight is {weight:.3g}",
        {"share": few / of, "looks": of, "ratio": ratio, "weight": weight},
        f"its weight was set to {chart.weight(task):g}: {chart.command} --set training.weights.{task}=1"
        if chart.weight(task) > 1
        else f"let a rule choose the weights: {chart.command} --balance uncertainty, or imtl_g",
    )
