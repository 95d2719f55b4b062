"""Chooses the pictures of a task by the form of its answers."""

from __future__ import annotations

from collections.abc import Callable

from polytask.kinds.kind import AnswerForm
from polytask.report import classes, decision, doses, numbers, overlays, survival
from polytask.report.drawing import Picture
from polytask.report.material import Material


def class_pictures(material: Material, name: str) -> list[Picture]:
    """Draw ROC, reliability and confusion of a task with classes or labels, then its decision curves."""
    return [*classes.pictures(material, name), *decision.pictures(material, name)]


PICTURES: dict[AnswerForm, Callable[[Material, str], list[Picture]]] = {
    "masks": overlays.pictures,
    "class": class_pictures,
    "labels": class_pictures,
    "grade": classes.pictures,
    "number": numbers.pictures,
    "time": survival.pictures,
    "field": doses.pictures,
}
"""Form of the answers → function that draws the pictures of such a task."""
