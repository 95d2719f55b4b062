"""Count the voxels of each value of a mask, and find where each value touches the border of the image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from polytask.cohort.checks.slabs import cut_slabs
from polytask.images.volume import Array

BorderFace = tuple[int, int]
"""One side of an image: (axis, 0 for its first slice or 1 for its last)."""
MAX_COUNTED_RANGE = 1 << 16
"""If the values of a mask span less than this, they are counted with `bincount`; else they are sorted (slower)."""


class NonIntegerMaskError(Exception):
    """Raised for a mask with a value that is not a whole number; NaN and infinity are not whole numbers."""

    def __init__(self, value: float) -> None:
        super().__init__(f"{value:g}")
        self.value = value


@dataclass(frozen=True)
class MaskExtent:
    """How many voxels each value of a mask has, and where they touch the border.

    Args:
        counts: value → number of voxels, also for the background (0).
        faces: side of the image → the values that touch it. Axes with a single slice have no sides.
        corners: the value that fills every corner of the image, if there is one such value.
    """

    counts: Mapping[int, int]
    faces: Mapping[BorderFace, frozenset[int]]
    corners: frozenset[int]

    @property
    def values(self) -> frozenset[int]:
        """All values that occur in the mask, also the background."""
        return frozenset(self.counts)

    def count_label_voxels(self, values: frozenset[int]) -> int:
        """Count the voxels that have one of these values."""
        return sum(self.counts.get(v, 0) for v in values)

    def list_touched_faces(self, values: frozenset[int]) -> frozenset[BorderFace]:
        """List the sides of the image that a structure with these values touches."""
        return frozenset(face for face, own in self.faces.items() if own & values)


def measure_extent(plane: Array) -> MaskExtent:
    """Count the values of a mask `[*space]` in its stored dtype, a few slices at a time.

    Raises:
        NonIntegerMaskError: a value is not a whole number.
    """
    counts: Counter[int] = Counter()
    for slab in cut_slabs(plane):
        counts.update(_count_values(slab))
    faces = {face: frozenset(_count_values(side)) for face, side in _iterate_border_faces(plane)}
    # A step of (length − 1) picks the first and the last slice of each axis: just the corners.
    corners = plane[tuple(slice(None, None, max(1, n - 1)) for n in plane.shape)]
    held = _count_values(corners)
    return MaskExtent(counts, faces, frozenset(held) if len(held) == 1 else frozenset())


def _iterate_border_faces(plane: Array) -> Iterator[tuple[BorderFace, Array]]:
    for axis, length in enumerate(plane.shape):
        if length > 1:
            yield (axis, 0), np.take(plane, [0], axis)
            yield (axis, 1), np.take(plane, [-1], axis)


def _count_values(part: Array) -> dict[int, int]:
    """Map each value of an array to how often it occurs; raises for values that are not whole numbers."""
    flat = part.reshape(-1)
    if flat.dtype.kind == "f":
        whole = np.rint(flat)
        if bool((off := (whole != flat) | ~np.isfinite(flat)).any()):
            raise NonIntegerMaskError(float(flat[off][0]))
        flat = whole
    if flat.dtype.kind == "b" or (flat.dtype.kind == "u" and flat.dtype.itemsize == 1):
        return _read_count_table(np.bincount(flat), 0)
    # As floats, since high − low can overflow in a signed type; such values are shifted in int64 for the same reason.
    low, high = flat.min(), flat.max()
    if float(high) - float(low) < MAX_COUNTED_RANGE:
        above = flat.astype(np.int64) - int(low) if flat.dtype.kind == "i" else flat - low
        return _read_count_table(np.bincount(above.astype(np.intp)), int(low))
    values, counts = np.unique(flat, return_counts=True)
    return {int(v): int(n) for v, n in zip(values, counts, strict=True)}


def _read_count_table(table: npt.NDArray[np.intp], lowest: int) -> dict[int, int]:
    return {int(v) + lowest: int(table[v]) for v in np.flatnonzero(table)}
