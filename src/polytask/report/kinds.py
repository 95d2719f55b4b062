"""Which pictures each kind of task has."""

from __future__ import annotations

from collections.abc import Callable

from polytask.report import classes, decision, doses, numbers, overlays, survival
from polytask.report.drawing import Picture
from polytask.report.material import Material


def class_pictures(material: Material, name: str) -> list[Picture]:
    """Of a task with classes or labels: ROC, reliability and confusion, then the decision curve."""
    return [*classes.pictures(material, name), *decision.pictures(material, name)]


PICTURES: dict[str, Callable[[Material, str], list[Picture]]] = {
    "segmentation": overlays.pictures,
    "classification": class_pictures,
    "multilabel": class_pictures,
    "ordinal": classes.pictures,
    "regression": numbers.pictures,
    "survival": survival.pictures,
    "dose": doses.pictures,
}
"""Kind → pictures of a task of it."""
