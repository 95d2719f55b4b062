"""The kind `segmentation`, masks of one or more structures: what header and plan say about them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, ValidationInfo, field_validator, model_validator

from polytask.errors import PolytaskError
from polytask.kinds.cell_readers import read_structure_names
from polytask.kinds.constant_losses import find_segmentation_constant
from polytask.kinds.field_limits import PositiveNumber, ShareNumber
from polytask.kinds.header_words import HeaderName, HeaderText, WholeNumber, find_repeated_words
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
from polytask.kinds.plan_reasons import PlanReasons, format_share_percent, format_sizes, round_number
from polytask.kinds.task_spec import MaskSpec, TaskSpec, WordList, make_header_error
from polytask.kinds.titles import check_titles

MAX_LABEL_VALUE = 2**31 - 1
"""Largest value of a label in a label map; images store 32 bits."""
MAX_CLDICE_WEIGHT = 10.0
SURFACE_TOLERANCE = 2.0
"""Tolerance of the surface Dice in mm or pixels; replaced by the edge of a voxel if that is longer."""


class SegmentationSpec(MaskSpec):
    """Masks. `labels` of single values exclude each other; a list of values makes overlapping regions of one
    label map; `structures` are overlapping masks of their own (non-zero = inside)."""

    kind: Literal["segmentation"]
    level: Literal["voxel"] = "voxel"
    image: HeaderName
    labels: Annotated[dict[HeaderText, WholeNumber | list[WholeNumber]], Field(min_length=1)] | None = None
    structures: WordList | None = None
    ignore: WholeNumber | None = None
    mirror: list[tuple[HeaderText, HeaderText]] = Field(default=[])
    titles: dict[HeaderText, HeaderText] = Field(default={})

    @model_validator(mode="after")
    def _check_names(self) -> SegmentationSpec:
        if (self.labels is None) == (self.structures is None):
            raise make_header_error(
                "expected either `labels` (one label map) or `structures` (a mask for each): write one of them"
            )
        if twice := find_repeated_words(self.names):
            raise make_header_error("structure {word!r} is named twice: name it once", word=twice[0])
        if bad := [n for n in self.names if ";" in n]:
            raise make_header_error(
                "structure {word!r} contains ';', which joins names in `_known`: rename it", word=bad[0]
            )
        self._check_labels()
        check_titles(self.titles, self.names, "structure")
        if self.ignore is not None and self.structures is not None:
            raise make_header_error(
                "`ignore` is a value of a label map: for `structures` mark where they count with a `_region` mask"
            )
        paired = [name for pair in self.mirror for name in pair]
        for name in paired:
            if name not in self.names:
                raise make_header_error(
                    "mirror names {name!r}, which is not a structure: use one of {names}",
                    name=name,
                    names=", ".join(self.names),
                )
        if len(set(paired)) < len(paired):
            raise make_header_error("a structure occurs twice in `mirror`: name each structure once")
        return self

    def _check_labels(self) -> None:
        name_by_values: dict[tuple[int, ...], str] = {}
        for name, values in self.values.items():
            key = tuple(sorted(values))
            if not values or min(values) < 1 or len(set(values)) < len(values):
                raise make_header_error(
                    "label {name!r} has the values {values}: expected one or more different integers above 0 "
                    "(0 is background)",
                    name=name,
                    values=list(values),
                )
            if max(values) > MAX_LABEL_VALUE:
                raise make_header_error(
                    "label {name!r} is above {most}: use smaller values", name=name, most=MAX_LABEL_VALUE
                )
            if key in name_by_values:
                raise make_header_error(
                    "labels {a!r} and {b!r} have the same value {value}: give each its own",
                    a=name_by_values[key],
                    b=name,
                    value=", ".join(map(str, key)),
                )
            if self.ignore in values:
                raise make_header_error("label {name!r} has the value of `ignore`: use another", name=name)
            name_by_values[key] = name


class SegmentationFields(TaskFields):
    """Fields of a segmentation task in the plan; `tasks/segmentation.py` explains them."""

    lengths: ClassVar[Mapping[str, str]] = {"fractions": "structures"}

    kind: Literal["segmentation"]
    level: Literal["voxel"]
    structures: list[str]
    exclusive: bool
    fractions: list[ShareNumber]
    tolerance: PositiveNumber
    unit: Literal["mm", "px"] = "mm"
    thin: list[str] = Field(default=[])
    cldice: Annotated[float, Field(ge=0, le=MAX_CLDICE_WEIGHT)] = 0.0

    @field_validator("thin")
    @classmethod
    def _check_thin(cls, thin: list[str], info: ValidationInfo) -> list[str]:
        structures = info.data.get("structures", thin)
        if others := [name for name in thin if name not in structures]:
            raise ValueError(f"{others[0]!r} is no structure of this task, which has {', '.join(structures)}")
        if twice := find_repeated_words(thin):
            raise ValueError(f"{twice[0]!r} is named twice")
        return thin

    @field_validator("cldice")
    @classmethod
    def _check_cldice(cls, cldice: float, info: ValidationInfo) -> float:
        if cldice and not info.data.get("thin", True):
            raise ValueError("it compares the center lines of thin structures: name them in thin")
        return cldice


class SegmentationKind:
    """The kind of task whose answer is a label map, or a mask for each structure."""

    name: ClassVar[str] = "segmentation"
    level: ClassVar[Literal["voxel"]] = "voxel"
    spec: ClassVar[type[TaskSpec]] = SegmentationSpec
    fields: ClassVar[type[TaskFields]] = SegmentationFields
    task_class: ClassVar[str] = "polytask.tasks.segmentation:Segmentation"
    answer_form: ClassVar[AnswerForm] = "masks"
    primary: ClassVar[str] = "dice"
    skill_rule: ClassVar[SkillRule] = "primary"
    summary_field: ClassVar[str] = "fractions"
    nothing_message: ClassVar[str] = "expected at least one of 'structures'"
    noun: ClassVar[VoxelNoun] = "mask"
    stored_fields: ClassVar[frozenset[str]] = frozenset({"kind", "image", "labels", "structures", "ignore"})

    def list_columns(self, task: SegmentationSpec, stem: str) -> tuple[str, ...]:
        return (stem,)

    def list_optional_columns(self, task: SegmentationSpec, stem: str) -> tuple[str, ...]:
        return (f"{stem}_known", f"{stem}_region", *self.list_part_columns(task, stem))

    def list_part_columns(self, task: SegmentationSpec, stem: str) -> dict[str, str]:
        return {f"{stem}.{structure}": structure for structure in task.structures or []}

    def list_breaches(
        self, task: SegmentationSpec, others: Mapping[str, TaskSpec], visits: Sequence[str]
    ) -> Iterator[tuple[str, str]]:
        yield from ()

    def list_parsers(self, task: SegmentationSpec, stem: str) -> dict[str, CellParser]:
        return {f"{stem}_known": partial(read_structure_names, known=task.names)}

    def list_measured_columns(self, task: SegmentationSpec, stem: str) -> dict[str, CellParser]:
        return {}

    def list_needs(self, task: SegmentationSpec, name: str, stem: str) -> list[TrainNeed]:
        return [
            TrainNeed(s, stem, f"structure {s!r} known", f"add more masks, or remove {s!r} from the header")
            for s in task.names
        ]

    def list_parts(self, task: SegmentationSpec) -> list[str]:
        return task.names

    def decide_fields(self, task: SegmentationSpec, train: TrainVoxels, why: PlanReasons) -> PlanFields:
        fractions: list[float] = []
        words: list[str] = []
        for structure in task.names:
            known = [r for r in train.masks if structure in r.counts and r.totals[train.crop] > 0]
            if not known:
                raise MissingInTrain(f"structure {structure!r} is never known")
            if not any(r.counts[structure] for r in known) and not train.occurs(structure):
                place = f"{train.table}: structure {structure!r} occurs in no mask"
                raise PolytaskError(f"{place}; expected it in at least one; check its value in cohort.yaml")
            # The mean of shares, not the share of all voxels: every case counts alike. Structures are counted in the
            # whole image but the total only inside the crop box, so that a share could exceed 1.
            share = float(np.mean([min(1.0, r.counts[structure] / r.totals[train.crop]) for r in known]))
            fractions.append(round_number(share, 4))
            edges = [r.sizes[structure] for r in known if structure in r.sizes]
            size = (
                f", typically {format_sizes(np.median(edges, axis=0).round(), train.unit)}" if edges else ""
            )
            words.append(
                f"{structure} {format_share_percent(share)} (n {len(known)}, present in {len(edges)}{size})"
            )
        spacing = max(train.spacing)
        why["."] = "structures as in the header; primary metric: dice"
        why["fractions"] = f"share of the voxels that count: {'; '.join(words)}"
        why["tolerance"] = (
            f"{SURFACE_TOLERANCE:g} {train.unit}, or the longest edge of a voxel ({spacing:g} {train.unit}) if "
            "that is larger"
        )
        why["unit"] = "unit of distances and tolerance, as in the image"
        why["thin"] = (
            "none: whether a structure is a line, such as a vessel or a nerve, cannot be told safely from its masks; "
            "name those that are, and clDice judges their center lines too"
        )
        why["cldice"] = (
            "0: the loss does not compare center lines; it helps thin structures whose connection matters, at 0.5 or so"
        )
        why["constant"] = (
            "Dice loss and cross-entropy of answering these shares everywhere: the loss is divided by it and so "
            "starts near 1"
        )
        return {
            "kind": self.name,
            "level": "voxel",
            "structures": list(task.names),
            "exclusive": task.exclusive,
            "fractions": fractions,
            "tolerance": round_number(max(SURFACE_TOLERANCE, spacing), 3),
            "unit": train.unit,
            "thin": [],
            "cldice": 0.0,
            "constant": round_number(find_segmentation_constant(fractions, task.exclusive), 5),
        }

    def find_constant(self, fields: Mapping[str, Any]) -> float | None:
        thin = [fields["structures"].index(name) for name in fields.get("thin", ())]
        return find_segmentation_constant(
            fields["fractions"], fields["exclusive"], thin, float(fields.get("cldice", 0.0))
        )
