"""The kind `count`, a number of things (lesions, nodes, mitoses): what header and plan say about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np

from polytask.array_types import Floats
from polytask.kinds.cell_readers import UnreadableCell, read_decimal
from polytask.kinds.constant_losses import MIN_CONSTANT_LOSS
from polytask.kinds.field_limits import NonNegativeNumber, PooledLevel, PositiveNumber
from polytask.kinds.kind import (
    AnswerForm,
    Arrays,
    CellParser,
    CellReader,
    MissingInTrain,
    PlanFields,
    PooledFields,
    SkillRule,
    TaskFields,
    TrainNeed,
)
from polytask.kinds.number_cells import list_band_strata, list_value_needs, make_number_arrays
from polytask.kinds.plan_reasons import CONSTANT_LOSS_REASON, PlanReasons, round_number
from polytask.kinds.spread import NO_SPREAD, SPREAD_FIELD, SPREAD_REASON, SpreadName
from polytask.kinds.task_spec import PooledSpec, TaskSpec


class CountSpec(PooledSpec):
    """A number of things, 0 or more; `unit` says of what."""

    kind: Literal["count"]
    unit: str = ""


class CountFields(PooledFields):
    """Fields of a count task in the plan; `tasks/count.py` explains them."""

    kind: Literal["count"]
    level: PooledLevel
    mean: PositiveNumber
    unit: str
    deviation: NonNegativeNumber
    spread: SpreadName = "none"


def read_count(cell: str) -> float:
    """Read a whole number that is not negative."""
    value = read_decimal(cell)
    if value < 0 or value != int(value):
        raise UnreadableCell(
            "odd-cell", f"{cell!r} is not a count", "write a whole number, 0 or more, or leave the cell empty"
        )
    return value


def compute_deviance(counts: Floats, mean: Floats | float) -> Floats:
    """Compute the Poisson deviance of each count from a mean above 0: 2 (y log(y / μ) − y + μ), where 0 log 0 = 0."""
    # A ratio of 1 has the logarithm 0, so that a count of 0 gives 0 · 0 instead of 0 · (−∞) = NaN.
    ratio = np.where(counts > 0, counts / mean, 1.0)
    return np.asarray(2 * (counts * np.log(ratio) - counts + mean), np.float64)


class CountKind:
    """The kind of task whose answer is one cell with a whole number, 0 or more."""

    name: ClassVar[str] = "count"
    level: ClassVar[Literal["pooled"]] = "pooled"
    spec: ClassVar[type[TaskSpec]] = CountSpec
    fields: ClassVar[type[TaskFields]] = CountFields
    task_class: ClassVar[str] = "polytask.tasks.count:Count"
    answer_form: ClassVar[AnswerForm] = "number"
    primary: ClassVar[str] = "d2"
    skill_rule: ClassVar[SkillRule] = "own"
    summary_field: ClassVar[str] = "mean"
    nothing_message: ClassVar[str] = ""

    def list_columns(self, task: CountSpec, stem: str) -> tuple[str, ...]:
        return (stem,)

    def list_optional_columns(self, task: CountSpec, stem: str) -> tuple[str, ...]:
        return ()

    def list_breaches(
        self, task: CountSpec, others: Mapping[str, TaskSpec], visits: Sequence[str]
    ) -> Iterator[tuple[str, str]]:
        yield from ()

    def list_parsers(self, task: CountSpec, stem: str) -> dict[str, CellParser]:
        return {stem: read_count}

    def list_measured_columns(self, task: CountSpec, stem: str) -> dict[str, CellParser]:
        return {stem: read_count}

    def list_needs(self, task: CountSpec, name: str, stem: str) -> list[TrainNeed]:
        return list_value_needs(stem)

    def make_spec(self, words: Sequence[str], level: str, unit: str) -> CountSpec:
        return CountSpec.model_validate({"kind": self.name, "level": level, "unit": unit})

    def read_answer(self, task: CountSpec, stem: str, read: CellReader) -> float | None:
        return read(stem, read_count)

    def list_strata(self, task: CountSpec, answers: Mapping[str, Sequence[float]]) -> dict[str, set[str]]:
        return list_band_strata(answers)

    def make_arrays(self, task: CountSpec, values: Sequence[float | None]) -> Arrays:
        return make_number_arrays(values)

    def decide_fields(self, task: CountSpec, values: Sequence[float], why: PlanReasons) -> PlanFields:
        known = np.array(values, np.float64)
        if not known.any():
            raise MissingInTrain("no count above 0 is known")
        mean = round_number(float(known.mean()))
        deviation = round_number(float(np.abs(known - np.median(known)).mean()))
        constant = max(float(compute_deviance(known, mean).mean()), MIN_CONSTANT_LOSS)
        why["."] = "unit and level as in the header; primary metric: d2"
        why["mean"] = f"of {known.size} known training counts ({known.min():g} to {known.max():g})"
        why["deviation"] = f"mean absolute error of their median {np.median(known):g}"
        why[SPREAD_FIELD] = SPREAD_REASON
        why["constant"] = CONSTANT_LOSS_REASON
        return {
            "kind": self.name,
            "level": task.level,
            "applies_when": dict(task.applies_when),
            "mean": mean,
            "unit": task.unit,
            "deviation": deviation,
            SPREAD_FIELD: NO_SPREAD,
            "constant": round_number(constant, 5),
        }

    def find_constant(self, fields: Mapping[str, Any]) -> float | None:
        # The constant needs all training counts, and the fields have only their mean and deviation.
        return None
