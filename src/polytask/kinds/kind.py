"""The contract of a kind of task without tensors: what every file of this folder with a kind must define.

Other rooms ask the kind (`polytask.kinds.KINDS[task.kind]`) instead of testing its name. The form of a task's entry in
the header is asked with `isinstance(task, VoxelSpec)`: a value per voxel, `MaskSpec`: masks of named structures, or
`EventTimeSpec`: the time of an event.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from polytask.kinds.field_limits import PositiveNumber
from polytask.kinds.plan_reasons import PlanReasons
from polytask.kinds.task_spec import TaskSpec

CellValue = TypeVar("CellValue")
AnswerValue = int | float | tuple[float, float] | tuple[int | None, ...]
"""An answer in the table: index of a class, a number, (time, event), or a tuple with 0, 1 or None for each label."""
AnswerForm = Literal["class", "grade", "labels", "number", "time", "masks", "field"]
"""The form of an answer: one of several words, one of several ordered words, several yes/no words, a number, the time
of an event, masks, a number per voxel. Rooms that read or show answers go by the form, so that a new kind with a
known form needs no change there."""
SkillRule = Literal["rank", "error", "primary", "own"]
"""How the skill (0 by chance, 1 perfect) and its interval follow from the metrics. `rank`: the primary metric uses only
the order of scores and is ½ by chance, so the skill is 2 × metric − 1. `error`: 1 − MAE / MAE of a constant, where the
primary metric is undefined or is that MAE. `primary`: the primary metric itself. `own`: only the class in `tasks/`
knows, and the intervals of all its metrics come from leaving subjects out."""
VoxelNoun = Literal["mask", "dose", "map"]
"""What a file with the values of a voxel task is called in messages, and its role in the checks of files."""
CellParser = Callable[[str], Any]
"""A function: text of a cell → its value; raises `UnreadableCell`."""
PlanFields = dict[str, Any]
Arrays = tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]


class TaskFields(BaseModel):
    """The fields of a task in `plan.yaml` that every kind has.

    `constant` is the loss of the best constant answer, by which the loss is divided. `lengths` maps a field with
    numbers to the field with the entries to which they belong: both must have the same length, unless the numbers have
    a default and are left out.
    """

    model_config = ConfigDict(extra="forbid")
    lengths: ClassVar[Mapping[str, str]] = {}

    constant: PositiveNumber = 1.0


class PooledFields(TaskFields):
    """The fields of a visit or subject task in `plan.yaml` that every such kind has.

    `applies_when` is that of the header: the task that decides whether this one applies → its classes with which it
    does; empty for a task that always applies.
    """

    applies_when: dict[str, list[str]] = Field(default={})


@dataclass(frozen=True)
class TrainNeed:
    """A stratum of which the train part of every fold must have a subject, or the task cannot be learned.

    Args:
        word: name of the stratum, see `list_strata`; "" = any known answer.
        column: the column of the table that decides it.
        what: the stratum in words for people, e.g. "class 'G3'".
        remedy: what the user can do when it is too rare.
    """

    word: str
    column: str
    what: str
    remedy: str


class IncompleteAnswer(Exception):
    """Raised when the cells of one answer do not fit together; says what was found and expected, and what to do."""


class MissingInTrain(Exception):
    """Raised when the train part of a fold lacks something, e.g. "class 'G3' does not occur"."""


class CellReader(Protocol):
    """A function that parses the first known cell of a column among the rows of a visit or subject; None = unknown."""

    def __call__(self, column: str, parse: Callable[[str], CellValue | None]) -> CellValue | None: ...


class ValuePool(Protocol):
    """Values of many cases taken together, every case with the same weight."""

    cases: int

    def quantile(self, q: float) -> float: ...

    def deviation(self) -> float:
        """Return the mean distance of the values from their median."""


class MaskRecord(Protocol):
    """What the fingerprint knows about the masks of one case."""

    @property
    def counts(self) -> Mapping[str, int]:
        """Structure → number of its voxels where the target counts; an unknown structure has no key."""

    @property
    def totals(self) -> Mapping[Any, int]:
        """Crop rule → number of voxels in its box that count."""

    @property
    def sizes(self) -> Mapping[str, Sequence[float]]:
        """Structure that occurs → edges of the box around it."""


@dataclass(frozen=True)
class TrainVoxels:
    """What a voxel task knows about the train part of a fold.

    Args:
        masks: one record per case. crop: the crop rule whose voxels count.
        doses: the values of a dose or map in the voxels that count, None when none is known.
        spacing: spacing of the image. unit: unit of the spacing.
        structures: names of the masks whose dose-volume histograms are judged.
        table: table and task, for messages.
        occurs: function that says whether any mask outside the test part shows a structure.
    """

    masks: Sequence[MaskRecord]
    crop: str
    doses: ValuePool | None
    spacing: tuple[float, ...]
    unit: str
    structures: Sequence[str]
    table: str
    occurs: Callable[[str], bool]


class Kind(Protocol):
    """What every kind defines. The argument `task` is the entry of `cohort.yaml`, an object of the class `spec`."""

    name: ClassVar[str]
    spec: ClassVar[type[TaskSpec]]
    fields: ClassVar[type[TaskFields]]
    """The schema against which an edited `plan.yaml` is checked."""
    task_class: ClassVar[str]
    """`MODULE:CLASS` of the class with head, loss, decoding and metrics; loading it loads torch."""
    answer_form: ClassVar[AnswerForm]
    primary: ClassVar[str]
    """Name of the primary metric."""
    skill_rule: ClassVar[SkillRule]
    summary_field: ClassVar[str]
    """The field whose reason says most about the training data; the summary of a plan shows it."""
    nothing_message: ClassVar[str]
    """The message for a plan in which the task has nothing to predict: what is missing."""

    def list_columns(self, task: Any, stem: str) -> tuple[str, ...]:
        """List the columns that a task must have; `stem` is its `column` in the header, or else its name."""

    def list_optional_columns(self, task: Any, stem: str) -> tuple[str, ...]:
        """List the columns that a task may have in addition."""

    def list_breaches(
        self, task: Any, others: Mapping[str, TaskSpec], visits: Sequence[str]
    ) -> Iterator[tuple[str, str]]:
        """Yield (key, what is wrong and what to do) for each broken rule between the task, other tasks and visits."""

    def list_parsers(self, task: Any, stem: str) -> dict[str, CellParser]:
        """Map each column that does not name files to the function that reads its cells."""

    def list_measured_columns(self, task: Any, stem: str) -> dict[str, CellParser]:
        """Map each column of measured numbers to its reader; in these a number far from all others is suspicious."""

    def list_needs(self, task: Any, name: str, stem: str) -> list[TrainNeed]:
        """List what the train part of every fold must have."""

    def find_constant(self, fields: Mapping[str, Any]) -> float | None:
        """Compute `constant` again after other fields were edited; None when the fields are not enough for it."""


class PooledKind(Kind, Protocol):
    """A kind with one answer per visit or subject, which stands in the table."""

    level: ClassVar[Literal["pooled"]]

    def make_spec(self, words: Sequence[str], level: str, unit: str) -> TaskSpec:
        """Make the entry that an importer writes into the header; `words` are the classes or labels, if any."""

    def read_answer(self, task: Any, stem: str, read: CellReader) -> AnswerValue | None:
        """Read the answer from the cells of a visit or subject; None = unknown.

        Raises:
            IncompleteAnswer: one of two cells that belong together is empty.
        """

    def list_strata(self, task: Any, answers: Mapping[str, Sequence[Any]]) -> dict[str, set[str]]:
        """Map each subject to the strata of its known answers; subjects are spread over the folds by them."""

    def make_arrays(self, task: Any, values: Sequence[Any]) -> Arrays:
        """Turn the answers of N items (None = unknown) into (value `[N, …]`, known); value is 0 where unknown."""

    def decide_fields(self, task: Any, values: Sequence[Any], why: PlanReasons) -> PlanFields:
        """Decide the fields of the plan from the known answers of the train part, each with its reason.

        Raises:
            MissingInTrain: the task cannot be learned from these.
        """


class VoxelKind(Kind, Protocol):
    """A kind with one value per voxel, which stands in files."""

    level: ClassVar[Literal["voxel"]]
    noun: ClassVar[VoxelNoun]
    stored_fields: ClassVar[frozenset[str]]
    """The fields of the header on which a stored target depends."""

    def list_part_columns(self, task: Any, stem: str) -> dict[str, str]:
        """Map each column that names the mask of one structure to that structure; empty if there are none."""

    def list_parts(self, task: Any) -> list[str]:
        """List the names of the structures; none when there is one number per voxel."""

    def decide_fields(self, task: Any, train: TrainVoxels, why: PlanReasons) -> PlanFields:
        """Decide the fields of the plan from the masks or doses of the train part, each with its reason.

        Raises:
            MissingInTrain: the task cannot be learned from these.
        """
