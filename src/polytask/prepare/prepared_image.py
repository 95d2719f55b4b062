"""Bring one image from the voxels of its files to the plan's grid, for the store and for new cases at prediction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Literal

import numpy as np

from polytask.cohort.header import count_modality_planes
from polytask.errors import PolytaskError
from polytask.images.geometry import crop_volume, make_spaced_grid, orient_to_ras, resample_volume
from polytask.images.size_limits import MAX_BYTES_VARIABLE, find_byte_limit
from polytask.images.volume import Array, Grid, Volume
from polytask.plan.plan_schema import ImagePlan
from polytask.plan.rules.image_geometry import compute_resize_step
from polytask.plan.voxel_boxes import VoxelBox
from polytask.prepare.crop_boxes import find_kept_box, transfer_box
from polytask.prepare.finding_places import Place, transfer_place
from polytask.prepare.plane_statistics import PlaneStatistics, compute_plane_statistics


@dataclass(frozen=True)
class PreparedImage:
    """An image on the plan's grid, not normalized.

    Args:
        image: `[C, *space]` at the plan's `spacing`; uint8, int16 or float32.
        whole: `[C, *space]` at `view_spacing`, for field `both` only.
        grid, whole_grid: the grids of these two.
        source_grid: of the file as read (first channel that is there); predictions go back to it.
        box: what was kept, in voxels of the reoriented source.
        channel_known: for each channel of the plan, whether the case has it.
        statistics: of each plane of `image`.
        places: of findings that the table names, in voxels of `image`; none for most.
    """

    image: Array
    whole: Array | None
    grid: Grid
    whole_grid: Grid | None
    source_grid: Grid
    box: VoxelBox
    channel_known: tuple[bool, ...]
    statistics: tuple[PlaneStatistics, ...]
    places: tuple[Place, ...] = ()


def prepare_image(
    volumes: Mapping[str, Volume | None],
    plan: ImagePlan,
    box: VoxelBox | None = None,
    align: Literal["strict", "resample"] = "strict",
    where: str = "image",
    places: Sequence[Place] = (),
) -> PreparedImage:
    """Orient, crop and resample the channels of one image input.

    Args:
        volumes: channel → `[planes, *space]` as read; a missing one (absent or None) becomes zeros.
        plan: geometry of the input.
        box: for the crop rule `box`, in voxels of the first channel that is there; None keeps everything.
        align: the header's; `resample` brings all channels to the first one's grid, `strict` wants equal sizes.
        where: names the case in errors.
        places: of findings, in voxels of the first channel that is there.
    """
    present = {name: v for name in plan.channels if (v := volumes.get(name)) is not None}
    if not present:
        raise PolytaskError(
            f"{where}: has no channel of {', '.join(plan.channels)}; expected at least one; name a file in the table"
        )
    first = next(iter(present.values()))
    aligned = {
        name: _align_to_first_grid(v, first.grid, align, f"{where}, channel {name}")
        for name, v in present.items()
    }
    # When the plan counts pixels, spacings in mm that only some files have must not matter.
    own_grid = first.grid.with_unit(plan.unit == "mm")
    in_unit = {name: Volume(v.array, own_grid) for name, v in aligned.items()}
    turned = {name: orient_to_ras(v) if plan.orientation == "RAS" else v for name, v in in_unit.items()}
    planes = _stack_channels([v.array for v in turned.values()], _choose_stored_type(turned))
    grid = next(iter(turned.values())).grid
    if planes.dtype.kind == "f" and not np.isfinite(planes).all():
        raise PolytaskError(
            f"{where}: some voxels are NaN or infinite; expected finite numbers; correct the file"
        )
    own = None if box is None else transfer_box(box, own_grid, grid)
    keep = find_kept_box(planes, [plan.channels[n] for n in turned], grid, plan.crop, own)
    kept = crop_volume(Volume(planes, grid), *keep)
    target = make_spaced_grid(kept.grid, _convert_spacing(plan.spacing, plan, grid))
    check_target_size(target, len(planes), where)
    image = _insert_missing_channels(_resample_planes(kept, target), plan, present)
    whole, whole_grid = None, None
    if plan.field == "both":
        assert plan.view_spacing is not None
        whole_grid = make_spaced_grid(kept.grid, _convert_spacing(plan.view_spacing, plan, grid))
        check_target_size(whole_grid, len(planes), where)
        whole = _insert_missing_channels(_resample_planes(kept, whole_grid), plan, present)
    known = tuple(name in present for name in plan.channels)
    return PreparedImage(
        image,
        whole,
        target,
        whole_grid,
        first.grid,
        keep,
        known,
        compute_plane_statistics(image),
        tuple(transfer_place(place, own_grid, target) for place in places),
    )


def _convert_spacing(spacing: Sequence[float], plan: ImagePlan, grid: Grid) -> tuple[float, ...]:
    """Convert a spacing of the plan into that of one image: the same, but for one that is scaled to `resize`.

    Args:
        grid: of the whole image, before the crop.
    """
    if plan.resize is None:
        return tuple(spacing)
    step = compute_resize_step(grid.shape, plan.resize)
    return tuple(step * edge * s for edge, s in zip(grid.spacing, spacing, strict=True))


def _align_to_first_grid(volume: Volume, grid: Grid, align: str, where: str) -> Volume:
    """Bring a channel to the first channel's grid: voxel by voxel when strict, by the affines otherwise."""
    if align == "resample":
        return (
            Volume(volume.array, grid)
            if lies_on_grid(volume.grid, grid)
            else resample_volume(volume, grid, 1)
        )
    if volume.grid.shape != grid.shape:
        raise PolytaskError(
            f"{where}: size {_format_grid_size(volume.grid)}, but the first channel has {_format_grid_size(grid)}; "
            "bring them to one grid, or write `align: resample` in the header"
        )
    return Volume(volume.array, grid)


