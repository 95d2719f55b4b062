"""A transformer block: tokens with a code for where they lie read each other, then each is processed by itself."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from polytask.model.convolutions import shrink_initial_weights

FEED_FORWARD_EXPANSION = 4
"""Hidden units of a block's feed-forward part per channel, as in ViT."""


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


class TransformerBlock(nn.Module):
    """One pre-norm transformer block over all tokens: those of the positions and those of the tasks."""

    def __init__(self, channels: int):
        super().__init__()
        self.attend = TokenAttention(channels, channels)
        self.feed = FeedForward(channels, FEED_FORWARD_EXPANSION * channels)

    def forward(self, tokens: Tensor, place: Tensor) -> Tensor:
        """Process tokens `[N, P, C]` with their position codes `[P, C]` → `[N, P, C]`."""
        tokens = tokens + self.attend(tokens, tokens, place, place)
        processed: Tensor = tokens + self.feed(tokens)
        return processed
