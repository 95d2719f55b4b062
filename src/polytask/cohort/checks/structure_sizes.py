"""Check structure sizes: a structure that is many times larger or smaller than others of the same name."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from polytask.cohort.checks.evidence import Evidence
from polytask.cohort.checks.mask_structures import group_known_structures
from polytask.errors import Problem

MIN_MASKS_FOR_SIZE = 10
"""A structure with fewer masks is not checked: they show no usual size."""
MAX_SIZE_DEVIATION = 5.0
"""A size is odd if its logarithm lies more than this many robust standard deviations from the median."""
MAX_LONE_SIZE_DEVIATION = 3.5
"""The same limit for a size that lies alone. It is lower: tumors vary so much that even a single stray voxel can lie
within five deviations."""
LONE_SIZE_RATIO = 2.0
"""A size lies alone when it is this many times as far from the median as the rest."""
OUTLIER_SIZE_SHARE = 0.02
"""Share of the sizes (at least two) that may be outliers; all others are "the rest"."""
MIN_SIZE_FACTOR = 4.0
"""An odd size differs from the median at least by this factor: a kidney may be twice as large as the others."""
MIN_LOG_SIZE_SPREAD = 0.1
"""Lower limit for the robust standard deviation of the logarithm, for structures of nearly equal size."""
MAD_TO_SD = 1.4826
"""Median absolute deviation × this = standard deviation, for normally distributed numbers."""


def check_structure_sizes(evidence: Evidence) -> Iterator[Problem]:
    """Find structures whose size is far outside the sizes of the same structure in the cohort."""
    for masks in group_known_structures(evidence):
        if len(masks) < MIN_MASKS_FOR_SIZE:
            continue
        # mm³ and voxels do not compare: if one file lacks a scale, all sizes are shares of their image.
        physical = all(mask.physical for mask in masks)
        sizes = np.array([mask.size if physical else mask.share for mask in masks])
        for mask, size, odd in zip(masks, sizes, find_odd_sizes(sizes), strict=True):
            if odd:
                dims = len(evidence.image_facts[mask.file_cell.key].grid.shape)
                own_size, median_size = (
                    _format_size_with_unit(v, physical, dims) for v in (float(size), float(np.median(sizes)))
                )
                yield Problem(
                    "warning",
                    "odd-size",
                    f"{mask.display_name} has {own_size}, the median of {len(masks)} masks is {median_size}",
                    "look at the mask (another structure, a stray click, the whole image?) and at its voxel size",
                    mask.file_cell.cell,
                    mask.file_cell.row,
                    mask.file_cell.subject,
                    mask.column,
                )


def find_odd_sizes(sizes: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Mark sizes `[N]` that are far from the median of the logarithm, or less far but alone; returns bool `[N]`."""
    # The logarithm makes twice and half as large equally far, and tames the long tail of sizes.
    logs = np.log(sizes)
    away = np.abs(logs - np.median(logs))
    spread = max(MIN_LOG_SIZE_SPREAD, MAD_TO_SD * float(np.median(away)))
    rest_distance = np.sort(away)[-1 - max(2, int(OUTLIER_SIZE_SHARE * len(sizes)))]
    alone = (away > MAX_LONE_SIZE_DEVIATION * spread) & (away > LONE_SIZE_RATIO * rest_distance)
    odd: npt.NDArray[np.bool_] = ((away > MAX_SIZE_DEVIATION * spread) | alone) & (
        away > np.log(MIN_SIZE_FACTOR)
    )
    return odd


def _format_size_with_unit(size: float, physical: bool, dims: int) -> str:
    """Format a size in ml (2D: cm²) from mm³ (mm²), or as a share of the image where there is no scale."""
    if not physical:
        return f"{100 * size:.3g} % of the image"
    return f"{size / 10.0**dims:.3g} {'ml' if dims == 3 else 'cm²'}"
