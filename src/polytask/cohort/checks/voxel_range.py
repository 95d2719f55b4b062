"""The range of an image's voxels, a sample of them, and a digest: found in one pass, a few slices at a time."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from polytask.cohort.checks.slabs import cut_slabs
from polytask.images.volume import Array

SAMPLE = 20_000
"""Voxels kept of an image, about, to know where most of them lie."""


@dataclass(frozen=True)
class VoxelRange:
    """What the values of an image are.

    Args:
        finite: whether no voxel is NaN or infinite.
        constant: whether all voxels are equal.
        low, high: smallest and largest finite value.
        inner: what the middle 99 % of the finite voxels lie between.
        digest: of type, shape and voxels, however they lie in memory.
    """

    finite: bool
    constant: bool
    low: float
    high: float
    inner: tuple[float, float]
    digest: str


def measure_range(array: Array) -> VoxelRange:
    """Look once at `[C, *space]`."""
    digest = hashlib.blake2b(f"{array.dtype} {array.shape}".encode(), digest_size=16)
    step = max(1, array.size // SAMPLE) | 1  # odd, so that rows of even length do not keep step with it
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
