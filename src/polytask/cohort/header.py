"""The typed header of a cohort, `cohort.yaml`: it says what each column of the table means."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal, Union

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from polytask.cohort.input_specs import (
    Column,
    ImageInput,
    Input,
    Modality,
    SlideInput,
    TableInput,
    count_modality_planes,
)
from polytask.cohort.strata_columns import StrataColumns
from polytask.errors import suggest_word
from polytask.kinds import KINDS
from polytask.kinds.applicability import list_condition_breaches
from polytask.kinds.class_words import list_answers
from polytask.kinds.classification import ClassificationSpec
from polytask.kinds.dose import DoseSpec
from polytask.kinds.header_words import (
    RESERVED_COLUMNS,
    RESERVED_TASKS,
    HeaderName,
    HeaderText,
    StrictModel,
    find_repeated_words,
)
from polytask.kinds.multilabel import MultilabelSpec
from polytask.kinds.ordinal import OrdinalSpec
from polytask.kinds.regression import RegressionSpec
from polytask.kinds.segmentation import SegmentationSpec
from polytask.kinds.survival import SurvivalSpec
from polytask.kinds.task_spec import EventTimeSpec, MaskSpec, PooledSpec, TaskSpec, VoxelSpec

HeaderLevel = Literal["voxel", "visit", "subject"]

if TYPE_CHECKING:
    Task = TaskSpec
else:  # the union of all kinds that are registered
    Task = Annotated[Union[tuple(kind.spec for kind in KINDS.values())], Field(discriminator="kind")]  # noqa: UP007

__all__ = [
    "ClassificationSpec",
    "Column",
    "DoseSpec",
    "EventTimeSpec",
    "Header",
    "HeaderLevel",
    "ImageInput",
    "Input",
    "MaskSpec",
    "Modality",
    "MultilabelSpec",
    "OrdinalSpec",
    "PooledSpec",
    "RegressionSpec",
    "SegmentationSpec",
    "SlideInput",
    "StrictModel",
    "SurvivalSpec",
    "TableInput",
    "Task",
    "VoxelSpec",
    "count_modality_planes",
    "list_optional_columns",
    "list_task_columns",
]


def list_task_columns(name: str, task: Task) -> tuple[str, ...]:
    """List the columns that a task must have. A task with `structures` may instead have one column per structure."""
    return KINDS[task.kind].list_columns(task, task.column or name)


def list_optional_columns(name: str, task: Task) -> tuple[str, ...]:
    """List the columns that a task may have: known structures, region that counts, one mask per structure."""
    return KINDS[task.kind].list_optional_columns(task, task.column or name)


class Header(StrictModel):
    """The whole content of `cohort.yaml`."""

    polytask: Literal[1]
    name: HeaderText
    unknown: list[HeaderText] = Field(default=[])
    visits: Annotated[list[HeaderText], Field(min_length=1)] | None = None
    inputs: Annotated[dict[HeaderName, Input], Field(min_length=1)]
    tasks: dict[HeaderName, Task]
    strata: StrataColumns = Field(default={})
    subgroups: StrataColumns = Field(default={})

    @property
    def groupings(self) -> dict[str, list[float]]:
        """Map each column under `strata` or `subgroups`, which mean the same, to its cuts."""
        return self.strata | self.subgroups

    @property
    def images(self) -> dict[str, ImageInput]:
        """Map the names of the image inputs to their entries."""
        return {k: v for k, v in self.inputs.items() if isinstance(v, ImageInput)}

    @property
    def tables(self) -> dict[str, TableInput]:
        """Map the names of the table inputs to their entries."""
        return {k: v for k, v in self.inputs.items() if isinstance(v, TableInput)}

    @property
    def slides(self) -> dict[str, SlideInput]:
        """Map the names of the slide inputs to their entries."""
        return {k: v for k, v in self.inputs.items() if isinstance(v, SlideInput)}

    @property
    def input_columns(self) -> dict[str, str]:
        """Map each column that an input reads to the name of that input."""
        images = {
            f"{name}.{channel}": name for name, image in self.images.items() for channel in image.channels
        }
        tables = {column: name for name, table in self.tables.items() for column in table.columns}
        return images | tables | {name: name for name in self.slides}

    @model_validator(mode="after")
    def _rules(self) -> Header:
        if violations := list(_list_header_violations(self)):
            raise PydanticCustomError("rules", "the parts do not fit together", {"violations": violations})
        return self


def _list_header_violations(header: Header) -> Iterator[tuple[str, str]]:
    """List the broken rules between parts of a header, each as (key path, "what is wrong: what to do")."""
    yield from _list_name_violations(header)
    yield from _list_input_violations(header)
    for key, named in (("strata", header.strata), ("subgroups", header.subgroups)):
        for column in named:
            if column in RESERVED_COLUMNS:
                remedy = "results per site are given anyway" if column == "site" else "name another column"
                yield key, f"{column!r} is a column with a fixed meaning: {remedy}"
            elif key == "subgroups" and column in header.strata:
                yield key, f"column {column!r} is also under `strata`, which means the same: name it once"
    taken = header.input_columns
    # A column that is both input and target would let the model read the answer.
    for name, task in header.tasks.items():
        for column in (*list_task_columns(name, task), *list_optional_columns(name, task)):
            if column in taken:
                yield (
                    f"tasks.{name}",
                    f"column {column!r} is both input (of {taken[column]!r}) and target: remove it from one of them",
                )
        for word in list_answers(task):
            if word in header.unknown:
                yield (
                    f"tasks.{name}",
                    f"{word!r} is both a class and a word of `unknown`: remove it from one of them",
                )
        yield from ((f"tasks.{name}.{key}", message) for key, message in _list_task_violations(header, task))
        yield from (
            (f"tasks.{name}.applies_when", text) for text in list_condition_breaches(name, header.tasks)
        )


def _list_name_violations(header: Header) -> Iterator[tuple[str, str]]:
    """List inputs and tasks with a reserved name, and a visit that is named twice."""
    for kind, names in (("inputs", list(header.inputs)), ("tasks", list(header.tasks))):
        for name in names:
            if name in RESERVED_COLUMNS:
                yield f"{kind}.{name}", f"{name!r} is a column with a fixed meaning: choose another name"
    for name in header.tasks:
        if name in RESERVED_TASKS:
            message = f"{name!r} would write columns with a fixed meaning, such as {name}.ood_p: choose another name"
            yield f"tasks.{name}", message
    if header.visits and (twice := find_repeated_words(header.visits)):
        yield "visits", f"visit {twice[0]!r} is named twice: name it once"


def _list_input_violations(header: Header) -> Iterator[tuple[str, str]]:
    """List columns of inputs whose name is taken by a slide input or has a fixed meaning."""
    for name, table in header.tables.items():
        for column in table.columns:
            if column in header.slides:
                yield f"inputs.{name}", f"column {column!r} is also a slide input: rename one of the two"
    for column, owner in header.input_columns.items():
        if column in RESERVED_COLUMNS:
            yield f"inputs.{owner}", f"column {column!r} has a fixed meaning: rename the column"


def _list_task_violations(header: Header, task: Task) -> Iterator[tuple[str, str]]:
    """List the broken rules between one task and the rest of the header, each as (key of the task, message)."""
    visits = header.visits or []
    if isinstance(task, VoxelSpec) and task.image not in header.images:
        yield (
            "image",
            f"{task.image!r} is not an image input: {suggest_word(task.image, list(header.images))}",
        )
    for visit in (task.visits or []) if isinstance(task, PooledSpec) else []:
        if visit not in visits:
            yield "visits", f"visit {visit!r} is not in the header's `visits`: {suggest_word(visit, visits)}"
    if isinstance(task, PooledSpec) and task.history:
        if task.level == "subject":
            yield "history", "a subject task reads all its visits anyway: write `level: visit`, or remove it"
        if len(visits) < 2:
            yield "history", "the header names fewer than two visits: name them in `visits`, or remove it"
    yield from KINDS[task.kind].list_breaches(task, header.tasks, visits)
