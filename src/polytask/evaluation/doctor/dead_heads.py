"""Finds a head that no longer learns while others do."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from polytask.evaluation.doctor.doctor_chart import MIN_EPOCHS_TO_JUDGE, MIN_GRADIENT_LOOKS, DoctorChart
from polytask.evaluation.doctor.finding import Finding
from polytask.evaluation.doctor.task_ratios import (
    average_known,
    compute_ratio_to_others,
    compute_weighted_gradients,
    find_final_losses,
    find_known_median,
)
from polytask.evaluation.doctor.training_curves import Array, TrainingCurves
from polytask.evaluation.learning_check import UNLEARNED_LOSS

MAX_DEAD_GRADIENT_RATIO = 1e-3
"""A gradient below this share of the others' counts as none. In healthy runs no record had less than 7e-3; a head with
weight 0, or whose units are all 0, has 0."""
MAX_LEARNED_LOSS = 0.9
"""Another task whose loss ends below this shows that the training as such works."""
MIN_DEAD_SHARE = 2 / 3
"""Share of the gradient records that must show none, for a finding."""


def find_dead_heads(chart: DoctorChart) -> Iterator[Finding]:
    """A head that learns nothing while others do: its loss stays at a constant answer's, its gradient is 0."""
    ends = find_final_losses(chart)
    for course in chart.courses:
        for k, task in enumerate(course.tasks):
            better = [t for t, end in ends.items() if t != task and end <= MAX_LEARNED_LOSS]
            if not (len(course.means) >= MIN_EPOCHS_TO_JUDGE and better and ends[task] >= UNLEARNED_LOSS):
                continue
            ratios = _measure_gradient_ratios(chart, course, k)
            known_ratios = ratios[np.isfinite(ratios)]
            few = int((known_ratios < MAX_DEAD_GRADIENT_RATIO).sum())
            # A task alone in its network has no gradient records: its epochs are counted instead.
            if len(known_ratios) < (
                MIN_GRADIENT_LOOKS if len(course.tasks) > 1 else MIN_EPOCHS_TO_JUDGE
            ) or few < MIN_DEAD_SHARE * len(known_ratios):
                continue
            weight = find_known_median(course.weights[:, k]) if len(course.weights) else 1.0
            yield Finding(
                "dead",
                (task,),
                f"{task} learns nothing: its loss ends at {ends[task]:.2f} (a constant answer has 1) while "
                f"{better[0]} ends at {ends[better[0]]:.2f}; in {few} of {len(known_ratios)} "
                f"{'gradient records' if len(course.tasks) > 1 else 'epochs'} its gradient is less than a thousandth "
                f"of the others' (weight {weight:g})",
                {
                    "loss": ends[task],
                    "gradient": find_known_median(ratios),
                    "weight": weight,
                    "share": few / len(known_ratios),
                    "seen": len(known_ratios),
                },
                _suggest_dead_head_remedy(chart, task, weight),
            )


def _measure_gradient_ratios(chart: DoctorChart, course: TrainingCurves, task: int) -> Array:
    """Measure the gradient of a task relative to the others': in every record, or for a network with a single task its
    whole gradient in every epoch, relative to the other networks."""
    if len(course.tasks) > 1:
        return compute_ratio_to_others(
            compute_weighted_gradients(course), task, [j for j in range(len(course.tasks)) if j != task]
        )
    lengths = [average_known(c.lengths) for c in chart.courses if c is not course and len(c.lengths)]
    usual = find_known_median(np.array(lengths))
    return course.lengths / usual if usual > 0 else np.full(len(course.lengths), np.nan)


def _suggest_dead_head_remedy(chart: DoctorChart, task: str, weight: float) -> str:
    if chart.weight(task) < MAX_DEAD_GRADIENT_RATIO:
        return (
            f"its weight was set to {chart.weight(task):g}: {chart.command} --set training.weights.{task}=1"
        )
    if weight < MAX_DEAD_GRADIENT_RATIO:
        rule = chart.settings.balance.rule
        return f"the rule {rule} gives it no weight: {chart.command} --balance equal, or uncertainty"
    return (
        f"units that are always 0 do not recover: {chart.command} --set training.rate={chart.lower_learning_rate:.2g}; "
        f"if it learns nothing alone either ({chart.command} --tasks {task}), look at its labels with `polytask check`"
    )
