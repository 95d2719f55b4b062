"""Task tokens: a transformer of all tasks over the deepest map, with one learned token per task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from polytask.model.cut import Cut
from polytask.model.encoder import Encoder, EncoderSpec
from polytask.model.layers import ByName
from polytask.model.roles import TRUNK, Roles, private, same_role
from polytask.model.sharing.attention import small
from polytask.model.sharing.tokens import Attend, Feed, positions

BLOCKS = 4
EXPANSION = 4
"""Hidden units of a block's feed-forward part per channel, as in ViT."""


class Block(nn.Module):
    """One pre-norm transformer block over all tokens, the places' and the tasks'."""

    def __init__(self, channels: int):
        super().__init__()
        self.attend = Attend(channels, channels)
        self.feed = Feed(channels, EXPANSION * channels)

    def forward(self, tokens: Tensor, place: Tensor) -> Tensor:
        """`[N, P, C]`, places `[P, C]` → `[N, P, C]`."""
        tokens = tokens + self.attend(tokens, tokens, place, place)
        return cast(Tensor, tokens + self.feed(tokens))


class Reading(nn.Module):
    """The deepest map as one task reads it: itself plus itself scaled and shifted, channel by channel, by the token."""

    def __init__(self, channels: int):
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.layer = nn.Linear(channels, 2 * channels)
        small(self.layer, 0.1)

    def forward(self, x: Tensor, token: Tensor) -> Tensor:
        """`[N, C, *space]`, `[N, C]` → `[N, C, *space]`."""
        told = self.layer(self.norm(token)).to(x.dtype).unflatten(1, (2, -1, *[1] * (x.dim() - 2)))
        scaled: Tensor = x + told[:, 0] * x + told[:, 1]
        return scaled


class TaskTokens(nn.Module):
    """A shared transformer with a learned token per task, in the direction of MTMedFormer (Nath et al. 2025).

    The residual encoder is the stem, so that skips of every resolution exist. The places of its deepest map and one
    token per task go through four pre-norm blocks in which everything attends to everything. A task reads the places
    scaled and shifted by a layer of its own from its token; finer levels are the shared maps.

    The abstract names a transformer encoder shared by tasks and decoders of each task. Reconstructed are the stem,
    the width (that of the deepest map) and number of blocks, the position code (sines and cosines, in queries
    and keys), the tokens and what a task reads of them.

    The cut lies behind the transformer, so one backward pass suffices for balancing. Tokens of all tasks the block was
    built with are always there: a task's answer is the same whoever is asked beside it.
    """

    interacts = False

    def __init__(self, spec: EncoderSpec, needs: Mapping[str, frozenset[int]]):
        super().__init__()
        self.needs = dict(needs)
        self.channels = spec.widths
        self.tasks = tuple(sorted(needs))
        width = spec.widths[-1]
        self.encoder = Encoder(spec)
        self.tokens = nn.ParameterDict({f"@{t}": nn.Parameter(0.02 * torch.randn(width)) for t in self.tasks})
        self.blocks = nn.ModuleList(Block(width) for _ in range(BLOCKS))
        self.readings = ByName({t: Reading(width) for t in self.tasks})

    def forward(self, x: Tensor, tasks: Sequence[str], cut: Cut) -> dict[str, list[Tensor | None]]:
        """`[N, planes, *space]` → task → pyramid."""
        *finer, deepest = self.encoder(x)
        pyramids: dict[str, list[Tensor | None]] = {t: [] for t in tasks}
        for level, shared in enumerate(finer):
            readers = [t for t in tasks if level in self.needs[t]]
            leaves = cut(shared, readers) if readers else {}
            for task in tasks:
                pyramids[task].append(leaves.get(task))
        places, told = self._transformed(deepest)
        leaves = cut(places, tasks)
        for task in tasks:
            pyramids[task].append(self.readings[task](leaves[task], cut(told[task], [task])[task]))
        return pyramids

    def roles(self) -> Roles:
        """Encoder, tokens and blocks are trunk: each loss reaches every token. What reads a token is private."""
        roles: Roles = {}
        for part in ("encoder", "tokens", "blocks"):
            roles |= same_role(cast(nn.Module, getattr(self, part)), f"{part}.", TRUNK)
        for task, reading in self.readings.items():
            roles |= same_role(reading, f"readings.members.@{task}.", private(task))
        return roles

    def _transformed(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The deepest map `[N, C, *space]` behind the blocks, and each task's token `[N, C]`."""
        space, count = x.shape[2:], len(self.tasks)
        mine = torch.stack([self.tokens[f"@{t}"] for t in self.tasks]).to(x.dtype)
        tokens = torch.cat([mine.expand(x.shape[0], -1, -1), x.flatten(2).transpose(1, 2)], 1)
        code = positions(space, x.shape[1], x)
        place = torch.cat([code.new_zeros((count, code.shape[1])), code])
        for block in self.blocks:
            tokens = block(tokens, place)
        places = tokens[:, count:].transpose(1, 2).unflatten(2, space)
        return places, dict(zip(self.tasks, tokens[:, :count].unbind(1), strict=True))
