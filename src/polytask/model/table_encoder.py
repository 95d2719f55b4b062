"""The table encoder: clinical or molecular columns become one token per visit."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import torch
from torch import Tensor, nn

MIN_HIDDEN_UNITS, MAX_HIDDEN_UNITS = 8, 32
"""Fewest and most hidden units for one group of columns."""


class TableEncoder(nn.Module):
    """Self-normalizing layers (Klambauer, NeurIPS 2017) over values and their known flags.

    `[B, V, F], [B, V, F] → [B, V, width]`; an unknown cell is 0 with flag 0. SELU and weights of variance 1/inputs keep
    activations near mean 0 and variance 1 without a norm, so that no case of a batch sees another. A category comes as
    one feature per value. The first layer multiplies it by a matrix, which equals looking up a learned vector per value
    (an embedding); unknown values have vectors of their own through the flags.

    Args:
        groups: number of features of each group, in their order. One group: two layers over all columns. Several
            groups: two small layers per group that see no other group (`GroupedLayers`), then one layer over all. So a
            thousand molecular columns do not drown a dozen others, and a column costs 8 to 32 weights instead of
            `width`.
        dropout: AlphaDropout after each activation, which keeps mean and variance as they are.
    """

    def __init__(self, groups: int | Sequence[int], width: int, dropout: float = 0.0):
        super().__init__()
        sizes = [groups] if isinstance(groups, int) else [size for size in groups if size > 0]
        self.empty = not sum(sizes)
        drop = [nn.AlphaDropout(dropout)] if dropout else []
        layers: list[nn.Module] = []
        if len(sizes) > 1:
            self.groups: GroupedLayers | None = GroupedLayers(sizes, width, dropout)
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
        """Encode values and flags; the shapes are those of the class."""
        flags, seen = known.to(values.dtype), torch.where(known, values, 0.0)
        if self.empty:
            flags = seen = values.new_zeros((*values.shape[:-1], 1))
        if self.groups is not None:
            token: Tensor = self.layers(self.groups(seen, flags))
        else:
            token = self.layers(torch.cat([seen, flags], dim=-1))
        return token


class GroupedLayers(nn.Module):
    """A small self-normalizing MLP per group of features, all in one batched product.

    `[..., F], [..., F] → [..., groups × hidden]`. Groups of unequal size are padded for the product only. There is one
    row of weights per feature and one per flag; a padded position reads a row of zeros that is no parameter.
    """

    def __init__(self, sizes: Sequence[int], width: int, dropout: float = 0.0):
        super().__init__()
        features, count = sum(sizes), len(sizes)
        hidden = min(MAX_HIDDEN_UNITS, max(MIN_HIDDEN_UNITS, 2 * width // count))
        self.outputs = count * hidden
        place = torch.full((count, max(sizes)), features)
        for group, size in enumerate(sizes):
            start = sum(sizes[:group])
            place[group, :size] = torch.arange(start, start + size)
        # Made from the sizes, not learned: not part of the weights.
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
        """Run the small networks of all groups; the shapes are those of the class. `values` are 0 where `flags` are."""
        first = (
            self._multiply_by_group(values, self.values)
            + self._multiply_by_group(flags, self.flags)
            + self.bias
        )
        hidden = self.dropout(self.activation(first))
        second = torch.einsum("...gh,ghk->...gk", hidden, self.second) + self.second_bias
        return torch.flatten(self.dropout(self.activation(second)), -2)

    def _multiply_by_group(self, x: Tensor, weight: Tensor) -> Tensor:
        """Multiply `[..., F]` by a row of weights per feature `[F, hidden]` → `[..., groups, hidden]`."""
        place = self.get_buffer("place")
        padded = nn.functional.pad(x, (0, 1))[..., place]
        rows = nn.functional.pad(weight, (0, 0, 0, 1))[place]
        return torch.einsum("...gf,gfh->...gh", padded, rows)
