"""Reads the truth of voxel tasks on the grid of the image's own file, where predictions are judged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from polytask.array_types import Mask
from polytask.cohort import header
from polytask.cohort.cell_values import voxel_source
from polytask.cohort.cohort import Case, Cohort, FileVoxelSpec
from polytask.images.volume import Array, Grid
from polytask.prepare.prepared_image import PreparedImage
from polytask.prepare.stored_targets import TargetFrame, prepare_target


@dataclass(frozen=True)
class VoxelTruth:
    """The true mask or dose of one case.

    Args:
        value: uint8 `[*space]` 0..K (exclusive), uint8 `[K, *space]` (overlapping) or float32 `[*space]` (dose).
        known: bool `[K]`, whether each structure is known; one entry for a dose.
        region: bool `[*space]`, where the truth counts (not at `ignore`, nor outside the region file); None =
            everywhere.
    """

    value: Array
    known: Mask
    region: Mask | None


def read_voxel_truth(cohort: Cohort, case: Case, task: str, grid: Grid) -> VoxelTruth | None:
    """Read the truth of one case on `grid`, the source grid of the task's image; None when nothing is known.

    Files on this grid are taken as they are. Where the header says `align: resample`, a file on another grid is
    resampled to it. A structure whose cell says `absent` is known and empty.
    """
    # `written` is set for another hospital's cohort, whose files use its own names and units.
    written, source = cohort.written.get(task), voxel_source(cohort, case, task)
    spec = cohort.header.tasks[task] if written is None else written.spec
    assert isinstance(spec, header.VoxelSpec)
    if source is None:
        return None
    frame = TargetFrame(
        describe_source_grid(grid),
        oriented=False,
        align=cohort.header.images[spec.image].align,
        where=f"{cohort.table}, row {case.row}, {task}",
    )
    target = prepare_target(spec, source.paths, source.known, source.region, frame)
    truth = VoxelTruth(target.value, np.array(target.known, bool), target.region)
    return truth if written is None else rename_structures(truth, written, cohort.header.tasks[task])


def rename_structures(truth: VoxelTruth, written_as: FileVoxelSpec, target_spec: header.Task) -> VoxelTruth:
    """Translate a truth from the structures of its files to those of the header.

    A structure is known when all its parts are known. Where two exclusive structures of the header claim the same
    voxel, nobody can say which one is right, so that voxel does not count.
    """
    if not isinstance(written_as.spec, header.MaskSpec):
        return VoxelTruth(
            np.asarray(truth.value, np.float32) * np.float32(written_as.factor), truth.known, truth.region
        )
    assert isinstance(target_spec, header.MaskSpec)
    exclusive = written_as.spec.exclusive
    own = {name: k for k, name in enumerate(written_as.spec.names)}

    def mask(name: str) -> Mask:
        k = own[name]
        return np.asarray(truth.value == k + 1 if exclusive else truth.value[k] > 0)

    parts = [written_as.structures.get(name, ()) for name in target_spec.names]
    # A structure without any counterpart (no parts) is unknown, not empty.
    known = np.array([bool(p) and all(truth.known[own[n]] for n in p) for p in parts], bool)
    space = truth.value.shape if exclusive else truth.value.shape[1:]
    masks = np.zeros((len(parts), *space), bool)
    for k, names in enumerate(parts):
        for name in names:
            masks[k] |= mask(name)
    if not target_spec.exclusive:
        return VoxelTruth(masks.astype(np.uint8), known, truth.region)
    value = np.zeros(space, np.uint8)
    for k, inside in enumerate(masks, start=1):
        value[inside] = k
    once = masks.sum(0) <= 1
    region = truth.region if once.all() else (once if truth.region is None else once & truth.region)
    return VoxelTruth(value, known, region)


def read_structure_masks(cohort: Cohort, case: Case, task: str, grid: Grid) -> dict[str, Mask]:
    """Read structure → mask bool `[*space]`, for the known structures of a segmentation task; empty when unknown."""
    spec, truth = cohort.header.tasks[task], read_voxel_truth(cohort, case, task, grid)
    assert isinstance(spec, header.MaskSpec)
    if truth is None:
        return {}
    masks: dict[str, Mask] = {}
    for k, name in enumerate(spec.names):
        if truth.known[k]:
            mask = truth.value == k + 1 if spec.exclusive else truth.value[k] > 0
            masks[name] = mask if truth.region is None else mask & truth.region
    return masks


def describe_source_grid(grid: Grid) -> PreparedImage:
    """Describe an image whose stored grid is the grid of its file, so that masks are not moved."""
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
