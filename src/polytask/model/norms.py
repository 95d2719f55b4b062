"""The norm of every block, whose maps keep their precision on every device."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import group_norm


class PreciseGroupNorm(nn.GroupNorm):
    """A group norm whose maps keep the precision of its input on every device.

    torch's autocast turns the input of a norm into float32 on CUDA, but not on a CPU. All maps around the norms would
    then be kept in float32, which doubles the memory of a step. The statistics are summed in float32 in any case.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Normalize maps `[N, C, *space]`; they keep their shape and precision."""
        if input.device.type == "cpu" or input.dtype == torch.float32:
            return super().forward(input)
        with torch.autocast(input.device.type, enabled=False):
            return normalize_groups(input, self)


def normalize_groups(x: Tensor, norm: nn.GroupNorm) -> Tensor:
    """Normalize `[N, C, *space]` in its own precision: on CUDA the weights must have that of the maps."""
    return group_norm(x, norm.num_groups, norm.weight.to(x.dtype), norm.bias.to(x.dtype), norm.eps)


def make_norm(channels: int) -> nn.Module:
    """Make a GroupNorm of up to 8 groups with at least 4 channels each.

    Cases never depend on each other, and intensity is not removed from every channel as instance norm does.
    """
    # A group of few channels behaves like instance norm, which makes the mean of a pooled map constant.
    groups = max(g for g in (1, 2, 4, 8) if channels % g == 0 and (g == 1 or channels // g >= 4))
    return PreciseGroupNorm(groups, channels)
