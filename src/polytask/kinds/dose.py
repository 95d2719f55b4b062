"""The kind `dose`, a value per voxel: what header and plan say about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

from polytask.errors import nearest
from polytask.kinds.constants import constant_dose
from polytask.kinds.kind import AnswerForm, Fields, MissingInTrain, Need, Parser, TaskFields, TrainVoxels
from polytask.kinds.limits import NotNegative, Positive
from polytask.kinds.number_cells import need_a_value
from polytask.kinds.reasons import Why, round_number
from polytask.kinds.segmentation import SegmentationSpec
from polytask.kinds.spec import TaskSpec, VoxelSpec
from polytask.kinds.words import Name

DOSE_SCALE = 0.99
"""Quantile of the training doses that becomes the scale: the network sees it as 1."""


class DoseSpec(VoxelSpec):
    """A value per voxel. `structures` names a segmentation task whose masks give the DVH statistics."""

    kind: Literal["dose"]
    level: Literal["voxel"] = "voxel"
    image: Name
    unit: str = ""
    structures: Name | None = None


class DoseFields(TaskFields):
    """Fields of a dose task in the plan; `tasks/dose.py` explains them."""

    kind: Literal["dose"]
    level: Literal["voxel"]
    unit: str
    scale: Positive
    structures: list[str]
    dvh: NotNegative
    deviation: NotNegative
    median: float


class DoseKind:
    """The kind of task whose answer is a file with one number per voxel."""

    name: ClassVar[str] = "dose"
    level: ClassVar[Literal["voxel"]] = "voxel"
    spec: ClassVar[type[TaskSpec]] = DoseSpec
    fields: ClassVar[type[TaskFields]] = DoseFields
    task_class: ClassVar[str] = "polytask.tasks.dose:Dose"
    answer_form: ClassVar[AnswerForm] = "field"
    primary: ClassVar[str] = "mae"
    telling: ClassVar[str] = "scale"
    nothing: ClassVar[str] = ""

    def list_columns(self, task: DoseSpec, stem: str) -> tuple[str, ...]:
        return (stem,)

    def list_optional_columns(self, task: DoseSpec, stem: str) -> tuple[str, ...]:
        return (f"{stem}_region",)

    def list_breaches(
        self, task: DoseSpec, others: Mapping[str, TaskSpec], visits: Sequence[str]
    ) -> Iterator[tuple[str, str]]:
        if task.structures is None:
            return
        masks = {name: other for name, other in others.items() if isinstance(other, SegmentationSpec)}
        if task.structures not in masks:
            yield (
                "structures",
                f"{task.structures!r} is no segmentation task: {nearest(task.structures, list(masks))}",
            )
        elif masks[task.structures].image != task.image:
            yield (
                "structures",
                f"{task.structures!r} is drawn on another image: name one drawn on {task.image!r}",
            )

    def list_parsers(self, task: DoseSpec, stem: str) -> dict[str, Parser]:
        return {}

    def list_measured_columns(self, task: DoseSpec, stem: str) -> dict[str, Parser]:
        return {}

    def list_needs(self, task: DoseSpec, name: str, stem: str) -> list[Need]:
        return need_a_value(stem)

    def list_parts(self, task: DoseSpec) -> list[str]:
        return []

    def decide_fields(self, task: DoseSpec, train: TrainVoxels, why: Why) -> Fields:
        if train.doses is None:
            raise MissingInTrain("no dose is known")
        median = round_number(train.doses.quantile(0.5), 5)
        deviation = round_number(train.doses.deviation(), 5)
        scale = round_number(train.doses.quantile(DOSE_SCALE), 4)
        # Where more than 99 % of the voxels have no dose the quantile is 0, and nothing could be divided by it.
        scale = scale if scale > 0 else 1.0
        counted = f"of {train.doses.cases} training doses where they count"
        why["."] = "unit and structures as in the header; primary metric: mae"
        why["scale"] = f"{100 * DOSE_SCALE:g}th percentile {counted}: the network sees it as 1"
        why["median"] = f"median {counted}: a fresh head answers it everywhere"
        why["deviation"] = (
            f"mean absolute error of that constant answer; skill is measured against it (n {train.doses.cases})"
        )
        why["dvh"] = "off: set it to 0.1 or more to weigh dose-volume histograms of the structures too"
        why["constant"] = "loss of the constant answer: the loss starts about 1"
        return {
            "kind": self.name,
            "level": "voxel",
            "unit": task.unit,
            "scale": scale,
            "structures": list(train.structures),
            "dvh": 0.0,
            "deviation": deviation,
            "median": median,
            "constant": round_number(constant_dose(deviation, scale), 5),
        }

    def find_constant(self, fields: Mapping[str, Any]) -> float | None:
        return constant_dose(fields["deviation"], fields["scale"], fields["dvh"])
