"""The content of an image as one digest: the same picture under another name, compression or format is recognized."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np

from polytask.images.geometry import canonical
from polytask.images.volume import Array, Volume

BLOCK = 4 << 20
"""Voxels hashed together, about."""


def digest_voxels(volume: Volume) -> str | None:
    """sha256 of the voxels `[C, *space]` in a fixed axis order (3D: right, anterior, superior) as 32-bit floats.

    Neither name, compression, number type nor the order in which the file stores its axes changes it. Spacing is left
    out on purpose: a file that was converted without its spacing still shows the same person. None where all voxels
    are equal: an empty image shows nobody.
    """
    array = canonical(volume).array
    if array.size == 0 or array.min() == array.max():
        return None
    return digest_array(array)


def digest_array(array: Array) -> str:
    """sha256 of shape and numbers, block by block, so that no copy of the whole is made."""
    total = hashlib.sha256(f"polytask content 1 {array.shape}".encode())
    for plane in array:
        for part in _blocks(plane):
            numbers = np.ascontiguousarray(part, "<f4") + np.float32(0.0)  # -0 and 0 are one number
            total.update(numbers.data)
    return total.hexdigest()


def _blocks(plane: Array) -> Iterator[Array]:
    """Parts along the first axis, of several slices each: files often hold that axis closest together in memory."""
    if plane.ndim < 2:
        yield plane
        return
    thick = max(1, BLOCK * len(plane) // max(plane.size, 1))
    for start in range(0, len(plane), thick):
        yield plane[start : start + thick]
