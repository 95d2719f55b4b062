"""The typed header of a cohort: `cohort.yaml`, what the columns of the table mean."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from polytask.cohort.inputs import Column, ImageInput, Input, Modality, SlideInput, TableInput, planes_of
from polytask.cohort.tasks import (
    Classification,
    Dose,
    Multilabel,
    Ordinal,
    Regression,
    Segmentation,
    Survival,
    Task,
    answers,
    columns_of,
    optional_columns,
)
from polytask.cohort.words import RESERVED, Name, Strict, Text, repeated
from polytask.errors import nearest

Level = Literal["voxel", "visit", "subject"]

__all__ = [
    "Classification",
    "Column",
    "Dose",
    "Header",
    "ImageInput",
    "Input",
    "Level",
    "Modality",
    "Multilabel",
    "Ordinal",
    "Regression",
    "Segmentation",
    "SlideInput",
    "Strict",
    "Survival",
    "TableInput",
    "Task",
    "planes_of",
]


class Header(Strict):
    """The whole of `cohort.yaml`."""

    polytask: Literal[1]
    name: Text
    unknown: list[Text] = Field(default=[])
    visits: Annotated[list[Text], Field(min_length=1)] | None = None
    inputs: Annotated[dict[Name, Input], Field(min_length=1)]
    tasks: dict[Name, Task]

    @property
    def images(self) -> dict[str, ImageInput]:
        """The image inputs."""
        return {k: v for k, v in self.inputs.items() if isinstance(v, ImageInput)}

    @property
    def tables(self) -> dict[str, TableInput]:
        """The table inputs."""
        return {k: v for k, v in self.inputs.items() if isinstance(v, TableInput)}

    @property
    def slides(self) -> dict[str, SlideInput]:
        """The slide inputs."""
        return {k: v for k, v in self.inputs.items() if isinstance(v, SlideInput)}

    @property
    def input_columns(self) -> dict[str, str]:
        """Column → the input that reads it."""
        images = {
            f"{name}.{channel}": name for name, image in self.images.items() for channel in image.channels
        }
        tables = {column: name for name, table in self.tables.items() for column in table.columns}
        return images | tables | {name: name for name in self.slides}

    @model_validator(mode="after")
    def _rules(self) -> Header:
        if found := list(_breaches(self)):
            raise PydanticCustomError("rules", "the parts do not fit together", {"found": found})
        return self


def _breaches(header: Header) -> Iterator[tuple[str, str]]:
    """(place, what is wrong: what to do) of every rule between the parts of a header that does not hold."""
    for kind, names in (("inputs", list(header.inputs)), ("tasks", list(header.tasks))):
        for name in names:
            if name in RESERVED:
                yield f"{kind}.{name}", f"{name!r} is a column with a meaning of its own: choose another name"
    if header.visits and (twice := repeated(header.visits)):
        yield "visits", f"visit {twice[0]!r} is named twice: name it once"
    taken = header.input_columns
    for name, table in header.tables.items():
        for column in table.columns:
            if column in header.slides:
                yield f"inputs.{name}", f"column {column!r} is also the slide input: rename one of the two"
    for column, owner in taken.items():
        if column in RESERVED:
            yield f"inputs.{owner}", f"column {column!r} has a meaning of its own: rename the column"
    for name, task in header.tasks.items():
        for column in (*columns_of(name, task), *optional_columns(name, task)):
            if column in taken:
                yield (
                    f"tasks.{name}",
                    f"column {column!r} is input (of {taken[column]!r}) and target: remove one of the two",
                )
        for word in answers(task):
            if word in header.unknown:
                yield f"tasks.{name}", f"{word!r} is a class and a word of `unknown`: remove one of the two"
        yield from ((f"tasks.{name}.{key}", message) for key, message in _task_breaches(header, task))


def _task_breaches(header: Header, task: Task) -> Iterator[tuple[str, str]]:
    if isinstance(task, Segmentation | Dose):
        if task.image not in header.images:
            yield "image", f"{task.image!r} is no image input: {nearest(task.image, list(header.images))}"
        if isinstance(task, Dose) and task.structures is not None:
            masks = {k: t for k, t in header.tasks.items() if isinstance(t, Segmentation)}
            if task.structures not in masks:
                yield (
                    "structures",
                    f"{task.structures!r} is no segmentation task: {nearest(task.structures, list(masks))}",
                )
            elif masks[task.structures].image != task.image:
                yield (
                    "structures",
                    f"{task.structures!r} is drawn on another image: name one drawn on {task.image!r}",
                )
        return
    visits = header.visits or []
    for visit in task.visits or []:
        if visit not in visits:
            yield "visits", f"visit {visit!r} is not in the header's `visits`: {nearest(visit, visits)}"
    if isinstance(task, Survival) and task.origin is not None and task.origin not in visits:
        yield (
            "origin",
            f"visit {task.origin!r} is not in the header's `visits`: {nearest(task.origin, visits)}",
        )
