"""What a fusion may read of the visits: only those that are known."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from polytask.errors import PolytaskError
from polytask.model.layers import pool_mean_max

DAYS_PER_YEAR = 365.25


def mask_unknown(known: Tensor, maps: Tensor) -> Tensor:
    """Set `[B, K, …]` to exact zeros where `known [B, K]` is false.

    Neither value nor gradient passes there, not even NaN.
    """
    return torch.where(known.reshape(*known.shape, *[1] * (maps.dim() - 2)), maps, 0.0)


def pool_levels(maps: Sequence[Tensor], known: Tensor) -> Tensor:
    """Put mean and maximum of every level side by side: levels `[B, V, C, *space]` → `[B, V, 2 ΣC]`."""
    levels = [pool_mean_max(mask_unknown(known, level).flatten(0, 1)) for level in maps]
    side_by_side: Tensor = torch.cat(levels, 1).unflatten(0, known.shape)
    return side_by_side


def count_visit_pairs(fusion: str, visits: int) -> int:
    """Count the pairs of consecutive visits; an error where there are none to compare."""
    if visits < 2:
        raise PolytaskError(
            f"time fusion {fusion!r} compares visits, the task reads {visits}: name two `visits`, or choose concat"
        )
    return visits - 1


def pair_visits(known: Tensor, day: Tensor) -> tuple[Tensor, Tensor]:
    """Pair neighboring slots: `known [B, V]`, `day [B, V]` → whether both are known, and the days between them.

    Both are `[B, V − 1]`.
    """
    return known[:, :-1] & known[:, 1:], day[:, 1:] - day[:, :-1]
