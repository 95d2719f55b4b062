"""A gate over experts: how much a task takes of each, image by image."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class ExpertGate(nn.Module):
    """Turns numbers about an image into the weights of `experts` maps, which sum to 1."""

    def __init__(self, inputs: int, experts: int):
        super().__init__()
        self.layer = nn.Linear(inputs, experts)
        # All experts weigh the same at the start, so that none is left out before it has learned anything.
        nn.init.zeros_(self.layer.weight)
        nn.init.zeros_(self.layer.bias)

    def forward(self, about: Tensor) -> Tensor:
        """Weigh the experts: `[N, inputs] → [N, experts]`."""
        weights: Tensor = self.layer(about).softmax(-1)
        return weights


def average_places(*maps: Tensor) -> Tensor:
    """Average each map `[N, C, *space]` over its places and put the means side by side: `[N, ΣC]`."""
    return torch.cat([x.flatten(2).mean(-1) for x in maps], 1)


def mix_experts(maps: Sequence[Tensor], weights: Tensor) -> Tensor:
    """Add K maps `[N, C, *space]` with weights `[N, K]`."""
    shape = (-1, *[1] * (maps[0].dim() - 1))
    shares = [w.to(maps[0].dtype).view(shape) for w in weights.unbind(1)]
    # Added map by map: a stack of all maps would be a second copy of the largest tensors.
    mixed = maps[0] * shares[0]
    for x, share in zip(maps[1:], shares[1:], strict=True):
        mixed = torch.addcmul(mixed, x, share)
    return mixed
