"""The kind `regression`, a number: what header and plan say about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, Literal

import numpy as np

from polytask.kinds.cell_readers import read_number
from polytask.kinds.constant_losses import MIN_CONSTANT_LOSS, find_regression_constant
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


class RegressionSpec(PooledSpec):
    """A number. With `bounds`, a cell `>1700` or `<0.5` is read as its bound."""

    kind: Literal["regression"]
    unit: str = ""
    bounds: bool = False


class RegressionFields(PooledFields):
    """Fields of a regression task in the plan; `tasks/regression.py` explains them."""

    kind: Literal["regression"]
    level: PooledLevel
    mean: float
    sd: PositiveNumber
    unit: str
    deviation: NonNegativeNumber
    spread: SpreadName = "none"


class RegressionKind:
    """The kind of task whose answer is one cell with a number."""

    name: ClassVar[str] = "regression"
    level: ClassVar[Literal["pooled"]] = "pooled"
    spec: ClassVar[type[TaskSpec]] = RegressionSpec
    fields: ClassVar[type[TaskFields]] = RegressionFields
    task_class: ClassVar[str] = "polytask.tasks.regression:Regression"
    answer_form: ClassVar[AnswerForm] = "number"
    primary: ClassVar[str] = "r2"
    skill_rule: ClassVar[SkillRule] = "error"
    summary_field: ClassVar[str] = "mean"
    nothing_message: ClassVar[str] = ""

    def list_columns(self, task: RegressionSpec, stem: str) -> tuple[str, ...]:
        return (stem,)

    def list_optional_columns(self, task: RegressionSpec, stem: str) -> tuple[str, ...]:
        return ()

    def list_breaches(
        self, task: RegressionSpec, others: Mapping[str, TaskSpec], visits: Sequence[str]
    ) -> Iterator[tuple[str, str]]:
        yield from ()

    def list_parsers(self, task: RegressionSpec, stem: str) -> dict[str, CellParser]:
        return {stem: partial(read_number, bounds=task.bounds)}

    def list_measured_columns(self, task: RegressionSpec, stem: str) -> dict[str, CellParser]:
        return self.list_parsers(task, stem)

    def list_needs(self, task: RegressionSpec, name: str, stem: str) -> list[TrainNeed]:
        return list_value_needs(stem)

    def make_spec(self, words: Sequence[str], level: str, unit: str) -> RegressionSpec:
        return RegressionSpec.model_validate({"kind": self.name, "level": level, "unit": unit})

    def read_answer(self, task: RegressionSpec, stem: str, read: CellReader) -> float | None:
        return read(stem, partial(read_number, bounds=task.bounds))

    def list_strata(
        self, task: RegressionSpec, answers: Mapping[str, Sequence[float]]
    ) -> dict[str, set[str]]:
        return list_band_strata(answers)

    def make_arrays(self, task: RegressionSpec, values: Sequence[float | None]) -> Arrays:
        return make_number_arrays(values)

    def decide_fields(self, task: RegressionSpec, values: Sequence[float], why: PlanReasons) -> PlanFields:
        known = np.array(values, np.float64)
        if not known.size:
            raise MissingInTrain("no value is known")
        mean, sd = round_number(float(known.mean())), round_number(float(known.std()))
        deviation = round_number(float(np.abs(known - np.median(known)).mean()))
        why["."] = "unit and level as in the header; primary metric: r2"
        why["mean"] = f"of {known.size} known training values ({known.min():g} to {known.max():g})"
        why["sd"] = f"of {known.size} known training values" + ("; all alike, so 1" if sd == 0 else "")
        why["deviation"] = f"mean absolute error of their median {np.median(known):g}"
        why[SPREAD_FIELD] = SPREAD_REASON
        why["constant"] = CONSTANT_LOSS_REASON
        sd = sd or 1.0
        return {
            "kind": self.name,
            "level": task.level,
            "applies_when": dict(task.applies_when),
            "mean": mean,
            "sd": sd,
            "unit": task.unit,
            "deviation": deviation,
            SPREAD_FIELD: NO_SPREAD,
            "constant": round_number(find_regression_constant(known.tolist(), mean, sd), 5),
        }

    def find_constant(self, fields: Mapping[str, Any]) -> float | None:
        # With quantiles the answer learns by its absolute error. Else the constant needs all training values, and the
        # fields have only their mean and deviation.
        if fields[SPREAD_FIELD] != "quantile":
            return None
        return max(float(fields["deviation"] / fields["sd"]), MIN_CONSTANT_LOSS)
