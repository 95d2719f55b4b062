"""Find the places of findings that a table column names: points, boxes or masks, known at prediction as in training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from polytask.cohort.cohort import Cohort
from polytask.cohort.header import list_optional_columns, list_task_columns
from polytask.errors import PolytaskError
from polytask.images.volume import Grid
from polytask.plan.plan_schema import ImagePlan

Place = tuple[float, ...]
"""Position of a voxel, counted from 0 along each axis of a grid; fractions are allowed."""


def ensure_place_columns(cohort: Cohort, images: Mapping[str, ImagePlan]) -> None:
    """Refuse a column of places that does not exist, or that a new case cannot have: the answer would leak."""
    for name, image in images.items():
        column = image.roi.column if image.roi else None
        if column is None:
            continue
        at = f"images.{name}.roi.column: {column!r}"
        for task, spec in cohort.header.tasks.items():
            if column in (*list_task_columns(task, spec), *list_optional_columns(task, spec)):
                raise PolytaskError(
                    f"{at} holds the answer of task {task!r}, which a new case does not have, so it would leak; name a "
                    f"column that is known before prediction, or write roi: {{task: {task}}}"
                )
        if column not in cohort.columns:
            raise PolytaskError(
                f"{cohort.table}: {at} is not a column of the table; add it (an empty cell means no finding), or "
                "change roi"
            )


def ensure_places_beyond_training(cohort: Cohort, images: Mapping[str, ImagePlan]) -> None:
    """Refuse a column of places that is filled in for training subjects only: its being filled in would leak."""
    for name, image in images.items():
        column = image.roi.column if image.roi else None
        filled = [case.test for case in cohort.cases if column and case.cells.get(column)]
        if filled and not any(filled) and any(case.test for case in cohort.cases):
            raise PolytaskError(
                f"{cohort.table}: images.{name}.roi.column: {column!r} is filled in for training subjects only, not "
                "for any test subject, so it would leak; fill it in for all of them, or change roi"
            )


def parse_place_cell(cell: str, path: Path, grid: Grid, count: int, where: str) -> list[Place]:
    """Read the places that a cell names, in voxels of the image as it is in its file; none where its mask is empty.

    Args:
        cell: a point `x y z`, a box `x0 x1 y0 y1 z0 z1` (first voxel and one past the last along each axis), or a mask
            file, whose largest parts count; spaces or `;` between numbers.
        path: the cell, read as a path.
        grid: of the image as it is in its file.
        count: the most places that are taken from a mask.
        where: names the case in errors.
    """
    try:
        numbers = [float(word) for word in cell.replace(";", " ").split()]
    except ValueError:
        numbers = []
    if len(numbers) == grid.dims:
        return [_ensure_inside(numbers, grid, f"{where}: the point {cell!r}")]
    if len(numbers) == 2 * grid.dims:
        middle = [(low + up - 1) / 2 for low, up in zip(numbers[::2], numbers[1::2], strict=True)]
        if any(low >= up for low, up in zip(numbers[::2], numbers[1::2], strict=True)):
            raise PolytaskError(
                f"{where}: the box {cell!r} is empty; expected the first voxel and one past the last"
            )
        return [_ensure_inside(middle, grid, f"{where}: the middle of the box {cell!r}")]
    if not path.is_file():
        raise PolytaskError(
            f"{where}: {cell!r} is not a place; expected {grid.dims} numbers (a point), {2 * grid.dims} numbers (a "
            "box) or a mask file; correct the cell"
        )
    from polytask.images.formats import read_image_file

    mask = read_image_file(path, dims=grid.dims)
    middles = list_component_middles((mask.array != 0).any(axis=0).astype(np.float32), count)
    return [
        _ensure_inside(transfer_place(middle, mask.grid, grid), grid, f"{where}: a finding in {cell}")
        for middle in middles
    ]


def list_component_middles(probability: npt.NDArray[np.float32], count: int) -> list[Place]:
    """List the middles of the boxes around the components of a mask `[*space]`: its voxels of at least a half.

    At most `count`, the one with the largest sum of probabilities first, so that size counts, and then how sure it is.
    """
    labels, part_count = ndimage.label(probability >= 0.5)
    sums = np.bincount(labels.reshape(-1), probability.reshape(-1), minlength=part_count + 1)[1:]
    boxes = ndimage.find_objects(labels)
    largest = np.argsort(-sums, kind="stable")[:count].tolist()
    return [tuple((axis.start + axis.stop - 1) / 2 for axis in boxes[part]) for part in largest]


def transfer_place(place: Sequence[float], grid: Grid, other: Grid) -> Place:
    """Find the position on the grid `other` of a place on `grid`."""
    point = np.array([*place, *[0.0] * (3 - grid.dims), 1.0])
    there = np.linalg.inv(other.affine) @ grid.affine @ point
    return tuple(float(value) for value in there[: other.dims])


def _ensure_inside(place: Sequence[float], grid: Grid, what: str) -> Place:
    """Return the place; an error where it lies outside the image."""
    if not all(-0.5 <= value <= n - 0.5 for value, n in zip(place, grid.shape, strict=True)):
        position = ", ".join(f"{value:g}" for value in place)
        raise PolytaskError(
            f"{what} lies at ({position}), outside the image of {'×'.join(map(str, grid.shape))} voxels; correct "
            "the cell"
        )
    return tuple(float(value) for value in place)
