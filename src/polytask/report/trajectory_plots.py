"""Trajectories of risk: for each patient the probability of the event, judged anew at each visit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from polytask.cohort.cohort import Cohort
from polytask.inference.pooled_answers import PooledAnswers
from polytask.kinds.horizons import count_days_per_unit
from polytask.report.drawing import (
    GREEN,
    RED,
    Picture,
    create_figure,
    draw_empty_panel,
    encode_svg,
    use_report_style,
)
from polytask.report.report_material import ReportMaterial

MOST_OPAQUE_LINES = 8
"""Up to so many patients are drawn as full lines; more are drawn fainter, so that crossing lines can be told apart."""


@dataclass(frozen=True)
class Trajectory:
    """The risk of one patient over the visits.

    Args:
        subject: the patient. days, p: day of each visit and the probability of the event that was judged there.
        event: whether the event was observed; None where the outcome is not known.
        end: day of the event or of the end of follow-up.
    """

    subject: str
    days: tuple[float, ...]
    p: tuple[float, ...]
    event: bool | None
    end: float | None


def list_trajectories(cohort: Cohort, items: PooledAnswers, horizon: int, unit: str) -> dict[str, Trajectory]:
    """List subject → trajectory, for the horizon with this number; visits without a probability are left out."""
    rows: dict[str, list[tuple[float, float]]] = {}
    ends: dict[str, tuple[float, bool]] = {}
    case_days = {
        (case.subject, case.visit): float(place) if case.day is None else case.day
        for cases in cohort.subjects.values()
        for place, case in enumerate(cases)
    }
    for k, who in enumerate(items.ids):
        day, p = case_days[who], float(items.prediction["p"][k, horizon])
        if np.isfinite(p):
            rows.setdefault(who[0], []).append((day, p))
        if items.known[k]:
            time, event = (float(x) for x in items.value[k])
            ends[who[0]] = (day + time * (count_days_per_unit(unit) or 1.0), event > 0)
    trajectories: dict[str, Trajectory] = {}
    for subject, points in rows.items():
        days, p_of_days = zip(*sorted(points), strict=True)
        seen = ends.get(subject)
        trajectories[subject] = Trajectory(
            subject, days, p_of_days, seen[1] if seen else None, seen[0] if seen else None
        )
    return trajectories


def choose_shown_horizon(items: PooledAnswers, horizons: Mapping[int, float]) -> int | None:
    """Choose the longest horizon at which some visit has a probability; None where none has one."""
    defined = [h for h in horizons if np.isfinite(items.prediction["p"][:, h]).any()]
    return max(defined, key=lambda h: horizons[h], default=None)


def make_trajectory_pictures(material: ReportMaterial, name: str) -> list[Picture]:
    """Draw the trajectories of all patients: those with the event beside those without; none without landmarks."""
    task, items = material.tasks[name], material.answers.pooled[name]
    if not getattr(task, "landmarks", {}) or not items.ids:
        return []
    horizons = dict(enumerate(getattr(task, "horizons", ())))
    shown = choose_shown_horizon(items, horizons)
    if shown is None:
        return []
    unit = str(getattr(task, "unit", ""))
    lines = list(list_trajectories(material.cohort, items, shown, unit).values())
    title = f"Risk of {material.names.task(name)} over the visits, patient by patient"
    with use_report_style():
        drawn = create_figure(7.4, 3.2)
        panels = drawn.subplots(1, 2, sharex=True, sharey=True)
        for axes, event, ink, word in zip(
            panels, (True, False), (RED, GREEN), ("with the event", "without the event"), strict=True
        ):
            draw_trajectories(axes, [line for line in lines if bool(line.event) is event], ink, word)
        panels[0].set_ylabel(f"probability within {horizons[shown]:g} {unit}".strip())
        note = (
            f"Each line is one patient: the probability of the event within {horizons[shown]:g} {unit} after each "
            "visit, from the visits so far. A cross marks the day of the event. `predictions.csv` has the "
            "numbers, a row per visit."
        )
        return [Picture(encode_svg(drawn), title, note, wide=True)]


def draw_trajectories(axes: Any, lines: list[Trajectory], ink: str, word: str) -> None:
    """Draw the trajectories of some patients into one panel."""
    if not lines:
        draw_empty_panel(axes, f"no patient {word}")
        return
    opacity = 0.9 if len(lines) <= MOST_OPAQUE_LINES else 0.35
    for line in lines:
        axes.plot(line.days, line.p, "-o", color=ink, alpha=opacity, lw=1.1, ms=2.5)
        if line.event and line.end is not None:
            axes.plot([line.end], [line.p[-1]], "x", color=ink, alpha=opacity, ms=5)
    axes.set(title=f"{len(lines)} patients {word}", xlabel="day of the visit", ylim=(0, 1))
