"""Computes what changed from one visit to the next, map by map."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from polytask.model.building_blocks import ConvNormAct, pool_mean_max
from polytask.model.network_inputs import count_visit_pairs, mask_unknown, pair_visits
from polytask.model.visit_fusion.visit_concat import SideBySideVisits

DIFFERENCE_CHANNELS = 32
"""Channels of the convolution at each depth, as in RP-Net."""


class VisitDifference(nn.Module):
    """Earlier minus later maps of consecutive visits at three depths (RP-Net, Jin 2021).

    At each depth one convolution, shared by all pairs, reads the difference. Next to its answer stand the mean of the
    difference and the mean of its size, per channel: the norm after the convolution removes how large the change is. A
    pair counts when both its visits are known, and it carries the years between them.
    """

    def __init__(self, channels: Sequence[int], visits: int, width: int, dims: int):
        super().__init__()
        pairs = count_visit_pairs("difference", visits)
        self.blocks = nn.ModuleList(ConvNormAct(dims, c, DIFFERENCE_CHANNELS) for c in channels)
        self.pairs = SideBySideVisits(sum(2 * DIFFERENCE_CHANNELS + 2 * c for c in channels), pairs, width)

    def forward(self, maps: Sequence[Tensor], known: Tensor, day: Tensor) -> Tensor:
        """Join the visits as `TimeFusion` says."""
        both, gap = pair_visits(known, day)
        vectors: list[Tensor] = []
        for level, block in zip(maps, self.blocks, strict=True):
            change = mask_unknown(both, level[:, :-1] - level[:, 1:]).flatten(0, 1)
            flat = change.flatten(2)
            vectors += [pool_mean_max(block(change)), flat.mean(-1), flat.abs().mean(-1)]
        fused: Tensor = self.pairs(torch.cat(vectors, 1).unflatten(0, both.shape), both, gap)
        return fused
