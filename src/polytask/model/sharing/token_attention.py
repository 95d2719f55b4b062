"""The bottleneck in which tasks read each other: the positions of their deepest maps are tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from polytask.model.building_blocks import NamedModules
from polytask.model.roles import ParameterRoles, assign_role, choose_owner_role, private_role
from polytask.model.transformer_block import FeedForward, TokenAttention, encode_positions


class CrossTaskAttention(nn.Module):
    """Token attention at the deepest level: a task's positions attend to each other, then to those of the other tasks.

    Every task has attention layers of its own. With one task there are no others, and only the first part is built.
    """

    def __init__(self, channels: int, tasks: Sequence[str], inner: int, hidden: int):
        super().__init__()
        self.tasks = tuple(tasks)
        self.own = NamedModules({t: TokenAttention(channels, inner) for t in tasks})
        self.cross = NamedModules({t: TokenAttention(channels, inner) for t in tasks if len(tasks) > 1})
        self.feed = NamedModules({t: FeedForward(channels, hidden) for t in tasks})

    def forward(self, maps: Mapping[str, Tensor], asked: Sequence[str]) -> dict[str, Tensor]:
        """Let all tasks (task → `[N, C, *space]`) read each other; returns the same for the tasks asked for."""
        space = maps[self.tasks[0]].shape[2:]
        tokens = {t: maps[t].flatten(2).transpose(1, 2) for t in self.tasks}
        place = encode_positions(space, tokens[self.tasks[0]].shape[-1], tokens[self.tasks[0]])
        tokens = {t: z + self.own[t](z, z, place, place) for t, z in tokens.items()}
        answers = {}
        for task in asked:
            z = tokens[task]
            if task in self.cross:
                others = [tokens[t] for t in self.tasks if t != task]
                z = z + self.cross[task](z, torch.cat(others, 1), place, place.repeat(len(others), 1))
            z = z + self.feed[task](z)
            answers[task] = z.transpose(1, 2).unflatten(2, space)
        return answers

    def roles(self, prefix: str) -> ParameterRoles:
        """Return the roles: all losses reach a task's first attention; what it does with what it read is private."""
        roles: ParameterRoles = {}
        for kind, parts in (("own", self.own), ("cross", self.cross), ("feed", self.feed)):
            for task, part in parts.items():
                role = choose_owner_role(self.tasks) if kind == "own" else private_role(task)
                roles |= assign_role(part, f"{prefix}{kind}.members.@{task}.", role)
        return roles
