"""Sizes: a structure that is many times as large or as small as the others of its name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from polytask.cohort.checks.evidence import Evidence
from polytask.cohort.checks.structures_seen import StructureSeen, find_structures
from polytask.errors import Problem

ENOUGH = 10
"""Masks with a structure before its size has a distribution."""
FAR = 5.0
"""Robust deviations of the logarithm from the median."""
FAR_ALONE = 3.5
"""The same for a size that lies alone: tumours vary so much that one voxel lies within five deviations."""
ALONE = 2.0
"""Times as far as the rest lies who is alone."""
FEW = 0.02
"""Share of the sizes, two at least, that are not the rest."""
FACTOR = 4.0
"""Times the median, at least: a kidney may be twice as large as the others."""
LEAST = 0.1
"""Deviation of the logarithm, at least."""
TO_SD = 1.4826
"""Turns the median distance to the median into a standard deviation, for normal numbers."""


def check_sizes(evidence: Evidence) -> Iterator[Problem]:
    """Structures far outside the sizes of the same structure in the cohort, by the logarithm of the size."""
    structures: dict[tuple[str, str], list[StructureSeen]] = defaultdict(list)
    for seen in find_structures(evidence):
        if seen.voxels:
            structures[seen.task, seen.structure].append(seen)
    for found in structures.values():
        if len(found) < ENOUGH:
            continue
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
    """Which sizes no distribution of the others explains: far from the median of the logarithm, or far and alone."""
    logs = np.log(sizes)
    away = np.abs(logs - np.median(logs))
    spread = max(LEAST, TO_SD * float(np.median(away)))
    rest = np.sort(away)[-1 - max(2, int(FEW * len(sizes)))]
    alone = (away > FAR_ALONE * spread) & (away > ALONE * rest)
    odd: npt.NDArray[np.bool_] = ((away > FAR * spread) | alone) & (away > np.log(FACTOR))
    return odd


def _in_words(size: float, physical: bool, dims: int) -> str:
    """ml or cm² from mm; the share of the image where there is no scale."""
    if not physical:
        return f"{100 * size:.3g} % of the image"
    return f"{size / 10.0**dims:.3g} {'ml' if dims == 3 else 'cm²'}"
