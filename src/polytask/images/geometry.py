"""Voxels move only with their world coordinates: axis order, crop, spacing, resampling."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import Any

import numpy as np

from polytask.errors import PolytaskError
from polytask.images.interpolate import as_kind, oblique, parallel
from polytask.images.volume import Affine, Grid, Volume

PARALLEL = 1e-3  # voxels that a grid may drift over its whole length and still count as parallel


def canonical(volume: Volume) -> Volume:
    """The same voxels with axes nearest to right, anterior, superior, by flips and transposes only.

    The array is a view. 2D images are returned untouched.
    """
    if volume.grid.dims != 3:
        return volume
    axes, signs = orientation(volume.grid.affine)
    array = volume.array.transpose(0, *(a + 1 for a in axes))
    affine = volume.grid.affine[:, [*axes, 3]].copy()
    for axis, sign in enumerate(signs):
        if sign < 0:
            array = np.flip(array, axis + 1)
            affine[:3, 3] += affine[:3, axis] * (array.shape[axis + 1] - 1)
            affine[:3, axis] *= -1
    return Volume(array, Grid(array.shape[1:], affine, volume.grid.physical))


def orientation(affine: Affine) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """For world axes R, A, S: the voxel axis nearest to each, and its sign."""
    cosines = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    axes = max(permutations(range(3)), key=lambda p: sum(abs(cosines[w, a]) for w, a in enumerate(p)))
    return axes, tuple(1 if cosines[w, a] >= 0 else -1 for w, a in enumerate(axes))


def crop(volume: Volume, lower: Sequence[int], upper: Sequence[int]) -> Volume:
    """Voxels `lower ≤ index < upper` per axis, a view on the moved grid."""
    shape = volume.grid.shape
    if not all(0 <= lo < up <= n for lo, up, n in zip(lower, upper, shape, strict=True)):
        raise ValueError(f"crop {tuple(lower)} to {tuple(upper)} does not lie inside {shape}")
    array = volume.array[(slice(None), *map(slice, lower, upper))]
    affine = volume.grid.affine.copy()
    affine[:3, 3] += affine[:3, : len(shape)] @ np.asarray(lower, np.float64)
    return Volume(array, Grid(array.shape[1:], affine, volume.grid.physical))


def spaced(grid: Grid, spacing: Sequence[float]) -> Grid:
    """The grid of exactly this spacing that covers the same field of view, about the same centre.

    The field of view grows by less than one new voxel, so that no border voxel is lost and no centre lies outside.
    """
    ratio = np.asarray(spacing, np.float64) / np.asarray(grid.spacing)
    old = np.asarray(grid.shape)
    new = np.maximum(1, np.ceil(old / ratio - 0.01)).astype(int)
    affine = grid.affine.copy()
    affine[:3, : grid.dims] *= ratio
    affine[:3, 3] += grid.affine[:3, : grid.dims] @ ((old - 1) / 2) - affine[:3, : grid.dims] @ (
        (new - 1) / 2
    )
    return Grid(tuple(int(n) for n in new), affine, grid.physical)


def resample(
    volume: Volume,
    grid: Grid,
    order: int,
    fill: float | Sequence[float] = 0.0,
    kind: np.dtype[Any] | None = None,
) -> Volume:
    """The volume's values at the world places of `grid`.

    Args:
        order: 0 = nearest, type kept (masks); 1 = linear in float32, smoothed first along axes that shrink.
        fill: value outside the volume's field of view (its outer voxel faces), one for all or one per channel.
        kind: type of the result; whole numbers are rounded and cut to its range.

    Axes that are parallel (permuted and flipped ones too) are handled one after another; the rest in one go.
    """
    if order not in (0, 1):
        raise ValueError(f"order {order}: expected 0 (nearest) or 1 (linear)")
    steps, start = index_map(volume.grid, grid)
    values = np.broadcast_to(np.asarray(fill, np.float64), (volume.array.shape[0],))
    axes = _parallel_axes(steps, grid.shape)
    if axes is not None:
        array = volume.array.transpose(0, *(a + 1 for a in axes))
        scales = [float(steps[a, t]) for t, a in enumerate(axes)]
        out = parallel(array, grid.shape, scales, [float(start[a]) for a in axes], order, values, kind)
    else:
        out = oblique(volume.array, grid.shape, steps, start, order, values)
        out = out if kind is None else as_kind(out, kind)
    return Volume(out, grid)


def index_map(source: Grid, target: Grid) -> tuple[Affine, Affine]:
    """`steps [d, d]`, `start [d]` with source index = steps @ target index + start."""
    if source.dims != target.dims:
        raise ValueError(f"a {source.dims}D image cannot be resampled to a {target.dims}D grid")
    d = source.dims
    matrix: Affine = np.asarray(np.linalg.solve(source.affine, target.affine), np.float64)
    if abs(np.linalg.det(matrix[:d, :d])) < 1e-9:
        raise PolytaskError(
            "two images lie in planes at right angles; expected grids of one plane; check orientations"
        )
    return matrix[:d, :d], matrix[:d, 3]


def labels(probabilities: Volume, grid: Grid, outside: int = 0) -> Volume:
    """The most probable channel of `[K, *s]` at each voxel of `grid`, as uint8/uint16 `[1, *grid.shape]`.

    Channels are brought to the grid one at a time, so memory does not grow with K. Ties go to the lower channel.
    """
    count = probabilities.array.shape[0]
    best: Any = np.full((1, *grid.shape), -np.inf, np.float32)
    out = np.zeros(best.shape, np.uint8 if count <= 256 else np.uint16)
    for k in range(count):
        one = Volume(probabilities.array[k : k + 1], probabilities.grid)
        value = resample(one, grid, 1, np.inf if k == outside else -np.inf).array
        better = value > best
        out[better] = k
        np.copyto(best, value, where=better)
    return Volume(out, grid)


def _parallel_axes(steps: Affine, shape: Sequence[int]) -> tuple[int, ...] | None:
    """The source axis of each target axis, or None when some target axis runs across two source axes."""
    reach = np.abs(steps) * np.asarray(shape)
    axes = tuple(int(a) for a in np.abs(steps).argmax(axis=0))
    rest = reach.copy()
    rest[list(axes), range(len(axes))] = 0
    return axes if len(set(axes)) == len(axes) and rest.max() <= PARALLEL else None
