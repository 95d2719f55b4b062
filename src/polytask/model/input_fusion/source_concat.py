"""Puts sources side by side; missing ones are zero and have a flag."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class SourceConcat(nn.Module):
    """Tokens side by side and a layer on top, as in MM-DLS (Wang 2026); one source alone passes an activation."""

    def __init__(self, sources: int, width: int):
        super().__init__()
        self.layer = nn.Linear(sources * (width + 1), width) if sources > 1 else nn.Identity()

    def forward(self, tokens: Tensor, known: Tensor) -> tuple[Tensor, Tensor | None]:
        """Join the tokens as `SourceFusion` says, without weights."""
        if tokens.shape[1] == 1:
            return nn.functional.leaky_relu(tokens[:, 0], 0.01), None
        flags = known.to(tokens.dtype)[..., None]
        joined = torch.cat([torch.where(known[..., None], tokens, 0.0), flags], dim=-1).flatten(1)
        return nn.functional.leaky_relu(self.layer(joined), 0.01), None
