"""Find the box of voxels that is kept of an image: by a rule of the plan, or as a cell of the cohort's table says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from polytask.cohort.header import Modality
from polytask.errors import PolytaskError
from polytask.images.volume import Array, Grid
from polytask.plan.plan_schema import CropPlan
from polytask.plan.voxel_boxes import VoxelBox, find_bounding_box, find_crop_box


def find_kept_box(
    array: Array, modalities: Sequence[Modality], grid: Grid, rule: CropPlan, box: VoxelBox | None
) -> VoxelBox:
    """Find the box of `array [planes, *space]` on `grid` that the plan keeps.

    Args:
        array: the planes of the channels that are there.
        modalities: one per channel.
        grid: of the array, after orientation.
        rule: from the plan; its margin is in mm.
        box: for the rule `box`, on `grid`; None keeps everything.
    """
    if rule.rule != "box":
        return find_crop_box(array, modalities, rule.rule, rule.margin, grid.spacing)
    if box is None:
        return (0,) * grid.dims, grid.shape
    margin = [int(np.ceil(rule.margin / s)) for s in grid.spacing]
    return clip_box(
        [lo - m for lo, m in zip(box[0], margin, strict=True)],
        [up + m for up, m in zip(box[1], margin, strict=True)],
        grid.shape,
    )


def transfer_box(box: VoxelBox, grid: Grid, other: Grid) -> VoxelBox:
    """Find the smallest box on the grid `other` that contains `box` of `grid`, clipped to the size of `other`."""
    corners = np.array(np.meshgrid(*zip(*box, strict=True), indexing="ij"), dtype=float).reshape(
        grid.dims, -1
    )
    points = np.zeros((4, corners.shape[1]))
    # A box ends at the faces of its voxels, half a voxel before their centers. The tolerance of 1e-3 below keeps
    # rounding noise from adding a voxel.
    points[: grid.dims], points[3] = corners - 0.5, 1
    there = (np.linalg.inv(other.affine) @ grid.affine @ points)[: other.dims] + 0.5
    return clip_box(
        np.floor(there.min(axis=1) + 1e-3).tolist(), np.ceil(there.max(axis=1) - 1e-3).tolist(), other.shape
    )


def clip_box(lower: Sequence[float], upper: Sequence[float], shape: Sequence[int]) -> VoxelBox:
    """Clip a box to `shape`; it always keeps at least one voxel."""
    low = tuple(int(min(max(0, lo), n - 1)) for lo, n in zip(lower, shape, strict=True))
    return low, tuple(int(min(max(up, lo + 1), n)) for up, lo, n in zip(upper, low, shape, strict=True))


def parse_box_cell(cell: str, path: Path, grid: Grid, where: str) -> VoxelBox | None:
    """Read the box that a table cell names, on the image's own grid; None where its mask is empty.

    Args:
        cell: `x0 x1 y0 y1 z0 z1` (first voxel and one past the last along each axis; spaces or `;` between) or
            a mask file, whose non-zero voxels the box surrounds.
        path: the cell, read as a path.
        grid: of the image as it is in its file.
        where: names the case in errors.
    """
    words = cell.replace(";", " ").split()
    try:
        numbers = [int(w) for w in words]
    except ValueError:
        numbers = []
    if len(numbers) == 2 * grid.dims:
        return clip_box(numbers[::2], numbers[1::2], grid.shape)
    if not path.is_file():
        raise PolytaskError(
            f"{where}: the box {cell!r} is neither {2 * grid.dims} whole numbers nor a mask file; correct the cell"
        )
    from polytask.images.formats import read_image_file

    mask = read_image_file(path, dims=grid.dims)
    box = find_bounding_box((mask.array != 0).any(axis=0))
    return None if box is None else transfer_box(box, mask.grid, grid)
