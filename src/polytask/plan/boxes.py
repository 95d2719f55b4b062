"""Which part of an image is worth keeping: the crop boxes `nonzero` and `body`, found from the voxels.

Fingerprint and store use the same functions, so that the plan's sizes are those of the stored arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from polytask.cohort.header import Modality, planes_of

Box = tuple[tuple[int, ...], tuple[int, ...]]
"""First voxel and one past the last voxel, per axis."""
Mask = npt.NDArray[np.bool_]
AIR = -500.0
"""Hounsfield units between air and body."""
COARSE = 96
"""The body is found on a grid of at most this many voxels an axis."""


def crop_box(
    array: npt.NDArray[np.generic],
    modalities: Sequence[Modality],
    rule: Literal["none", "nonzero", "body"],
    margin: float = 0.0,
    spacing: Sequence[float] | None = None,
) -> Box:
    """The box of `array [planes, *space]` by a crop rule, widened by `margin` mm; all of it when nothing is left.

    `modalities` has one entry per channel (an RGB channel has three planes).
    """
    if rule == "none":
        return (0,) * (array.ndim - 1), tuple(array.shape[1:])
    mask = body_mask(array, modalities) if rule == "body" else nonzero_mask(array)
    return box_around(mask, margin, spacing)


def box_around(mask: Mask, margin: float = 0.0, spacing: Sequence[float] | None = None) -> Box:
    """The box around a mask, widened by `margin` mm within the array; all of it when the mask is empty."""
    box = bounding_box(mask)
    if box is None:
        return (0,) * mask.ndim, tuple(mask.shape)
    wide = [int(np.ceil(margin / e)) for e in spacing or (1.0,) * mask.ndim]
    low = tuple(max(0, lo - w) for lo, w in zip(box[0], wide, strict=True))
    high = tuple(min(n, hi + w) for n, hi, w in zip(mask.shape, box[1], wide, strict=True))
    return low, high


def nonzero_mask(array: npt.NDArray[np.generic]) -> Mask:
    """`[planes, *space]` → where any plane is not zero (NaN counts as zero)."""
    found = np.zeros(array.shape[1:], bool)
    for plane in array:
        found |= (plane != 0) & (plane == plane) if plane.dtype.kind == "f" else plane != 0
    return found


def body_mask(array: npt.NDArray[np.generic], modalities: Sequence[Modality]) -> Mask:
    """`[planes, *space]` → the patient: the largest connected part above air (CT) or above the background.

    A CT knows best where the air is, so other channels beside it are not asked.
    Found on a coarse grid and enlarged, so that it is quick, closed and a little generous. Where nothing stands
    out, everything is body.
    """
    space = array.shape[1:]
    step = tuple(-(-n // COARSE) for n in space)
    thin = array[(slice(None), *[slice(None, None, s) for s in step])].astype(np.float32)
    np.nan_to_num(thin, copy=False)
    mask = np.zeros(thin.shape[1:], bool)
    plane = 0
    for modality in modalities:
        part = thin[plane : plane + planes_of(modality)]
        plane += planes_of(modality)
        if modality == "CT" or "CT" not in modalities:
            mask |= (part > _threshold(part, modality)).any(axis=0)
    opened = ndimage.binary_opening(mask)
    labels, count = ndimage.label(opened if opened.any() else mask)
    if count == 0:
        return np.ones(space, bool)
    largest = labels == 1 + int(np.argmax(np.bincount(labels.reshape(-1))[1:]))
    body = ndimage.binary_dilation(ndimage.binary_fill_holes(largest), iterations=1)
    full: npt.NDArray[np.generic] = body
    for axis, (s, n) in enumerate(zip(step, space, strict=True)):
        full = np.take(full, np.arange(n) // s, axis=axis)
    return full.astype(bool)


def _threshold(values: npt.NDArray[np.float32], modality: Modality) -> float:
    """What lies above the background: air for CT, a tenth of the way from darkest to bright for the others (and
    for a CT that was shifted to a scale without negative numbers)."""
    low, high = (float(v) for v in np.quantile(values, (0.01, 0.99)))
    if modality == "CT" and low < AIR:
        return AIR
    return low + 0.1 * (high - low)


def bounding_box(mask: Mask) -> Box | None:
    """The smallest box around what is true, or None."""
    low, high = [], []
    for axis in range(mask.ndim):
        hit = np.flatnonzero(mask.any(axis=tuple(a for a in range(mask.ndim) if a != axis)))
        if hit.size == 0:
            return None
        low.append(int(hit[0]))
        high.append(int(hit[-1]) + 1)
    return tuple(low), tuple(high)
