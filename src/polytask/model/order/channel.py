"""The upstream map as extra planes of a second network, as in the ISLES chain (generator → segmentor)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from polytask.model.building_blocks import Encoder, EncoderSpec


class ChannelLink(nn.Module):
    """A second encoder that reads the image and the upstream maps (ISLES chain, Wang 2020; Mehta 2022)."""

    def __init__(self, planes: int, spec: EncoderSpec):
        super().__init__()
        self.encoder = Encoder(replace(spec, planes=spec.planes + planes))

    def forward(self, image: Tensor, maps: Sequence[Tensor]) -> list[Tensor]:
        """Encode an image `[N, planes, *space]` with maps `[N, K, *space]` → a pyramid, finest first."""
        joined = torch.cat([image, *[m.to(image.dtype) for m in maps]], 1)
        pyramid: list[Tensor] = self.encoder(joined)
        return pyramid


def average_pyramids(pyramids: Sequence[Sequence[Tensor | None]]) -> list[Tensor | None]:
    """Average pyramids of equal shapes level by level; of a single one nothing is copied."""
    if len(pyramids) == 1:
        return list(pyramids[0])
    levels = [[maps for maps in level if maps is not None] for level in zip(*pyramids, strict=True)]
    return [torch.stack(level).mean(0) if level else None for level in levels]
