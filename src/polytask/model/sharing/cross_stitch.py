"""Cross-stitch: an encoder per task, mixed channel by channel after each stage (Misra et al., CVPR 2016)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from polytask.model.building_blocks import EncoderSpec
from polytask.model.sharing.mixed_encoders import OWN_MAP_SHARE, MixedEncoders

UNIT_RATE = 10.0
"""Factor on the learning rate of the units. A step of Adam has the size of the rate: at 1e-3 a unit would need hundreds
of steps to go from 0.9 to 0.5, at 1e-2 about forty. The factor of 100 that is reported for SGD would move units by a
tenth per step, as much as the share of the others itself."""


class StitchUnit(nn.Module):
    """What one task takes from every encoder, one number per channel: `alpha [K, C]`."""

    def __init__(self, own: int, encoders: int, channels: int):
        super().__init__()
        start = torch.full((encoders, channels), (1 - OWN_MAP_SHARE) / (encoders - 1))
        start[own] = OWN_MAP_SHARE
        self.alpha = nn.Parameter(start)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Mix K maps `[N, C, *space]` into one."""
        shape = (-1, *[1] * (maps[0].dim() - 2))
        alpha = self.alpha.to(maps[0].dtype)
        # Added map by map: a stack of all maps would be a second copy of the largest tensors.
        mixed = maps[0] * alpha[0].view(shape)
        for share, x in zip(alpha[1:], maps[1:], strict=True):
            mixed = torch.addcmul(mixed, x, share.view(shape))
        return mixed


def make_cross_stitch(spec: EncoderSpec, needs: Mapping[str, frozenset[int]]) -> MixedEncoders:
    """Make encoders that are mixed by learned numbers per channel; see `MixedEncoders`."""
    return MixedEncoders(spec, needs, StitchUnit, UNIT_RATE)
