"""One network that is told which task it answers, as universal models are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from polytask.model.building_blocks import Encoder, EncoderSpec, NamedModules, TaskCut
from polytask.model.roles import TRUNK, ParameterRoles, assign_role, choose_owner_role, private_role
from polytask.model.sharing.expert_gate import average_places

CODE_NUMBERS = 32
"""Length of the code of a task."""


class TaskCode(nn.Module):
    """The learned code of a task."""

    def __init__(self) -> None:
        super().__init__()
        self.code = nn.Parameter(torch.randn(CODE_NUMBERS))

    def forward(self) -> Tensor:
        """Return the code, which the controller reads beside the image: `[CODE_NUMBERS]`."""
        return self.code


class TaskConditionedEncoder(nn.Module):
    """One encoder, whose maps a controller scales and shifts for each task by the code of the task.

    The controller is one small network for all tasks. It reads the code of a task and the mean of the image's deepest
    map, and gives a scale and a shift for every channel of every level (FiLM; Perez et al., AAAI 2018). So a task adds
    nothing but its code: this is how universal models such as DoDNet (Zhang et al., CVPR 2021) tell their network what
    to segment; there the controller writes the weights of the head instead. At the start all tasks see the shared maps.

    The cut lies behind the encoder. The controller is behind it and learns from all tasks.
    """

    interacts = False

    def __init__(self, spec: EncoderSpec, needs: Mapping[str, frozenset[int]]):
        super().__init__()
        self.needs = dict(needs)
        self.channels = spec.widths
        self.encoder = Encoder(spec)
        self.codes = NamedModules({t: TaskCode() for t in sorted(needs)})
        last = nn.Linear(spec.widths[-1], 2 * sum(spec.widths))
        self.controller = nn.Sequential(
            nn.Linear(CODE_NUMBERS + spec.widths[-1], spec.widths[-1]), nn.LeakyReLU(0.01), last
        )
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def forward(self, x: Tensor, tasks: Sequence[str], cut: TaskCut) -> dict[str, list[Tensor | None]]:
        """Compute one pyramid per task from `[N, planes, *space]`."""
        pyramids: dict[str, list[Tensor | None]] = {t: [] for t in tasks}
        if not tasks:
            return pyramids
        maps = self.encoder(x)
        deepest = cut(maps[-1], tasks)
        scales = {t: self._control(t, deepest[t]) for t in tasks}
        for level, shared in enumerate(maps):
            readers = [t for t in tasks if level in self.needs[t]]
            is_deepest = level == len(maps) - 1
            leaves = deepest if is_deepest else cut(shared, readers) if readers else {}
            for task in tasks:
                told = _scale_and_shift(leaves[task], scales[task][level]) if task in readers else None
                pyramids[task].append(told)
        return pyramids

    def roles(self) -> ParameterRoles:
        """Return the roles: the encoder is trunk, a code is private, the controller belongs to all."""
        tasks = self.codes.names()
        roles = assign_role(self.encoder, "encoder.", TRUNK)
        roles |= assign_role(self.controller, "controller.", choose_owner_role(tasks))
        for task, code in self.codes.items():
            roles |= assign_role(code, f"codes.members.@{task}.", private_role(task))
        return roles

    def _control(self, task: str, deepest: Tensor) -> list[Tensor]:
        """Compute scale and shift of every level for a task: each `[N, 2, C]`."""
        about = average_places(deepest)
        code = self.codes[task]().to(about.dtype).expand(len(about), -1)
        numbers = self.controller(torch.cat([code, about], 1))
        parts = numbers.split([2 * width for width in self.channels], 1)
        return [part.unflatten(1, (2, -1)) for part in parts]


def _scale_and_shift(x: Tensor, numbers: Tensor) -> Tensor:
    """Scale and shift the channels of `x [N, C, *space]` by `numbers [N, 2, C]`; zeros change nothing."""
    scale, shift = numbers.to(x.dtype).unflatten(2, (-1, *[1] * (x.dim() - 2))).unbind(1)
    return torch.addcmul(x + shift, x, scale)
