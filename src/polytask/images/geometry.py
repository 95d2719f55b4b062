"""Reorder, crop and resample volumes. Voxels and their world coordinates always move together."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import Any

import numpy as np

from polytask.errors import PolytaskError
from polytask.images.interpolate import cast_values, resample_oblique, resample_parallel
from polytask.images.volume import Affine, Grid, Volume

PARALLEL_TOLERANCE = 1e-3  # voxels that a grid may drift over its whole length and still count as parallel


def orient_to_ras(volume: Volume) -> Volume:
    """Flip and transpose a 3D volume until its axes run as nearly as possible right, anterior, superior.

    Nothing is interpolated, and the array is a view. A 2D image is returned unchanged.
    """
    if volume.grid.dims != 3:
        return volume
    axes, signs = find_axis_orientation(volume.grid.affine)
    array = volume.array.transpose(0, *(a + 1 for a in axes))
    affine = volume.grid.affine[:, [*axes, 3]].copy()
    for axis, sign in enumerate(signs):
        if sign < 0:
            array = np.flip(array, axis + 1)
            # After the flip, index 0 is the voxel that was last, so the origin moves there.
            affine[:3, 3] += affine[:3, axis] * (array.shape[axis + 1] - 1)
            affine[:3, axis] *= -1
    return Volume(array, Grid(array.shape[1:], affine, volume.grid.physical))


def find_axis_orientation(affine: Affine) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Find for each world axis (right, anterior, superior) the voxel axis nearest to it, and the sign of that axis."""
    cosines = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    # All six assignments are compared: near 45 degrees, two world axes could each pick the same voxel axis.
    axes = max(permutations(range(3)), key=lambda p: sum(abs(cosines[w, a]) for w, a in enumerate(p)))
    return axes, tuple(1 if cosines[w, a] >= 0 else -1 for w, a in enumerate(axes))


def crop_volume(volume: Volume, lower: Sequence[int], upper: Sequence[int]) -> Volume:
    """Keep the voxels with `lower ≤ index < upper` on each axis: a view of the array, on the shifted grid."""
    shape = volume.grid.shape
    if not all(0 <= lo < up <= n for lo, up, n in zip(lower, upper, shape, strict=True)):
        raise ValueError(f"crop {tuple(lower)} to {tuple(upper)} does not lie inside {shape}")
    array = volume.array[(slice(None), *map(slice, lower, upper))]
    affine = volume.grid.affine.copy()
    affine[:3, 3] += affine[:3, : len(shape)] @ np.asarray(lower, np.float64)
    return Volume(array, Grid(array.shape[1:], affine, volume.grid.physical))


def make_spaced_grid(grid: Grid, spacing: Sequence[float]) -> Grid:
    """Make the grid of exactly this spacing that covers the same field of view, around the same center.

    The field of view grows by less than one new voxel, so that no border voxel is lost.
    """
    ratio = np.asarray(spacing, np.float64) / np.asarray(grid.spacing)
    old = np.asarray(grid.shape)
    # The 0.01 keeps rounding noise in the spacing from adding a voxel.
    new = np.maximum(1, np.ceil(old / ratio - 0.01)).astype(int)
    affine = grid.affine.copy()
    affine[:3, : grid.dims] *= ratio
    affine[:3, 3] += grid.affine[:3, : grid.dims] @ ((old - 1) / 2) - affine[:3, : grid.dims] @ (
        (new - 1) / 2
    )
    return Grid(tuple(int(n) for n in new), affine, grid.physical)


def resample_volume(
    volume: Volume,
    grid: Grid,
    order: int,
    fill: float | Sequence[float] = 0.0,
    kind: np.dtype[Any] | None = None,
) -> Volume:
    """Compute the volume's values at the world positions of the voxels of `grid`.

    Axes that run parallel (also permuted or flipped) are resampled one after another. Other grids take one pass over
    all axes, which is slower.

    Args:
        volume: `[C, *space]`.
        grid: the target grid.
        order: 0 = nearest voxel, type kept (masks); 1 = linear in float32, smoothed first along axes that shrink.
        fill: value outside the volume's field of view (its outer voxel faces), one for all or one per channel.
        kind: type of the result; for a whole-number type, values are rounded and clipped to its range.
    """
    if order not in (0, 1):
        raise ValueError(f"order {order}: expected 0 (nearest) or 1 (linear)")
    steps, start = find_index_transform(volume.grid, grid)
    values = np.broadcast_to(np.asarray(fill, np.float64), (volume.array.shape[0],))
    axes = _parallel_axes(steps, grid.shape)
    if axes is not None:
        array = volume.array.transpose(0, *(a + 1 for a in axes))
        scales = [float(steps[a, t]) for t, a in enumerate(axes)]
        out = resample_parallel(
            array, grid.shape, scales, [float(start[a]) for a in axes], order, values, kind
        )
    else:
        out = resample_oblique(volume.array, grid.shape, steps, start, order, values)
        out = out if kind is None else cast_values(out, kind)
    return Volume(out, grid)


def find_index_transform(source: Grid, target: Grid) -> tuple[Affine, Affine]:
    """Return `steps [d, d]` and `start [d]`, so that source index = steps @ target index + start."""
    if source.dims != target.dims:
        raise ValueError(f"a {source.dims}D image cannot be resampled to a {target.dims}D grid")
    d = source.dims
    matrix: Affine = np.asarray(np.linalg.solve(source.affine, target.affine), np.float64)
    if abs(np.linalg.det(matrix[:d, :d])) < 1e-9:
        raise PolytaskError(
            "two images lie in planes at right angles; expected grids of one plane; check orientations"
        )
    return matrix[:d, :d], matrix[:d, 3]


def resample_to_labels(probabilities: Volume, grid: Grid, outside: int = 0) -> Volume:
    """Find the most probable channel of `[K, *s]` at each voxel of `grid`, as uint8 or uint16 `[1, *grid.shape]`.

    Channels are resampled one at a time, so memory does not grow with K. At a tie the lower channel wins. Voxels
    outside the field of view of `probabilities` get the channel `outside`.
    """
    count = probabilities.array.shape[0]
    best: Any = np.full((1, *grid.shape), -np.inf, np.float32)
    out = np.zeros(best.shape, np.uint8 if count <= 256 else np.uint16)
    for k in range(count):
        one = Volume(probabilities.array[k : k + 1], probabilities.grid)
        # The fill lets the channel `outside` win, and every other one lose, where the source has no voxels.
        value = resample_volume(one, grid, 1, np.inf if k == outside else -np.inf).array
        better = value > best
        out[better] = k
        np.copyto(best, value, where=better)
    return Volume(out, grid)


def _parallel_axes(steps: Affine, shape: Sequence[int]) -> tuple[int, ...] | None:
    """Find the source axis that each target axis runs along; None when one of them runs across two source axes."""
    reach = np.abs(steps) * np.asarray(shape)
    axes = tuple(int(a) for a in np.abs(steps).argmax(axis=0))
    rest = reach.copy()
    rest[list(axes), range(len(axes))] = 0
    return axes if len(set(axes)) == len(axes) and rest.max() <= PARALLEL_TOLERANCE else None
