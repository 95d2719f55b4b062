"""The heads of a voxel task: from decoded maps to a value per voxel, and how much thinned heads disagree."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from polytask.model.order.answer_maps import make_answer_map
from polytask.tasks.task import Task

KEPT_CHANNEL_SHARE = 0.8
"""Share of the channels that a thinned head sees."""
THINNED_HEADS = 8
"""Number of thinned heads whose spread is the variance."""


class VoxelHeads(nn.Module):
    """1×1 heads on decoded maps, finest first; the coarser ones run only while training (deep supervision).

    When `thinned`, the head learns to do without some of its channels, and `variance` compares fixed subsets of them.
    This is MC dropout whose masks are chosen once (Durasov, CVPR 2021), so that an answer is the same every time.
    """

    masks: Tensor
    """The channels that each thinned head sees `[heads, C]`, scaled; exists only when `thinned`."""

    def __init__(self, task: Task, dims: int, channels: Sequence[int], thinned: bool = False):
        super().__init__()
        self.task = task
        self.heads = nn.ModuleList(task.head(c, dims) for c in channels)
        self.thinned = thinned
        if thinned:
            masks = (
                torch.rand((THINNED_HEADS, channels[0]), generator=torch.Generator().manual_seed(0))
                < KEPT_CHANNEL_SHARE
            )
            self.register_buffer("masks", masks.float() / KEPT_CHANNEL_SHARE)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Turn maps `[N, C, *space]` into outputs; in eval mode only one output."""
        count = len(self.heads) if self.training else 1
        head_inputs = list(maps[:count])
        if self.thinned and self.training:
            channel_mask = (
                head_inputs[0].new_empty(head_inputs[0].shape[:2]).bernoulli_(KEPT_CHANNEL_SHARE)
                / KEPT_CHANNEL_SHARE
            )
            head_inputs[0] = head_inputs[0] * channel_mask.reshape(
                *channel_mask.shape, *[1] * (head_inputs[0].dim() - 2)
            )
        return [head(m) for head, m in zip(self.heads[:count], head_inputs, strict=True)]

    @torch.no_grad()
    def variance(self, finest: Tensor) -> Tensor:
        """Compute the spread of the thinned heads' answers: `[N, C, *space] → [N, 1, *space]`; 1 where half of them are
        0 and half 1."""
        total = square = torch.zeros((), device=finest.device)
        for mask in self.masks:
            channels = finest * mask.to(finest.dtype).reshape(1, -1, *[1] * (finest.dim() - 2))
            answer = make_answer_map(self.task, self.heads[0](channels)).float()
            total, square = total + answer, square + answer.square()
        spread = square / THINNED_HEADS - (total / THINNED_HEADS).square()
        # Rounding can make the difference of two squares negative. An answer between 0 and 1 has a variance
        # of at most 1/4.
        return 4 * spread.clamp_min(0).mean(1, keepdim=True)
