"""The upstream mask as a soft gate: the features inside a region and the size of the region become a token."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, adaptive_avg_pool3d

MIN_GATE_WEIGHT = 0.01
"""Weight of a position where the upstream task finds nothing, so that a missed region still has features."""
GATE_DEPTH = 3
"""How many of the deepest levels have their features collected."""


class GateLink(nn.Module):
    """Features weighted by an upstream mask, level by level, and the mask's size (mask-guided, MB-DCNN, Xie 2020)."""

    def __init__(self, planes: int, channels: Sequence[int], width: int):
        super().__init__()
        self.depth = min(GATE_DEPTH, len(channels))
        self.layer = nn.Linear(planes * (sum(2 * c for c in channels[-self.depth :]) + 2), width)

    def forward(self, region: Tensor, maps: Sequence[Tensor]) -> Tensor:
        """Collect features under `region [N, K, *space]` from maps `[N, C, *space / stride]` → `[N, width]`.

        For each of the K planes: the mean and the strongest answer of every channel inside, the share of the image that
        the region covers, and its strongest probability.
        """
        vectors = [region.flatten(2).mean(2), region.flatten(2).amax(2)]
        for level in maps[-self.depth :]:
            weight = MIN_GATE_WEIGHT + _shrink_region(region, level.shape[2:]).flatten(2).to(level.dtype)
            inside = level.flatten(2)
            mean = torch.einsum("nkx,ncx->nkc", weight / weight.sum(2, keepdim=True), inside)
            strongest = (weight[:, :, None] * inside[:, None]).amax(3)
            vectors += [mean.flatten(1), strongest.flatten(1)]
        token: Tensor = self.layer(torch.cat([f.to(vectors[0].dtype) for f in vectors], 1))
        return token


def _shrink_region(region: Tensor, size: Sequence[int]) -> Tensor:
    """Shrink a region to a coarser map: the mean of the region in each of its positions."""
    pool: Callable[..., Tensor] = adaptive_avg_pool2d if len(size) == 2 else adaptive_avg_pool3d
    return pool(region.float(), tuple(size))
