"""The coarse logits of a mask as one more map of a task: tap C of RP-Net, whose visits are compared there too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor, nn
from torch.nn.functional import interpolate

if TYPE_CHECKING:
    from polytask.model.task_branches import VoxelHeads


def list_coarse_levels(count: int) -> range:
    """List the levels of a decoder (0 = finest) whose logits are added up, of `count` levels that have a head."""
    return range(1, min(3, count)) if count > 1 else range(1)


class LogitsLink(nn.Module):
    """Coarse logits of a mask pass the task's fusion of visits as its image does (tap C of RP-Net, Jin 2021).

    They are those of the decoder level below the finest, plus those of the level below it, enlarged. A decoder without
    such levels gives its finest logits.
    """

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """Add up the coarse levels of `[N, outputs, *space]`, finest first → the space of the second level."""
        coarse, *coarser = (levels[k] for k in list_coarse_levels(len(levels)))
        for level in coarser:
            coarse = coarse + interpolate(level, size=coarse.shape[2:], mode="nearest")
        return coarse


def make_coarse_logits(
    heads: VoxelHeads, decoded: tuple[Sequence[Tensor], Sequence[Tensor]], stop: bool
) -> Tensor:
    """Make the coarse logits of a task `[N, outputs, *space]`, from what the voxel branch returned for it.

    Heads of coarser levels run here where the outputs do not have them: while the network does not train.
    """
    outputs, maps = decoded
    levels = [*outputs, *(heads.heads[k](maps[k]) for k in range(len(outputs), len(heads.heads)))]
    coarse: Tensor = LogitsLink()(levels)
    return coarse.detach() if stop else coarse
