"""Finds a head that no longer learns while others do."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from polytask.evaluation.doctor.chart import EPOCHS, LOOKS, Chart
from polytask.evaluation.doctor.course import Array, Course
from polytask.evaluation.doctor.finding import Finding
from polytask.evaluation.doctor.peers import beside, last, mean, middle, pulls
from polytask.evaluation.learning import CONSTANT_LOSS

NOTHING = 1e-3
"""A gradient below this share of the others' counts as none. In healthy runs no look had less than 7e-3; a head with
weight 0, or whose units are all off, has 0."""
LEARNT = 0.9
"""Another task whose loss ends below this shows that the training as such works."""
MOST = 2 / 3
"""Share of the looks that must have no gradient, for a finding."""


def dead(chart: Chart) -> Iterator[Finding]:
    """A head that learns nothing while others do: its loss stays at a constant answer's, its gradient is 0."""
    ends = {t: last(c.means[:, k]) for c in chart.courses for k, t in enumerate(c.tasks) if len(c.means)}
    for course in chart.courses:
        for k, task in enumerate(course.tasks):
            better = [t for t, end in ends.items() if t != task and end <= LEARNT]
            if not (len(course.means) >= EPOCHS and better and ends[task] >= CONSTANT_LOSS):
                continue
            ratios = _gradients(chart, course, k)
            seen = ratios[np.isfinite(ratios)]
            few = int((seen < NOTHING).sum())
            # A task alone in its network has no looks at gradients: its epochs are counted instead.
            if len(seen) < (LOOKS if len(course.tasks) > 1 else EPOCHS) or few < MOST * len(seen):
                continue
            weight = middle(course.weights[:, k]) if len(course.weights) else 1.0
            yield Finding(
                "dead",
                (task,),
                f"{task} learns nothing: its loss ends at {ends[task]:.2f} (a constant answer has 1) while "
                f"{better[0]} ends at {ends[better[0]]:.2f}; in {few} of {len(seen)} "
                f"{'looks' if len(course.tasks) > 1 else 'epochs'} its gradient is less than a thousandth of the "
                f"others' (weight {weight:g})",
                {
                    "loss": ends[task],
                    "gradient": middle(ratios),
                    "weight": weight,
                    "share": few / len(seen),
                    "seen": len(seen),
                },
                _remedy(chart, task, weight),
            )


def _gradients(chart: Chart, course: Course, task: int) -> Array:
    """Measure the gradient of a task relative to the others': at every look, or for a network with a single task its
    whole gradient in every epoch, relative to the other networks."""
    if len(course.tasks) > 1:
        return beside(pulls(course), task, [j for j in range(len(course.tasks)) if j != task])
    lengths = [mean(c.lengths) for c in chart.courses if c is not course and len(c.lengths)]
    usual = middle(np.array(lengths))
    return course.lengths / usual if usual > 0 else np.full(len(course.lengths), np.nan)


def _remedy(chart: Chart, task: str, weight: float) -> str:
    if chart.weight(task) < NOTHING:
        return (
            f"its weight was set to {chart.weight(task):g}: {chart.command} --set training.weights.{task}=1"
        )
    if weight < NOTHING:
        return f"the rule {chart.settings.balance.rule} leaves it out: {chart.command} --balance equal, or uncertainty"
    return (
        f"units that are off do not come back: {chart.command} --set training.rate={chart.gentler:.2g}; if "
        f"it learns nothing alone either ({chart.command} --tasks {task}), look at its labels with `polytask check`"
    )
