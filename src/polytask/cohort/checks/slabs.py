"""An array a few slices at a time, so that looking at it takes no second array of its size."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from polytask.images.volume import Array

SLAB = 1 << 20
"""Voxels of a slab, about."""


def cut_slabs(plane: Array) -> Iterator[Array]:
    """Contiguous slabs `[slices, ...]` that cover `[*space]` once, the last axis slowest.

    The order of the voxels is the same however the array lies in memory. Where it lies as files of volumes do, the
    slabs are views.
    """
    turned = plane.T
    thick = max(1, SLAB * len(turned) // max(turned.size, 1))
    for start in range(0, len(turned), thick):
        yield np.ascontiguousarray(turned[start : start + thick])
