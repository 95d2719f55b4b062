"""What `cohort.yaml` may say about every task, whatever its kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field
from pydantic_core import PydanticCustomError

from polytask.kinds.header_words import HeaderName, HeaderText, StrictModel

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

    @property
    def overlapping(self) -> bool:
        """Whether an answer has several planes, as masks have that may overlap."""
        return False

    @property
    def judging_masks(self) -> str | None:
        """Name of the mask task in whose structures this task is judged too; None for most."""
        return None


class MaskSpec(VoxelSpec):
    """A task with masks of named structures: one label map, or a mask for each structure.

    The fields are declared for readers here and take their place in each kind, see `TaskSpec`.
    """

    if TYPE_CHECKING:
        labels: dict[str, int | list[int]] | None
        structures: list[str] | None
        ignore: int | None
        mirror: list[tuple[str, str]]

    @property
    def names(self) -> list[str]:
        """Names of the structures in the order of the header."""
        return list(self.labels) if self.labels is not None else list(self.structures or [])

    @property
    def exclusive(self) -> bool:
        """Whether a voxel belongs to at most one structure."""
        return self.labels is not None and all(isinstance(v, int) for v in self.labels.values())

    @property
    def overlapping(self) -> bool:
        """Whether a voxel may belong to several structures, so that each has a plane of its own."""
        return not self.exclusive

    @property
    def values(self) -> dict[str, tuple[int, ...]]:
        """Structure → its values in the label map; empty for `structures`."""
        labels = self.labels or {}
        return {name: (v,) if isinstance(v, int) else tuple(v) for name, v in labels.items()}


class PooledSpec(TaskSpec):
    """A task with an answer per visit or per subject; `visits` are those whose cells are read.

    With `history` the answer at a visit rests on that visit and all earlier ones, never on a later one.
    `applies_when: {diagnosis: [malignant]}`: there is an answer only where another task has one of these classes.
    """

    level: Literal["visit", "subject"] = "visit"
    visits: WordList | None = None
    history: bool = False
    applies_when: dict[HeaderName, WordList] = Field(default={})

    @property
    def reads_history(self) -> bool:
        """Whether an answer at a visit also rests on earlier visits."""
        return self.level == "visit" and self.history

    @property
    def joins_visits(self) -> bool:
        """Whether an answer rests on several visits, so that a sample is a subject with its visits."""
        return self.level == "subject" or self.reads_history


class EventTimeSpec(PooledSpec):
    """A task whose answer is the time of an event, in the columns `<task>_time` and `<task>_event`.

    With `landmarks` the cells belong to the subject and count from `origin` (else from day 0), as they do at level
    `subject`; at each landmark the answer is the time from that visit on, and rests on the visits so far.
    """

    if TYPE_CHECKING:
        unit: str
        origin: str | None
        horizons: list[float]
        landmarks: list[str]

    @property
    def reads_history(self) -> bool:
        """Whether an answer at a visit also rests on earlier visits, as it always does at a landmark."""
        return self.level == "visit" and (self.history or bool(self.landmarks))

    @property
    def counts_by_subject(self) -> bool:
        """Whether time and event belong to the subject, not to a row of the table."""
        return self.level == "subject" or bool(self.landmarks)
