"""One decoder for several tasks, with attention stages for each task (the decoder of MTAN; Liu, CVPR 2019)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from polytask.model.building_blocks import Decoder, NamedModules, make_norm
from polytask.model.roles import ParameterRoles, assign_role, choose_owner_role, private_role
from polytask.tasks.heads_and_losses import Pointwise


class AttentionStage(nn.Module):
    """A task's mask at one level: the shared map and the task's coarser map make a gate on the shared map."""

    def __init__(self, shared: int, below: int):
        super().__init__()
        hidden = max(4, shared // 4)
        self.reduce = nn.Sequential(Pointwise(shared + below, hidden), make_norm(hidden), nn.LeakyReLU(0.01))
        self.mask = Pointwise(hidden, shared, bias=True)

    def forward(self, shared: Tensor, below: Tensor) -> Tensor:
        """Mask `shared [N, C, *space]` with the help of `below [N, C', *coarser]` → `[N, C, *space]`. The mask is made
        at the coarser size."""
        small = interpolate(shared, size=below.shape[2:], mode="nearest")
        mask = self.mask(self.reduce(torch.cat([small, below.to(small.dtype)], 1))).sigmoid()
        # Twice the mask: at the start sigmoid gives about 1/2, and the map should pass unchanged.
        attended: Tensor = shared * interpolate(2 * mask, size=shared.shape[2:], mode="nearest")
        return attended


class AttentionDecoder(nn.Module):
    """A shared decoder over the mean of the tasks' pyramids, and for each task a mask on each of its maps.

    The decoder of MTAN reads the shared encoder. Under a sharing block that gives every task its own maps, their mean
    takes the place of the encoder; under hard sharing the mean is the shared map itself.
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
        stages = list(zip(reversed(channels[:-1]), reversed(channels[1:]), strict=True))
        self.stages = NamedModules(
            {t: nn.ModuleList(AttentionStage(c, below) for c, below in stages) for t in tasks}
        )

    def forward(self, pyramids: Mapping[str, Sequence[Tensor]]) -> dict[str, list[Tensor]]:
        """Decode task → pyramid (finest first) to task → decoded maps, finest first."""
        levels = zip(*pyramids.values(), strict=True)
        decoded = self.decoder([average_maps(maps) for maps in levels])[::-1]
        maps_by_task: dict[str, list[Tensor]] = {}
        for task, pyramid in pyramids.items():
            below, maps = pyramid[-1], []
            for stage, shared in zip(self.stages[task], decoded, strict=True):
                below = stage(shared, below)
                maps.append(below)
            maps_by_task[task] = maps[::-1][: self.outputs]
        return maps_by_task

    def list_finest_parts(self, task: str) -> list[str]:
        """List, as prefixes of parameter names, what of a task makes its finest map alone."""
        last = len(self.decoder.steps) - 1
        return [
            f"stages.members.@{task}.{last}.",
            *([f"decoder.steps.{last}."] if self.tasks == [task] else []),
        ]

    @property
    def mixes_finest(self) -> bool:
        """Whether the finest map of a task's pyramid reaches the answers of other tasks."""
        return True

    def roles(self) -> ParameterRoles:
        """The shared path has the role `joint`, the masks of a task are private."""
        roles = assign_role(self.decoder, "decoder.", choose_owner_role(self.tasks))
        for task, stages in self.stages.items():
            roles |= assign_role(stages, f"stages.members.@{task}.", private_role(task))
        return roles


def average_maps(maps: Sequence[Tensor]) -> Tensor:
    """Average the maps of the tasks; a map that all tasks share is used as it is."""
    # The same tensor comes once per task: adding equal copies costs memory and changes the last digits.
    own = list({id(m): m for m in maps}.values())
    return own[0] if len(own) == 1 else torch.stack(own).mean(0)
