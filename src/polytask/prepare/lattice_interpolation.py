"""Interpolate linearly on a lattice of rows, columns and slices, one axis after another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor


def interpolate_lattice(values: Tensor, places: Sequence[npt.NDArray[np.float64]]) -> Tensor:
    """Interpolate `values [C, *small]` at `places` → `[C, *[len(p) for p in places]]`.

    The last axis is interpolated first, so that the largest step, at the end, works on whole slabs of memory.

    Args:
        places: positions in voxels along each axis; beyond the border, its value is repeated.
    """
    for axis in reversed(range(1, len(places))):
        low, weight = _find_lower_nodes(places[axis], values.shape[axis + 1])
        index = torch.from_numpy(low)
        high = values.index_select(axis + 1, (index + 1).clamp_(max=values.shape[axis + 1] - 1))
        shape = [-1 if a == axis + 1 else 1 for a in range(values.dim())]
        values = values.index_select(axis + 1, index).lerp_(high, torch.from_numpy(weight).view(shape))
    # Slice by slice into the result: `index_select` would copy the whole, largest array twice.
    low, weight = _find_lower_nodes(places[0], values.shape[1])
    last = values.shape[1] - 1
    out = values.new_empty((values.shape[0], len(low), *values.shape[2:]))
    for at, (first, share) in enumerate(zip(low.tolist(), weight.tolist(), strict=True)):
        torch.lerp(values[:, first], values[:, min(first + 1, last)], share, out=out[:, at])
    return out


def _find_lower_nodes(
    places: npt.NDArray[np.float64], length: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Find the node below each place, and how far the place is toward the next node (0 to 1)."""
    inside = np.clip(places, 0, length - 1)
    low = np.minimum(np.floor(inside).astype(np.int64), max(length - 2, 0))
    return low, (inside - low).astype(np.float32)
