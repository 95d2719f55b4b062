"""NDDR: an encoder per task; after each stage all maps are reduced to one per task (Gao et al., CVPR 2019)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from polytask.model.building_blocks import EncoderSpec, make_norm
from polytask.model.sharing.mixed_encoders import OWN_MAP_SHARE, MixedEncoders
from polytask.tasks.heads_and_losses import Pointwise


class ReductionUnit(nn.Module):
    """A 1×1 convolution over the maps of all encoders side by side, a norm and an activation.

    In the paper the norm is a batch norm; here it is that of the encoder. At the start each channel takes the same
    channel of every encoder, with the shares of `OWN_MAP_SHARE`.
    """

    def __init__(self, own: int, encoders: int, channels: int):
        super().__init__()
        # One layer per encoder, summed, is the convolution over all channels without a copy of all maps side by side.
        shares = [(1 - OWN_MAP_SHARE) / (encoders - 1)] * encoders
        shares[own] = OWN_MAP_SHARE
        self.mixes = nn.ModuleList(_make_mix(channels, share) for share in shares)
        self.norm = nn.Sequential(make_norm(channels), nn.LeakyReLU(0.01, inplace=True))

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Reduce K maps `[N, C, *space]` to one."""
        parts = [mix(x) for mix, x in zip(self.mixes, maps, strict=True)]
        reduced: Tensor = self.norm(sum(parts[1:], parts[0]))
        return reduced


def _make_mix(channels: int, share: float) -> Pointwise:
    """Make a layer that multiplies its map by `share` at the start."""
    mix = Pointwise(channels, channels)
    with torch.no_grad():
        mix.weight.copy_(share * torch.eye(channels))
    return mix


def make_nddr(spec: EncoderSpec, needs: Mapping[str, frozenset[int]]) -> MixedEncoders:
    """Make encoders whose maps are reduced to one per task after each stage; see `MixedEncoders`."""
    return MixedEncoders(spec, needs, ReductionUnit)
