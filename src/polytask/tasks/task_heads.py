"""The heads: they turn features into outputs and start as a constant predictor."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from polytask.tasks.pointwise import Pointwise

INITIAL_OUTPUT_SPREAD = 0.1
"""Spread of the outputs of a new head for features of unit size. It is small enough that the loss starts within about a
percent of the constant predictor's, and large enough that the trunk gets a gradient in the first step."""


def _initialize_layer(layer: nn.Module, features: int, bias: Sequence[float] | None) -> None:
    # The sum of `features` independent terms grows with their square root.
    with torch.no_grad():
        layer.get_parameter("weight").normal_(0.0, INITIAL_OUTPUT_SPREAD / features**0.5)
        if bias is not None:
            layer.get_parameter("bias").copy_(torch.tensor(list(bias), dtype=torch.float32))


def make_linear_head(features: int, bias: Sequence[float]) -> nn.Module:
    """Make a linear layer `[N, features] → [N, len(bias)]` that starts at the given biases."""
    head = nn.Linear(features, len(bias))
    _initialize_layer(head, features, bias)
    return head


def make_voxel_head(features: int, dims: int, bias: Sequence[float]) -> nn.Module:
    """Make a 1×1 convolution `[N, features, *space] → [N, len(bias), *space]`, for 2D and 3D alike."""
    head = Pointwise(features, len(bias), bias=True)
    _initialize_layer(head, features, bias)
    return head


class ScoreHead(nn.Module):
    """A head `[N, features] → [N, 1]` without bias, since a partial likelihood does not depend on a bias."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.score = nn.Linear(features, 1, bias=False)
        _initialize_layer(self.score, features, None)

    def forward(self, x: Tensor) -> Tensor:
        """Compute one score per item from `x [N, features]`."""
        score: Tensor = self.score(x)
        return score


class CumulativeHead(nn.Module):
    """A head `[N, features] → [N, K − 1]` for K ordered classes.

    The outputs are the log-odds of y > k: one score minus K − 1 ordered cut-points. θ₁ is free and
    θ_{k+1} = θ_k + softplus(δ_k), so that P(y > k) falls with k whatever is learned. The cut-points start where a score
    of 0 gives the training shares.
    """

    def __init__(self, features: int, shares: Sequence[float]) -> None:
        super().__init__()
        below = torch.tensor(list(shares), dtype=torch.float64).cumsum(0)[:-1].clamp(1e-6, 1 - 1e-6)
        cuts = below.logit()
        # The inverse of softplus below, log(exp(gap) − 1), is −∞ for a gap of 0. It is written as
        # gap + log(1 − exp(−gap)), which does not overflow for a large gap.
        gaps = (cuts[1:] - cuts[:-1]).clamp_min(1e-4)
        self.score = ScoreHead(features)
        self.first = nn.Parameter(cuts[:1].float())
        self.delta = nn.Parameter((gaps + torch.log(-torch.expm1(-gaps))).float())

    def cuts(self) -> Tensor:
        """Compute the cut-points θ `[K − 1]` in increasing order."""
        return torch.cat([self.first, self.first + softplus(self.delta.float()).cumsum(0)])

    def forward(self, x: Tensor) -> Tensor:
        """Compute the log-odds `[N, K − 1]` from `x [N, features]`, in float32."""
        score: Tensor = self.score(x)
        # In bf16 rounded cut-points could become equal or change their order.
        return score.float() - self.cuts()
