"""Visits as a set: as many as there are, told apart by their days."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from polytask.model.time.known import only, pooled

SCALES = (1.0, 10.0, 100.0, 1000.0)
"""Days. A time t is told as t / (|t| + scale): steep about 0, bounded, and never the same again as a sine is."""


def time_code(known: Tensor, day: Tensor) -> Tensor:
    """`known [B, V]`, `day [B, V]` → `[B, V, 3 · scales]`: the day, the days since the first known visit and until
    the last one."""
    first = torch.where(known, day, torch.inf).amin(1, keepdim=True)
    last = torch.where(known, day, -torch.inf).amax(1, keepdim=True)
    times = only(known, torch.stack([day, day - first, last - day], -1))[..., None]
    return (times / (times.abs() + times.new_tensor(SCALES))).flatten(2)


class Attention(nn.Module):
    """Attention over any number of visits with their days, missing ones masked (Vaswani 2017, with a learned query).

    The slot a visit stands in does not matter. Each head has a query of its own, so that one may look at the first
    visit and another at the last; together they compare.
    """

    def __init__(self, channels: Sequence[int], visits: int, width: int, dims: int):
        super().__init__()
        heads = math.gcd(4, width)
        self.embed = nn.Linear(2 * sum(channels) + 3 * len(SCALES), width)
        self.query = nn.Parameter(torch.randn(heads, 1, width // heads)) if visits > 1 else None
        self.value = nn.Linear(width, width, bias=False)
        self.heads = heads
        self.out = nn.Linear(width, width)

    def forward(self, maps: Sequence[Tensor], known: Tensor, day: Tensor) -> Tensor:
        """See `TimeFusion`; V may differ from the number of slots the fusion was built for."""
        vectors = self._vectors(maps, known, day)
        found = self._attend(vectors, self._by_head(self.value(vectors)), known)
        fused: Tensor = self.out(found.flatten(1))
        return fused

    def weights(self, maps: Sequence[Tensor], known: Tensor, day: Tensor) -> Tensor:
        """How much each visit counts, mean over heads: `[B, V]`, sum 1 over the known visits, 0 if there are none."""
        vectors = self._vectors(maps, known, day)
        each = torch.eye(known.shape[1], dtype=vectors.dtype, device=vectors.device)
        return self._attend(vectors, each.expand(known.shape[0], self.heads, -1, -1), known)[:, :, 0].mean(1)

    def _vectors(self, maps: Sequence[Tensor], known: Tensor, day: Tensor) -> Tensor:
        """`[B, V, width]`."""
        features = pooled(maps, known)
        code = time_code(known, day).to(features.dtype)
        vectors: Tensor = nn.functional.leaky_relu(self.embed(torch.cat([features, code], -1)), 0.01)
        return vectors

    def _by_head(self, vectors: Tensor) -> Tensor:
        """`[B, V, width] → [B, heads, V, width / heads]`."""
        heads: Tensor = vectors.unflatten(-1, (self.heads, -1)).transpose(1, 2)
        return heads

    def _attend(self, vectors: Tensor, values: Tensor, known: Tensor) -> Tensor:
        """Values `[B, heads, V, D]` → their mean under the weights `[B, heads, 1, D]`. Keys are the vectors."""
        keys = self._by_head(vectors)
        if self.query is None:
            query = torch.zeros_like(keys[:, :, :1])
        else:
            query = self.query.to(keys.dtype).expand(keys.shape[0], -1, -1, -1)
        some = known.any(1, keepdim=True)
        mask = (known | ~some)[:, None, None]
        found = nn.functional.scaled_dot_product_attention(query, keys, values, attn_mask=mask)
        return only(some, found[:, None])[:, 0]
