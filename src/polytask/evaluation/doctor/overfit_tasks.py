"""Finds a task that overfits: it has begun to memorize its training samples."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from polytask.array_types import NAN
from polytask.evaluation.doctor.doctor_chart import DoctorChart
from polytask.evaluation.doctor.finding import Finding
from polytask.evaluation.doctor.training_curves import Array, TrainingCurves, read_log_number

SMOOTHING_WINDOW = 3
"""Number of evaluations whose median smooths the curve: skill on a small tune part jumps."""
MIN_TUNE_EVALUATIONS = 6
"""Fewest evaluations for a finding: two windows that do not overlap."""
MAX_PEAK_POSITION = 0.6
"""The peak must lie in this first share of the evaluations."""
MIN_SKILL_DROP = 0.1
"""Smallest drop of skill that is reported, however large tune is. A task whose peak is below it was never learned."""
CHANCE_SKILL_DROP = {False: 1.2, True: 0.4}
"""Whether it is a voxel task → drop of skill between two evaluations that chance explains, times 1/√n of tune. In
healthy runs with 3 to 10 tune subjects the drop of pooled tasks reached 1.0/√n; the skill of a mask varies much
less."""
MAX_REMAINING_LOSS_SHARE = 0.8
"""The training loss must have fallen below this share of its value at the peak."""


def find_overfit_tasks(chart: DoctorChart) -> Iterator[Finding]:
    """A task whose skill on tune peaks early and then falls, while its training loss goes on falling."""
    for course in chart.courses:
        evaluations = list(course.list_tune_metrics())
        for k, task in enumerate(course.tasks):
            own = [(s, m[task]) for s, m in evaluations if task in m]
            skills = np.array(
                [chart.tasks[task].skill({n: read_log_number(v) for n, v in m.items()}) for _, m in own]
            )
            steps = np.array([float(s) for s, _ in own])
            defined = np.isfinite(skills)
            if defined.sum() < MIN_TUNE_EVALUATIONS:
                continue
            # Only the last evaluation is read: tune is the same in all of them.
            size = max(_count_tune_samples(m) for _, m in evaluations[-1:])
            yield from _find_overfit_task(chart, course, k, skills[defined], steps[defined], size)


def _find_overfit_task(
    chart: DoctorChart, course: TrainingCurves, k: int, skills: Array, steps: Array, size: float
) -> Iterator[Finding]:
    smooth = np.array(
        [np.median(skills[i : i + SMOOTHING_WINDOW]) for i in range(len(skills) - SMOOTHING_WINDOW + 1)]
    )
    at = int(smooth.argmax())
    # A window is named by its middle evaluation.
    peak, end, step = float(smooth[at]), float(smooth[-1]), steps[at + SMOOTHING_WINDOW // 2]
    luck = max(MIN_SKILL_DROP, CHANCE_SKILL_DROP[chart.is_voxel(course.tasks[k])] / np.sqrt(max(1.0, size)))
    then, now = _find_epoch_loss(course, k, step), _find_epoch_loss(course, k, steps[-1])
    if (
        at + SMOOTHING_WINDOW // 2 >= MAX_PEAK_POSITION * len(skills)
        or peak < MIN_SKILL_DROP
        or peak - end < luck
        or not now < MAX_REMAINING_LOSS_SHARE * then
    ):
        return
    settings, task = chart.settings, course.tasks[k]
    yield Finding(
        "overfit",
        (task,),
        f"{task} is overfitted: its skill on tune peaks at {peak:.2f} near step {step:.0f} and ends at {end:.2f} "
        f"(chance explains a drop of {luck:.2f} with {size:.0f} tune samples), while its training loss goes on falling "
        f"from {then:.2f} to {now:.2f}",
        {"peak": peak, "step": float(step), "end": end, "luck": luck, "loss_then": then, "loss_now": now},
        f"{chart.command} --set training.weight_decay={max(settings.weight_decay * 5, 0.05):.2g} --set "
        f"model.dropout={min(0.5, chart.dropout + 0.2):.2g}; or stop in time: --steps {step:.0f}, or --set "
        "training.patience=3",
    )


def _find_epoch_loss(course: TrainingCurves, k: int, step: float) -> float:
    """Find the mean loss of the epoch that ends at a step, or of the last one before it with a known loss."""
    losses = course.means[course.epoch_steps <= step, k]
    losses = losses[np.isfinite(losses)]
    return float(losses[-1]) if len(losses) else NAN


def _count_tune_samples(metrics: object) -> float:
    """Count the known tune samples: the largest n of all tasks, because that of a voxel task is a mean over cases."""
    assert isinstance(metrics, dict)
    return max(
        (read_log_number(m.get("n")) for m in metrics.values() if np.isfinite(read_log_number(m.get("n")))),
        default=1.0,
    )
