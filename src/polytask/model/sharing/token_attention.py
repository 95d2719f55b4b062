"""The positions of a map as tokens.

Here are a code for where they lie, attention among them, and the bottleneck in which tasks read each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from polytask.model.building_blocks import NamedModules
from polytask.model.roles import ParameterRoles, assign_role, choose_owner_role, private_role
from polytask.model.sharing.task_attention import shrink_initial_weights


def encode_positions(space: Sequence[int], channels: int, like: Tensor) -> Tensor:
    """Encode the position along each axis as sines and cosines, for a map of any size: `[positions, channels]`.

    With D axes each one has `channels // 2D` frequencies, from 1 down to nearly 1/10 000 radian per position. Channels
    that are left over are zero.
    """
    count = channels // (2 * len(space))
    # Angles need float32 whatever the map has: bf16 would merge neighboring positions. 9.2103 is ln 10 000.
    steps = torch.arange(count, device=like.device, dtype=torch.float32)
    frequencies = torch.exp(steps * (-9.2103 / max(1, count)))
    code = torch.zeros((*space, channels), device=like.device)
    for axis, size in enumerate(space):
        angle = torch.arange(size, device=like.device, dtype=torch.float32)[:, None] * frequencies
        waves = torch.cat([angle.sin(), angle.cos()], dim=1)
        shape = [1] * len(space) + [2 * count]
        shape[axis] = size
        code[..., 2 * count * axis : 2 * count * (axis + 1)] = waves.reshape(shape)
    return code.flatten(0, -2).to(like.dtype)


class TokenAttention(nn.Module):
    """What tokens read from other tokens, by multi-head attention. It is added to them, and small at first.

    Position codes are added to queries and keys, not to values. Keys have no bias: it would cancel in the softmax.
    """

    def __init__(self, channels: int, inner: int):
        super().__init__()
        self.heads = max(h for h in (1, 2, 4, 8) if inner % h == 0 and (h == 1 or inner // h >= 8))
        self.norm = nn.LayerNorm(channels)
        self.query = nn.Linear(channels, inner, bias=False)
        self.key = nn.Linear(channels, inner, bias=False)
        self.value = nn.Linear(channels, inner, bias=False)
        self.out = nn.Linear(inner, channels)
        shrink_initial_weights(self.out, 0.1)

    def forward(self, tokens: Tensor, others: Tensor, place: Tensor, places: Tensor) -> Tensor:
        """Let tokens `[N, P, C]` read `others [N, Q, C]`, with position codes `[P, C]` and `[Q, C]` → `[N, P, C]`."""
        asking, read = self.norm(tokens), self.norm(others)
        parts = (self.query(asking + place), self.key(read + places), self.value(read))
        query, key, value = (p.unflatten(-1, (self.heads, -1)).transpose(1, 2) for p in parts)
        attention_output = scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        answer: Tensor = self.out(attention_output)
        return answer


class FeedForward(nn.Module):
    """A norm and two layers on each token. The result is added to the token, and small at first."""

    def __init__(self, channels: int, hidden: int):
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.wide = nn.Linear(channels, hidden)
        self.out = nn.Linear(hidden, channels)
        shrink_initial_weights(self.out, 0.1)

    def forward(self, tokens: Tensor) -> Tensor:
        """Compute the change of each token: `[N, P, C] → [N, P, C]`."""
        change: Tensor = self.out(nn.functional.gelu(self.wide(self.norm(tokens))))
        return change


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
