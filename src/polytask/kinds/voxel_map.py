"""The kind `map`, a number per voxel that may be negative: what header and plan say about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

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
from polytask.kinds.task_spec import TaskSpec, VoxelSpec

MAP_SCALE_QUANTILE = 0.99
"""The values between this quantile and its opposite span two scales."""


class VoxelMapSpec(VoxelSpec):
    """A number per voxel: a distance, a perfusion map, another image."""

    kind: Literal["map"]
    level: Literal["voxel"] = "voxel"
    image: HeaderName
    unit: str = ""


class VoxelMapFields(TaskFields):
    """Fields of a map task in the plan; `tasks/voxel_map.py` explains them."""

    kind: Literal["map"]
    level: Literal["voxel"]
    unit: str
    center: float
    scale: PositiveNumber
    deviation: NonNegativeNumber
    spread: SpreadName = "none"


class VoxelMapKind:
    """The kind of task whose answer is a file with one number per voxel, of either sign."""

    name: ClassVar[str] = "map"
    level: ClassVar[Literal["voxel"]] = "voxel"
    spec: ClassVar[type[TaskSpec]] = VoxelMapSpec
    fields: ClassVar[type[TaskFields]] = VoxelMapFields
    task_class: ClassVar[str] = "polytask.tasks.voxel_map:VoxelMap"
    answer_form: ClassVar[AnswerForm] = "field"
    primary: ClassVar[str] = "mae"
    skill_rule: ClassVar[SkillRule] = "error"
    summary_field: ClassVar[str] = "scale"
    nothing_message: ClassVar[str] = ""
    noun: ClassVar[VoxelNoun] = "map"
    stored_fields: ClassVar[frozenset[str]] = frozenset({"kind", "image"})

    def list_columns(self, task: VoxelMapSpec, stem: str) -> tuple[str, ...]:
        return (stem,)

    def list_optional_columns(self, task: VoxelMapSpec, stem: str) -> tuple[str, ...]:
        return (f"{stem}_region",)

    def list_part_columns(self, task: VoxelMapSpec, stem: str) -> dict[str, str]:
        return {}

    def list_breaches(
        self, task: VoxelMapSpec, others: Mapping[str, TaskSpec], visits: Sequence[str]
    ) -> Iterator[tuple[str, str]]:
        yield from ()

    def list_parsers(self, task: VoxelMapSpec, stem: str) -> dict[str, CellParser]:
        return {}

    def list_measured_columns(self, task: VoxelMapSpec, stem: str) -> dict[str, CellParser]:
        return {}

    def list_needs(self, task: VoxelMapSpec, name: str, stem: str) -> list[TrainNeed]:
        return list_value_needs(stem)

    def list_parts(self, task: VoxelMapSpec) -> list[str]:
        return []

    def decide_fields(self, task: VoxelMapSpec, train: TrainVoxels, why: PlanReasons) -> PlanFields:
        values = train.doses
        if values is None:
            raise MissingInTrain("no map is known")
        low, median, high = (values.quantile(q) for q in (1 - MAP_SCALE_QUANTILE, 0.5, MAP_SCALE_QUANTILE))
        center, scale = round_number(median, 5), round_number((high - low) / 2, 4)
        # Where nearly all voxels have one value both quantiles are equal, and nothing could be divided by 0.
        scale = scale if scale > 0 else 1.0
        deviation = round_number(values.deviation(), 5)
        counted = f"of {values.cases} training maps, in the voxels that count"
        why["."] = "unit as in the header; primary metric: mae"
        why["center"] = (
            f"median {counted}: the network sees it as 0, and an untrained head answers it everywhere"
        )
        why["scale"] = (
            f"half the distance of the {100 * (1 - MAP_SCALE_QUANTILE):g}st and {100 * MAP_SCALE_QUANTILE:g}th "
            f"percentile {counted}: the network sees it as 1"
        )
        why["deviation"] = (
            f"mean absolute error of the median as a constant answer; skill is measured against it (n {values.cases})"
        )
        why[SPREAD_FIELD] = SPREAD_REASON
        why["constant"] = "loss of the constant answer: the loss is divided by it and so starts near 1"
        return {
            "kind": self.name,
            "level": "voxel",
            "unit": task.unit,
            "center": center,
            "scale": scale,
            "deviation": deviation,
            SPREAD_FIELD: NO_SPREAD,
            "constant": round_number(find_dose_constant(deviation, scale), 5),
        }

    def find_constant(self, fields: Mapping[str, Any]) -> float | None:
        return find_dose_constant(fields["deviation"], fields["scale"])
