"""Task tokens: a transformer shared by all tasks over the deepest map, with one learned token per task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from polytask.model.building_blocks import Encoder, EncoderSpec, NamedModules, TaskCut
from polytask.model.convolutions import shrink_initial_weights
from polytask.model.roles import TRUNK, ParameterRoles, assign_role, private_role
from polytask.model.sharing.task_attention import take_task_rows
from polytask.model.transformer_block import TransformerBlock, encode_positions

TRANSFORMER_BLOCKS = 4


class TokenModulation(nn.Module):
    """The deepest map as one task reads it: the map plus the same map scaled and shifted by the task's token.

    Scale and shift are one number per channel.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.layer = nn.Linear(channels, 2 * channels)
        shrink_initial_weights(self.layer, 0.1)

    def forward(self, x: Tensor, token: Tensor) -> Tensor:
        """Modulate a map `[N, C, *space]` by a token `[N, C]` → `[N, C, *space]`."""
        scale_and_shift = self.layer(self.norm(token)).to(x.dtype).unflatten(1, (2, -1, *[1] * (x.dim() - 2)))
        scaled: Tensor = x + scale_and_shift[:, 0] * x + scale_and_shift[:, 1]
        return scaled


class TaskTokens(nn.Module):
    """A shared transformer with a learned token per task, in the direction of MTMedFormer (Nath et al. 2025).

    The residual encoder comes first, so that skips of every resolution exist. The positions of its deepest map and one
    token per task go through four pre-norm blocks in which everything attends to everything. A task reads the positions
    scaled and shifted by a layer of its own from its token; finer levels are the shared maps.

    The abstract of the paper names a transformer encoder that tasks share, and decoders of each task. Reconstructed are
    the stem, the width (that of the deepest map) and number of blocks, the position code (sines and cosines, in queries
    and keys), the tokens, and what a task reads from them.

    The cut lies behind the transformer, so one backward pass is enough for balancing. The tokens of all tasks that the
    block was built with are always present, so the answer of a task does not depend on which tasks are asked for.
    """

    interacts = False
    branched = True

    def __init__(self, spec: EncoderSpec, needs: Mapping[str, frozenset[int]]):
        super().__init__()
        self.needs = dict(needs)
        self.channels = spec.widths
        self.tasks = tuple(sorted(needs))
        width = spec.widths[-1]
        self.encoder = Encoder(spec)
        self.tokens = nn.ParameterDict({f"@{t}": nn.Parameter(0.02 * torch.randn(width)) for t in self.tasks})
        self.blocks = nn.ModuleList(TransformerBlock(width) for _ in range(TRANSFORMER_BLOCKS))
        self.readings = NamedModules({t: TokenModulation(width) for t in self.tasks})

    def forward(
        self, x: Tensor, tasks: Sequence[str], cut: TaskCut, rows: Mapping[str, Tensor] | None = None
    ) -> dict[str, list[Tensor | None]]:
        """Compute one pyramid per task from `[N, planes, *space]`, of a task in `rows` for those rows only."""
        *finer, deepest = self.encoder(x)
        pyramids: dict[str, list[Tensor | None]] = {t: [] for t in tasks}
        for level, shared in enumerate(finer):
            readers = [t for t in tasks if level in self.needs[t]]
            leaves = take_task_rows(cut(shared, readers), rows) if readers else {}
            for task in tasks:
                pyramids[task].append(leaves.get(task))
        places, task_tokens = self._run_transformer(deepest)
        leaves = take_task_rows(cut(places, tasks), rows)
        for task in tasks:
            token = take_task_rows(cut(task_tokens[task], [task]), rows)[task]
            pyramids[task].append(self.readings[task](leaves[task], token))
        return pyramids

    def roles(self) -> ParameterRoles:
        """Return the roles: encoder, tokens and blocks are trunk, since each loss reaches every token. What reads a
        token is private."""
        roles: ParameterRoles = {}
        parts: dict[str, nn.Module] = {"encoder": self.encoder, "tokens": self.tokens, "blocks": self.blocks}
        for name, part in parts.items():
            roles |= assign_role(part, f"{name}.", TRUNK)
        for task, reading in self.readings.items():
            roles |= assign_role(reading, f"readings.members.@{task}.", private_role(task))
        return roles

    def _run_transformer(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Run the blocks on the deepest map `[N, C, *space]`; returns the new map and each task's token `[N, C]`."""
        space, count = x.shape[2:], len(self.tasks)
        task_tokens = torch.stack([self.tokens[f"@{t}"] for t in self.tasks]).to(x.dtype)
        tokens = torch.cat([task_tokens.expand(x.shape[0], -1, -1), x.flatten(2).transpose(1, 2)], 1)
        code = encode_positions(space, x.shape[1], x)
        # A token of a task has no position: its code is zero.
        place = torch.cat([code.new_zeros((count, code.shape[1])), code])
        for block in self.blocks:
            tokens = block(tokens, place)
        places = tokens[:, count:].transpose(1, 2).unflatten(2, space)
        return places, dict(zip(self.tasks, tokens[:, :count].unbind(1), strict=True))
