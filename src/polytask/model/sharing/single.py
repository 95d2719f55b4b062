"""No sharing: every task has its own encoder. This is the baseline of every comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from polytask.model.building_blocks import Encoder, EncoderSpec, NamedModules, TaskCut
from polytask.model.roles import ParameterRoles, assign_role, private_role


class SeparateEncoders(nn.Module):
    """An encoder per task and no cut. `train --sharing single` fits the tasks one after another."""

    interacts = False
    separate = True
    """Nothing is computed for several tasks at once, so that each may run on the visits that it reads."""

    def __init__(self, spec: EncoderSpec, needs: Mapping[str, frozenset[int]]):
        super().__init__()
        self.needs = dict(needs)
        self.channels = spec.widths
        self.encoders = NamedModules({task: Encoder(spec) for task in needs})

    def forward(self, x: Tensor, tasks: Sequence[str], cut: TaskCut) -> dict[str, list[Tensor | None]]:
        """Compute one pyramid per task from `[N, planes, *space]`."""
        return {
            task: [f if level in self.needs[task] else None for level, f in enumerate(self.encoders[task](x))]
            for task in tasks
        }

    def roles(self) -> ParameterRoles:
        """Return the roles: every encoder is private to its task."""
        roles: ParameterRoles = {}
        for task, encoder in self.encoders.items():
            roles |= assign_role(encoder, f"encoders.members.@{task}.", private_role(task))
        return roles
