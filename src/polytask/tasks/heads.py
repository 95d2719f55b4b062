"""Heads: features → outputs, started at a constant predictor."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from polytask.tasks.pointwise import Pointwise

START = 0.1
"""Spread of a fresh head's outputs for features of unit size: the loss starts within a percent or so of the
constant predictor's, and the trunk still gets a gradient in the first step."""


def _start(layer: nn.Module, features: int, bias: Sequence[float] | None) -> None:
    with torch.no_grad():
        layer.get_parameter("weight").normal_(0.0, START / features**0.5)
        if bias is not None:
            layer.get_parameter("bias").copy_(torch.tensor(list(bias), dtype=torch.float32))


def linear_head(features: int, bias: Sequence[float]) -> nn.Module:
    """`[N, features] → [N, len(bias)]`."""
    head = nn.Linear(features, len(bias))
    _start(head, features, bias)
    return head


def voxel_head(features: int, dims: int, bias: Sequence[float]) -> nn.Module:
    """`[N, features, *space] → [N, len(bias), *space]`: a 1×1 convolution, the same in 2D and 3D."""
    head = Pointwise(features, len(bias), bias=True)
    _start(head, features, bias)
    return head


class ScoreHead(nn.Module):
    """`[N, features] → [N, 1]` without bias: a partial likelihood cannot see one."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.score = nn.Linear(features, 1, bias=False)
        _start(self.score, features, None)

    def forward(self, x: Tensor) -> Tensor:
        """One score per item."""
        score: Tensor = self.score(x)
        return score


class CumulativeHead(nn.Module):
    """`[N, features] → [N, K − 1]`: log-odds of y > k, one score minus K − 1 ordered cut-points.

    θ₁ is free and θ_{k+1} = θ_k + softplus(δ_k), so P(y > k) falls with k whatever is learnt. The cut-points
    start where a score of 0 gives the training shares.
    """

    def __init__(self, features: int, shares: Sequence[float]) -> None:
        super().__init__()
        below = torch.tensor(list(shares), dtype=torch.float64).cumsum(0)[:-1].clamp(1e-6, 1 - 1e-6)
        cuts = below.logit()
        gaps = (cuts[1:] - cuts[:-1]).clamp_min(1e-4)
        self.score = ScoreHead(features)
        self.first = nn.Parameter(cuts[:1].float())
        self.delta = nn.Parameter((gaps + torch.log(-torch.expm1(-gaps))).float())

    def cuts(self) -> Tensor:
        """θ `[K − 1]`, increasing."""
        return torch.cat([self.first, self.first + softplus(self.delta.float()).cumsum(0)])

    def forward(self, x: Tensor) -> Tensor:
        """The subtraction is done in float32: rounded cut-points could swap places."""
        score: Tensor = self.score(x)
        return score.float() - self.cuts()
