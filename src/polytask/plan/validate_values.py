"""Checks single values of a plan, whatever the others are: a size, a spacing, a number of stages.

An edited plan is checked with these functions, and a value set by hand before a rule computes with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite, prod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from polytask.plan.plan_schema import SharedPlan

MAX_VIEW_VOXELS = 2**27
"""Largest number of voxels of a view or a patch: 512 along each of three axes."""
MAX_PLAN_STAGES, MAX_STAGE_BLOCKS, MAX_STAGE_CHANNELS, MAX_STAGE_STRIDE = 12, 100, 8192, 64
"""Upper limits of an encoder: number of stages, blocks in a stage, channels of a stage, stride of a stage."""
VOXEL_EDGE_RANGE = (1e-4, 1e4)
"""Smallest and largest edge of a voxel (in mm) or of a patch's pixel (in µm)."""
MAX_IMAGE_PATCHES = 100_000
MAX_SHARED_VALUES = {"training.threads": 1024, "training.workers": 1024, "max_visits": 1000}
MAX_SLIDE_VALUES = {"patch": 4096, "most": 10**7, "features": 10**6, "patches": 10**7}
POSITIVE_TRAINING_VALUES = ("epochs", "steps_per_epoch", "batch", "accumulation", "threads", "tune_every")
"""Values of `training` that count something and must be at least 1."""


def list_value_breaches(shared: SharedPlan) -> Iterator[tuple[str, str]]:
    """Yield (path, what is wrong and what to do) for every single value of the shared part that cannot be used."""
    training = {f"training.{key}": value for key, value in shared.training}
    single = {"max_visits": shared.max_visits, "model.visit_levels": shared.model.visit_levels}
    for path, value in {**single, **training}.items():
        if problem := find_value_problem(path, value):
            yield path, problem
    for name, image in shared.images.items():
        for key, value in image:
            if problem := find_value_problem(f"images.{name}.{key}", value, image.dims, image.unit):
                yield f"images.{name}.{key}", problem
    for name, slide in shared.slides.items():
        for key, value in slide:
            if problem := find_value_problem(f"slides.{name}.{key}", value):
                yield f"slides.{name}.{key}", problem


def find_value_problem(path: str, value: Any, dims: int = 3, unit: str = "mm") -> str:
    """Say what is wrong with a value of the shared part of a plan, and what to do; "" when nothing is.

    Args:
        path: where the value stands below `shared`.
        value: the value, which has the type that the schema says.
        dims: dimensions of the image, for a value of an image. unit: unit of its lengths.
    """
    section, key = path.split(".")[0], path.split(".")[-1]
    if value is None:
        return ""
    if section == "images":
        return _find_image_problem(path.split(".")[2], value, dims, unit)
    most = (MAX_SLIDE_VALUES if section == "slides" else MAX_SHARED_VALUES).get(
        key if section == "slides" else path
    )
    if most is not None and value > most:
        return find_excess(value, most)
    if section == "slides":
        return _find_slide_problem(key, value)
    if section == "training" and key in POSITIVE_TRAINING_VALUES and value < 1:
        return f"{value} is too small; it must be at least 1"
    if path == "training.rate" and not value > 0:
        return f"{value:g} is too small; it must be above 0"
    if path == "model.visit_levels" and (1 not in value or len({*value}) < len(value) or min(value) < 1):
        return f"{list(value)}: expected different whole numbers from 1, the deepest level, with 1 among them"
    if path == "max_visits" and value < 1:
        return "a sample must have at least 1 visit"
    return ""


def _find_image_problem(key: str, value: Any, dims: int, unit: str) -> str:
    if key in ("resize", "view", "patch") and prod(value) > MAX_VIEW_VOXELS:
        return find_excess(prod(value), MAX_VIEW_VOXELS, "voxels")
    if key in ("spacing", "view_spacing", "resize", "view", "patch"):
        return _find_size_problem(value, dims) or _find_edge_problem(key, value, unit)
    if key in ("widths", "blocks", "strides", "kernels"):
        return _find_stage_problem(key, value, dims)
    if key == "orientation" and value == "RAS" and dims == 2:
        return "2D images stay as they are in their files; expected none"
    if key == "crop":
        margin = value.margin
        if not isfinite(margin) or not 0 <= margin <= VOXEL_EDGE_RANGE[1]:
            return f"margin: {margin:g} is not a margin; expected 0 to {VOXEL_EDGE_RANGE[1]:g} {unit}"
    if key == "patches" and not 1 <= value <= MAX_IMAGE_PATCHES:
        return find_excess(value, MAX_IMAGE_PATCHES) or "expected at least 1 per visit"
    if key == "foreground" and not 0 <= value <= 1:
        return f"{value:g} is not a share; it must be between 0 and 1"
    if key == "channel_dropout" and not 0 <= value < 1:
        return f"{value:g} must be a share from 0 to below 1"
    return ""


def _find_size_problem(value: tuple[float, ...], dims: int) -> str:
    if len(value) != dims:
        return f"{list(value)} has {len(value)} numbers; a {dims}D image needs {dims}"
    return f"{list(value)} must be above 0" if min(value) <= 0 else ""


def _find_edge_problem(key: str, value: tuple[float, ...], unit: str) -> str:
    if key in ("resize", "view", "patch") or all(
        VOXEL_EDGE_RANGE[0] <= s <= VOXEL_EDGE_RANGE[1] for s in value
    ):
        return ""
    return (
        f"{list(value)} is not a size of a voxel; expected {VOXEL_EDGE_RANGE[0]:g} to {VOXEL_EDGE_RANGE[1]:g} "
        f"{unit}"
    )


def _find_stage_problem(key: str, value: tuple[Any, ...], dims: int) -> str:
    if len(value) > MAX_PLAN_STAGES:
        return find_excess(len(value), MAX_PLAN_STAGES, "stages")
    if key == "strides":
        if not value or any(len(s) != dims or min(s) < 1 for s in value) or max(value[0]) > 2:
            return f"expected {dims} whole numbers above 0 for each stage, 1 or 2 in the first"
        return find_excess(max(s for stage in value for s in stage), MAX_STAGE_STRIDE)
    if key == "kernels":
        fit = value and all(len(kernel) == dims and set(kernel) <= {1, 3} for kernel in value)
        return (
            "" if fit else f"expected {dims} numbers, each 1 or 3, for each stage; or null for 3 everywhere"
        )
    if not value or min(value) < 1:
        return "every stage must have at least 1 channel and 1 block"
    return find_excess(max(value), MAX_STAGE_CHANNELS if key == "widths" else MAX_STAGE_BLOCKS)


def _find_slide_problem(key: str, value: Any) -> str:
    if key in ("mpp", "downsample") and not VOXEL_EDGE_RANGE[0] <= value <= VOXEL_EDGE_RANGE[1]:
        return f"not a size of a pixel; expected {VOXEL_EDGE_RANGE[0]:g} to {VOXEL_EDGE_RANGE[1]:g}"
    if key == "patches" and value < 1:
        return "expected at least 1 per slide"
    if key in ("features", "patch") and value < 1:
        return f"{value} is not a width; it must be at least 1"
    if key == "widths":
        return _find_stage_problem(key, value, 2) if value else ""
    if key == "tissue" and not 0 <= value <= 1:
        return f"{value:g} is not a share; it must be between 0 and 1"
    return ""


def find_excess(value: float, most: float, what: str = "") -> str:
    """Say that a value is above its limit; "" when it is not."""
    return f"{value:g} {what}".strip() + f" is too large; it must be at most {most}" if value > most else ""
