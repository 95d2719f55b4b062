"""The typed header of a cohort: `cohort.yaml`, what the columns of the table mean."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal, Union

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from polytask.cohort.inputs import Column, ImageInput, Input, Modality, SlideInput, TableInput, planes_of
from polytask.errors import nearest
from polytask.kinds import KINDS
from polytask.kinds.class_words import list_answers
from polytask.kinds.classification import ClassificationSpec
from polytask.kinds.dose import DoseSpec
from polytask.kinds.multilabel import MultilabelSpec
from polytask.kinds.ordinal import OrdinalSpec
from polytask.kinds.regression import RegressionSpec
from polytask.kinds.segmentation import SegmentationSpec
from polytask.kinds.spec import PooledSpec, TaskSpec, VoxelSpec
from polytask.kinds.survival import SurvivalSpec
from polytask.kinds.words import RESERVED, Name, Strict, Text, repeated

Level = Literal["voxel", "visit", "subject"]

if TYPE_CHECKING:
    Task = TaskSpec
else:  # the union of all kinds that are registered
    Task = Annotated[Union[tuple(kind.spec for kind in KINDS.values())], Field(discriminator="kind")]  # noqa: UP007

__all__ = [
    "ClassificationSpec",
    "Column",
    "DoseSpec",
    "Header",
    "ImageInput",
    "Input",
    "Level",
    "Modality",
    "MultilabelSpec",
    "OrdinalSpec",
    "PooledSpec",
    "RegressionSpec",
    "SegmentationSpec",
    "SlideInput",
    "Strict",
    "SurvivalSpec",
    "TableInput",
    "Task",
    "VoxelSpec",
    "list_optional_columns",
    "list_task_columns",
    "planes_of",
]


def list_task_columns(name: str, task: Task) -> tuple[str, ...]:
    """The columns a task must have; `structures` may bring one 4-D column or one per structure (see `values`)."""
    return KINDS[task.kind].list_columns(task, task.column or name)


def list_optional_columns(name: str, task: Task) -> tuple[str, ...]:
    """Columns a task may have: known structures, the region that counts, a mask per structure."""
    return KINDS[task.kind].list_optional_columns(task, task.column or name)


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
        for column in (*list_task_columns(name, task), *list_optional_columns(name, task)):
            if column in taken:
                yield (
                    f"tasks.{name}",
                    f"column {column!r} is input (of {taken[column]!r}) and target: remove one of the two",
                )
        for word in list_answers(task):
            if word in header.unknown:
                yield f"tasks.{name}", f"{word!r} is a class and a word of `unknown`: remove one of the two"
        yield from ((f"tasks.{name}.{key}", message) for key, message in _task_breaches(header, task))


def _task_breaches(header: Header, task: Task) -> Iterator[tuple[str, str]]:
    visits = header.visits or []
    if isinstance(task, VoxelSpec) and task.image not in header.images:
        yield "image", f"{task.image!r} is no image input: {nearest(task.image, list(header.images))}"
    for visit in (task.visits or []) if isinstance(task, PooledSpec) else []:
        if visit not in visits:
            yield "visits", f"visit {visit!r} is not in the header's `visits`: {nearest(visit, visits)}"
    yield from KINDS[task.kind].list_breaches(task, header.tasks, visits)
