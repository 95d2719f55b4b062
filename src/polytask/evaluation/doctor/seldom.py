"""A task that is absent from most steps."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from polytask.evaluation.doctor.chart import LOOKS, Chart
from polytask.evaluation.doctor.finding import Finding

HALF = 0.5
SURE, SURE_ENOUGH = 1.65, 1.0
"""Standard errors that must lie between the share of looks and one half: one chance in twenty by luck; fewer where the
log has counted it with another task in under a quarter of all steps, which a task that is often there can only have by
sharing no samples."""


def seldom(chart: Chart) -> Iterator[Finding]:
    """A task that is absent from most steps: too few of its samples are known."""
    for course in chart.courses:
        looks = len(course.look_steps)
        if looks < LOOKS:
            continue
        common = course.common()
        for k, task in enumerate(course.tasks):
            there = int(np.isfinite(course.losses[:, k]).sum())
            least = max((share for pair, share in common.items() if task in pair), default=0.0)
            sure = SURE_ENOUGH if 0 < least < HALF / 2 else SURE
            limit = HALF - sure * HALF / np.sqrt(looks)
            if there > limit * looks or least >= HALF:
                continue
            yield Finding(
                "seldom",
                (task,),
                f"{task} is missing from most steps: it was known in {there} of {looks} looks, and with another task "
                f"in one sample in at most {least:.0%} of the steps",
                {"share": there / looks, "looks": looks, "common": least},
                _remedy(chart, task, max(there / looks, least)),
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
