"""Read masks and doses from their files and bring them to the stored grid of their image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from polytask.array_types import Mask
from polytask.cohort import header
from polytask.errors import PolytaskError
from polytask.images.volume import Array, Grid, Volume
from polytask.prepare.seeded_generators import make_generator
from polytask.prepare.target_frame import TargetFrame as TargetFrame

TIE_MARGIN = 1e-4
"""A structure that fills half a voxel wins over the background, as it does for overlapping masks. So the share of the
background is lowered by this amount."""
MAX_POINTS_PER_STRUCTURE = 2000
"""Most voxels that are stored of a structure; training patches are centered on them."""


@dataclass(frozen=True)
class StoredTarget:
    """The stored arrays of one voxel task.

    Args:
        value: uint8 `[*space]` (exclusive), uint8 `[K, *space]` (overlapping) or float32 `[*space]` (dose).
        region: bool `[*space]`, where the target counts; None = everywhere.
        points: `[n, 1 + dims]`: structure (from 0) and position of at most 2,000 voxels of each structure; int16, or
            int32 where an axis is too long for it.
        known: for each structure, whether its mask is known; one entry for a dose.
    """

    value: Array
    region: Mask | None
    points: npt.NDArray[np.signedinteger]
    known: tuple[bool, ...]


def prepare_segmentation(
    task: header.MaskSpec,
    paths: Sequence[Path | None],
    known: Sequence[bool],
    region: Path | None,
    frame: TargetFrame,
) -> StoredTarget:
    """Read the masks of one case and bring them to the stored grid.

    Args:
        task: the header's; its label values become 1..K (exclusive) or planes (overlapping).
        paths: one file, or one per structure (None: no file, so empty or unknown as `known` says).
        known: for each structure, whether its mask is known.
        region: mask file that says where the masks count; None = everywhere.
        frame: the way to the stored grid.
    """
    here = _read_region(region, frame)
    if task.labels is not None:
        path = paths[0]
        assert path is not None
        labels = frame.read(path)
        # Some programs write labels as floats.
        source = (
            np.rint(labels.array[0]).astype(np.int64) if labels.array.dtype.kind == "f" else labels.array[0]
        )
        _check_mask_labels(task, source, f"{frame.where}, {path.name}")
        if task.ignore is not None and bool((source == task.ignore).any()):
            ignored = (
                frame.bring_to_grid(Volume((source == task.ignore)[None].astype(np.uint8), labels.grid), 0)[0]
                > 0
            )
            here = ~ignored if here is None else here & ~ignored
        if task.exclusive:
            value = _resample_label_map(
                [v for v in task.labels.values() if isinstance(v, int)], source, labels.grid, frame
            )
        else:
            sets = [[v] if isinstance(v, int) else v for v in task.labels.values()]
            value = np.stack([_resample_structure_mask(np.isin(source, s), labels.grid, frame) for s in sets])
    else:
        value = _read_structure_masks(len(task.names), paths, frame)
    return StoredTarget(
        value, here, _draw_structure_points(value, task.exclusive, known, here, frame.where), tuple(known)
    )


def prepare_target(
    task: header.VoxelSpec,
    paths: Sequence[Path | None],
    known: Sequence[bool],
    region: Path | None,
    frame: TargetFrame,
) -> StoredTarget:
    """Read the masks or the dose of one case and bring them to the stored grid; see `prepare_segmentation`."""
    if isinstance(task, header.MaskSpec):
        return prepare_segmentation(task, paths, known, region, frame)
    path = paths[0]
    assert path is not None
    return prepare_dose(path, region, frame)


def prepare_dose(path: Path, region: Path | None, frame: TargetFrame) -> StoredTarget:
    """Read the dose or the map of one case; training patches are centered where its size is above a tenth of the
    largest."""
    volume = frame.read(path)
    value = np.ascontiguousarray(frame.bring_to_grid(volume, 1)[0], np.float32)
    here = _read_region(region, frame)
    size = np.abs(value)
    high = (size > 0.1 * float(size.max()))[None].astype(np.uint8)
    return StoredTarget(value, here, _draw_structure_points(high, False, [True], here, frame.where), (True,))


def _read_region(path: Path | None, frame: TargetFrame) -> Mask | None:
    """Read where a target counts as bool `[*space]` on the stored grid; None = everywhere."""
    if path is None:
        return None
    volume = frame.read(path)
    inside: Mask = (
        frame.bring_to_grid(Volume((volume.array[:1] != 0).astype(np.uint8), volume.grid), 0)[0] > 0
    )
    return inside


def _check_mask_labels(task: header.MaskSpec, source: Array, where: str) -> None:
    """Refuse a label map with a value that the header does not name."""
    assert task.labels is not None
    allowed = {0} | {x for v in task.labels.values() for x in ([v] if isinstance(v, int) else v)}
    odd = sorted({int(v) for v in np.unique(source)} - allowed - {task.ignore})
    if odd:
        raise PolytaskError(
            f"{where}: label {odd[0]} is not in the header (it has {', '.join(map(str, sorted(allowed)))}); "
            "add it to `labels`, or correct the mask"
        )


def _resample_label_map(values: Sequence[int], source: Array, grid: Grid, frame: TargetFrame) -> Array:
    """Bring a label map to the stored grid as uint8 0..K.

    Between different grids, the share of every label in a voxel is interpolated and the largest share wins; at a tie
    the lower label. So thin parts do not break, as they would where the nearest voxel misses them.

    Args:
        values: label value of each structure; the first becomes 1.
        source: `[*space]` on `grid`.
    """
    shape = frame.image.grid.shape
    if _needs_no_interpolation(frame, grid):
        moved = frame.bring_to_grid(Volume(source[None], grid), 0)[0]
        out = np.zeros(shape, np.uint8)
        for k, value in enumerate(values, start=1):
            out[moved == value] = k
        return out
    # The background begins as the winner. Its share is lowered a little, and is never 0: else a structure would win
    # where it has no share at all.
    best = np.maximum(frame.compute_fill_shares(~np.isin(source, values), grid) - TIE_MARGIN, TIE_MARGIN)
    out = np.zeros(shape, np.uint8)
    for k, value in enumerate(values, start=1):
        mask = source == value
        if mask.any():
            share = frame.compute_fill_shares(mask, grid)
            better = share > best
            out[better] = k
            np.copyto(best, share, where=better)
    return out


def _needs_no_interpolation(frame: TargetFrame, grid: Grid) -> bool:
    """Whether the way to the stored grid only flips, turns and crops voxels, without interpolation."""
    sizes = tuple(up - lo for lo, up in zip(*frame.image.box, strict=True))
    return grid.shape == frame.image.source_grid.shape and sizes == frame.image.grid.shape


def _resample_structure_mask(mask: Mask, grid: Grid, frame: TargetFrame) -> npt.NDArray[np.uint8]:
    """Bring a mask to the stored grid: 1 in the voxels that it fills by half or more."""
    return (frame.compute_fill_shares(mask, grid) >= 0.5).astype(np.uint8)


def _read_structure_masks(
    count: int, paths: Sequence[Path | None], frame: TargetFrame
) -> npt.NDArray[np.uint8]:
    """Read masks that are stored separately, as uint8 `[K, *space]`: one file with K planes, or one file each."""
    out = np.zeros((count, *frame.image.grid.shape), np.uint8)
    if len(paths) == 1 and paths[0] is not None:
        volume = frame.read(paths[0])
        if volume.array.shape[0] != count:
            raise PolytaskError(
                f"{frame.where}: {paths[0].name} has {volume.array.shape[0]} masks, but the header has {count} "
                "structures; write them in the header's order as a 4-D file, or as one column each"
            )
        for k in range(count):
            out[k] = _resample_structure_mask(volume.array[k] != 0, volume.grid, frame)
        return out
    for k, path in enumerate(paths):
        if path is not None:
            volume = frame.read(path)
            out[k] = _resample_structure_mask(volume.array[0] != 0, volume.grid, frame)
    return out


def _draw_structure_points(
    value: Array, exclusive: bool, known: Sequence[bool], region: Mask | None, where: str
) -> npt.NDArray[np.signedinteger]:
    """Draw at most `MAX_POINTS_PER_STRUCTURE` voxels of each known structure, with a seed from the case's own name.

    Returns:
        int16 `[n, 1 + dims]`: structure (from 0) and position of the voxel; int32 where an axis is too long for int16.
    """
    rows = []
    space = value.shape if exclusive else value.shape[1:]
    for k, there in enumerate(known):
        if not there:
            continue
        mask = value == k + 1 if exclusive else value[k] > 0
        places = np.flatnonzero(mask if region is None else mask & region)
        if places.size > MAX_POINTS_PER_STRUCTURE:
            places = np.sort(
                make_generator("points", where, k).choice(places, MAX_POINTS_PER_STRUCTURE, replace=False)
            )
        positions = np.stack(np.unravel_index(places, space), axis=1)
        rows.append(np.concatenate([np.full((len(positions), 1), k), positions], axis=1))
    empty = np.zeros((0, 1 + len(space)), np.int64)
    fits = max(space) <= np.iinfo(np.int16).max
    return np.concatenate([empty, *rows]).astype(np.int16 if fits else np.int32)
