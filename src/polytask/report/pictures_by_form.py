"""Chooses the pictures and the additional tables of a task by the form of its answers."""

from __future__ import annotations

from collections.abc import Callable

from polytask.kinds import find_answer_form
from polytask.kinds.kind import AnswerForm
from polytask.report import (
    class_plots,
    decision_plots,
    dose_plots,
    number_plots,
    overlay_plots,
    survival_plots,
    trajectory_plots,
)
from polytask.report.drawing import Picture
from polytask.report.metric_tables import ReportTable
from polytask.report.report_material import ReportMaterial


def make_all_class_pictures(material: ReportMaterial, name: str) -> list[Picture]:
    """Draw ROC, reliability and confusion of a task with classes or labels, then its decision curves."""
    return [
        *class_plots.make_class_pictures(material, name),
        *decision_plots.make_decision_pictures(material, name),
    ]


def make_all_survival_pictures(material: ReportMaterial, name: str) -> list[Picture]:
    """Draw the survival of risk groups, and the trajectories of a task with landmarks."""
    return [
        *survival_plots.make_survival_pictures(material, name),
        *trajectory_plots.make_trajectory_pictures(material, name),
    ]


PICTURES_BY_ANSWER_FORM: dict[AnswerForm, Callable[[ReportMaterial, str], list[Picture]]] = {
    "masks": overlay_plots.make_overlay_pictures,
    "class": make_all_class_pictures,
    "labels": make_all_class_pictures,
    "grade": class_plots.make_class_pictures,
    "number": number_plots.make_number_pictures,
    "time": make_all_survival_pictures,
    "field": dose_plots.make_dose_pictures,
}
"""Form of the answers → function that draws the pictures of such a task."""


def build_extra_tables(material: ReportMaterial, name: str) -> list[ReportTable]:
    """Build the tables that only some kinds of tasks have."""
    table = (
        survival_plots.build_survival_table(material, name)
        if find_answer_form(material.tasks[name].kind) == "time"
        else None
    )
    return [table] if table else []
