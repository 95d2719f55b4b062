"""From what a task sees to its answer: the voxel branch and the pooled branch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from polytask.model.decoder import Decoder
from polytask.model.layers import ByName, pool_mean_max
from polytask.model.sources import SOURCES
from polytask.model.time import DEPTHS, TIMES
from polytask.model.time.concat import Visits
from polytask.tasks.task import Task


class VoxelHeads(nn.Module):
    """1×1 heads on decoded maps, finest first; the coarser ones only while training (deep supervision)."""

    def __init__(self, task: Task, dims: int, channels: Sequence[int]):
        super().__init__()
        self.heads = nn.ModuleList(task.head(c, dims) for c in channels)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Maps `[N, C, *space]` → outputs; one output in eval mode."""
        count = len(self.heads) if self.training else 1
        return [head(m) for head, m in zip(self.heads[:count], maps[:count], strict=True)]


class VoxelBranch(nn.Module):
    """A decoder of the task's own and its heads: pyramid → outputs, finest first."""

    def __init__(self, task: Task, dims: int, channels: Sequence[int], levels: int):
        super().__init__()
        self.decoder = Decoder(dims, channels, levels)
        self.heads = VoxelHeads(task, dims, channels[: self.decoder.outputs])

    def forward(self, pyramid: Sequence[Tensor]) -> list[Tensor]:
        """See the class."""
        return cast(list[Tensor], self.heads(self.decoder(pyramid)))


@dataclass(frozen=True)
class Token:
    """One source as a pooled task sees it.

    Args:
        maps: `[B, V, C, *space]` of the deepest levels the time fusion reads (finest first), or one `[B, V, C]`.
        known: bool `[B, V]`.
    """

    maps: tuple[Tensor, ...]
    known: Tensor


def behind(task: str) -> str:
    """Name of the source that an upstream task is."""
    return f"after {task}"


class PooledBranch(nn.Module):
    """Tokens of all sources → (visits joined, for a subject task) → sources joined → dropout → head.

    Args:
        task: visit or subject task.
        images: image input → channels per stage.
        tables: table inputs.
        links: upstream task → what turns its output into a token.
        visits: slots of the visits a subject task may read, in order.
        width: embedding width.
    """

    def __init__(
        self,
        task: Task,
        images: Mapping[str, Sequence[int]],
        tables: Sequence[str],
        links: Mapping[str, nn.Module],
        visits: Sequence[int],
        width: int,
        dropout: float,
        time: str,
        sources: str,
    ):
        super().__init__()
        self.subject = task.level == "subject"
        self.slots = list(visits)
        depth = DEPTHS[time]
        embed: dict[str, nn.Module] = {}
        for name, channels in images.items():
            fusion = TIMES[time](channels[-depth:], len(visits), width) if self.subject else None
            embed[name] = cast(nn.Module, fusion) if fusion else nn.Linear(2 * channels[-1], width)
        self.links = ByName(links)
        for name in [*tables, *map(behind, links)]:
            embed[name] = Visits(width, len(visits), width) if self.subject else nn.Identity()
        self.embed = ByName(embed)
        self.fusion = SOURCES[sources](len(embed), width)
        self.dropout = nn.Dropout(dropout)
        self.head = task.head(width, 0)

    def forward(self, tokens: Mapping[str, Token], day: Tensor) -> Tensor:
        """Tokens by source, `day [B, V]` → `[B, outputs]` (subject) or `[B·V, outputs]` (visit)."""
        vectors, known = zip(
            *[self._vector(n, m, tokens[n], day) for n, m in self.embed.items()], strict=True
        )
        fused, _ = cast(nn.Module, self.fusion)(torch.stack(vectors, 1), torch.stack(known, 1))
        return cast(Tensor, self.head(self.dropout(fused)))

    def _vector(self, name: str, embed: nn.Module, token: Token, day: Tensor) -> tuple[Tensor, Tensor]:
        """One source → `[N, width]` and whether it is there `[N]`."""
        if self.subject:
            maps = [m[:, self.slots] for m in token.maps]
            known = token.known[:, self.slots]
            seen = maps[0] if isinstance(embed, Visits) else maps
            return embed(seen, known, day[:, self.slots]), known.any(1)
        deepest = token.maps[-1].flatten(0, 1)
        pooled = pool_mean_max(deepest) if deepest.dim() > 2 else deepest
        return embed(pooled), token.known.flatten()
