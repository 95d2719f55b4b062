"""Sizes of masks: ml and cm² where an image says how large a pixel is, pixels where it does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

NAN = float("nan")
SIZES = ("volume", "volume_error")
"""Metrics that are sizes."""
LENGTHS = ("hd95", "surface_dice")
"""Metrics that rest on lengths."""


def size_of_voxel(spacing: Sequence[float], unit: str) -> float:
    """The size of a voxel of `spacing`, which counts `unit`: in ml (2D: cm²), or in pixels."""
    return prod(spacing) / 10.0 ** len(spacing) if unit == "mm" else float(prod(spacing))


def tell_in_pixels(metrics: Mapping[str, float], dims: int) -> dict[str, float]:
    """Metrics of masks that were measured with a spacing of 1, their sizes as numbers of pixels."""
    factor = 1.0 / size_of_voxel([1.0] * dims, "mm")
    return {m: v * factor if m.partition(".")[0] in SIZES else v for m, v in metrics.items()}


def leave_out_lengths(metrics: Mapping[str, float]) -> dict[str, float]:
    """The same, without a value for lengths and sizes: of an image without a scale in a task that counts mm."""
    return {m: NAN if m.partition(".")[0] in (*SIZES, *LENGTHS) else v for m, v in metrics.items()}


def unit_of_size(unit: str, dims: int | None = None) -> str:
    """How a mask's size is told: `ml`, `cm²`, `px` or `voxels`; "" in `dims` where those are not known."""
    if unit == "px":
        return "voxels" if dims == 3 else "px"
    return {2: "cm²", 3: "ml"}.get(dims or 0, "ml; 2D: cm²")
