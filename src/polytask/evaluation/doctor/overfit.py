"""Finds a task that has begun to learn its training samples by heart."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from polytask.evaluation.doctor.chart import Chart
from polytask.evaluation.doctor.course import NAN, Array, Course, number
from polytask.evaluation.doctor.finding import Finding

WINDOW = 3
"""Number of evaluations whose median smooths the curve: skill on a small tune part jumps."""
EVALUATIONS = 6
"""Fewest evaluations for a finding: two windows that do not overlap."""
EARLY = 0.6
"""The peak must lie in this first share of the evaluations."""
LEAST = 0.1
"""Smallest drop of skill that is reported, however large tune is. A task whose peak is below it was never learned."""
LUCK = {False: 1.2, True: 0.4}
"""Whether it is a voxel task → drop of skill between two evaluations that chance explains, times 1/√n of tune. In
healthy runs with 3 to 10 tune subjects the drop of pooled tasks reached 1.0/√n; the skill of a mask varies much
less."""
STILL = 0.8
"""The training loss must have fallen below this share of its value at the peak."""


def overfit(chart: Chart) -> Iterator[Finding]:
    """A task whose skill on tune peaks early and then falls, while its training loss goes on falling."""
    for course in chart.courses:
        evaluations = list(course.tuned())
        for k, task in enumerate(course.tasks):
            own = [(s, m[task]) for s, m in evaluations if task in m]
            skills = np.array([chart.tasks[task].skill({n: number(v) for n, v in m.items()}) for _, m in own])
            steps = np.array([float(s) for s, _ in own])
            there = np.isfinite(skills)
            if there.sum() < EVALUATIONS:
                continue
            # Only the last evaluation is read: tune is the same in all of them.
            size = max(_size(m) for _, m in evaluations[-1:])
            yield from _of(chart, course, k, skills[there], steps[there], size)


def _of(chart: Chart, course: Course, k: int, skills: Array, steps: Array, size: float) -> Iterator[Finding]:
    smooth = np.array([np.median(skills[i : i + WINDOW]) for i in range(len(skills) - WINDOW + 1)])
    at = int(smooth.argmax())
    # A window is named by its middle evaluation.
    peak, end, step = float(smooth[at]), float(smooth[-1]), steps[at + WINDOW // 2]
    luck = max(LEAST, LUCK[chart.is_voxel(course.tasks[k])] / np.sqrt(max(1.0, size)))
    then, now = _loss(course, k, step), _loss(course, k, steps[-1])
    if at + WINDOW // 2 >= EARLY * len(skills) or peak < LEAST or peak - end < luck or not now < STILL * then:
        return
    settings, task = chart.settings, course.tasks[k]
    yield Finding(
        "overfit",
        (task,),
        f"{task} is learnt by heart: its skill on tune peaks at {peak:.2f} near step {step:.0f} and ends at {end:.2f} "
        f"({size:.0f} tune samples; luck makes {luck:.2f}), while its training loss falls on from {then:.2f} to "
        f"{now:.2f}",
        {"peak": peak, "step": float(step), "end": end, "luck": luck, "loss_then": then, "loss_now": now},
        f"{chart.command} --set training.weight_decay={max(settings.weight_decay * 5, 0.05):.2g} --set "
        f"model.dropout={min(0.5, chart.dropout + 0.2):.2g}; or stop in time: --steps {step:.0f}, or --set "
        "training.patience=3",
    )


def _loss(course: Course, k: int, step: float) -> float:
    """Find the mean loss of the epoch that ends at a step, or of the last one before it with a known loss."""
    found = course.means[course.epoch_steps <= step, k]
    found = found[np.isfinite(found)]
    return float(found[-1]) if len(found) else NAN


def _size(metrics: object) -> float:
    """Count the known tune samples: the largest n of all tasks, because that of a voxel task is a mean over cases."""
    assert isinstance(metrics, dict)
    return max((number(m.get("n")) for m in metrics.values() if np.isfinite(number(m.get("n")))), default=1.0)
