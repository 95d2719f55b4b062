"""Joins at each visit the visits so far: what is answered at a visit never rests on a later one."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from polytask.model.network_inputs import mask_unknown, pool_levels
from polytask.model.visit_fusion.visit_attention import DAY_SCALES


def find_past_visits(known: Tensor, day: Tensor) -> Tensor:
    """Find the visits that each visit may read: `known [B, V]`, `day [B, V]` → bool `[B, V, V]`, reader × read.

    These are the known ones on earlier days, on the same day those of the same or an earlier slot, and so itself.
    """
    slot = torch.arange(day.shape[1], device=day.device)
    earlier = day[:, None, :] < day[:, :, None]
    same_day = (day[:, None, :] == day[:, :, None]) & (slot[None, :] <= slot[:, None])
    return (earlier | same_day) & known[:, None, :]


def encode_past_time(past: Tensor, day: Tensor) -> Tensor:
    """Encode times for each pair of reader and read visit: `past [B, V, V]`, `day [B, V]` → `[B, V, V, 3 · scales]`.

    The times are the day of the read visit, its days since the first visit that the reader may read, and the days from
    the read visit to the reader. Each t becomes t / (|t| + scale); where `past` is false all are 0.
    """
    read, reader = day[:, None, :].expand(past.shape), day[:, :, None]
    first = torch.where(past, read, torch.inf).amin(2, keepdim=True)
    times = torch.where(past[..., None], torch.stack([read, read - first, reader - read], -1), 0.0)[..., None]
    return (times / (times.abs() + times.new_tensor(DAY_SCALES))).flatten(3)


class PastAttention(nn.Module):
    """Attention at each visit over the visits so far, beside what the visit itself says: `[B, V, F] → [B, V, width]`.

    Each head has its own learned query (as in `VisitAttention`). What is attended to are the earlier visits with the
    days that lie between; the vector of the visit itself stands beside the result, so that the present is never
    averaged away.
    """

    def __init__(self, features: int, visits: int, width: int):
        super().__init__()
        self.heads = math.gcd(4, width)
        self.embed = nn.Linear(features, width)
        # With a single slot all days are 0 and there is nothing to choose from: both would never learn.
        self.time = nn.Linear(3 * len(DAY_SCALES), width, bias=False) if visits > 1 else None
        self.query = nn.Parameter(torch.randn(self.heads, width // self.heads)) if visits > 1 else None
        self.value = nn.Linear(width, width, bias=False)
        self.out = nn.Linear(2 * width, width)

    def forward(self, vectors: Tensor, known: Tensor, day: Tensor) -> Tensor:
        """Join vectors `[B, V, F]` with `known [B, V]` and `day [B, V]`, which must be finite at every visit."""
        past = find_past_visits(known, day)
        pairs = self.embed(mask_unknown(known, vectors))[:, None].expand(-1, past.shape[1], -1, -1)
        if self.time is not None:
            pairs = pairs + self.time(encode_past_time(past, day).to(vectors.dtype))
        pairs = nn.functional.leaky_relu(pairs, 0.01)
        pairs = mask_unknown(past.flatten(0, 1), pairs.flatten(0, 1)).unflatten(0, past.shape[:2])
        shares = self._weigh(pairs, past)
        # The mean first, then the layer of each head: over all pairs it would cost V times as much.
        means = torch.einsum("bvuh,bvuf->bvhf", shares.to(pairs.dtype), pairs)
        attended = torch.einsum(
            "bvhf,hdf->bvhd", means, self.value.weight.unflatten(0, (self.heads, -1))
        ).flatten(2)
        own = torch.diagonal(pairs, dim1=1, dim2=2).transpose(1, 2)
        joined: Tensor = self.out(torch.cat([attended, own], -1))
        return joined

    def _weigh(self, pairs: Tensor, past: Tensor) -> Tensor:
        """Compute the weight of each read visit for each head `[B, V, V, heads]`; all 0 where nothing may be read."""
        keys = pairs.unflatten(-1, (self.heads, -1)).float()
        query = keys.new_zeros(keys.shape[-2:]) if self.query is None else self.query.float()
        logits = (keys * query).sum(-1) / math.sqrt(keys.shape[-1])
        some = past.any(2, keepdim=True)
        # A softmax over nothing would be NaN: such a visit weighs all visits, and is set to 0 at the end.
        masked = logits.masked_fill(~(past | ~some)[..., None], -torch.inf)
        return torch.where(some[..., None], masked.softmax(2), 0.0)


class PastVisits(nn.Module):
    """Joins at each visit the visits so far by attention, with their days; no answer rests on a later visit."""

    def __init__(self, channels: Sequence[int], visits: int, width: int, dims: int):
        super().__init__()
        self.past = PastAttention(2 * sum(channels), visits, width)

    def forward(self, maps: Sequence[Tensor], known: Tensor, day: Tensor) -> Tensor:
        """Join the visits as `TimeFusion` says: the answer at the last known visit `[B, width]`."""
        day = mask_unknown(known, day)
        # How many visits each visit may read: most for the last one.
        last = torch.where(known, find_past_visits(known, day).sum(2), -1).argmax(1)
        each = self.join_each_visit(maps, known, day)
        # Subjects without any visit answer with what is left when nothing is read.
        return each[torch.arange(len(last), device=last.device), last]

    def join_each_visit(self, maps: Sequence[Tensor], known: Tensor, day: Tensor) -> Tensor:
        """Join at each visit the maps of the visits so far: `[B, V, width]`; `day` must be finite at every visit."""
        joined: Tensor = self.past(pool_levels(maps, known), known, day)
        return joined
