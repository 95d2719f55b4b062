"""Finds a task that is absent from most steps."""

from __future__ import annotations

from collections.abc import Iterator

from polytask.evaluation.doctor.doctor_chart import DoctorChart
from polytask.evaluation.doctor.finding import Finding

MIN_PRESENT_SHARE = 0.5
MIN_STEPS_FOR_PRESENCE = 20
"""The share of steps with a task is not judged over fewer steps than this."""


def find_rare_tasks(chart: DoctorChart) -> Iterator[Finding]:
    """A task that is absent from most steps: too few of its samples are known."""
    for course in chart.courses:
        if course.steps < MIN_STEPS_FOR_PRESENCE:
            continue
        for task, share in course.present().items():
            if share < MIN_PRESENT_SHARE:
                yield Finding(
                    "seldom",
                    (task,),
                    f"{task} is missing from most steps: some of its values were known in {share:.0%} of "
                    f"{course.steps} steps",
                    {"share": share, "steps": course.steps},
                    _suggest_rare_task_remedy(chart, task, share),
                )


def _suggest_rare_task_remedy(chart: DoctorChart, task: str, share: float) -> str:
    now, settings = chart.settings.require_every.get(task, 0), chart.settings
    every = 2 if share < MIN_PRESENT_SHARE / 2 or now > 2 else 1
    if now != 1 and every != now:
        return f"include it more often: {chart.command} --set training.require_every.{task}={every}"
    return (
        f"it is already required in every {now} steps; accumulate more samples per step: {chart.command} --set "
        f"training.accumulation={2 * settings.accumulation}"
    )
