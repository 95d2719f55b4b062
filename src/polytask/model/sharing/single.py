"""No sharing: every task has its own encoder. This is the baseline of every comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from polytask.model.cut import Cut
from polytask.model.encoder import Encoder, EncoderSpec
from polytask.model.layers import ByName
from polytask.model.roles import Roles, private, same_role


class Single(nn.Module):
    """An encoder per task and no cut. `train --sharing single` fits the tasks one after another."""

    interacts = False

    def __init__(self, spec: EncoderSpec, needs: Mapping[str, frozenset[int]]):
        super().__init__()
        self.needs = dict(needs)
        self.channels = spec.widths
        self.encoders = ByName({task: Encoder(spec) for task in needs})

    def forward(self, x: Tensor, tasks: Sequence[str], cut: Cut) -> dict[str, list[Tensor | None]]:
        """Compute one pyramid per task from `[N, planes, *space]`."""
        return {
            task: [f if level in self.needs[task] else None for level, f in enumerate(self.encoders[task](x))]
            for task in tasks
        }

    def roles(self) -> Roles:
        """Return the roles: every encoder is private to its task."""
        roles: Roles = {}
        for task, encoder in self.encoders.items():
            roles |= same_role(encoder, f"encoders.members.@{task}.", private(task))
        return roles
