"""The branch of a visit or subject task: tokens of its sources are joined, visits first, then sources, then a head."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from polytask.model.building_blocks import NamedModules, pool_mean_max
from polytask.model.input_fusion import INPUT_FUSIONS
from polytask.model.visit_fusion import MIN_FUSION_VISITS, VISIT_FUSIONS
from polytask.model.visit_fusion.past_visits import PastAttention, PastVisits, find_past_visits
from polytask.model.visit_fusion.visit_concat import SideBySideVisits
from polytask.tasks.heads_and_losses import disable_autocast
from polytask.tasks.task import Task

SourceEmbedding = Callable[..., Tensor]
"""A module that makes a vector of one source: a layer for a visit task, a fusion of visits for a subject task, and one
of the visits so far for a visit task with a history."""


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

    Where the task reads class answers in a second level, that level stands between the last two joints.

    Args:
        task: visit or subject task.
        images: source that comes as maps → its dims and the channels of each level that the task reads: image inputs,
            and coarse logits of upstream tasks.
        vectors: sources that come as one vector per visit: tables, slides, crops, upstream answers.
        answers: class answers that the second level reads; they come as one vector per visit too.
        visits: slots of the visits that a subject task may read, in order.
        history: number of visit slots of a visit task that also reads earlier visits; 0 for all other tasks.
        visit_fusion: how the visits are joined. A task that reads too few visits to compare them uses `concat`, a
            visit task with a history always `past`.
        width: embedding width.
    """

    slot_index: Tensor

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
        answers: Sequence[str] = (),
        history: int = 0,
    ):
        super().__init__()
        self.subject = task.level == "subject"
        # A buffer moves along to a device; a list would be copied there in every step. It is no part of the weights.
        self.register_buffer("slot_index", torch.tensor(list(visits), dtype=torch.long), persistent=False)
        visit_fusion = visit_fusion if len(visits) >= MIN_FUSION_VISITS[visit_fusion] else "concat"
        self.pairs = MIN_FUSION_VISITS[visit_fusion] > 1
        """Whether images are compared between neighboring visits."""
        embed: dict[str, SourceEmbedding] = {}
        for name, (dims, channels) in images.items():
            if history:
                embed[name] = PastVisits(channels, history, width, dims)
            elif self.subject:
                embed[name] = VISIT_FUSIONS[visit_fusion](channels, len(visits), width, dims)
            else:
                embed[name] = nn.Linear(2 * channels[-1], width)
        for name in (*vectors, *answers):
            if history:
                embed[name] = PastAttention(width, history, width)
            else:
                embed[name] = SideBySideVisits(width, len(visits), width) if self.subject else nn.Identity()
        self.answers = NamedModules({name: embed.pop(name) for name in answers})
        self.embed = NamedModules(embed)
        self.fusion = INPUT_FUSIONS[input_fusion](len(embed), width)
        self.dropout = nn.Dropout(dropout)
        self.head = task.head(width, 0)

    def forward(self, tokens: Mapping[str, Token], day: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the answer from tokens by source and `day [B, V]`.

        Returns `[B, outputs]` (subject) or `[B·V, outputs]` (visit), and the weight of each source, `[B]` or `[B·V]`,
        if the fusion weighs sources.
        """
        fused, by_source = self.fuse_sources(tokens, day)
        return self.answer(fused), by_source

    def answer(self, vector: Tensor) -> Tensor:
        """Compute the answer from what all sources say, `[N, width]`."""
        with disable_autocast(vector):  # rounded scores would tie
            answer: Tensor = self.head(self.dropout(vector.float()))
        return answer

    def embed_answer(self, source: str, token: Token, day: Tensor) -> Tensor:
        """Embed a class answer for the second level as `[N, width]`, zero where it rests on nothing."""
        vector, known = self._embed_source(self.answers[source], token, day)
        return torch.where(known[:, None], vector, 0.0)

    def fuse_sources(self, tokens: Mapping[str, Token], day: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Join the sources as `[N, width]`, with the weight of each if the fusion weighs them."""
        vectors, known = zip(
            *[self._embed_source(m, tokens[n], day) for n, m in self.embed.items()], strict=True
        )
        fused, weights = self.fusion(torch.stack(vectors, 1), torch.stack(known, 1))
        names = [n for n, _ in self.embed.items()]
        by_source = {} if weights is None else dict(zip(names, weights.unbind(1), strict=True))
        return fused, by_source

    def _embed_source(self, embed: SourceEmbedding, token: Token, day: Tensor) -> tuple[Tensor, Tensor]:
        """Embed one source as `[N, width]`, with a flag `[N]` whether it is present."""
        if self.subject:
            maps = [m[:, self.slot_index] for m in token.maps]
            known = token.known[:, self.slot_index]
            visits = maps[0] if isinstance(embed, SideBySideVisits) else maps
            compared = self.pairs and not isinstance(embed, SideBySideVisits)
            # A comparison of visits needs both of a pair: one known visit alone is not enough.
            usable = known[:, 1:] & known[:, :-1] if compared else known
            return embed(visits, known, day[:, self.slot_index]), usable.any(1)
        if isinstance(embed, PastVisits | PastAttention):
            past = find_past_visits(token.known, day).any(2).flatten()
            if isinstance(embed, PastVisits):
                return embed.join_each_visit(token.maps, token.known, day).flatten(0, 1), past
            return embed(token.maps[0], token.known, day).flatten(0, 1), past
        deepest = token.maps[-1].flatten(0, 1)
        pooled = pool_mean_max(deepest) if deepest.dim() > 2 else deepest
        return embed(pooled), token.known.flatten()
