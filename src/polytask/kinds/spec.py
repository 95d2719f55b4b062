"""What `cohort.yaml` says of every task, whatever its kind."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic_core import PydanticCustomError

from polytask.kinds.words import Name, Strict, Text

Words = Annotated[list[Text], Field(min_length=1)]


def breach(message: str, **parts: Any) -> PydanticCustomError:
    """A rule of the header that does not hold: what is wrong, and after the colon what to do."""
    return PydanticCustomError("rule", "{text}", {"text": message.format(**parts)})


class TaskSpec(Strict):
    """What every task may say: `column` names its column in the table, `title` its name on pages."""

    column: Text | None = None
    title: Text | None = None
    kind: str
    level: str


class VoxelSpec(TaskSpec):
    """A task with a value per voxel of an image input."""

    level: Literal["voxel"] = "voxel"
    image: Name


class PooledSpec(TaskSpec):
    """A task with an answer per visit or per subject; `visits` are those whose cells are read."""

    level: Literal["visit", "subject"] = "visit"
    visits: Words | None = None
