"""Check structure sizes: a structure that is many times larger or smaller than others of the same name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from polytask.cohort.checks.evidence import Evidence
from polytask.cohort.checks.structures_seen import StructureSeen, find_structures
from polytask.errors import Problem

ENOUGH = 10
"""Fewer masks of a structure than this are no distribution of its size."""
FAR = 5.0
"""A size is odd beyond this many robust standard deviations of the logarithm from the median."""
FAR_ALONE = 3.5
"""The same limit for a size that lies alone. It is lower: tumors vary so much that even a single stray voxel can lie
within five deviations."""
ALONE = 2.0
"""A size lies alone when it is this many times as far from the median as the rest."""
FEW = 0.02
"""Share of the sizes (at least two) that may be outliers; all others are "the rest"."""
FACTOR = 4.0
"""An odd size differs from the median at least by this factor: a kidney may be twice as large as the others."""
LEAST = 0.1
"""Lower limit for the robust standard deviation of the logarithm, for structures of nearly equal size."""
TO_SD = 1.4826
"""Median absolute deviation × this = standard deviation, for normally distributed numbers."""


def check_sizes(evidence: Evidence) -> Iterator[Problem]:
    """Find structures whose size is far outside the sizes of the same structure in the cohort."""
    structures: dict[tuple[str, str], list[StructureSeen]] = defaultdict(list)
    for seen in find_structures(evidence):
        if seen.voxels:
            structures[seen.task, seen.structure].append(seen)
    for found in structures.values():
        if len(found) < ENOUGH:
            continue
        # mm³ and voxels do not compare: if one file lacks a scale, all sizes are shares of their image.
        physical = all(seen.physical for seen in found)
        sizes = np.array([seen.size if physical else seen.share for seen in found])
        for seen, size, odd in zip(found, sizes, find_odd_sizes(sizes), strict=True):
            if odd:
                dims = len(evidence.looks[seen.use.key].grid.shape)
                mine, usual = (_in_words(v, physical, dims) for v in (float(size), float(np.median(sizes))))
                yield Problem(
                    "warning",
                    "odd-size",
                    f"{seen.named} has {mine}, the median of {len(found)} masks is {usual}",
                    "look at the mask (another structure, a stray click, all of the image?) and at its voxel size",
                    seen.use.cell,
                    seen.use.row,
                    seen.use.subject,
                    seen.column,
                )


def find_odd_sizes(sizes: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Mark sizes `[N]` that are far from the median of the logarithm, or less far but alone; returns bool `[N]`."""
    # The logarithm makes twice and half as large equally far, and tames the long tail of sizes.
    logs = np.log(sizes)
    away = np.abs(logs - np.median(logs))
    spread = max(LEAST, TO_SD * float(np.median(away)))
    rest = np.sort(away)[-1 - max(2, int(FEW * len(sizes)))]
    alone = (away > FAR_ALONE * spread) & (away > ALONE * rest)
    odd: npt.NDArray[np.bool_] = ((away > FAR * spread) | alone) & (away > np.log(FACTOR))
    return odd


def _in_words(size: float, physical: bool, dims: int) -> str:
    """Format a size in ml (2D: cm²) from mm³ (mm²), or as a share of the image where there is no scale."""
    if not physical:
        return f"{100 * size:.3g} % of the image"
    return f"{size / 10.0**dims:.3g} {'ml' if dims == 3 else 'cm²'}"
