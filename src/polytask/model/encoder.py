"""The residual encoder, as a list of stages, so that a sharing block can insert something between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from polytask.model.layers import LevelModules, ResidualBlock


@dataclass(frozen=True)
class EncoderSpec:
    """Topology of the encoder of one image input.

    Args:
        dims: 2 or 3.
        planes: input planes (channels, plus a flag each where channels may be missing).
        widths: channels per stage, finest first.
        blocks: residual blocks per stage.
        strides: stride at which each stage begins.
    """

    dims: int
    planes: int
    widths: tuple[int, ...]
    blocks: tuple[int, ...]
    strides: tuple[tuple[int, ...], ...]


class EncoderStage(nn.Module):
    """One resolution of the encoder: a block with a stride, then plain blocks."""

    def __init__(self, dims: int, inputs: int, outputs: int, stride: Sequence[int], blocks: int):
        super().__init__()
        self.first = ResidualBlock(dims, inputs, outputs, stride)
        self.rest = nn.Sequential(
            *[ResidualBlock(dims, outputs, outputs, (1,) * dims) for _ in range(blocks - 1)]
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the maps after the first block and after the last block of `[N, C, *space]`."""
        first: Tensor = self.first(x)
        last: Tensor = self.rest(first)
        return first, last


class Encoder(nn.Module):
    """Turns `[N, planes, *space]` into one map per stage, finest first."""

    def __init__(self, spec: EncoderSpec):
        super().__init__()
        self.channels = spec.widths
        inputs = (spec.planes, *spec.widths[:-1])
        self.stages = LevelModules(
            EncoderStage(spec.dims, i, o, s, b)
            for i, o, s, b in zip(inputs, spec.widths, spec.strides, spec.blocks, strict=True)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """Compute the pyramid: the last map of each stage."""
        pyramid = []
        for stage in self.stages:
            _, x = stage(x)
            pyramid.append(x)
        return pyramid
