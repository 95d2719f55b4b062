"""Landmarks: visits at which the risk of an event is judged from all visits so far; what header and plan say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from polytask.errors import suggest_word
from polytask.kinds.header_words import find_repeated_words
from polytask.kinds.horizons import count_days_per_unit
from polytask.kinds.kind import MissingInTrain
from polytask.kinds.plan_reasons import PlanReasons, round_number
from polytask.kinds.step_curves import estimate_censoring
from polytask.kinds.task_spec import EventTimeSpec


def list_landmark_breaches(task: EventTimeSpec, visits: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield (key, what is wrong and what to do) for each broken rule about the landmarks of a task."""
    if not task.landmarks:
        return
    for visit in task.landmarks:
        if visit not in visits:
            yield (
                "landmarks",
                f"visit {visit!r} is not in the header's `visits`: {suggest_word(visit, visits)}",
            )
        elif task.origin in visits and visits.index(visit) < visits.index(str(task.origin)):
            yield (
                "landmarks",
                f"{visit!r} stands before the origin {task.origin!r}, where time begins: begin with "
                f"{task.origin!r}, or take it out",
            )
    if twice := find_repeated_words(task.landmarks):
        yield "landmarks", f"visit {twice[0]!r} is named twice: name it once"
    if task.level != "visit":
        yield "landmarks", "risk is judged at visits, not once for the subject: write `level: visit`"
    if task.visits is not None:
        yield "visits", "`landmarks` already says at which visits the risk is judged: remove one of the two"
    if count_days_per_unit(task.unit) is None:
        yield (
            "unit",
            f"{task.unit!r} cannot be counted in days, as time from a landmark must: use days, weeks, months or years",
        )


def decide_landmarks(
    answers: Mapping[str, npt.NDArray[Any]], why: PlanReasons
) -> dict[str, dict[str, list[float]]]:
    """Decide the field `landmarks` of the plan: visit → Kaplan–Meier of the censoring among those at risk there.

    Args:
        answers: landmark → time and event of the training subjects at risk there, counted from it, `[n, 2]`.

    Raises:
        MissingInTrain: nobody is at risk at a landmark, or no event comes after it.
    """
    curves: dict[str, dict[str, list[float]]] = {}
    counts: list[str] = []
    for visit, pairs in answers.items():
        if not len(pairs):
            raise MissingInTrain(
                f"nobody is at risk at landmark {visit!r} (no such visit, or the event came before)"
            )
        times, events = np.asarray(pairs, np.float64).T
        if not (events > 0).any():
            raise MissingInTrain(f"no event is observed after landmark {visit!r}")
        curve = estimate_censoring(times, events)
        curves[visit] = {k: [round_number(float(v)) for v in values] for k, values in curve.items()}
        counts.append(f"{visit} {times.size} ({int((events > 0).sum())})")
    why["landmarks"] = (
        "censoring curve of those at risk at each landmark, for its metrics; training subjects at risk there (later "
        f"events): {', '.join(counts)}"
    )
    return curves
