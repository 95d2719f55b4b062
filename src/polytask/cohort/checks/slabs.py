"""Go through an array a few slices at a time, so that no second array of its size is needed in memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from polytask.images.volume import Array

SLAB_VOXELS = 1 << 20
"""Approximate number of voxels in one slab."""


def cut_slabs(plane: Array) -> Iterator[Array]:
    """Cut an array `[*space]` into contiguous slabs `[slices, ...]` along its last axis; each voxel occurs once.

    The order of the voxels does not depend on the memory layout of the array, so that a digest of the slabs is
    stable. For arrays in Fortran order, as volume files are stored, the slabs are views and nothing is copied.
    """
    turned = plane.T
    thick = max(1, SLAB_VOXELS * len(turned) // max(turned.size, 1))
    for start in range(0, len(turned), thick):
        yield np.ascontiguousarray(turned[start : start + thick])
