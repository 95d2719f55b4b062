"""A share between 0 and 1 (necrosis, stroma): what header and plan say of it. A kind that Polytask does not have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np

from polytask.kinds.cell_readers import UnreadableCell, read_decimal
from polytask.kinds.field_limits import PooledLevel, PositiveNumber, ShareNumber
from polytask.kinds.kind import (
    AnswerForm,
    Arrays,
    CellParser,
    CellReader,
    MissingInTrain,
    PlanFields,
    SkillRule,
    TaskFields,
    TrainNeed,
)
from polytask.kinds.number_cells import list_band_strata, list_value_needs, make_number_arrays
from polytask.kinds.plan_reasons import CONSTANT_LOSS_REASON, PlanReasons, round_number
from polytask.kinds.task_spec import PooledSpec, TaskSpec


class ProportionSpec(PooledSpec):
    """A share between 0 and 1."""

    kind: Literal["proportion"]


class ProportionFields(TaskFields):
    """See `tasks.proportion`."""

    kind: Literal["proportion"]
    level: PooledLevel
    mean: ShareNumber
    deviation: PositiveNumber


def read_share(cell: str) -> float:
    """A number from 0 to 1."""
    value = read_decimal(cell)
    if not 0 <= value <= 1:
        raise UnreadableCell(
            "odd-cell", f"{cell!r} is no share", "write a number from 0 to 1, or leave the cell empty"
        )
    return value


class ProportionKind:
    """A cell with a share between 0 and 1."""

    name: ClassVar[str] = "proportion"
    level: ClassVar[Literal["pooled"]] = "pooled"
    spec: ClassVar[type[TaskSpec]] = ProportionSpec
    fields: ClassVar[type[TaskFields]] = ProportionFields
    task_class: ClassVar[str] = "polytask.tasks.proportion:Proportion"
    answer_form: ClassVar[AnswerForm] = "number"
    primary: ClassVar[str] = "d2"
    skill_rule: ClassVar[SkillRule] = "own"
    summary_field: ClassVar[str] = "mean"
    nothing_message: ClassVar[str] = ""

    def list_columns(self, task: ProportionSpec, stem: str) -> tuple[str, ...]:
        return (stem,)

    def list_optional_columns(self, task: ProportionSpec, stem: str) -> tuple[str, ...]:
        return ()

    def list_breaches(
        self, task: ProportionSpec, others: Mapping[str, TaskSpec], visits: Sequence[str]
    ) -> Iterator[tuple[str, str]]:
        yield from ()

    def list_parsers(self, task: ProportionSpec, stem: str) -> dict[str, CellParser]:
        return {stem: read_share}

    def list_measured_columns(self, task: ProportionSpec, stem: str) -> dict[str, CellParser]:
        return {stem: read_share}

    def list_needs(self, task: ProportionSpec, name: str, stem: str) -> list[TrainNeed]:
        return list_value_needs(stem)

    def make_spec(self, words: Sequence[str], level: str, unit: str) -> ProportionSpec:
        return ProportionSpec.model_validate({"kind": self.name, "level": level})

    def read_answer(self, task: ProportionSpec, stem: str, read: CellReader) -> float | None:
        return read(stem, read_share)

    def list_strata(
        self, task: ProportionSpec, answers: Mapping[str, Sequence[float]]
    ) -> dict[str, set[str]]:
        return list_band_strata(answers)

    def make_arrays(self, task: ProportionSpec, values: Sequence[float | None]) -> Arrays:
        return make_number_arrays(values)

    def decide_fields(self, task: ProportionSpec, values: Sequence[float], why: PlanReasons) -> PlanFields:
        shares = np.array(values, np.float64)
        if not 0 < shares.sum() < shares.size:
            raise MissingInTrain("no share between 0 and 1 is known")
        mean = float(shares.mean())
        why["."] = "level as in the header; primary metric: d2"
        why["mean"] = f"of {shares.size} known training shares"
        why["deviation"] = "mean absolute error of the training median"
        why["constant"] = CONSTANT_LOSS_REASON
        inner = shares[(shares > 0) & (shares < 1)]
        own = -(inner * np.log(inner) + (1 - inner) * np.log(1 - inner)).sum() / shares.size
        entropy = -(mean * np.log(mean) + (1 - mean) * np.log(1 - mean))
        return {
            "kind": self.name,
            "level": task.level,
            "mean": round_number(mean, 5),
            "deviation": round_number(max(float(np.abs(shares - np.median(shares)).mean()), 1e-3), 5),
            "constant": round_number(max(2 * float(entropy - own), 0.01), 5),
        }

    def find_constant(self, fields: Mapping[str, Any]) -> float | None:
        return None
