"""Measures the voxel tasks of one case: how large the structures are, what the dose is, and where it counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from polytask.array_types import Mask
from polytask.cohort.cell_values import VoxelSource
from polytask.cohort.header import Header, MaskSpec, VoxelSpec
from polytask.errors import PolytaskError
from polytask.images.formats import read_image_file
from polytask.images.geometry import orient_to_ras, resample_volume
from polytask.images.volume import Grid, Volume
from polytask.kinds.plan_reasons import round_number
from polytask.plan.fingerprint_records import CropRule, VoxelRecord
from polytask.plan.quantile_sketch import summarize_values
from polytask.plan.voxel_boxes import VoxelBox, find_bounding_box

MAX_COMPONENT_GRID = 96
"""Components are measured on a thinned grid with at most this many voxels per axis."""
VoxelArray = npt.NDArray[np.generic]


@dataclass(frozen=True)
class MaskPlacement:
    """The grid on which the masks and doses of an image are needed.

    Args:
        source: grid of the image as its file has it.
        oriented: whether the axes are turned to the order of the store.
        resampled: whether a mask on another grid is resampled to the grid of the image.
        boxes: crop boxes, in voxels of the turned image.
    """

    source: Grid
    oriented: bool
    resampled: bool
    boxes: Mapping[CropRule, VoxelBox]

    def load(self, path: Path, order: int = 0) -> Volume:
        """Read a mask or dose `[C, *space]` and bring it to the turned grid of its image."""
        volume = read_image_file(path, self.source.dims)
        if self.resampled and not volume.grid.is_same_grid(self.source):
            volume = resample_volume(volume, self.source, order)
        if volume.grid.shape != self.source.shape:
            raise PolytaskError(
                f"{path}: size {volume.grid.shape}, but its image has {self.source.shape}; "
                "run `polytask check` on the cohort"
            )
        # Sizes agree here, but small differences of the affine may remain: the image's own grid decides.
        placed = Volume(volume.array, self.source)
        return orient_to_ras(placed) if self.oriented else placed


def list_voxel_tasks(header: Header) -> Iterator[tuple[str, VoxelSpec]]:
    """Yield name and header entry of every task with a value per voxel."""
    for name, task in header.tasks.items():
        if isinstance(task, VoxelSpec):
            yield name, task


def measure_voxel_task(
    task: VoxelSpec, source: VoxelSource | None, place: MaskPlacement
) -> tuple[VoxelRecord | None, Mask]:
    """Measure one voxel task; return its record (None: unknown) and, for masks, the voxels in any structure."""
    shape = tuple(place.boxes["none"][1])
    empty = np.zeros(shape, bool)
    if source is None:
        return None, empty
    valid = np.ones(shape, bool)
    if source.region is not None:
        valid = (place.load(source.region).array != 0).any(axis=0)
    if not isinstance(task, MaskSpec):
        path = next((p for p in source.paths if p is not None), None)
        return (
            None if path is None else _measure_dose(place.load(path, 1).array[0], valid, place.boxes)
        ), empty
    return _measure_segmentation(task, source, place, valid)


def _measure_dose(dose: VoxelArray, valid: Mask, boxes: Mapping[CropRule, VoxelBox]) -> VoxelRecord:
    summaries = {
        rule: summarize_values(_cut_to_box(dose, box)[_cut_to_box(valid, box)]) for rule, box in boxes.items()
    }
    values = {rule: summary for rule, summary in summaries.items() if summary is not None}
    return VoxelRecord(counts={}, totals=_count_per_crop(valid, boxes), sizes={}, values=values)


def _measure_segmentation(
    task: MaskSpec, source: VoxelSource, place: MaskPlacement, valid: Mask
) -> tuple[VoxelRecord, Mask]:
    volumes = {path: place.load(path) for path in dict.fromkeys(source.paths) if path is not None}
    if task.labels is not None and task.ignore is not None:
        for volume in volumes.values():
            valid = valid & (volume.array != task.ignore).all(axis=0)
    union = np.zeros(valid.shape, bool)
    counts: dict[str, int] = {}
    sizes: dict[str, tuple[float, ...]] = {}
    for index, structure in enumerate(task.names):
        if not source.known[index]:
            continue
        counts[structure] = 0
        path = source.paths[index if source.single else 0]
        if source.absent[index] or path is None:
            continue
        mask = _extract_structure(volumes[path].array, task, structure, 0 if source.single else index) & valid
        counts[structure] = int(mask.sum())
        if counts[structure]:
            sizes[structure] = _measure_largest_component(mask, volumes[path].grid.spacing)
            union |= mask
    return VoxelRecord(counts=counts, totals=_count_per_crop(valid, place.boxes), sizes=sizes), union


def _extract_structure(array: VoxelArray, task: MaskSpec, structure: str, plane: int) -> Mask:
    """Extract the mask of one structure from a label map, from its plane of a 4-D file, or from a file of its own."""
    if task.labels is None:
        if plane >= array.shape[0]:
            has = f"its mask file has {array.shape[0]} planes, fewer than the header's structures"
            raise PolytaskError(f"structure {structure}: {has}; run `polytask check`")
        own: Mask = array[plane] != 0
        return own
    # Label maps stored as floats may hold 1.9999999 for 2 after scaling by slope and intercept.
    labels = np.rint(array[0]) if array.dtype.kind == "f" else array[0]
    return np.isin(labels, task.values[structure])


def _count_per_crop(valid: Mask, boxes: Mapping[CropRule, VoxelBox]) -> dict[CropRule, int]:
    return {rule: int(_cut_to_box(valid, box).sum()) for rule, box in boxes.items()}


def _cut_to_box(array: npt.NDArray[np.generic], box: VoxelBox) -> npt.NDArray[np.generic]:
    return array[tuple(slice(lo, hi) for lo, hi in zip(*box, strict=True))]


def _measure_largest_component(mask: Mask, spacing: tuple[float, ...]) -> tuple[float, ...]:
    """Measure the edges of the box around the largest connected part of a mask, in the unit of `spacing`."""
    box = find_bounding_box(mask)
    assert box is not None, "called for a structure that occurs"
    part = _cut_to_box(mask, box)
    edges = list(part.shape)
    step = tuple(-(-n // MAX_COMPONENT_GRID) for n in part.shape)
    labels, count = ndimage.label(part[tuple(slice(None, None, s) for s in step)])
    if count > 1:
        largest = labels == 1 + int(np.argmax(np.bincount(labels.reshape(-1))[1:]))
        component_box = find_bounding_box(largest)
        assert component_box is not None, "a component has voxels"
        edges = [(hi - lo) * s for lo, hi, s in zip(*component_box, step, strict=True)]
    # Edges found on the thinned grid are multiples of the step and may exceed the box.
    return tuple(round_number(min(e, n) * s, 4) for e, n, s in zip(edges, part.shape, spacing, strict=True))