def lies_on_grid(grid: Grid, image: Grid) -> bool:
    """Whether the voxels of `grid` lie exactly on those of `image`.

    World positions decide. Where a file does not say how large a pixel is, it says nothing about positions either, and
    the shapes decide.
    """
    placed = grid.physical and image.physical
    return grid.is_same_grid(image) if placed else grid.shape == image.shape


def check_target_size(target: Grid, planes: int, where: str) -> None:
    """Refuse a resampled image that is over the memory limit, before memory is taken."""
    # Four bytes a voxel: resampling works in float32 whatever type is stored.
    size, most = prod(target.shape) * planes * 4, find_byte_limit()
    if size > most:
        raise PolytaskError(
            f"{where}: would be {_format_grid_size(target)} voxels at {'×'.join(f'{s:g}' for s in target.spacing)} "
            f"{'mm' if target.physical else 'px'} "
            f"({size / 1e9:.1f} GB); expected at most {most / 1e9:.1f} GB; check the spacing of the file and of the "
            f"plan, or raise {MAX_BYTES_VARIABLE}"
        )


def _format_grid_size(grid: Grid) -> str:
    """Format the shape of a grid for people, such as `512×512×80`."""
    return "×".join(str(n) for n in grid.shape)


def _choose_stored_type(volumes: Mapping[str, Volume]) -> np.dtype[np.generic]:
    """Choose uint8 or int16 when all channels are whole numbers that fit, else float32."""
    arrays = [v.array for v in volumes.values()]
    if all(a.dtype in (np.uint8, np.bool_) for a in arrays):
        return np.dtype(np.uint8)
    if all(a.dtype.kind in "iub" for a in arrays):
        limits = np.iinfo(np.int16)
        if all(a.dtype == np.int16 or (a.min() >= limits.min and a.max() <= limits.max) for a in arrays):
            return np.dtype(np.int16)
    return np.dtype(np.float32)


def _resample_planes(volume: Volume, grid: Grid) -> Array:
    """Resample linearly and anti-aliased; whole numbers are rounded back to their type."""
    if volume.grid.is_same_grid(grid):
        return volume.array
    return resample_volume(volume, grid, 1, kind=volume.array.dtype).array


def _stack_channels(arrays: Sequence[Array], kind: np.dtype[np.generic]) -> Array:
    """Join channels to `[planes, *space]`. A single channel is not copied unless its type changes."""
    if len(arrays) == 1:
        return arrays[0].astype(kind, copy=False)
    return np.concatenate(arrays, dtype=kind, casting="unsafe")


def _insert_missing_channels(array: Array, plan: ImagePlan, there: Mapping[str, Volume]) -> Array:
    """Add planes of zeros for the channels that are missing, so that all planes of the plan are there."""
    if len(there) == len(plan.channels):
        return np.ascontiguousarray(array)
    full = np.zeros(
        (sum(count_modality_planes(m) for m in plan.channels.values()), *array.shape[1:]), array.dtype
    )
    source, target = 0, 0
    for name, modality in plan.channels.items():
        count = count_modality_planes(modality)
        if name in there:
            full[target : target + count] = array[source : source + count]
            source += count
        target += count
    return full
