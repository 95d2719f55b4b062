"""The table encoder: clinical or molecular columns → one token per visit."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import torch
from torch import Tensor, nn

SMALLEST, LARGEST = 8, 32
"""Hidden units of one group of columns, at least and at most."""


class TableEncoder(nn.Module):
    """Self-normalising layers (Klambauer, NeurIPS 2017) over values and their known flags.

    `[B, V, F], [B, V, F] → [B, V, width]`; an unknown cell is 0 with flag 0. SELU and weights of variance 1/inputs keep
    activations near mean 0 and variance 1 without a norm, so that no case of a batch sees another. A category comes as
    one feature per value: the first layer multiplies it by a matrix, which is looking up a learnt vector per value, an
    embedding, and for an unknown value the flags have vectors of their own.

    Args:
        groups: number of features of each group, in their order. One group: two layers over all columns. Several:
            two small layers per group that see no other group (`Groups`), then one over all, so that a thousand
            molecular columns do not drown a dozen others and a column costs 8 to 32 weights instead of `width`.
        dropout: AlphaDropout after each activation, which keeps mean and variance as they are.
    """

    def __init__(self, groups: int | Sequence[int], width: int, dropout: float = 0.0):
        super().__init__()
        sizes = [groups] if isinstance(groups, int) else [size for size in groups if size > 0]
        self.empty = not sum(sizes)
        drop = [nn.AlphaDropout(dropout)] if dropout else []
        layers: list[nn.Module] = []
        if len(sizes) > 1:
            self.groups: Groups | None = Groups(sizes, width, dropout)
            layers = [nn.Linear(self.groups.outputs, width), nn.SELU(), *drop]
        else:
            self.groups = None
            layers = [nn.Linear(2 * max(1, sum(sizes)), width), nn.SELU(), *drop]
            layers += [nn.Linear(width, width), nn.SELU(), *drop]
        self.layers = nn.Sequential(*layers)
        for layer in self.layers:
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=1 / sqrt(layer.in_features))
                nn.init.zeros_(layer.bias)

    def forward(self, values: Tensor, known: Tensor) -> Tensor:
        """See the class."""
        flags, seen = known.to(values.dtype), torch.where(known, values, 0.0)
        if self.empty:
            flags = seen = values.new_zeros((*values.shape[:-1], 1))
        if self.groups is not None:
            token: Tensor = self.layers(self.groups(seen, flags))
        else:
            token = self.layers(torch.cat([seen, flags], dim=-1))
        return token


class Groups(nn.Module):
    """A small self-normalising MLP per group of features, all in one batched product.

    `[..., F], [..., F] → [..., groups × hidden]`. Groups of unequal size are padded for the product only: there is one
    row of weights per feature and one per flag, and a padded place reads a row of zeros that is no parameter.
    """

    def __init__(self, sizes: Sequence[int], width: int, dropout: float = 0.0):
        super().__init__()
        features, count = sum(sizes), len(sizes)
        hidden = min(LARGEST, max(SMALLEST, 2 * width // count))
        self.outputs = count * hidden
        place = torch.full((count, max(sizes)), features)
        for group, size in enumerate(sizes):
            start = sum(sizes[:group])
            place[group, :size] = torch.arange(start, start + size)
        self.register_buffer("place", place, persistent=False)
        spread = torch.tensor([1 / sqrt(2 * size) for size in sizes for _ in range(size)])
        self.values = nn.Parameter(torch.randn(features, hidden) * spread[:, None])
        self.flags = nn.Parameter(torch.randn(features, hidden) * spread[:, None])
        self.bias = nn.Parameter(torch.zeros(count, hidden))
        self.second = nn.Parameter(torch.randn(count, hidden, hidden) / sqrt(hidden))
        self.second_bias = nn.Parameter(torch.zeros(count, hidden))
        self.activation = nn.SELU()
        self.dropout = nn.AlphaDropout(dropout) if dropout else nn.Identity()

    def forward(self, values: Tensor, flags: Tensor) -> Tensor:
        """See the class; `values` are 0 where `flags` are."""
        first = self._product(values, self.values) + self._product(flags, self.flags) + self.bias
        hidden = self.dropout(self.activation(first))
        second = torch.einsum("...gh,ghk->...gk", hidden, self.second) + self.second_bias
        return torch.flatten(self.dropout(self.activation(second)), -2)

    def _product(self, x: Tensor, weight: Tensor) -> Tensor:
        """`[..., F]`, a row of weights per feature `[F, hidden]` → `[..., groups, hidden]`."""
        place = self.get_buffer("place")
        padded = nn.functional.pad(x, (0, 1))[..., place]
        rows = nn.functional.pad(weight, (0, 0, 0, 1))[place]
        return torch.einsum("...gf,gfh->...gh", padded, rows)
