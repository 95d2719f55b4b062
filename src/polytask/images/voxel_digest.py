"""Digest the voxels of an image, so that the same picture is recognized under another name, compression or format."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np

from polytask.images.geometry import orient_to_ras
from polytask.images.volume import Array, Volume

DIGEST_BLOCK_VOXELS = 4 << 20
"""About how many voxels are converted and hashed at a time."""


def digest_voxels(volume: Volume) -> str | None:
    """Compute the sha256 of the voxels `[C, *space]`, as 32-bit floats in a fixed axis order.

    In 3D the axes run right, anterior, superior. The digest does not depend on the file's name, compression, number
    type or axis order. Spacing is left out on purpose: a file that was converted without its spacing still shows the
    same person. Returns None where all voxels are equal, because an empty image shows nobody.
    """
    array = orient_to_ras(volume).array
    if array.size == 0 or array.min() == array.max():
        return None
    return digest_array(array)


def digest_array(array: Array) -> str:
    """Compute the sha256 of an array's shape and numbers, block by block, so that the whole is never copied."""
    total = hashlib.sha256(f"polytask content 1 {array.shape}".encode())
    for plane in array:
        for part in _split_plane_blocks(plane):
            # Little-endian float32 everywhere, so that digests from different machines can be compared.
            numbers = np.ascontiguousarray(part, "<f4") + np.float32(0.0)  # -0 and 0 are one number
            total.update(numbers.data)
    return total.hexdigest()


def _split_plane_blocks(plane: Array) -> Iterator[Array]:
    """Split a plane `[*space]` along its first axis into parts of about `DIGEST_BLOCK_VOXELS` voxels."""
    if plane.ndim < 2:
        yield plane
        return
    thick = max(1, DIGEST_BLOCK_VOXELS * len(plane) // max(plane.size, 1))
    for start in range(0, len(plane), thick):
        yield plane[start : start + thick]
