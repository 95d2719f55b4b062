"""Finds a task that is absent from most steps."""

from __future__ import annotations

from collections.abc import Iterator

from polytask.evaluation.doctor.chart import Chart
from polytask.evaluation.doctor.finding import Finding

HALF = 0.5
LEAST = 20
"""With fewer steps nothing is said about the share."""


def seldom(chart: Chart) -> Iterator[Finding]:
    """A task that is absent from most steps: too few of its samples are known."""
    for course in chart.courses:
        if course.steps < LEAST:
            continue
        for task, share in course.present().items():
            if share < HALF:
                yield Finding(
                    "seldom",
                    (task,),
                    f"{task} is missing from most steps: it was there in {share:.0%} of {course.steps}",
                    {"share": share, "steps": course.steps},
                    _remedy(chart, task, share),
                )


def _remedy(chart: Chart, task: str, share: float) -> str:
    now, settings = chart.settings.require_every.get(task, 0), chart.settings
    every = 2 if share < HALF / 2 or now > 2 else 1
    if now != 1 and every != now:
        return f"have it come more often: {chart.command} --set training.require_every.{task}={every}"
    return (
        f"it is already asked for every {now} steps; accumulate more samples a step: {chart.command} --set "
        f"training.accumulation={2 * settings.accumulation}"
    )
