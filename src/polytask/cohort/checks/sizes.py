"""Sizes: a structure that is many times as large or as small as the others of its name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from math import exp

import numpy as np

from polytask.cohort.checks.evidence import Evidence
from polytask.cohort.checks.structures_seen import StructureSeen, find_structures
from polytask.errors import Problem

ENOUGH = 10
"""Masks with a structure before its size has a distribution."""
FAR = 6.0
"""Robust deviations of the logarithm from the median."""
FACTOR = 4.0
"""Times the median, at least: a kidney may be twice as large as the others."""
LEAST = 0.1
"""Deviation of the logarithm, at least."""
TO_SD = 1.4826
"""From the median distance to the median to a standard deviation, for normal numbers."""


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
        logs = np.log([seen.size if physical else seen.share for seen in found])
        middle = float(np.median(logs))
        spread = max(LEAST, TO_SD * float(np.median(np.abs(logs - middle))))
        for seen, value in zip(found, logs, strict=True):
            away = abs(float(value) - middle)
            if away > FAR * spread and away > np.log(FACTOR):
                dims = len(evidence.looks[seen.use.key].grid.shape)
                mine, usual = (_in_words(exp(v), physical, dims) for v in (float(value), middle))
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


def _in_words(size: float, physical: bool, dims: int) -> str:
    """ml or cm² from mm; the share of the image where there is no scale."""
    if not physical:
        return f"{100 * size:.3g} % of the image"
    return f"{size / 10.0**dims:.3g} {'ml' if dims == 3 else 'cm²'}"
