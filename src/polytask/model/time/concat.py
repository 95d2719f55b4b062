"""Visits side by side: one slot per visit, with a flag whether it is there and its day."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from polytask.model.layers import pool_mean_max


class Visits(nn.Module):
    """Vectors of the visits side by side and a linear layer: `[B, V, F] → [B, width]`."""

    def __init__(self, features: int, visits: int, width: int):
        super().__init__()
        self.layer = nn.Linear(visits * (features + 2), width)

    def forward(self, vectors: Tensor, known: Tensor, day: Tensor) -> Tensor:
        """`known [B, V]`, `day [B, V]`; what stands at unknown visits does not matter."""
        flags = known.to(vectors.dtype)[..., None]
        years = torch.where(known, day, 0.0).to(vectors.dtype)[..., None] / 365.25
        slots = torch.cat([torch.where(known[..., None], vectors, 0.0), flags, years], dim=-1)
        fused: Tensor = self.layer(slots.flatten(1))
        return fused


class Concat(nn.Module):
    """The deepest maps of all visits, pooled and side by side."""

    def __init__(self, channels: Sequence[int], visits: int, width: int):
        super().__init__()
        self.visits = Visits(2 * channels[-1], visits, width)

    def forward(self, maps: Sequence[Tensor], known: Tensor, day: Tensor) -> Tensor:
        """See `TimeFusion`."""
        deepest = maps[-1]
        pooled = pool_mean_max(deepest.flatten(0, 1)).reshape(*deepest.shape[:2], -1)
        fused: Tensor = self.visits(pooled, known, day)
        return fused
