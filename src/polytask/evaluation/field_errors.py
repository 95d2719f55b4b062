"""How far a dose or map is off, voxel by voxel: what promises about fields are fitted on."""

from __future__ import annotations

import numpy as np

from polytask.array_types import Floats
from polytask.evaluation.voxel_truth import VoxelTruth
from polytask.images.volume import Volume

ERROR_SHARES = np.arange(50, 101) / 100
"""Shares of the voxels for which the error is kept."""
ROUNDING = 1e-9
"""A level of 0.9 may come as 1 − 0.1, a little less."""


def find_error_quantiles(answer: Volume, truth: VoxelTruth) -> tuple[float, ...]:
    """Find, for each of `ERROR_SHARES`, the smallest error that at least this share of the voxels does not exceed.

    Voxels whose truth does not count are left out; without any the result is empty.
    """
    errors = np.abs(np.asarray(answer.array[0], np.float32) - np.asarray(truth.value, np.float32))
    errors = errors.ravel() if truth.region is None else errors[np.asarray(truth.region, bool)]
    if not errors.size or not np.any(truth.known):
        return ()
    # Whole numbers: 0.9 · 10 is a little more than 9 in floating point.
    ranks = -(-np.round(ERROR_SHARES * 100).astype(np.int64) * errors.size // 100) - 1
    return tuple(float(e) for e in np.partition(errors, np.unique(ranks))[ranks])


def choose_error(quantiles: Floats, share: float) -> Floats:
    """Choose the error `[N]` that at least `share` of the voxels of each case does not exceed: of `[N, shares]` the
    first column whose share is as large."""
    column = int(np.searchsorted(ERROR_SHARES, share - ROUNDING))
    return np.asarray(quantiles[:, min(column, len(ERROR_SHARES) - 1)])
