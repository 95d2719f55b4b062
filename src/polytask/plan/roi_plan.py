"""The part of the plan about small findings: crops that visit and subject tasks read beside the whole view."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, model_validator

from polytask.kinds import KINDS

if TYPE_CHECKING:
    from polytask.plan.plan_schema import ImagePlan, Plan

DEFAULT_CROPS = 4
"""Number of crops where the plan names a task and no number."""
CROP_POSITIONS = 4
"""Positions that a crop leaves at the deepest stage along each axis, unless a patch is smaller or the plan says so."""
MAX_CROPS = 1024
CROP_SOURCES = ("attention", "task", "column", "below")
WRITTEN_SOURCES = frozenset({"attention", "task", "column"})
"""Sources that every version writes into a plan, null or not."""


class RoiPlan(BaseModel):
    """Crops at `spacing` that visit and subject tasks read beside the whole view; one source says where they lie."""

    model_config = ConfigDict(extra="forbid")

    attention: int | None = None
    """Number of crops. The attention of the tasks chooses them from a grid over the whole image."""
    task: str | None = None
    """A task with masks on this image: its own prediction chooses the crops from the grid, in training as later."""
    column: str | None = None
    """A column of the table that says where to look, known at prediction too: a point, a box or a mask. A case whose
    cell is empty gets a crop in the middle of the image."""
    below: float | None = None
    """Each fold chooses by its training subjects: as with `task`, the one with masks on this image whose findings are
    the smallest in the whole view (`folds.K.finding_sizes`); no crops where even these are not below this many
    voxels."""
    crops: int | None = None
    """Largest number of crops of the other sources; null = 4."""
    places: int | None = None
    """Number of places of the grid that a training step looks at, drawn at random; null = all. With `task`, one of them
    lies at a known structure where there is one. A new case is looked at everywhere."""
    size: tuple[int, ...] | None = None
    """Size of a crop in voxels at `spacing`; null = four positions at the deepest stage, at most the patch."""
    stages: Literal["every", "deepest"] = "deepest"
    """The stages of the encoder that the vector of a crop is pooled from: every one with `attention`, unless the plan
    says otherwise."""

    surroundings: bool = False
    """Whether tasks read the finding and what surrounds it as two sources: the crop is weighed by the mask that the
    task of `task` or `below` predicts there, and by the rest."""

    @model_validator(mode="before")
    @classmethod
    def _choose_stages(cls, content: Any) -> Any:
        """Pool every stage where attention chooses, unless an earlier version, which had no `stages`, wrote the plan:
        by hand one source is named, and every version writes all of them."""
        if not isinstance(content, Mapping) or "stages" in content or content.get("attention") is None:
            return content
        return content if content.keys() >= WRITTEN_SOURCES else {**content, "stages": "every"}

    @property
    def count(self) -> int:
        """Number of crops that the tasks read."""
        named = self.crops if self.attention is None else self.attention
        return DEFAULT_CROPS if named is None else named


def choose_fold_roi(image: ImagePlan, findings: Mapping[str, float]) -> RoiPlan | None:
    """Choose the crops that one fold reads of an image.

    Args:
        image: from the shared part, which holds for all folds.
        findings: task with masks on this image → size of its findings in voxels of the view, in the fold's training
            subjects.
    """
    roi = image.roi
    if roi is None or roi.below is None:
        return roi
    task = min(findings, key=lambda name: findings[name], default="")
    if not task or findings[task] >= roi.below:
        return None
    return roi.model_copy(update={"task": task, "below": None})


def compute_total_stride(image: ImagePlan) -> tuple[int, ...]:
    """Compute the total stride of an image's encoder along each axis."""
    return tuple(prod(stride[axis] for stride in image.strides) for axis in range(image.dims))


def compute_crop_size(image: ImagePlan) -> tuple[int, ...]:
    """Compute the size in voxels of the crops of an image that has `roi`."""
    assert image.roi is not None
    assert image.patch is not None
    return image.roi.size or tuple(
        min(CROP_POSITIONS * total, patch)
        for total, patch in zip(compute_total_stride(image), image.patch, strict=True)
    )


def is_grid(image: ImagePlan) -> bool:
    """Whether crops are chosen from a grid over the whole image, not from places that the table names."""
    return image.roi is not None and image.roi.column is None


def list_roi_breaches(image: ImagePlan) -> Iterator[tuple[str, str]]:
    """Yield (key, what is wrong and what to do) for the crops of one image."""
    roi = image.roi
    if roi is None:
        return
    named = [source for source in CROP_SOURCES if getattr(roi, source) is not None]
    if len(named) != 1:
        named_sources = " and ".join(named) if named else "none"
        yield "roi", f"names {named_sources}; expected exactly one of {', '.join(CROP_SOURCES)}"
        return
    if not 1 <= roi.count <= MAX_CROPS:
        yield "roi", f"{roi.count} crops; expected 1 to {MAX_CROPS}"
    if roi.below is not None and not 0 < roi.below < float("inf"):
        yield "roi.below", f"{roi.below:g} voxels; expected a size above 0"
    if roi.attention is not None and roi.crops is not None:
        yield "roi.crops", "attention already says how many crops are read; remove one of them"
    if roi.surroundings and roi.task is None and roi.below is None:
        yield (
            "roi.surroundings",
            "only masks tell a finding from its surroundings; name a task with masks (`task`), or use `below`",
        )
    if roi.places is not None and (roi.column is not None or roi.places < roi.count):
        yield "roi.places", f"{roi.places} places; expected at least {roi.count}, and no column"
    if image.field != "both":
        yield (
            "roi",
            f"field {image.field} keeps no image that is finer than the view; set field to both, with spacing, "
            "view_spacing and patch, or remove roi",
        )
        return
    total = compute_total_stride(image)
    if roi.size is None:
        return
    if len(roi.size) != image.dims or any(n <= 0 or n % t for n, t in zip(roi.size, total, strict=False)):
        yield (
            "roi.size",
            f"{list(roi.size)} does not fit; expected {image.dims} multiples of the total stride {list(total)}",
        )


def list_chooser_breaches(plan: Plan) -> Iterator[tuple[str, str]]:
    """Yield (place, what is wrong and what to do) for every task that chooses crops and has no masks."""
    for name, image in plan.shared.images.items():
        for number, fold in plan.folds.items():
            if image.roi and image.roi.below is not None and name not in fold.finding_sizes:
                yield (
                    f"shared.images.{name}.roi.below",
                    f"fold {number} does not say how large findings are; set it with `polytask plan --set`, or name a "
                    "task",
                )
            fields = fold.tasks.get(image.roi.task or "") if image.roi else None
            if image.roi and fields and KINDS[fields["kind"]].answer_form != "masks":
                yield (
                    f"shared.images.{name}.roi.task",
                    f"{image.roi.task!r} has no masks; choose a task with masks on this image, or attention",
                )
