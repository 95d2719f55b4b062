"""The decoder of PAD-Net: first answers of all voxel tasks, messages between them, last answers (Xu, CVPR 2018)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from polytask.model.building_blocks import Decoder, NamedModules, UpStep
from polytask.model.convolutions import make_convolution
from polytask.model.roles import JOINT, ParameterRoles, assign_role, private_role

MEETING_LEVEL = 1
"""Decoder level (0 = finest) at which the tasks exchange messages; a decoder of one level does it there."""


class GatedMessage(nn.Module):
    """What a task takes from another: a 3×3(×3) convolution of the other's map, times a gate computed from that map."""

    def __init__(self, dims: int, channels: int, kernel: Sequence[int] | None = None):
        super().__init__()
        self.gate = make_convolution(dims, channels, channels, kernel=kernel)
        self.value = make_convolution(dims, channels, channels, kernel=kernel)

    def forward(self, other: Tensor) -> Tensor:
        """Make a message `[N, C, *space]` of the map of another task, of the same shape."""
        message: Tensor = self.gate(other).sigmoid() * self.value(other)
        return message


class PadnetDecoder(nn.Module):
    """A decoder per task, whose maps meet one level below the finest (multi-modal distillation).

    The map of each task at this level has a head whose answer is the first (intermediate) one. It gets a loss as the
    other coarse answers do. Then every task adds to its map a gated message from each other task, and the last step of
    its decoder makes the map of the last answer. So a task learns from what the others would answer there.

    Args:
        tasks: two or more.
        outputs: number of maps returned; at least two, since the first answers always get a loss.
    """

    least_outputs = 2

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
        self.level = min(MEETING_LEVEL, len(channels) - 2)
        level, width = self.level, channels[self.level]
        kernel = kernels[level] if kernels else None
        deep = len(channels) - 1 - level
        self.first = NamedModules({t: Decoder(dims, channels[level:], deep, kernels[level:]) for t in tasks})
        self.messages = NamedModules(
            {t: NamedModules({u: GatedMessage(dims, width, kernel) for u in tasks if u != t}) for t in tasks}
        )
        finest = kernels[0] if kernels else None
        self.last = NamedModules(
            {t: UpStep(dims, channels[1], channels[0], finest) for t in tasks if level == MEETING_LEVEL}
        )
        widths = (channels[0], *channels[level:-1])
        self.outputs = max(self.least_outputs, min(outputs, len(widths)))
        self.widths = tuple(widths[: self.outputs])

    def forward(self, pyramids: Mapping[str, Sequence[Tensor]]) -> dict[str, list[Tensor]]:
        """Decode task → pyramid (finest first) to task → decoded maps: that of the last answer, then, finest first,
        those of the first answer and below."""
        first = {t: self.first[t](pyramid[self.level :]) for t, pyramid in pyramids.items()}
        maps_by_task: dict[str, list[Tensor]] = {}
        for task, pyramid in pyramids.items():
            told = first[task][0]
            for other, message in self.messages[task].items():
                told = told + message(first[other][0])
            finest = self.last[task](told, pyramid[0]) if task in self.last else told
            maps_by_task[task] = [finest, *first[task]][: self.outputs]
        return maps_by_task

    def list_finest_parts(self, task: str) -> list[str]:
        """List, as prefixes of parameter names, what of a task makes its finest map alone."""
        return [f"messages.members.@{task}.", f"last.members.@{task}."]

    @property
    def mixes_finest(self) -> bool:
        """Whether the finest map of a task's pyramid reaches the answers of other tasks."""
        return self.level == 0

    def roles(self) -> ParameterRoles:
        """What makes a first answer is `joint`, since the others read its map; messages to a task and its last step are
        private."""
        roles = assign_role(self.first, "first.", JOINT)
        for part, members in (("messages", self.messages), ("last", self.last)):
            for task, module in members.items():
                roles |= assign_role(module, f"{part}.members.@{task}.", private_role(task))
        return roles
