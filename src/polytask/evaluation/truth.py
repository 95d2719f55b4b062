"""The truth of voxel tasks on the grid of the image's own file, where predictions are judged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from polytask.cohort import header
from polytask.cohort.cohort import Case, Cohort
from polytask.cohort.values import voxel_source
from polytask.images.volume import Array, Grid
from polytask.prepare.image import PreparedImage
from polytask.prepare.masks import Frame, dose, segmentation

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class VoxelTruth:
    """A mask or dose as its file gives it.

    Args:
        value: uint8 `[*space]` 0..K (exclusive), uint8 `[K, *space]` (overlapping) or float32 `[*space]` (dose).
        known: bool `[K]`; one entry for a dose.
        region: bool `[*space]` where it counts (outside: `ignore`, or not in the region file); None = everywhere.
    """

    value: Array
    known: Mask
    region: Mask | None


def voxel_truth(cohort: Cohort, case: Case, task: str, grid: Grid) -> VoxelTruth | None:
    """The truth of one case on `grid`, the source grid of the task's image; None when nothing is known.

    Files on the grid are taken as they are. Where the header says `align: resample`, a file on another grid is
    brought to it. A structure said to be `absent` is known and empty.
    """
    spec, source = cohort.header.tasks[task], voxel_source(cohort, case, task)
    assert isinstance(spec, header.Segmentation | header.Dose)
    if source is None:
        return None
    frame = Frame(
        untouched(grid),
        oriented=False,
        align=cohort.header.images[spec.image].align,
        where=f"{cohort.table}, row {case.row}, {task}",
    )
    if isinstance(spec, header.Dose):
        path = source.paths[0]
        assert path is not None
        found = dose(path, source.region, frame)
    else:
        found = segmentation(spec, source.paths, source.known, source.region, frame)
    return VoxelTruth(found.value, np.array(found.known, bool), found.region)


def structure_masks(cohort: Cohort, case: Case, task: str, grid: Grid) -> dict[str, Mask]:
    """Structure → mask bool `[*space]`, for the known structures of a segmentation task; none when unknown."""
    spec, truth = cohort.header.tasks[task], voxel_truth(cohort, case, task, grid)
    assert isinstance(spec, header.Segmentation)
    if truth is None:
        return {}
    found: dict[str, Mask] = {}
    for k, name in enumerate(spec.names):
        if truth.known[k]:
            mask = truth.value == k + 1 if spec.exclusive else truth.value[k] > 0
            found[name] = mask if truth.region is None else mask & truth.region
    return found


def untouched(grid: Grid) -> PreparedImage:
    """An image whose stored grid is its file's grid: masks go nowhere."""
    return PreparedImage(
        image=np.zeros((0, *grid.shape), np.uint8),
        whole=None,
        grid=grid,
        whole_grid=None,
        source_grid=grid,
        box=((0,) * grid.dims, grid.shape),
        channel_known=(),
        statistics=(),
    )
