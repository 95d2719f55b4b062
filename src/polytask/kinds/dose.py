"""The kind `dose`, a value per voxel: what header and plan say about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

from polytask.errors import suggest_word
from polytask.kinds.constant_losses import find_dose_constant
from polytask.kinds.field_limits import NonNegativeNumber, PositiveNumber
from polytask.kinds.header_words import HeaderName
from polytask.kinds.kind import (
    AnswerForm,
    CellParser,
    MissingInTrain,
    PlanFields,
    SkillRule,
    TaskFields,
    TrainNeed,
    TrainVoxels,
    VoxelNoun,
)
from polytask.kinds.number_cells import list_value_needs
from polytask.kinds.plan_reasons import PlanReasons, round_number
from polytask.kinds.spread import NO_SPREAD, SPREAD_FIELD, SPREAD_REASON, SpreadName
from polytask.kinds.task_spec import MaskSpec, TaskSpec, VoxelSpec

DOSE_SCALE_QUANTILE = 0.99
"""Quantile of the training doses that becomes the scale: the network sees it as 1."""


class DoseSpec(VoxelSpec):
    """A value per voxel. `structures` names a segmentation task whose masks give the DVH statistics."""

    kind: Literal["dose"]
    level: Literal["voxel"] = "voxel"
    image: HeaderName
    unit: str = ""
    structures: HeaderName | None = None

    @property
    def judging_masks(self) -> str | None:
        """Name of the mask task whose structures give the dose-volume histograms."""
        return self.structures


class DoseFields(TaskFields):
    """Fields of a dose task in the plan; `tasks/dose.py` explains them."""

    kind: Literal["dose"]
    level: Literal["voxel"]
    unit: str
    scale: PositiveNumber
    structures: list[str]
    dvh: NonNegativeNumber
    deviation: NonNegativeNumber
    median: float
    spread: SpreadName = "none"


class DoseKind:
    """The kind of task whose answer is a file with one number per voxel."""

    name: ClassVar[str] = "dose"
    level: ClassVar[Literal["voxel"]] = "voxel"
    spec: ClassVar[type[TaskSpec]] = DoseSpec
    fields: ClassVar[type[TaskFields]] = DoseFields
    task_class: ClassVar[str] = "polytask.tasks.dose:Dose"
    answer_form: ClassVar[AnswerForm] = "field"
    primary: ClassVar[str] = "mae"
    skill_rule: ClassVar[SkillRule] = "error"
    summary_field: ClassVar[str] = "scale"
    nothing_message: ClassVar[str] = ""
    noun: ClassVar[VoxelNoun] = "dose"
    stored_fields: ClassVar[frozenset[str]] = frozenset({"kind", "image"})
    """`structures` only chooses the masks for its statistics; the stored dose is the same."""

    def list_columns(self, task: DoseSpec, stem: str) -> tuple[str, ...]:
        return (stem,)

    def list_optional_columns(self, task: DoseSpec, stem: str) -> tuple[str, ...]:
        return (f"{stem}_region",)

    def list_part_columns(self, task: DoseSpec, stem: str) -> dict[str, str]:
        return {}

    def list_breaches(
        self, task: DoseSpec, others: Mapping[str, TaskSpec], visits: Sequence[str]
    ) -> Iterator[tuple[str, str]]:
        if task.structures is None:
            return
        masks = {name: other for name, other in others.items() if isinstance(other, MaskSpec)}
        if task.structures not in masks:
            yield (
                "structures",
                f"{task.structures!r} is not a segmentation task: {suggest_word(task.structures, list(masks))}",
            )
        elif masks[task.structures].image != task.image:
            yield (
                "structures",
                f"{task.structures!r} is drawn on another image: name one drawn on {task.image!r}",
            )

    def list_parsers(self, task: DoseSpec, stem: str) -> dict[str, CellParser]:
        return {}

    def list_measured_columns(self, task: DoseSpec, stem: str) -> dict[str, CellParser]:
        return {}

    def list_needs(self, task: DoseSpec, name: str, stem: str) -> list[TrainNeed]:
        return list_value_needs(stem)

    def list_parts(self, task: DoseSpec) -> list[str]:
        return []

    def decide_fields(self, task: DoseSpec, train: TrainVoxels, why: PlanReasons) -> PlanFields:
        if train.doses is None:
            raise MissingInTrain("no dose is known")
        median = round_number(train.doses.quantile(0.5), 5)
        deviation = round_number(train.doses.deviation(), 5)
        scale = round_number(train.doses.quantile(DOSE_SCALE_QUANTILE), 4)
        # Where more than 99 % of the voxels have no dose the quantile is 0, and nothing could be divided by it.
        scale = scale if scale > 0 else 1.0
        counted = f"of {train.doses.cases} training doses, in the voxels that count"
        why["."] = "unit and structures as in the header; primary metric: mae"
        why["scale"] = (
            f"{100 * DOSE_SCALE_QUANTILE:g}th percentile {counted}: doses are divided by it, so that it becomes 1"
        )
        why["median"] = f"median {counted}: an untrained head answers it everywhere"
        why["deviation"] = (
            f"mean absolute error of that constant answer; skill is measured against it (n {train.doses.cases})"
        )
        why["dvh"] = (
            "off: set it to 0.1 or more to add the dose-volume histograms of the structures to the loss"
        )
        why[SPREAD_FIELD] = SPREAD_REASON
        why["constant"] = "loss of the constant answer: the loss is divided by it and so starts near 1"
        return {
            "kind": self.name,
            "level": "voxel",
            "unit": task.unit,
            "scale": scale,
            "structures": list(train.structures),
            "dvh": 0.0,
            "deviation": deviation,
            "median": median,
            SPREAD_FIELD: NO_SPREAD,
            "constant": round_number(find_dose_constant(deviation, scale), 5),
        }

    def find_constant(self, fields: Mapping[str, Any]) -> float | None:
        return find_dose_constant(fields["deviation"], fields["scale"], fields["dvh"])
