"""Correlates the maps of one visit with those of the next, for every small shift."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import torch
from torch import Tensor, nn

from polytask.model.network_inputs import count_visit_pairs, mask_unknown, pair_visits
from polytask.model.visit_fusion.visit_concat import SideBySideVisits
from polytask.tasks.heads_and_losses import Pointwise

CORRELATED_CHANNELS = 16
"""Number of channels that are correlated at each depth."""
SHIFT_RADIUS = 1
"""How far a map is shifted to each side of every axis; at three depths these are three distances in the image."""


def correlate_shifts(a: Tensor, b: Tensor, radius: int) -> Tensor:
    """Correlate two maps `[N, C, *space]` → `[N, C, *shifts]`: y(s) = mean over x of a(x) · b(x + s), b zero outside.

    Each channel is correlated by itself, and each axis has the 2·radius + 1 shifts from −radius on. The shifts are
    computed one by one: as a convolution it would have N·C groups and kernels as large as the maps, for which no
    backend is fast.
    """
    padded = nn.functional.pad(b, [radius] * (2 * (a.dim() - 2)))
    size = (2 * radius + 1,) * (a.dim() - 2)
    correlations = []
    for start in product(*map(range, size)):
        window = padded
        for axis, (s, n) in enumerate(zip(start, a.shape[2:], strict=True), 2):
            window = window.narrow(axis, s, n)
        correlations.append((a * window).flatten(2).mean(-1))
    shifts: Tensor = torch.stack(correlations, -1).unflatten(-1, size)
    return shifts


def standardize_channels(x: Tensor) -> Tensor:
    """Give each channel of `[N, C, *space]`, in float32, mean 0 and, unless it is constant, mean square 1."""
    flat = x.float().flatten(2)
    flat = flat - flat.mean(-1, keepdim=True)
    return (flat * torch.rsqrt(flat.square().mean(-1, keepdim=True) + 1e-5)).reshape(x.shape)


class VisitCorrelation(nn.Module):
    """Depth-wise cross-correlation of consecutive visits at three depths (RP-Net, Jin 2021, rebuilt).

    Each channel gets one map of shifts; in the released code of RP-Net only a constant is left of it. The same weights
    bring the maps of both visits to a few channels, and each channel loses its mean and scale. What remains is a
    correlation between −1 and 1: 1 for the same image twice, and mirrored when the visits are swapped. Growth differs
    from shrinkage by the side to which edges move.
    """

    def __init__(self, channels: Sequence[int], visits: int, width: int, dims: int):
        super().__init__()
        pairs = count_visit_pairs("correlation", visits)
        self.reduce = nn.ModuleList(Pointwise(c, CORRELATED_CHANNELS) for c in channels)
        shifts: int = (2 * SHIFT_RADIUS + 1) ** dims
        self.pairs = SideBySideVisits(len(channels) * CORRELATED_CHANNELS * shifts, pairs, width)

    def forward(self, maps: Sequence[Tensor], known: Tensor, day: Tensor) -> Tensor:
        """Join the visits as `TimeFusion` says."""
        both, gap = pair_visits(known, day)
        vectors = []
        for level, reduce in zip(maps, self.reduce, strict=True):
            a, b = (
                standardize_channels(reduce(mask_unknown(both, visits).flatten(0, 1)))
                for visits in (level[:, :-1], level[:, 1:])
            )
            vectors.append(correlate_shifts(a, b, SHIFT_RADIUS).flatten(1))
        fused: Tensor = self.pairs(torch.cat(vectors, 1).unflatten(0, both.shape), both, gap)
        return fused
