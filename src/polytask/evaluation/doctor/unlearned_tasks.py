"""Finds tasks whose loss is still that of a constant answer."""

from __future__ import annotations

from collections.abc import Iterator

from polytask.evaluation.doctor.dead_heads import find_dead_heads
from polytask.evaluation.doctor.doctor_chart import DoctorChart
from polytask.evaluation.doctor.finding import Finding
from polytask.evaluation.doctor.loss_scale import find_scale_problems
from polytask.evaluation.doctor.rare_tasks import find_rare_tasks
from polytask.evaluation.doctor.skipped_steps import find_skipped_steps
from polytask.evaluation.doctor.starved_tasks import find_starved_tasks
from polytask.evaluation.doctor.task_ratios import find_final_losses
from polytask.evaluation.learning_check import SHORT_TRAINING_SHARE, UNLEARNED_LOSS

UNLEARNED_CAUSES = (
    find_skipped_steps,
    find_dead_heads,
    find_starved_tasks,
    find_rare_tasks,
    find_scale_problems,
)
"""Checks that explain why a task learned nothing: a task that one of them names is not reported again."""


def find_unlearned_tasks(chart: DoctorChart) -> Iterator[Finding]:
    """Tasks that learned nothing yet: their loss is still that of a constant answer, so their metrics mean nothing."""
    ends = find_final_losses(chart)
    explained = {
        task for find_cause in UNLEARNED_CAUSES for finding in find_cause(chart) for task in finding.tasks
    }
    still = {task: loss for task, loss in ends.items() if loss >= UNLEARNED_LOSS and task not in explained}
    if not still:
        return
    steps, planned = (
        max(c.steps for c in chart.courses),
        chart.settings.epochs * chart.settings.steps_per_epoch,
    )
    losses = ", ".join(f"{task} {loss:.2f}" for task, loss in still.items())
    remedy = (
        f"train longer: `polytask train {chart.run.work}` takes the planned {planned:,} steps"
        if steps < SHORT_TRAINING_SHARE * planned
        else "look at the labels with `polytask check`; if they are right, this cohort may not hold the answer"
    )
    yield Finding(
        "unlearned",
        tuple(still),
        f"nothing learned yet on {', '.join(still)} after {steps:,} of {planned:,} planned steps; loss at the "
        f"end (a constant answer has 1): {losses}",
        {"steps": float(steps), "planned": float(planned), **{f"loss.{t}": v for t, v in still.items()}},
        remedy,
    )
