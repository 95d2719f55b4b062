"""The kind `ordinal`, exactly one of several ordered classes: what header and plan say about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from polytask.array_types import Floats, Indices
from polytask.kinds import class_words
from polytask.kinds.class_balance import DrawnShares
from polytask.kinds.class_words import ClassSpec
from polytask.kinds.constant_losses import find_ordinal_constant
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


def find_median_grades(probabilities: Floats) -> Indices:
    """Find the median grade `[N]` of probabilities `[N, grades]`: the number of thresholds that are passed with a
    probability above ½."""
    above = 1 - np.cumsum(np.asarray(probabilities, dtype=np.float64), axis=1)[:, :-1]
    return np.asarray((above > 0.5).sum(1), dtype=np.int64)


class OrdinalSpec(ClassSpec):
    """Exactly one of several ordered classes."""

    kind: Literal["ordinal"]
    order: Annotated[list[HeaderText], Field(min_length=2)]


class OrdinalFields(PooledFields):
    """Fields of an ordinal task in the plan; `tasks/ordinal.py` explains them."""

    lengths: ClassVar[Mapping[str, str]] = {"frequencies": "classes", "drawn_shares": "classes"}

    kind: Literal["ordinal"]
    level: PooledLevel
    classes: list[str]
    frequencies: list[ShareNumber]
    balanced: bool = False
    drawn_shares: DrawnShares = Field(default=[])


class OrdinalKind:
    """The kind of task whose answer is one cell with the name of a grade."""

    name: ClassVar[str] = "ordinal"
    level: ClassVar[Literal["pooled"]] = "pooled"
    spec: ClassVar[type[TaskSpec]] = OrdinalSpec
    fields: ClassVar[type[TaskFields]] = OrdinalFields
    task_class: ClassVar[str] = "polytask.tasks.ordinal:Ordinal"
    answer_form: ClassVar[AnswerForm] = "grade"
    primary: ClassVar[str] = "kappa"
    skill_rule: ClassVar[SkillRule] = "primary"
    summary_field: ClassVar[str] = "frequencies"
    nothing_message: ClassVar[str] = "expected at least two 'classes'"

    def list_columns(self, task: OrdinalSpec, stem: str) -> tuple[str, ...]:
        return (stem,)

    def list_optional_columns(self, task: OrdinalSpec, stem: str) -> tuple[str, ...]:
        return ()

    def list_breaches(
        self, task: OrdinalSpec, others: Mapping[str, TaskSpec], visits: Sequence[str]
    ) -> Iterator[tuple[str, str]]:
        yield from ()

    def list_parsers(self, task: OrdinalSpec, stem: str) -> dict[str, CellParser]:
        return {stem: class_words.make_class_parser(task)}

    def list_measured_columns(self, task: OrdinalSpec, stem: str) -> dict[str, CellParser]:
        return {}

    def list_needs(self, task: OrdinalSpec, name: str, stem: str) -> list[TrainNeed]:
        return class_words.list_class_needs(task, name, stem, only_neighbor=True)

    def make_spec(self, words: Sequence[str], level: str, unit: str) -> OrdinalSpec:
        return OrdinalSpec.model_validate({"kind": self.name, "order": list(words), "level": level})

    def read_answer(self, task: OrdinalSpec, stem: str, read: CellReader) -> int | None:
        return read(stem, class_words.make_class_parser(task))

    def list_strata(self, task: OrdinalSpec, answers: Mapping[str, Sequence[int]]) -> dict[str, set[str]]:
        return class_words.list_class_strata(task, answers)

    def make_arrays(self, task: OrdinalSpec, values: Sequence[int | None]) -> Arrays:
        return class_words.make_class_arrays(values)

    def decide_fields(self, task: OrdinalSpec, values: Sequence[int], why: PlanReasons) -> PlanFields:
        fields = class_words.decide_class_fields(values, task.order, why)
        why["."] = "classes, their order and level as in the header; primary metric: kappa"
        why["constant"] = CONSTANT_LOSS_REASON
        return {
            "kind": self.name,
            "level": task.level,
            "applies_when": dict(task.applies_when),
            "classes": list(task.order),
            **fields,
            "constant": round_number(find_ordinal_constant(fields["frequencies"], fields["balanced"]), 5),
        }

    def find_constant(self, fields: Mapping[str, Any]) -> float | None:
        return find_ordinal_constant(fields["frequencies"], fields.get("balanced", False))
