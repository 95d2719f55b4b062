"""What `cohort.yaml` may say about every task, whatever its kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field
from pydantic_core import PydanticCustomError

from polytask.kinds.header_words import HeaderText, StrictModel

WordList = Annotated[list[HeaderText], Field(min_length=1)]


def make_header_error(message: str, **parts: Any) -> PydanticCustomError:
    """Make the error for a broken rule of the header: what is wrong, and after the colon what to do."""
    # The finished text goes in as a parameter, because pydantic would read braces in a message as placeholders.
    return PydanticCustomError("rule", "{text}", {"text": message.format(**parts)})


class TaskSpec(StrictModel):
    """What every task may state: `column` is its column in the table, `title` its name on pages.

    The order of the fields is part of a cohort's digest, so `kind`, `level` and `image` are declared for readers here
    and take their place in each kind.
    """

    column: HeaderText | None = None
    title: HeaderText | None = None
    if TYPE_CHECKING:
        kind: str
        level: str


class VoxelSpec(TaskSpec):
    """A task with a value per voxel of an image input."""

    if TYPE_CHECKING:
        image: str


class PooledSpec(TaskSpec):
    """A task with an answer per visit or per subject; `visits` are those whose cells are read."""

    level: Literal["visit", "subject"] = "visit"
    visits: WordList | None = None
