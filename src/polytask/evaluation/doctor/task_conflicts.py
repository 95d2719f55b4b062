"""Finds two tasks that pull the shared features in opposite directions most of the time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from polytask.evaluation.doctor.doctor_chart import MIN_GRADIENT_LOOKS, DoctorChart
from polytask.evaluation.doctor.finding import Finding

OPPOSED_COSINE = -0.1
"""Two gradients with a cosine below this are opposed. In healthy runs that is so in at most 45 % of the records of a
pair, with a median cosine of -0.07 or more; for two readers who draw one lesion differently it was 83 % and -0.34."""
MIN_OPPOSED_SHARE, MAX_MEDIAN_COSINE = 0.6, -0.2
"""Share of the gradient records that must be opposed, and the highest median cosine, for a finding."""


def find_conflicts(chart: DoctorChart) -> Iterator[Finding]:
    """Two tasks whose gradients at the cut point in opposite directions in most records."""
    for course in chart.courses:
        for (a, b), cosines in course.cosines.items():
            known_cosines = cosines[np.isfinite(cosines)]
            if len(known_cosines) < MIN_GRADIENT_LOOKS or float(np.median(known_cosines)) > MAX_MEDIAN_COSINE:
                continue
            few = int((known_cosines < OPPOSED_COSINE).sum())
            if few < MIN_OPPOSED_SHARE * len(known_cosines):
                continue
            yield Finding(
                "conflict",
                (a, b),
                f"{a} and {b} pull the shared features in opposite directions: in {few} of {len(known_cosines)} "
                f"gradient records the cosine of their gradients at the cut is below {OPPOSED_COSINE:g} (median "
                f"{np.median(known_cosines):.2f})",
                {
                    "share": few / len(known_cosines),
                    "looks": len(known_cosines),
                    "cosine": float(np.median(known_cosines)),
                },
                _suggest_conflict_remedy(chart, a, b),
            )


def _suggest_conflict_remedy(chart: DoctorChart, a: str, b: str) -> str:
    tasks = [t for t in chart.tasks if t != b]
    apart = f"train {b} separately: --tasks {','.join(tasks)} and --tasks {b}"
    if not chart.reads_gradients:
        return f"a rule whose step goes against neither: {chart.command} --balance upgrad; or {apart}"
    if chart.run.record["sharing"] == "hard":
        own = f"{chart.command} --sharing mtan_light"
        return f"give each task features of its own beside the shared ones: {own}; or {apart}"
    return f"{chart.command} --sharing single shows how each task does alone; or {apart}"
