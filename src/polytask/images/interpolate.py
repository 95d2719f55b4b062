"""Interpolation kernels behind `geometry.resample`: one axis at a time, or across axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from polytask.images.volume import Affine, Array

SNAP = 1e-3  # voxels: a grid this close to the source's own voxel centres is read, not interpolated

Floats = npt.NDArray[np.floating[Any]]


def parallel(
    array: Array,
    shape: Sequence[int],
    scales: Sequence[float],
    starts: Sequence[float],
    order: int,
    fill: Affine,
) -> Array:
    """`array [C, *s]` at the indices `scales·i + starts` per axis → `[C, *shape]`. Shrinking axes go first."""
    lengths = array.shape[1:]
    places = [s * np.arange(n) + t for n, s, t in zip(shape, scales, starts, strict=True)]
    if order == 1 and array.dtype != np.float32:
        array = array.astype(np.float32)
    for axis in sorted(range(len(shape)), key=lambda a: shape[a] / lengths[a]):
        where, length = places[axis], lengths[axis]
        if order == 0 or _on_centres(where, scales[axis]):
            array = np.take(array, _nearest(where, length), axis + 1)
        else:
            array = _weigh(array, _weights(where, length, max(1.0, abs(scales[axis]))), axis + 1)
    for axis, where in enumerate(places):
        outside = (where < -0.5 - SNAP) | (where > lengths[axis] - 0.5 + SNAP)
        if outside.any():
            array[(slice(None),) * (axis + 1) + (outside,)] = fill.reshape(-1, *[1] * len(shape)).astype(
                array.dtype
            )
    return np.ascontiguousarray(array)


def oblique(
    array: Array, shape: Sequence[int], steps: Affine, start: Affine, order: int, fill: Affine
) -> Array:
    """`array [C, *s]` at the indices `steps @ i + start` → `[C, *shape]`, for axes that are not parallel."""
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
        outside |= (where < -0.5 - SNAP) | (where > length - 0.5 + SNAP)
    if outside.any():
        out[:, outside] = fill[:, None].astype(out.dtype)
    return out


def _on_centres(where: Floats, scale: float) -> bool:
    """True when every place is a voxel centre and neighbours stay neighbours."""
    return abs(abs(scale) - 1) < SNAP and float(np.abs(where - np.rint(where)).max()) < SNAP


def _nearest(where: Floats, length: int) -> npt.NDArray[np.intp]:
    """The nearest index inside the axis; rounding noise never decides a tie."""
    index: npt.NDArray[np.intp] = np.clip(np.floor(np.round(where, 6) + 0.5), 0, length - 1).astype(np.intp)
    return index


def _weights(where: Floats, length: int, width: float) -> Any:
    """Sparse `[len(where), length]`: triangles of half-width `width` about each place, rows sum to 1.

    Beyond the outer centres of the axis the edge voxel continues.
    """
    from scipy.sparse import csr_array

    where = np.clip(where, 0, length - 1)
    reach = int(np.ceil(width))
    near = np.floor(where).astype(np.intp)[:, None] + np.arange(1 - reach, reach + 1)
    weight = np.maximum(0.0, 1 - np.abs(near - where[:, None]) / width)
    weight[(near < 0) | (near >= length)] = 0
    weight /= weight.sum(axis=1, keepdims=True)
    weight = _centred(weight, near - where[:, None])
    rows = np.repeat(np.arange(len(where)), near.shape[1])
    used = weight.ravel() > 0
    entries = (weight.ravel()[used].astype(np.float32), (rows[used], near.ravel()[used]))
    return csr_array(entries, shape=(len(where), length))


def _centred(weight: Floats, away: Floats) -> Floats:
    """Move each row's centre of mass onto its place, so that a ramp stays exactly where it was.

    A sampled triangle of fractional width leans by up to 0.02 voxels. Rows cut by the edge of the image, where
    the shift would need negative weights, are left.
    """
    lean = (weight * away).sum(axis=1, keepdims=True)
    spread = (weight * (away - lean) ** 2).sum(axis=1, keepdims=True)
    factor = 1 - lean / np.maximum(spread, 1e-9) * (away - lean)
    positive = ((factor >= 0) | (weight == 0)).all(axis=1, keepdims=True)
    return np.where(positive & (spread > 1e-9), weight * factor, weight)


def _weigh(array: Array, weights: Any, axis: int) -> Array:
    """`weights [m, n]` along one axis of length n; slabs stay small enough for the cache."""
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
