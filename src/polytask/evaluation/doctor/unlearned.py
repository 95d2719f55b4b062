"""Finds tasks whose loss is still that of a constant answer."""

from __future__ import annotations

from collections.abc import Iterator

from polytask.evaluation.doctor.chart import Chart
from polytask.evaluation.doctor.dead import dead
from polytask.evaluation.doctor.finding import Finding
from polytask.evaluation.doctor.peers import last
from polytask.evaluation.doctor.scale import scale
from polytask.evaluation.doctor.seldom import seldom
from polytask.evaluation.doctor.skipped import skipped
from polytask.evaluation.doctor.starved import starved
from polytask.evaluation.learning import CONSTANT_LOSS, SHORT

CAUSES = (skipped, dead, starved, seldom, scale)
"""Checks that explain why a task learned nothing: a task that one of them names is not reported again."""


def unlearned(chart: Chart) -> Iterator[Finding]:
    """Tasks that learned nothing yet: their loss is still that of a constant answer, so their metrics mean nothing."""
    ends = {t: last(c.means[:, k]) for c in chart.courses for k, t in enumerate(c.tasks) if len(c.means)}
    explained = {task for illness in CAUSES for finding in illness(chart) for task in finding.tasks}
    still = {task: loss for task, loss in ends.items() if loss >= CONSTANT_LOSS and task not in explained}
    if not still:
        return
    steps, planned = (
        max(c.steps for c in chart.courses),
        chart.settings.epochs * chart.settings.steps_per_epoch,
    )
    losses = ", ".join(f"{task} {loss:.2f}" for task, loss in still.items())
    remedy = (
        f"train longer: `polytask train {chart.run.work}` takes the planned {planned:,} steps"
        if steps < SHORT * planned
        else "look at the labels with `polytask check`; if they are right, this cohort may not hold the answer"
    )
    yield Finding(
        "unlearned",
        tuple(still),
        f"nothing learned yet on {', '.join(still)} after {steps:,} of {planned:,} planned steps; the loss at the end, "
        f"where a constant answer has 1: {losses}",
        {"steps": float(steps), "planned": float(planned), **{f"loss.{t}": v for t, v in still.items()}},
        remedy,
    )
