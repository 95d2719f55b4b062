"""What a kind of task says of itself, without tensors: the contract that each file of this folder keeps.

Other rooms ask a kind (`polytask.kinds.KINDS[task.kind]`); they do not switch over kinds. Where only "a value per
voxel?" is asked, the level answers: `isinstance(task, VoxelSpec)`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from polytask.kinds.limits import Positive
from polytask.kinds.reasons import Why
from polytask.kinds.spec import TaskSpec

T = TypeVar("T")
Value = int | float | tuple[float, float] | tuple[int | None, ...]
"""An answer in the table: index of a class, number, (time, event), or 0, 1, None per label."""
AnswerForm = Literal["class", "grade", "labels", "number", "time", "masks", "field"]
"""How an answer looks: one of several words, one of several ordered words, several yes/no words, a number, the time of
an event, masks, a number per voxel. Rooms that read or show answers go by the form, so that a kind whose answers look
like those of another needs nothing there."""
Parser = Callable[[str], Any]
"""A cell → its value; raises `OddCell`."""
Fields = dict[str, Any]
Arrays = tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]


class TaskFields(BaseModel):
    """Fields of a task in `plan.yaml` that every kind has.

    `constant` is the loss of the best constant answer, by which the loss is divided. `lengths` names fields with one
    number for each entry of another field.
    """

    model_config = ConfigDict(extra="forbid")
    lengths: ClassVar[Mapping[str, str]] = {}

    constant: Positive = 1.0


@dataclass(frozen=True)
class Need:
    """Something of which a fold's train part must have a subject, or the task cannot be learned.

    Args:
        word: the stratum, see `list_strata`; "" = any known answer.
        column: where it stands in the table.
        what: how a person would call it, e.g. "class 'G3'".
        remedy: what to do when it is too rare.
    """

    word: str
    column: str
    what: str
    remedy: str


class IncompleteAnswer(Exception):
    """Cells of one answer that do not go together: what was found and expected, and what to do."""


class MissingInTrain(Exception):
    """What a fold's train part lacks, e.g. "class 'G3' does not occur"."""


class ReadCell(Protocol):
    """The first known cell of a column among the rows that answer for a visit or subject, parsed; None = unknown."""

    def __call__(self, column: str, parse: Callable[[str], T | None]) -> T | None: ...


class Pool(Protocol):
    """Values of many cases taken together, every case with the same weight."""

    cases: int

    def quantile(self, q: float) -> float: ...

    def deviation(self) -> float:
        """Mean distance from the median."""


class MaskRecord(Protocol):
    """What is known of the masks of one case."""

    @property
    def counts(self) -> Mapping[str, int]:
        """Structure → its voxels where the target counts; a structure that is not known is missing."""

    @property
    def totals(self) -> Mapping[Any, int]:
        """Rule of the crop → voxels that count in it."""

    @property
    def sizes(self) -> Mapping[str, Sequence[float]]:
        """Structure that is there → edges of its box."""


@dataclass(frozen=True)
class TrainVoxels:
    """The train part of a voxel task.

    Args:
        masks: a record per case. crop: the rule whose voxels count.
        doses: the doses where they count, None when none is known.
        spacing: of the image. unit: of the spacing.
        structures: names of the masks whose dose-volume histograms are judged.
        table: where the cells stand, for messages.
        occurs: whether any mask outside the test part shows a structure.
    """

    masks: Sequence[MaskRecord]
    crop: str
    doses: Pool | None
    spacing: tuple[float, ...]
    unit: str
    structures: Sequence[str]
    table: str
    occurs: Callable[[str], bool]


class Kind(Protocol):
    """What all kinds say. `task` is what `cohort.yaml` says, an object of the class `spec`."""

    name: ClassVar[str]
    spec: ClassVar[type[TaskSpec]]
    fields: ClassVar[type[TaskFields]]
    """What an edited `plan.yaml` is checked against."""
    task_class: ClassVar[str]
    """`MODULE:CLASS` with head, loss, decoding and metrics; loads torch."""
    answer_form: ClassVar[AnswerForm]
    primary: ClassVar[str]
    """Name of the primary metric."""
    telling: ClassVar[str]
    """The field whose reason says most about the training data, for the summary of a plan."""
    nothing: ClassVar[str]
    """What a plan lacks when the task has nothing to predict."""

    def list_columns(self, task: Any, stem: str) -> tuple[str, ...]:
        """The columns a task must have; `stem` is its column or its name."""

    def list_optional_columns(self, task: Any, stem: str) -> tuple[str, ...]:
        """The columns it may have."""

    def list_breaches(
        self, task: Any, others: Mapping[str, TaskSpec], visits: Sequence[str]
    ) -> Iterator[tuple[str, str]]:
        """(key, what is wrong: what to do) of each rule between the task, the header's tasks and its visits."""

    def list_parsers(self, task: Any, stem: str) -> dict[str, Parser]:
        """Column → the function that reads its cells, for columns that do not name files."""

    def list_measured_columns(self, task: Any, stem: str) -> dict[str, Parser]:
        """Column → reader, for columns of measured numbers, in which one far from all others is suspect."""

    def list_needs(self, task: Any, name: str, stem: str) -> list[Need]:
        """What the train part of every fold must have."""

    def find_constant(self, fields: Mapping[str, Any]) -> float | None:
        """`constant` after other fields were edited; None when the fields do not tell."""


class PooledKind(Kind, Protocol):
    """A kind with an answer per visit or subject, which stands in the table."""

    level: ClassVar[Literal["pooled"]]

    def make_spec(self, words: Sequence[str], level: str, unit: str) -> TaskSpec:
        """What an importer writes into the header: classes or labels (for numbers of no use), level, unit."""

    def read_answer(self, task: Any, stem: str, read: ReadCell) -> Value | None:
        """The answer that cells give; None = unknown.

        Raises:
            IncompleteAnswer: one of two cells that belong together is empty.
        """

    def list_strata(self, task: Any, answers: Mapping[str, Sequence[Any]]) -> dict[str, set[str]]:
        """Subject → words that its known answers are stratified by; subjects are spread over folds by them."""

    def make_arrays(self, task: Any, values: Sequence[Any]) -> Arrays:
        """Answers of N items (None = unknown) → value `[N, …]` and known; value is 0 where unknown."""

    def decide_fields(self, task: Any, values: Sequence[Any], why: Why) -> Fields:
        """Fields of the plan from the known answers of the train part, each with its reason.

        Raises:
            MissingInTrain: the task cannot be learned from these.
        """


class VoxelKind(Kind, Protocol):
    """A kind with a value per voxel, which stands in files."""

    level: ClassVar[Literal["voxel"]]

    def list_parts(self, task: Any) -> list[str]:
        """Names of the structures; none when there is one value per voxel."""

    def decide_fields(self, task: Any, train: TrainVoxels, why: Why) -> Fields:
        """Fields of the plan from the masks or doses of the train part, each with its reason.

        Raises:
            MissingInTrain: the task cannot be learned from these.
        """
