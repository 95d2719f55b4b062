"""The branch of a visit or subject task, from what the task sees to its answer.

Tokens of all sources are joined over time, then over sources, and a head makes the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from polytask.model.input_fusion import INPUT_FUSIONS
from polytask.model.layers import NamedModules, pool_mean_max
from polytask.model.visit_fusion import FUSION_DEPTHS, MIN_FUSION_VISITS, VISIT_FUSIONS
from polytask.model.visit_fusion.visit_concat import SideBySideVisits
from polytask.tasks.task import Task

SourceEmbedding = Callable[..., Tensor]
"""A module that makes a vector of one source: a layer for a visit task, a fusion of visits for a subject task."""


@dataclass(frozen=True)
class Token:
    """One source as a pooled task sees it.

    Args:
        maps: `[B, V, C, *space]` of the deepest levels that the time fusion reads (finest first), or one `[B, V, C]`.
        known: bool `[B, V]`, where the source is present.
    """

    maps: tuple[Tensor, ...]
    known: Tensor


def upstream_source(task: str) -> str:
    """Name the source through which a task reads the answer of an upstream task."""
    return f"after {task}"


class PooledBranch(nn.Module):
    """Tokens of all sources → visits joined (for a subject task) → sources joined → dropout → head.

    Args:
        task: visit or subject task.
        images: image input → its dims and channels per stage.
        vectors: sources that come as one vector per visit: tables, slides, upstream answers.
        visits: slots of the visits that a subject task may read, in order.
        visit_fusion: how the visits are joined. A task that reads too few visits to compare them uses `concat`.
        width: embedding width.
    """

    def __init__(
        self,
        task: Task,
        images: Mapping[str, tuple[int, Sequence[int]]],
        vectors: Sequence[str],
        visits: Sequence[int],
        width: int,
        dropout: float,
        visit_fusion: str,
        input_fusion: str,
    ):
        super().__init__()
        self.subject = task.level == "subject"
        self.slots = list(visits)
        visit_fusion = visit_fusion if len(visits) >= MIN_FUSION_VISITS[visit_fusion] else "concat"
        self.pairs = MIN_FUSION_VISITS[visit_fusion] > 1
        """Whether images are compared between neighboring visits."""
        depth = FUSION_DEPTHS[visit_fusion]
        embed: dict[str, SourceEmbedding] = {}
        for name, (dims, channels) in images.items():
            if self.subject:
                embed[name] = VISIT_FUSIONS[visit_fusion](channels[-depth:], len(visits), width, dims)
            else:
                embed[name] = nn.Linear(2 * channels[-1], width)
        for name in vectors:
            embed[name] = SideBySideVisits(width, len(visits), width) if self.subject else nn.Identity()
        self.embed = NamedModules(embed)
        self.fusion = INPUT_FUSIONS[input_fusion](len(embed), width)
        self.dropout = nn.Dropout(dropout)
        self.head = task.head(width, 0)

    def forward(self, tokens: Mapping[str, Token], day: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the answer from tokens by source and `day [B, V]`.

        Returns `[B, outputs]` (subject) or `[B·V, outputs]` (visit), and the weight of each source, `[B]` or `[B·V]`,
        if the fusion weighs sources.
        """
        vectors, known = zip(
            *[self._embed_source(m, tokens[n], day) for n, m in self.embed.items()], strict=True
        )
        fused, weights = self.fusion(torch.stack(vectors, 1), torch.stack(known, 1))
        names = [n for n, _ in self.embed.items()]
        by_source = {} if weights is None else dict(zip(names, weights.unbind(1), strict=True))
        with torch.autocast(fused.device.type, enabled=False):  # rounded scores would tie
            answer: Tensor = self.head(self.dropout(fused.float()))
        return answer, by_source

    def _embed_source(self, embed: SourceEmbedding, token: Token, day: Tensor) -> tuple[Tensor, Tensor]:
        """Embed one source as `[N, width]`, with a flag `[N]` whether it is present."""
        if self.subject:
            maps = [m[:, self.slots] for m in token.maps]
            known = token.known[:, self.slots]
            seen = maps[0] if isinstance(embed, SideBySideVisits) else maps
            compared = self.pairs and not isinstance(embed, SideBySideVisits)
            # A comparison of visits needs both of a pair: one known visit alone is not enough.
            there = known[:, 1:] & known[:, :-1] if compared else known
            return embed(seen, known, day[:, self.slots]), there.any(1)
        deepest = token.maps[-1].flatten(0, 1)
        pooled = pool_mean_max(deepest) if deepest.dim() > 2 else deepest
        return embed(pooled), token.known.flatten()
