"""Measure the range of an image's voxels and a digest of them in one pass, a few slices at a time."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from polytask.cohort.checks.slabs import cut_slabs
from polytask.images.volume import Array

SAMPLED_VOXELS = 20_000
"""Approximate number of voxels that are kept as a sample, to find the range in which most voxels lie."""


@dataclass(frozen=True)
class VoxelRange:
    """Range and digest of the voxels of an image.

    Args:
        finite: whether no voxel is NaN or infinite.
        constant: whether all voxels are equal.
        low, high: smallest and largest finite value.
        inner: (low, high) of the middle 99 % of the finite voxels, from a sample.
        digest: hash of dtype, shape and voxels; it does not depend on the memory layout.
    """

    finite: bool
    constant: bool
    low: float
    high: float
    inner: tuple[float, float]
    digest: str


def measure_voxel_range(array: Array) -> VoxelRange:
    """Measure an array `[C, *space]` in one pass."""
    digest = hashlib.blake2b(f"{array.dtype} {array.shape}".encode(), digest_size=16)
    # Made odd: an even step could hit the same columns of every row.
    step = max(1, array.size // SAMPLED_VOXELS) | 1
    finite, low, high = True, np.inf, -np.inf
    sample: list[npt.NDArray[np.float32]] = []
    for plane in array:
        for slab in cut_slabs(plane):
            digest.update(slab.data)
            flat = slab.reshape(-1)
            if flat.dtype.kind == "f":
                fine = np.isfinite(flat)
                if not fine.all():
                    finite, flat = False, flat[fine]
            if flat.size:
                low, high = min(low, float(flat.min())), max(high, float(flat.max()))
                sample.append(flat[::step].astype(np.float32))
    values = np.concatenate(sample) if sample else np.zeros(1, np.float32)
    inner = tuple(float(v) for v in np.quantile(values, (0.005, 0.995)))
    if not np.isfinite(low):
        low = high = 0.0
    return VoxelRange(finite, finite and low == high, low, high, (inner[0], inner[1]), digest.hexdigest())
