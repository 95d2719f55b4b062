"""Checks upper limits: a plan from elsewhere cannot ask for a network or an image that no machine can hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import isfinite, prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from polytask.plan.plan_schema import FoldPlan, Plan

MAX_VIEW_VOXELS = 2**27
"""Largest number of voxels of a view or a patch: 512 along each of three axes."""
MAX_PLAN_STAGES, MAX_STAGE_BLOCKS, MAX_STAGE_CHANNELS, MAX_STAGE_STRIDE = 12, 100, 8192, 64
"""Upper limits of an encoder: number of stages, blocks in a stage, channels of a stage, stride of a stage."""
VOXEL_EDGE_RANGE = (1e-4, 1e4)
"""Smallest and largest edge of a voxel (in mm) or of a patch's pixel (in µm)."""
MAX_SHARED_VALUES = {"training.threads": 1024, "training.workers": 1024, "max_visits": 1000}
MAX_MODEL_VALUES = {"embedding": 65_536, "deep_supervision": 20}
MAX_SLIDE_VALUES = {"patch": 4096, "most": 10**7, "features": 10**6, "patches": 10**7}


MIN_INTENSITY_SD, MAX_MEAN_IN_SDS = 1e-15, 1e12
"""Limits of intensities: the smallest deviation, and how many deviations their mean may lie from 0. A network computes
in 32 bits: dividing by a smaller deviation gives numbers whose squares are infinite."""


def list_limit_breaches(plan: Plan) -> Iterator[tuple[str, str]]:
    """Yield (place, what is wrong and what to do) for every value that is too large."""
    shared = plan.shared
    for place, most in MAX_SHARED_VALUES.items():
        section, _, key = place.rpartition(".")
        yield from _list_excess(
            f"shared.{place}", getattr(getattr(shared, section) if section else shared, key), most
        )
    for key, most in MAX_MODEL_VALUES.items():
        yield from _list_excess(f"shared.model.{key}", getattr(shared.model, key), most)
    if shared.model.embedding < 1 or shared.model.deep_supervision < 0:
        yield "shared.model.embedding", "must be at least 1, and deep_supervision at least 0"
    if len(shared.augmentation.flip) > 3:
        yield "shared.augmentation.flip", "an image has at most three axes"
    if len(shared.augmentation.flip_2d or ()) > 2:
        yield "shared.augmentation.flip_2d", "a 2D image has two axes"
    for name, image in shared.images.items():
        place = f"shared.images.{name}"
        yield from _list_encoder_breaches(place, image.widths, image.blocks, image.strides)
        yield from _list_excess(f"{place}.patches", image.patches, 100_000)
        for key in ("resize", "view", "patch"):
            if (size := getattr(image, key)) is not None:
                yield from _list_excess(f"{place}.{key}", prod(size), MAX_VIEW_VOXELS, "voxels")
        for key in ("spacing", "view_spacing"):
            if (edges := getattr(image, key)) is not None and not all(
                VOXEL_EDGE_RANGE[0] <= s <= VOXEL_EDGE_RANGE[1] for s in edges
            ):
                yield (
                    f"{place}.{key}",
                    f"{list(edges)} is not a size of a voxel; expected {VOXEL_EDGE_RANGE[0]:g} to "
                    f"{VOXEL_EDGE_RANGE[1]:g} {image.unit}",
                )
        if not isfinite(image.crop.margin) or not 0 <= image.crop.margin <= VOXEL_EDGE_RANGE[1]:
            yield (
                f"{place}.crop.margin",
                f"{image.crop.margin:g} is not a margin; expected 0 to {VOXEL_EDGE_RANGE[1]:g} {image.unit}",
            )
    for name, slide in shared.slides.items():
        yield from _list_encoder_breaches(f"shared.slides.{name}", slide.widths, (), ())
        for key, most in MAX_SLIDE_VALUES.items():
            yield from _list_excess(f"shared.slides.{name}.{key}", getattr(slide, key) or 0, most)
        if not all(
            VOXEL_EDGE_RANGE[0] <= v <= VOXEL_EDGE_RANGE[1]
            for v in (slide.mpp or 1.0, slide.downsample or 1.0)
        ):
            yield (
                f"shared.slides.{name}.mpp",
                f"not a size of a pixel; expected {VOXEL_EDGE_RANGE[0]:g} to {VOXEL_EDGE_RANGE[1]:g}",
            )
    for number, fold in plan.folds.items():
        yield from _list_number_breaches(f"folds.{number}", fold)


def _list_encoder_breaches(
    place: str, widths: tuple[int, ...], blocks: tuple[int, ...], strides: tuple[tuple[int, ...], ...]
) -> Iterator[tuple[str, str]]:
    yield from _list_excess(f"{place}.widths", len(widths), MAX_PLAN_STAGES, "stages")
    for key, values, most in (
        ("widths", widths, MAX_STAGE_CHANNELS),
        ("blocks", blocks, MAX_STAGE_BLOCKS),
        ("strides", [s for stage in strides for s in stage], MAX_STAGE_STRIDE),
    ):
        yield from _list_excess(f"{place}.{key}", max(values, default=0), most)


def _list_number_breaches(place: str, fold: FoldPlan) -> Iterator[tuple[str, str]]:
    """Yield breaches of the numbers that scale voxels, pixels and cells: all are finite, no deviation is negative."""
    rules = {
        f"normalization.{name}.{channel}": planes
        for name, channels in fold.normalization.items()
        for channel, planes in channels.items()
    } | {f"slides.{name}": planes for name, planes in fold.slides.items()}
    for key, planes in rules.items():
        for rule in planes:
            if not _are_finite(v for v in (rule.lower, rule.upper, rule.mean, rule.sd) if v is not None):
                yield f"{place}.{key}", "its numbers must be finite, and below 1e30"
            # An sd of exactly 0 is left to the reader of the plan, which divides by 1 then.
            if rule.sd and (rule.sd < MIN_INTENSITY_SD or abs(rule.mean) > MAX_MEAN_IN_SDS * rule.sd):
                yield (
                    f"{place}.{key}",
                    f"sd {rule.sd:g} is too small for mean {rule.mean:g}; correct one of them",
                )
            if rule.sd < 0 or (rule.lower is not None and rule.upper is not None and rule.lower > rule.upper):
                yield f"{place}.{key}", "sd must be 0 or more, and `lower` not above `upper`"
    for table, columns in fold.tables.items():
        for name, column in columns.items():
            if not _are_finite((column.mean, column.sd)) or column.sd < 0:
                yield (
                    f"{place}.tables.{table}.{name}",
                    "mean and sd must be finite, and sd 0 or more",
                )


def _are_finite(values: Iterable[float]) -> bool:
    return all(isfinite(v) and abs(v) < 1e30 for v in values)


def _list_excess(place: str, value: float, most: int, what: str = "") -> Iterator[tuple[str, str]]:
    if value > most:
        yield place, f"{value:g} {what}".strip() + f" is too large; it must be at most {most}"
