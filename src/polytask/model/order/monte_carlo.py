"""Monte-Carlo passes: how certain a map is, from the answers of decoders that lack some channels (Mehta, TMI 2022).

Channels of the deeper half of the maps that the decoder of an upstream task reads are left out at random (MC dropout;
Gal, ICML 2016; there as in Bayesian SegNet, Kendall, BMVC 2017: with channels of the finest maps missing too, small
networks hardly learned a mask). The decoder runs again for each pass, the encoder runs once. What is handed down is the
mean answer of the passes, and its uncertainty. While training, channels are drawn anew for each case, and the first
pass is the one with the loss. In prediction every pass has its own fixed channels, so that an answer is the same every
time, whatever else is in a batch.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from polytask.model.network_settings import NetworkSpec
    from polytask.model.task_branches import VoxelBranch, VoxelPyramid

KEPT_SHARE = 0.8
"""Share of the channels of a deeper map that a pass has."""


class ChannelDropout(nn.Module):
    """Leaves out channels of the deeper half of a pyramid; those that stay are scaled, so that the mean is kept."""

    def __init__(self, widths: Sequence[int], passes: int):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.passes, self.levels = passes, range(len(widths) - max(1, len(widths) // 2), len(widths))
        for level in self.levels:
            kept = torch.rand((passes, widths[level]), generator=generator, device="cpu") < KEPT_SHARE
            # Made from sizes alone, not learned: no part of the weights.
            self.register_buffer(f"kept{level}", kept.float() / KEPT_SHARE, persistent=False)

    def forward(self, pyramid: VoxelPyramid, number: int = 0) -> list[Tensor | None]:
        """Leave out channels of maps `[N, C, *space]`: at random while training, else those of pass `number`."""
        return [
            m if m is None or level not in self.levels else m * self._draw(m, level, number)
            for level, m in enumerate(pyramid)
        ]

    def _draw(self, maps: Tensor, level: int, number: int) -> Tensor:
        if self.training:
            kept = maps.new_empty(maps.shape[:2]).bernoulli_(KEPT_SHARE) / KEPT_SHARE
        else:
            kept = self.get_buffer(f"kept{level}")[number : number + 1].to(maps.dtype)
        return kept.reshape(*kept.shape, *[1] * (maps.dim() - 2))


def make_channel_dropouts(spec: NetworkSpec, upstream: Collection[str]) -> dict[str, ChannelDropout]:
    """Make what leaves out channels of each upstream voxel task; nothing where the plan asks for no passes."""
    return {
        task: ChannelDropout(spec.images[spec.voxel_image[task]].widths, spec.passes)
        for task in sorted(upstream if spec.passes else ())
    }


def repeat_decoding(
    branch: VoxelBranch,
    name: str,
    pyramids: Mapping[str, VoxelPyramid],
    shared: Mapping[str, VoxelPyramid],
) -> list[Tensor]:
    """Compute the finest outputs `[N, outputs, *space]` of a task in the passes that have not run yet, no gradient.

    `pyramids` and `shared` are whole, and those of tasks with a common decoder are among them.
    """
    key, passes = branch.keys[name], branch.dropouts[name].passes
    users = [t for t in branch.list_decoder_users(key) if t in pyramids]
    outputs = []
    with torch.no_grad():
        for number in range(int(branch.training), passes):
            own = branch.drop_channels({t: pyramids[t] for t in users}, number)
            common = branch.drop_channels({t: shared[t] for t in users if t in shared}, number)
            maps = branch.decode_maps(key, own, common)[name]
            outputs.append(branch.heads[name].heads[0](maps[0]))
    return outputs
