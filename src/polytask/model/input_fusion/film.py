"""Tables that modulate the image: they scale and shift every map, so that voxel tasks use the tables too."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from polytask.model.input_fusion.source_concat import SourceConcat

if TYPE_CHECKING:
    from polytask.model.network_settings import NetworkSpec


class Film(nn.Module):
    """Tables scale and shift the image's maps (Perez, AAAI 2018); tokens side by side for pooled tasks."""

    modulates = True

    def __init__(self, sources: int, width: int):
        super().__init__()
        self.join = SourceConcat(sources, width)

    def forward(self, tokens: Tensor, known: Tensor) -> tuple[Tensor, Tensor | None]:
        """Join the tokens of pooled tasks as `SourceFusion` says, without weights."""
        joined: tuple[Tensor, Tensor | None] = self.join(tokens, known)
        return joined


class Modulation(nn.Module):
    """Scale and shift of a task's pyramid by the tables: γ and β start near 0, and are 0 without any table.

    The finest map stays as it is: full-resolution tensors take most of the time, and what a table says (age, stage) is
    not about single voxels. A pyramid of one level is modulated there.
    """

    def __init__(self, tables: int, width: int, channels: Sequence[int], levels: Sequence[int]):
        super().__init__()
        self.levels = [level for level in levels if level > 0] or list(levels)
        self.channels = [channels[level] for level in self.levels]
        self.layer = nn.Linear(tables * width, 2 * sum(self.channels), bias=False)
        nn.init.normal_(self.layer.weight, std=0.02)

    def forward(self, pyramid: Sequence[Tensor | None], tokens: Tensor, known: Tensor) -> list[Tensor | None]:
        """Modulate maps `[N, C, *space]` by tokens `[N, S, width]`, known `[N, S]`."""
        known_tokens = torch.where(known[..., None], tokens, 0.0).flatten(1)
        parts = self.layer(known_tokens).split([c for c in self.channels for _ in range(2)], 1)
        maps_by_level = list(pyramid)
        for index, level in enumerate(self.levels):
            maps = maps_by_level[level]
            assert maps is not None
            shape = (*maps.shape[:2], *[1] * (maps.dim() - 2))
            scale, shift = (p.reshape(shape).to(maps.dtype) for p in parts[2 * index : 2 * index + 2])
            maps_by_level[level] = torch.addcmul(maps + shift, maps, scale)
        return maps_by_level


def make_modulations(
    spec: NetworkSpec, levels: Mapping[tuple[str, str], Collection[int]]
) -> dict[str, Modulation]:
    """Make a modulation for every task and image, named `TASK IMAGE`, from the levels that the task reads there."""
    return {
        f"{task} {image}": Modulation(
            len(spec.tables), spec.embedding, spec.images[image].widths, sorted(own)
        )
        for (task, image), own in levels.items()
    }
