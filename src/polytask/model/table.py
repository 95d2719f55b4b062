"""The table encoder: clinical columns → one token per visit."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class TableEncoder(nn.Module):
    """Two self-normalising layers (Klambauer 2017) over values and their known flags.

    `[B, V, F], [B, V, F] → [B, V, width]`; an unknown cell is 0 with flag 0.
    """

    def __init__(self, features: int, width: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(2 * features, width), nn.SELU(), nn.Linear(width, width), nn.SELU()
        )
        for layer in self.layers:
            if isinstance(layer, nn.Linear):
                nn.init.kaiming_normal_(layer.weight, mode="fan_in", nonlinearity="linear")
                nn.init.zeros_(layer.bias)

    def forward(self, values: Tensor, known: Tensor) -> Tensor:
        """See the class."""
        flags = known.to(values.dtype)
        token: Tensor = self.layers(torch.cat([torch.where(known, values, 0.0), flags], dim=-1))
        return token
