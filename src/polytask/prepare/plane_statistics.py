"""Compute mean and standard deviation of stored planes, block by block, so that no plane is copied as a whole."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction

import numpy as np

from polytask.images.volume import Array

STATISTICS_BLOCK_VOXELS = 1 << 20
"""About how many voxels are read at a time."""


@dataclass(frozen=True)
class PlaneStatistics:
    """Mean and standard deviation of one stored plane, over all and over the non-zero voxels."""

    mean: float
    sd: float
    nonzero_mean: float
    nonzero_sd: float

    def as_dict(self) -> dict[str, float]:
        """Return the four numbers as plain data, for `meta.json`."""
        return asdict(self)


def compute_plane_statistics(image: Array) -> tuple[PlaneStatistics, ...]:
    """Compute the statistics of every plane of `image [C, *space]`: exact for small whole numbers, else in float64.

    A plane whose voxels are all zero has 0 for all four.
    """
    return tuple(
        _summarize_integers(plane) if _has_exact_sums(plane) else _summarize_floats(plane) for plane in image
    )


def _has_exact_sums(plane: Array) -> bool:
    """Whether a plane has whole numbers of at most 16 bits, whose squares can be summed within 64 bits."""
    return plane.dtype.kind in "biu" and plane.dtype.itemsize <= 2


def _summarize_integers(plane: Array) -> PlaneStatistics:
    """Compute the statistics of whole numbers from their sum and the sum of their squares, both without rounding."""
    some, total, squares = 0, 0, 0
    for block in _split_statistics_blocks(plane):
        numbers = block.astype(np.int64)
        some += int(np.count_nonzero(numbers))
        total += int(numbers.sum())
        squares += int((numbers * numbers).sum())
    return PlaneStatistics(
        *_compute_moments(plane.size, total, squares), *_compute_moments(some, total, squares)
    )


def _compute_moments(count: int, total: int, squares: int) -> tuple[float, float]:
    """Compute mean and standard deviation from a count, a sum and a sum of squares; 0 and 0 without numbers."""
    if not count:
        return 0.0, 0.0
    # In floats the difference of two large, nearly equal numbers would lose its digits; whole numbers keep them.
    return float(Fraction(total, count)), math.sqrt(Fraction(count * squares - total * total, count * count))


def _summarize_floats(plane: Array) -> PlaneStatistics:
    """Compute the statistics of floats in two passes: the means first, then the squared distances from them.

    One sum serves both means, because zeros add nothing to it.
    """
    some, total = 0, 0.0
    for block in _split_statistics_blocks(plane):
        some += int(np.count_nonzero(block))
        total += float(block.sum(dtype=np.float64))
    mean, nonzero = total / plane.size, total / max(some, 1)
    away, nonzero_away = 0.0, 0.0
    for block in _split_statistics_blocks(plane):
        numbers = block.astype(np.float64)
        away += float(((numbers - mean) ** 2).sum())
        nonzero_away += float(((numbers[block != 0] - nonzero) ** 2).sum())
    return PlaneStatistics(
        mean, math.sqrt(away / plane.size), nonzero, math.sqrt(nonzero_away / max(some, 1))
    )


def _split_statistics_blocks(plane: Array) -> Iterator[Array]:
    """Split a plane `[*space]` along its first axis into parts of about `STATISTICS_BLOCK_VOXELS` voxels."""
    thick = max(1, STATISTICS_BLOCK_VOXELS * len(plane) // max(plane.size, 1))
    for start in range(0, len(plane), thick):
        yield plane[start : start + thick]
