"""Joins visits as a set: any number of them, distinguished by their days."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from polytask.model.network_inputs import mask_unknown, pool_levels

DAY_SCALES = (1.0, 10.0, 100.0, 1000.0)
"""Scales in days. A time t is encoded as t / (|t| + scale): steep near 0, limited and, unlike a sine, never the same
for two times."""


def encode_time(known: Tensor, day: Tensor) -> Tensor:
    """Encode times: `known [B, V]`, `day [B, V]` → `[B, V, 3 · scales]`.

    The times are the day, the days since the first known visit, and the days until the last one.
    """
    # Without a known visit these are infinite; `mask_unknown` sets what comes of them to 0.
    first = torch.where(known, day, torch.inf).amin(1, keepdim=True)
    last = torch.where(known, day, -torch.inf).amax(1, keepdim=True)
    times = mask_unknown(known, torch.stack([day, day - first, last - day], -1))[..., None]
    return (times / (times.abs() + times.new_tensor(DAY_SCALES))).flatten(2)


class VisitAttention(nn.Module):
    """Attention over any number of visits with their days, missing ones masked (Vaswani 2017, with a learned query).

    The slot of a visit does not matter. Each head has its own query, so that one head may look at the first visit and
    another at the last: together they compare.
    """

    def __init__(self, channels: Sequence[int], visits: int, width: int, dims: int):
        super().__init__()
        heads = math.gcd(4, width)
        self.embed = nn.Linear(2 * sum(channels) + 3 * len(DAY_SCALES), width)
        self.query = nn.Parameter(torch.randn(heads, 1, width // heads)) if visits > 1 else None
        self.value = nn.Linear(width, width, bias=False)
        self.heads = heads
        self.out = nn.Linear(width, width)

    def forward(self, maps: Sequence[Tensor], known: Tensor, day: Tensor) -> Tensor:
        """Join the visits as `TimeFusion` says; V may differ from the number of slots that the fusion was built for."""
        vectors = self._embed_visits(maps, known, day)
        attention_output = self._attend(vectors, self._split_heads(self.value(vectors)), known)
        fused: Tensor = self.out(attention_output.flatten(1))
        return fused

    def weights(self, maps: Sequence[Tensor], known: Tensor, day: Tensor) -> Tensor:
        """Compute how much each visit counts, as a mean over heads: `[B, V]`, sum 1 over the known visits, 0 if there
        are none."""
        vectors = self._embed_visits(maps, known, day)
        each = torch.eye(known.shape[1], dtype=vectors.dtype, device=vectors.device)
        return self._attend(vectors, each.expand(known.shape[0], self.heads, -1, -1), known)[:, :, 0].mean(1)

    def _embed_visits(self, maps: Sequence[Tensor], known: Tensor, day: Tensor) -> Tensor:
        """Embed each visit, with its day, as a vector: `[B, V, width]`."""
        features = pool_levels(maps, known)
        code = encode_time(known, day).to(features.dtype)
        vectors: Tensor = nn.functional.leaky_relu(self.embed(torch.cat([features, code], -1)), 0.01)
        return vectors

    def _split_heads(self, vectors: Tensor) -> Tensor:
        """Split vectors into heads: `[B, V, width] → [B, heads, V, width / heads]`."""
        heads: Tensor = vectors.unflatten(-1, (self.heads, -1)).transpose(1, 2)
        return heads

    def _attend(self, vectors: Tensor, values: Tensor, known: Tensor) -> Tensor:
        """Average values `[B, heads, V, D]` under the weights → `[B, heads, 1, D]`. The vectors are the keys."""
        keys = self._split_heads(vectors)
        if self.query is None:
            query = torch.zeros_like(keys[:, :, :1])
        else:
            query = self.query.to(keys.dtype).expand(keys.shape[0], -1, -1, -1)
        some = known.any(1, keepdim=True)
        # With every key masked the softmax would be NaN: a subject without visits attends to all, and is set
        # to 0 below.
        mask = (known | ~some)[:, None, None]
        attention_output = nn.functional.scaled_dot_product_attention(query, keys, values, attn_mask=mask)
        return mask_unknown(some, attention_output[:, None])[:, 0]
