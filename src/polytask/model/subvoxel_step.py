"""The last step of a decoder whose encoder begins with a stride: from the finest maps back to single voxels."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor, nn

from polytask.tasks.heads_and_losses import Pointwise


def count_enlarged_channels(width: int) -> int:
    """Count the channels of the enlarged maps, for a finest stage with this many.

    Half of them: a stage at half resolution is twice as wide as one at full resolution would be, so that the heads see
    as many channels as without a stride.
    """
    return max(1, width // 2)


class SubvoxelStep(nn.Module):
    """A sub-pixel convolution (Shi, CVPR 2016): each position of a map becomes a block of voxels.

    `[N, inputs, *space] → [N, outputs, *space · stride]`. One layer at the coarser resolution computes the channels of
    all voxels of a block. Nothing is convolved at full resolution, which is where a network spends half of its time.
    """

    def __init__(self, inputs: int, outputs: int, stride: Sequence[int]):
        super().__init__()
        self.stride = tuple(stride)
        self.layer = Pointwise(inputs, outputs * prod(self.stride))
        with torch.no_grad():
            # All voxels of a block start alike, as after a nearest-neighbor enlargement: no checkerboard pattern.
            weight = self.layer.weight.view(outputs, -1, inputs)
            weight.copy_(weight[:, :1].clone().expand_as(weight))

    def forward(self, x: Tensor) -> Tensor:
        """Enlarge maps; the shapes are those of the class."""
        size, axes = x.shape[2:], len(self.stride)
        blocks = self.layer(x).reshape(len(x), -1, *self.stride, *size)
        # From [N, C, s₁, s₂, …, n₁, n₂, …] to [N, C, n₁, s₁, n₂, s₂, …].
        order = [place for axis in range(2, 2 + axes) for place in (axis + axes, axis)]
        fine = [n * s for n, s in zip(size, self.stride, strict=True)]
        voxels: Tensor = blocks.permute(0, 1, *order).reshape(len(x), -1, *fine)
        return voxels
