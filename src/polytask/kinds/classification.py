"""The kind `classification`, exactly one of several classes: what header and plan say about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from polytask.kinds import class_words
from polytask.kinds.class_balance import DrawnShares
from polytask.kinds.class_words import ClassSpec
from polytask.kinds.constant_losses import find_classification_constant
from polytask.kinds.field_limits import PooledLevel, ShareNumber
from polytask.kinds.header_words import HeaderText
from polytask.kinds.kind import (
    AnswerForm,
    Arrays,
    CellParser,
    CellReader,
    PlanFields,
    PooledFields,
    SkillRule,
    TaskFields,
    TrainNeed,
)
from polytask.kinds.plan_reasons import CONSTANT_LOSS_REASON, PlanReasons, round_number
from polytask.kinds.task_spec import TaskSpec


class ClassificationSpec(ClassSpec):
    """Exactly one of several classes."""

    kind: Literal["classification"]
    classes: Annotated[list[HeaderText], Field(min_length=2)]


class ClassificationFields(PooledFields):
    """Fields of a classification task in the plan; `tasks/classification.py` explains them."""

    lengths: ClassVar[Mapping[str, str]] = {"frequencies": "classes", "drawn_shares": "classes"}

    kind: Literal["classification"]
    level: PooledLevel
    classes: list[str]
    frequencies: list[ShareNumber]
    balanced: bool
    drawn_shares: DrawnShares = Field(default=[])


class ClassificationKind:
    """The kind of task whose answer is one cell with the name of a class."""

    name: ClassVar[str] = "classification"
    level: ClassVar[Literal["pooled"]] = "pooled"
    spec: ClassVar[type[TaskSpec]] = ClassificationSpec
    fields: ClassVar[type[TaskFields]] = ClassificationFields
    task_class: ClassVar[str] = "polytask.tasks.classification:Classification"
    answer_form: ClassVar[AnswerForm] = "class"
    primary: ClassVar[str] = "auc"
    skill_rule: ClassVar[SkillRule] = "rank"
    summary_field: ClassVar[str] = "frequencies"
    nothing_message: ClassVar[str] = "expected at least two 'classes'"

    def list_columns(self, task: ClassificationSpec, stem: str) -> tuple[str, ...]:
        return (stem,)

    def list_optional_columns(self, task: ClassificationSpec, stem: str) -> tuple[str, ...]:
        return ()

    def list_breaches(
        self, task: ClassificationSpec, others: Mapping[str, TaskSpec], visits: Sequence[str]
    ) -> Iterator[tuple[str, str]]:
        yield from ()

    def list_parsers(self, task: ClassificationSpec, stem: str) -> dict[str, CellParser]:
        return {stem: class_words.make_class_parser(task)}

    def list_measured_columns(self, task: ClassificationSpec, stem: str) -> dict[str, CellParser]:
        return {}

    def list_needs(self, task: ClassificationSpec, name: str, stem: str) -> list[TrainNeed]:
        return class_words.list_class_needs(task, name, stem, only_neighbor=False)

    def make_spec(self, words: Sequence[str], level: str, unit: str) -> ClassificationSpec:
        return ClassificationSpec.model_validate({"kind": self.name, "classes": list(words), "level": level})

    def read_answer(self, task: ClassificationSpec, stem: str, read: CellReader) -> int | None:
        return read(stem, class_words.make_class_parser(task))

    def list_strata(
        self, task: ClassificationSpec, answers: Mapping[str, Sequence[int]]
    ) -> dict[str, set[str]]:
        return class_words.list_class_strata(task, answers)

    def make_arrays(self, task: ClassificationSpec, values: Sequence[int | None]) -> Arrays:
        return class_words.make_class_arrays(values)

    def decide_fields(self, task: ClassificationSpec, values: Sequence[int], why: PlanReasons) -> PlanFields:
        fields = class_words.decide_class_fields(values, task.classes, why)
        why["."] = "classes and level as in the header; primary metric: auc"
        why["constant"] = CONSTANT_LOSS_REASON
        return {
            "kind": self.name,
            "level": task.level,
            "applies_when": dict(task.applies_when),
            "classes": list(task.classes),
            **fields,
            "constant": round_number(
                find_classification_constant(fields["frequencies"], fields["balanced"]), 5
            ),
        }

    def find_constant(self, fields: Mapping[str, Any]) -> float | None:
        return find_classification_constant(fields["frequencies"], fields["balanced"])
