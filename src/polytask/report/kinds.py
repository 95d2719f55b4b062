"""Which pictures each kind of task has."""

from __future__ import annotations

from collections.abc import Callable

from polytask.report import classes, doses, numbers, overlays, survival
from polytask.report.drawing import Picture
from polytask.report.material import Material

PICTURES: dict[str, Callable[[Material, str], list[Picture]]] = {
    "segmentation": overlays.pictures,
    "classification": classes.pictures,
    "multilabel": classes.pictures,
    "ordinal": classes.pictures,
    "regression": numbers.pictures,
    "survival": survival.pictures,
    "dose": doses.pictures,
}
"""Kind → pictures of a task of it."""
