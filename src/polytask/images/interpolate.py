"""Interpolate arrays for `geometry.resample_volume`: one axis after another, or all axes at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from polytask.images.volume import Affine, Array

SNAP_TOLERANCE = 1e-3  # voxels: a grid this close to the source's own voxel centers is read, not interpolated

SLAB_BYTES = 32 << 20  # bytes of float32 that a resampling holds beside source and result, about

Floats = npt.NDArray[np.floating[Any]]


def resample_parallel(
    array: Array,
    shape: Sequence[int],
    scales: Sequence[float],
    starts: Sequence[float],
    order: int,
    fill: Affine,
    kind: np.dtype[Any] | None = None,
) -> Array:
    """Interpolate `array [C, *s]` at the indices `scales·i + starts` of each axis → `[C, *shape]`.

    Axes that shrink most go first, which leaves less work for the others. The result is made slab by slab along the
    axis with the largest stride in memory, so that only one slab is held as float32 beside source and result. The
    numbers do not depend on the size of the slabs.

    Args:
        order: 0 = nearest, 1 = linear.
        fill: value per channel for places outside the source.
        kind: type of the result, see `cast_values`; default float32 (linear) or the source's type (nearest).
    """
    linear = order == 1
    axes = [
        _ResampledAxis.make(
            axis, scales[axis] * np.arange(shape[axis]) + starts[axis], n, scales[axis], linear
        )
        for axis, n in enumerate(array.shape[1:])
    ]
    out = np.empty((array.shape[0], *shape), kind or (np.dtype(np.float32) if linear else array.dtype))
    slow = max(axes, key=lambda a: abs(array.strides[a.number + 1]))
    ordered = sorted(axes, key=lambda a: len(a.where) / a.length)
    for low, high in _split_slabs(array.shape, shape, slow):
        part = slow.part(low, high)
        slab = array[(slice(None),) * (slow.number + 1) + (slice(*part.reach),)]
        if linear and slab.dtype != np.float32:
            slab = slab.astype(np.float32)
        for axis in ordered:
            slab = (part if axis is slow else axis).apply(slab)
        for axis in axes:
            (part if axis is slow else axis).fill_outside(slab, fill)
        out[(slice(None),) * (slow.number + 1) + (slice(low, high),)] = cast_values(slab, out.dtype)
    return out


def cast_values(values: Array, dtype: np.dtype[Any]) -> Array:
    """Convert numbers to another type. From floats to whole numbers, they are rounded and clipped to its range."""
    if dtype.kind in "iu" and values.dtype.kind == "f":
        limits = np.iinfo(str(dtype))
        return np.clip(np.rint(values), limits.min, limits.max).astype(dtype)
    return values.astype(dtype, copy=False)


def _split_slabs(
    source: Sequence[int], shape: Sequence[int], slow: _ResampledAxis
) -> Iterator[tuple[int, int]]:
    """Yield ranges (low, high) of the slow axis of the result, each of about `SLAB_BYTES` bytes of float32."""
    # While axes are resampled one by one, a slab is at most as long on each axis as source or result.
    widest = [max(n, m) for n, m in zip(source[1:], shape, strict=True)]
    widest[slow.number] = 1
    plane = 4 * source[0] * int(np.prod(widest, dtype=np.int64)) * max(1.0, abs(slow.scale))
    step = max(1, int(SLAB_BYTES / plane))
    for low in range(0, shape[slow.number], step):
        yield low, min(low + step, shape[slow.number])


@dataclass(frozen=True)
class _ResampledAxis:
    """How one axis is resampled, or a piece of that axis.

    Args:
        number: of the axis, channels not counted.
        where: source position of each target index, in voxels.
        length: of the source axis.
        scale: source voxels in one target voxel; negative where the axis is flipped.
        nearest: the source index that each target index reads, where nothing is interpolated; else None.
        weights: sparse `[target, source]` where values are interpolated; else None.
        reach: range of source indices that are needed; `nearest` and `weights` count from its beginning.
    """

    number: int
    where: Floats
    length: int
    scale: float
    nearest: npt.NDArray[np.intp] | None
    weights: Any
    reach: tuple[int, int]

    @classmethod
    def make(cls, number: int, where: Floats, length: int, scale: float, linear: bool) -> _ResampledAxis:
        """Make the axis as a whole, not yet cut into pieces."""
        if not linear or _falls_on_centers(where, scale):
            return cls(number, where, length, scale, _find_nearest_indices(where, length), None, (0, length))
        return cls(
            number,
            where,
            length,
            scale,
            None,
            _make_linear_weights(where, length, max(1.0, abs(scale))),
            (0, length),
        )

    def part(self, low: int, high: int) -> _ResampledAxis:
        """Return the piece for the target indices `low … high`, with only the part of the source that it needs."""
        where = self.where[low:high]
        if self.nearest is not None:
            nearest = self.nearest[low:high]
            reach = int(nearest.min()), int(nearest.max()) + 1
            return replace(self, where=where, nearest=nearest - reach[0], reach=reach)
        weights = self.weights[low:high]
        reach = int(weights.indices.min()), int(weights.indices.max()) + 1
        return replace(self, where=where, weights=weights[:, reach[0] : reach[1]], reach=reach)

    def apply(self, array: Array) -> Array:
        """Resample this axis of `array [C, …]`; the other axes stay."""
        if self.nearest is not None:
            return np.take(array, self.nearest, self.number + 1)
        return _apply_axis_weights(array, self.weights, self.number + 1)

    def fill_outside(self, array: Array, fill: Affine) -> None:
        """Write `fill`, one value per channel, to the places beyond the outer voxel faces of the source, in place."""
        outside = (self.where < -0.5 - SNAP_TOLERANCE) | (self.where > self.length - 0.5 + SNAP_TOLERANCE)
        if outside.any():
            values = fill.reshape(-1, *[1] * (array.ndim - 1)).astype(array.dtype)
            array[(slice(None),) * (self.number + 1) + (outside,)] = values


def resample_oblique(
    array: Array, shape: Sequence[int], steps: Affine, start: Affine, order: int, fill: Affine
) -> Array:
    """Interpolate `array [C, *s]` at the indices `steps @ i + start` → `[C, *shape]`, for axes that are not parallel.

    Args:
        order: 0 = nearest, 1 = linear, smoothed first where the target is coarser.
        fill: value per channel for places outside the source.
    """
    from scipy.ndimage import affine_transform, gaussian_filter

    shrink = np.maximum(1.0, np.linalg.norm(steps, axis=1))
    blur = np.sqrt(
        (shrink**2 - 1) / 6
    )  # the spread that a triangle of width `shrink` has beyond linear interpolation
    out = np.empty((array.shape[0], *shape), np.float32 if order else array.dtype)
    for k, channel in enumerate(array):
        source = channel if order == 0 else channel.astype(np.float32)
        if order == 1 and blur.max() > 0.1:
            source = gaussian_filter(source, blur, mode="nearest")
        affine_transform(source, steps, start, tuple(shape), out[k], order, mode="nearest", prefilter=False)
    outside = np.zeros(tuple(shape), bool)
    axes = np.ogrid[tuple(slice(n) for n in shape)]
    for axis, length in enumerate(array.shape[1:]):
        where = sum((steps[axis, t] * index for t, index in enumerate(axes)), start=start[axis])
        outside |= (where < -0.5 - SNAP_TOLERANCE) | (where > length - 0.5 + SNAP_TOLERANCE)
    if outside.any():
        out[:, outside] = fill[:, None].astype(out.dtype)
    return out


def _falls_on_centers(where: Floats, scale: float) -> bool:
    """Whether every place is a voxel center and neighbors stay neighbors, so that nothing is interpolated."""
    return (
        abs(abs(scale) - 1) < SNAP_TOLERANCE and float(np.abs(where - np.rint(where)).max()) < SNAP_TOLERANCE
    )


def _find_nearest_indices(where: Floats, length: int) -> npt.NDArray[np.intp]:
    """Find the nearest index inside the axis. Places are rounded first, so that rounding noise decides no tie."""
    index: npt.NDArray[np.intp] = np.clip(np.floor(np.round(where, 6) + 0.5), 0, length - 1).astype(np.intp)
    return index


def _make_linear_weights(where: Floats, length: int, width: float) -> Any:
    """Make the weights of linear interpolation, sparse `[len(where), length]`; each row sums to 1.

    A row is a triangle of half-width `width` around its place: 1 for plain interpolation, more for an axis that
    shrinks, so that all voxels in between take part. Beyond the outer centers the edge voxel is repeated.
    """
    from scipy.sparse import csr_array

    where = np.clip(where, 0, length - 1)
    reach = int(np.ceil(width))
    near = np.floor(where).astype(np.intp)[:, None] + np.arange(1 - reach, reach + 1)
    weight = np.maximum(0.0, 1 - np.abs(near - where[:, None]) / width)
    weight[(near < 0) | (near >= length)] = 0
    weight /= weight.sum(axis=1, keepdims=True)
    weight = _recenter_weights(weight, near - where[:, None])
    rows = np.repeat(np.arange(len(where)), near.shape[1])
    used = weight.ravel() > 0
    entries = (weight.ravel()[used].astype(np.float32), (rows[used], near.ravel()[used]))
    return csr_array(entries, shape=(len(where), length))


def _recenter_weights(weight: Floats, away: Floats) -> Floats:
    """Move the center of mass of each row of weights onto its place, so that a linear ramp stays exactly as it was.

    A sampled triangle of fractional width is off by up to 0.02 voxels. Rows that are cut by the edge of the image,
    where the shift would need negative weights, stay as they are.

    Args:
        weight: `[places, neighbors]`.
        away: distance of each neighbor from the place, in voxels.
    """
    lean = (weight * away).sum(axis=1, keepdims=True)
    spread = (weight * (away - lean) ** 2).sum(axis=1, keepdims=True)
    factor = 1 - lean / np.maximum(spread, 1e-9) * (away - lean)
    positive = ((factor >= 0) | (weight == 0)).all(axis=1, keepdims=True)
    return np.where(positive & (spread > 1e-9), weight * factor, weight)


def _apply_axis_weights(array: Array, weights: Any, axis: int) -> Array:
    """Multiply `weights [m, n]` along one axis of length n, which gets length m. Works in slabs that fit the cache."""
    before, n, after = (
        int(np.prod(array.shape[:axis])),
        array.shape[axis],
        int(np.prod(array.shape[axis + 1 :])),
    )
    m = weights.shape[0]
    shape = (*array.shape[:axis], m, *array.shape[axis + 1 :])
    array = np.ascontiguousarray(array)
    if after > 1:
        out = np.empty((before, m, after), np.float32)
        for k, slab in enumerate(array.reshape(before, n, after)):
            out[k] = weights @ slab
        return out.reshape(shape)
    rows, lines = array.reshape(before, n), np.empty((before, m), np.float32)
    for lo in range(0, before, 1024):
        lines[lo : lo + 1024] = (weights @ rows[lo : lo + 1024].T).T
    return lines.reshape(shape)
