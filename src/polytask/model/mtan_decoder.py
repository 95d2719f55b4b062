"""The decoder of MTAN as published: one decoder over the shared encoder, attention per task (Liu, CVPR 2019)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.nn.functional import interpolate

from polytask.model.attention_decoder import average_maps
from polytask.model.building_blocks import ConvNormAct, Decoder, LevelModules, NamedModules
from polytask.model.roles import ParameterRoles, assign_role, choose_owner_role, private_role
from polytask.model.sharing.task_attention import Mask


class MtanDecoder(nn.Module):
    """A decoder over the shared maps, and along it a path per task that masks each of its maps.

    At every level the path of a task enlarges what the task has, refines it by a 3×3(×3) convolution that all tasks
    share, makes a mask of this and the shared decoded map, and goes on with the masked map. It begins with the deepest
    map of the task, as it left the attention of the encoder.

    Under a sharing block without shared maps, the mean of the tasks' maps takes their place. In the released code the
    mask reads what enters a block of the decoder and masks what leaves it; here a level has one convolution, and the
    mask reads and masks its result.
    """

    def __init__(
        self,
        dims: int,
        channels: Sequence[int],
        tasks: Sequence[str],
        outputs: int = 1,
        kernels: Sequence[Sequence[int]] = (),
    ):
        super().__init__()
        self.tasks = list(tasks)
        self.decoder = Decoder(dims, channels, len(channels) - 1, kernels)
        self.outputs = max(1, min(outputs, len(channels) - 1))
        upward = list(reversed(channels))
        every = list(reversed(kernels[:-1] if kernels else [(3,) * dims] * (len(channels) - 1)))
        self.refine = LevelModules(
            ConvNormAct(dims, below, here, kernel=kernel)
            for (below, here), kernel in zip(pairwise(upward), every, strict=True)
        )
        self.masks = LevelModules(
            NamedModules({t: Mask(here, here, here, normed=True) for t in tasks}) for here in upward[1:]
        )

    def forward(
        self, pyramids: Mapping[str, Sequence[Tensor]], shared: Mapping[str, Sequence[Tensor]]
    ) -> dict[str, list[Tensor]]:
        """Decode task → pyramid (finest first) to task → decoded maps, finest first.

        `shared` has for each task the maps of the shared encoder, before the masks of the task.
        """
        read = [shared.get(task, pyramid) for task, pyramid in pyramids.items()]
        decoded = self.decoder([average_maps(maps) for maps in zip(*read, strict=True)])[::-1]
        maps_by_task: dict[str, list[Tensor]] = {}
        for task, pyramid in pyramids.items():
            own, maps = pyramid[-1], []
            for level, common in enumerate(decoded):
                brought = self.refine.at(level)(interpolate(own, size=common.shape[2:], mode="nearest"))
                own = self.masks.at(level)[task](common, brought) * common
                maps.append(own)
            maps_by_task[task] = maps[::-1][: self.outputs]
        return maps_by_task

    def list_finest_parts(self, task: str) -> list[str]:
        """List, as prefixes of parameter names, what of a task makes its finest map alone."""
        last = len(self.masks) - 1
        shared = [f"refine.{last}.", f"decoder.steps.{last}."] if self.tasks == [task] else []
        return [f"masks.{last}.members.@{task}.", *shared]

    @property
    def mixes_finest(self) -> bool:
        """Whether the finest map of a task's pyramid reaches the answers of other tasks."""
        return True

    def roles(self) -> ParameterRoles:
        """Decoder and refinement have the role `joint`, the masks of a task are private."""
        owner = choose_owner_role(self.tasks)
        roles = assign_role(self.decoder, "decoder.", owner) | assign_role(self.refine, "refine.", owner)
        for level, masks in enumerate(self.masks):
            for task, mask in masks.items():
                roles |= assign_role(mask, f"masks.{level}.members.@{task}.", private_role(task))
        return roles
