"""The U-Net decoder of a voxel task."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from polytask.model.layers import ConvNormAct
from polytask.tasks.pointwise import Pointwise


class UpStep(nn.Module):
    """One step up in the decoder: reduce channels, enlarge to the size of the skip, join, convolve.

    Nearest-neighbor enlargement is used instead of a transposed convolution: it exists on every device, fits any size
    and leaves no checkerboard pattern.
    """

    def __init__(self, dims: int, below: int, skip: int):
        super().__init__()
        self.reduce = Pointwise(below, skip)
        self.join = ConvNormAct(dims, 2 * skip, skip)

    def forward(self, below: Tensor, skip: Tensor) -> Tensor:
        """Join a coarser map with a skip: `[N, below, *s], [N, skip, *S] → [N, skip, *S]`."""
        up = interpolate(self.reduce(below), size=skip.shape[2:], mode="nearest")
        joined: Tensor = self.join(torch.cat([up, skip.to(up.dtype)], dim=1))
        return joined


class Decoder(nn.Module):
    """Pyramid (finest first) → decoded maps of the `outputs` finest levels, finest first."""

    def __init__(self, dims: int, channels: Sequence[int], outputs: int = 1):
        super().__init__()
        self.outputs = max(1, min(outputs, len(channels) - 1))
        pairs = zip(reversed(channels[1:]), reversed(channels[:-1]), strict=True)
        self.steps = nn.ModuleList(UpStep(dims, below, skip) for below, skip in pairs)

    def forward(self, pyramid: Sequence[Tensor]) -> list[Tensor]:
        """Decode a pyramid; the shapes are those of the class."""
        x, maps = pyramid[-1], []
        for step, skip in zip(self.steps, reversed(pyramid[:-1]), strict=True):
            x = step(x, skip)
            maps.append(x)
        return maps[::-1][: self.outputs]
