"""Finds which part of an image is worth keeping: the crop boxes `nonzero` and `body`, computed from the voxels.

The fingerprint and the store use the same functions, so that the sizes in the plan are those of the stored arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from polytask.array_types import Mask
from polytask.cohort.header import Modality, count_modality_planes

VoxelBox = tuple[tuple[int, ...], tuple[int, ...]]
"""(first voxel, one past the last voxel), each with one number per axis."""
AIR_HOUNSFIELD = -500.0
"""Threshold in Hounsfield units: lower values are air, higher values are the body."""
MAX_BODY_GRID = 96
"""The body is searched on a thinned grid with at most this many voxels per axis, which keeps the search quick."""


def find_crop_box(
    array: npt.NDArray[np.generic],
    modalities: Sequence[Modality],
    rule: Literal["none", "nonzero", "body"],
    margin: float = 0.0,
    spacing: Sequence[float] | None = None,
) -> VoxelBox:
    """Find the box of `array [planes, *space]` that a crop rule keeps, widened by `margin` mm on every side.

    The box is the whole array when the rule finds nothing. `modalities` has one entry per channel (an RGB channel has
    three planes). `spacing` gives mm per voxel and axis; without it the margin counts voxels.
    """
    if rule == "none":
        return (0,) * (array.ndim - 1), tuple(array.shape[1:])
    mask = find_body_mask(array, modalities) if rule == "body" else find_nonzero_mask(array)
    return find_mask_box(mask, margin, spacing)


def find_mask_box(mask: Mask, margin: float = 0.0, spacing: Sequence[float] | None = None) -> VoxelBox:
    """Find the box around a mask, widened by `margin` mm but not beyond the array; the whole array if it is empty."""
    box = find_bounding_box(mask)
    if box is None:
        return (0,) * mask.ndim, tuple(mask.shape)
    wide = [int(np.ceil(margin / e)) for e in spacing or (1.0,) * mask.ndim]
    low = tuple(max(0, lo - w) for lo, w in zip(box[0], wide, strict=True))
    high = tuple(min(n, hi + w) for n, hi, w in zip(mask.shape, box[1], wide, strict=True))
    return low, high


def find_nonzero_mask(array: npt.NDArray[np.generic]) -> Mask:
    """Mark the voxels `[*space]` of `array [planes, *space]` where any plane is not zero; NaN counts as zero."""
    nonzero = np.zeros(array.shape[1:], bool)
    for plane in array:
        # NaN != 0 is true, so that only comparing the plane with itself removes NaN. Integers cannot hold NaN.
        nonzero |= (plane != 0) & (plane == plane) if plane.dtype.kind == "f" else plane != 0
    return nonzero


def find_body_mask(array: npt.NDArray[np.generic], modalities: Sequence[Modality]) -> Mask:
    """Mark the patient `[*space]` in `array [planes, *space]`: the largest connected part brighter than the background.

    In a CT the background is air. When the image has a CT channel, only that channel is used, because it shows the air
    best. The body is found on a thinned grid and then enlarged: this is quick, fills holes, and gives a body that is
    slightly too large rather than too small. When nothing stands out from the background, every voxel is body.
    """
    space = array.shape[1:]
    step = tuple(-(-n // MAX_BODY_GRID) for n in space)
    thin = array[(slice(None), *[slice(None, None, s) for s in step])].astype(np.float32)
    np.nan_to_num(thin, copy=False)
    mask = np.zeros(thin.shape[1:], bool)
    plane = 0
    for modality in modalities:
        part = thin[plane : plane + count_modality_planes(modality)]
        plane += count_modality_planes(modality)
        if modality == "CT" or "CT" not in modalities:
            mask |= (part > _find_body_threshold(part, modality)).any(axis=0)
    # Opening removes thin bridges, e.g. between the patient and the table; a very thin body may vanish with them,
    # and then the mask is used as it was.
    opened = ndimage.binary_opening(mask)
    labels, count = ndimage.label(opened if opened.any() else mask)
    if count == 0:
        return np.ones(space, bool)
    largest = labels == 1 + int(np.argmax(np.bincount(labels.reshape(-1))[1:]))
    body = ndimage.binary_dilation(ndimage.binary_fill_holes(largest), iterations=1)
    # Index n // s repeats every thinned voxel s times, and cuts the last block where the size is no multiple of s.
    full: npt.NDArray[np.generic] = body
    for axis, (s, n) in enumerate(zip(step, space, strict=True)):
        full = np.take(full, np.arange(n) // s, axis=axis)
    return full.astype(bool)


def _find_body_threshold(values: npt.NDArray[np.float32], modality: Modality) -> float:
    """Find the value above which a voxel belongs to the body.

    A CT uses the fixed value `AIR_HOUNSFIELD`. Other images use a point one tenth of the way from the dark to the
    bright end, and so does a CT that was shifted to a scale without negative numbers.
    """
    # Quantiles instead of minimum and maximum: a few broken voxels must not move the threshold.
    low, high = (float(v) for v in np.quantile(values, (0.01, 0.99)))
    if modality == "CT" and low < AIR_HOUNSFIELD:
        return AIR_HOUNSFIELD
    return low + 0.1 * (high - low)


def find_bounding_box(mask: Mask) -> VoxelBox | None:
    """Find the smallest box around the true voxels of a mask; None when there is none."""
    low, high = [], []
    for axis in range(mask.ndim):
        hit = np.flatnonzero(mask.any(axis=tuple(a for a in range(mask.ndim) if a != axis)))
        if hit.size == 0:
            return None
        low.append(int(hit[0]))
        high.append(int(hit[-1]) + 1)
    return tuple(low), tuple(high)
