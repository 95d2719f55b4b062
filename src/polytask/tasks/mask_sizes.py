"""Units for the sizes of masks: ml and cm² if an image says how large a pixel is, pixels if it does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

from polytask.array_types import NAN

SIZE_METRICS = ("volume", "volume_error")
"""Names of the metrics that are sizes."""
LENGTH_METRICS = ("hd95", "surface_dice")
"""Names of the metrics that depend on lengths."""


def compute_voxel_size(spacing: Sequence[float], unit: str) -> float:
    """Compute the size of a voxel with this spacing: in ml (2D: cm²) for the unit `mm`, else in pixels."""
    return prod(spacing) / 10.0 ** len(spacing) if unit == "mm" else float(prod(spacing))


def convert_sizes_to_pixels(metrics: Mapping[str, float], dims: int) -> dict[str, float]:
    """Convert the sizes among metrics that were measured with a spacing of 1 into numbers of pixels."""
    factor = 1.0 / compute_voxel_size([1.0] * dims, "mm")
    return {m: v * factor if m.partition(".")[0] in SIZE_METRICS else v for m, v in metrics.items()}


def blank_length_metrics(metrics: Mapping[str, float]) -> dict[str, float]:
    """Replace lengths and sizes by NaN, for an image without a known pixel size in a task that measures in mm."""
    return {
        m: NAN if m.partition(".")[0] in (*SIZE_METRICS, *LENGTH_METRICS) else v for m, v in metrics.items()
    }


def name_size_unit(unit: str, dims: int | None = None) -> str:
    """Return the unit of a mask's size: `ml`, `cm²`, `px` or `voxels`; without `dims` one text for 2D and 3D."""
    if unit == "px":
        return "voxels" if dims == 3 else "px"
    return {2: "cm²", 3: "ml"}.get(dims or 0, "ml; 2D: cm²")
