"""Puts visits side by side: one slot per visit, with its day and a flag whether it is known."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from polytask.model.network_inputs import DAYS_PER_YEAR, mask_unknown, pool_levels


class SideBySideVisits(nn.Module):
    """Puts the vectors of the visits side by side, with a linear layer on top: `[B, V, F] → [B, width]`."""

    def __init__(self, features: int, visits: int, width: int):
        super().__init__()
        self.layer = nn.Linear(visits * (features + 2), width)

    def forward(self, vectors: Tensor, known: Tensor, day: Tensor) -> Tensor:
        """Join vectors with `known [B, V]`, `day [B, V]`; what stands at unknown visits does not matter."""
        flags = known.to(vectors.dtype)[..., None]
        years = mask_unknown(known, day).to(vectors.dtype)[..., None] / DAYS_PER_YEAR
        slots = torch.cat([mask_unknown(known, vectors), flags, years], dim=-1)
        fused: Tensor = self.layer(slots.flatten(1))
        return fused


class VisitConcat(nn.Module):
    """Maps of all visits at three depths, pooled and side by side, with flags and days (as in RP-Net, Jin 2021)."""

    def __init__(self, channels: Sequence[int], visits: int, width: int, dims: int):
        super().__init__()
        self.visits = SideBySideVisits(2 * sum(channels), visits, width)

    def forward(self, maps: Sequence[Tensor], known: Tensor, day: Tensor) -> Tensor:
        """Join the visits as `TimeFusion` says."""
        fused: Tensor = self.visits(pool_levels(maps, known), known, day)
        return fused
