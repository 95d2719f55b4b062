"""The rule by which nnU-Net v2 plans patch and batch, written out from its published description and its defaults.

Isensee, Nature Methods 18 (2021), supplement; `ExperimentPlanner` of nnU-Net 2.x: a plain U-Net with two convolutions
per stage, 32 channels doubled up to 320 (2D: 512), and a network that is halved along an axis while 4 positions remain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, prod

MIN_EDGE = 4
REFERENCE_GB = 8
REFERENCE_FEATURES = {2: 85_000_000, 3: 560_000_000}
"""Dimensions → features of one image that a network for 8 GB may have, with the batch below."""
REFERENCE_BATCH = {2: 12, 3: 2}
MAX_FEATURES = {2: 512, 3: 320}
FIRST_FEATURES = 32
INITIAL_VOXELS = {2: 2048**2, 3: 256**3}
"""Dimensions → voxels of the patch that is tried first, as a cube in mm."""


@dataclass(frozen=True)
class NnunetPlan:
    """Patch and batch as nnU-Net plans them."""

    patch: tuple[int, ...]
    batch: int


def plan_as_nnunet(median: Sequence[int], spacing: Sequence[float], gigabytes: float) -> NnunetPlan:
    """Start from a cube in mm within the median case; shorten the relatively longest axis until it fits."""
    dims = len(median)
    inverse = [1 / s for s in spacing]
    factor = (INITIAL_VOXELS[dims] / prod(inverse)) ** (1 / dims)
    patch = [min(round(i * factor), n) for i, n in zip(inverse, median, strict=True)]
    pools, patch = _pool(patch, spacing)
    limit = REFERENCE_FEATURES[dims] * gigabytes / REFERENCE_GB
    while _count_features(patch, pools) > limit:
        axis = max(range(dims), key=lambda a: patch[a] / median[a])
        divisor = 2 ** sum(step[axis] > 1 for step in pools)
        shorter = [n - divisor * (a == axis) for a, n in enumerate(patch)]
        pools, _ = _pool(shorter, spacing)
        divisor = 2 ** sum(step[axis] > 1 for step in pools)
        patch[axis] -= divisor
        pools, patch = _pool(patch, spacing)
    return NnunetPlan(
        tuple(patch), max(2, round(limit / _count_features(patch, pools) * REFERENCE_BATCH[dims]))
    )


def _pool(size: Sequence[int], spacing: Sequence[float]) -> tuple[list[tuple[int, ...]], list[int]]:
    """Return the strides of the stages after the first, and the size padded to what they divide."""
    now, edge = list(size), list(spacing)
    steps: list[tuple[int, ...]] = []
    while True:
        axes = [a for a, n in enumerate(now) if n >= 2 * MIN_EDGE]
        if not axes:
            break
        finest = min(edge[a] for a in axes)
        axes = [a for a in axes if edge[a] / finest < 2]
        if len(axes) == 1 and now[axes[0]] < 3 * MIN_EDGE:
            break
        steps.append(tuple(2 if a in axes else 1 for a in range(len(now))))
        now = [ceil(n / 2) if a in axes else n for a, n in enumerate(now)]
        edge = [e * 2 if a in axes else e for a, e in enumerate(edge)]
    total = [prod(step[a] for step in steps) for a in range(len(size))]
    return steps, [ceil(n / t) * t for n, t in zip(size, total, strict=True)]


def _count_features(patch: Sequence[int], pools: Sequence[tuple[int, ...]]) -> float:
    """Count the features of one image: two convolutions per stage, and an upsampling and two convolutions per level."""
    dims, voxels = len(patch), [float(prod(patch))]
    for step in pools:
        voxels.append(voxels[-1] / prod(step))
    widths = [min(FIRST_FEATURES * 2**i, MAX_FEATURES[dims]) for i in range(len(voxels))]
    encoder = sum(2 * v * w for v, w in zip(voxels, widths, strict=True))
    # Two classes at each level, as the deep supervision predicts them.
    decoder = sum(3 * v * w + 2 * v for v, w in zip(voxels[:-1], widths[:-1], strict=True))
    return encoder + decoder
