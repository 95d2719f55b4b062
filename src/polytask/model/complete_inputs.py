"""Inputs without anything missing, from plain tensors, to measure networks and to export them; rows of known visits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from polytask.model.network_inputs import NetworkInputs


@dataclass(frozen=True)
class CompleteInputs:
    """Network inputs in which all visits and all image channels are present.

    Args:
        whole: per image input `[B, V, C, *space]`, every visit known.
        tables: per table input `[B, V, F]`; a cell that is not known is NaN.
        day: `[B, V]`, days since the first visit.
    """

    whole: dict[str, Tensor]
    tables: dict[str, Tensor]
    day: Tensor
    patch: dict[str, Tensor] = field(default_factory=dict)
    bags: dict[str, Tensor] = field(default_factory=dict)
    bag_known: dict[str, Tensor] = field(default_factory=dict)

    @property
    def visit_known(self) -> Tensor:
        """Which visits are known: `[B, V]`, all true."""
        return torch.ones_like(self.day, dtype=torch.bool)

    @property
    def channel_known(self) -> dict[str, Tensor]:
        """Which images are known: per image input `[B, V, 1]`, all true."""
        return dict.fromkeys(self.whole, self.visit_known[..., None])

    @property
    def table_known(self) -> dict[str, Tensor]:
        """Which cells are known: per table input `[B, V, F]`, false where a cell is NaN."""
        return {name: ~values.isnan() for name, values in self.tables.items()}


def select_known_rows(inputs: NetworkInputs) -> Tensor | slice:
    """Select which of the `B·V` visit slots are known: a mask, or a slice of everything for `CompleteInputs`.

    The slice is the same for every input. So the network has one graph, which can be exported, and nothing is copied.
    """
    return slice(None) if isinstance(inputs, CompleteInputs) else inputs.visit_known.flatten()


def restore_visits(maps: Tensor, present: Tensor | slice, shape: Sequence[int]) -> Tensor:
    """Put `[N, C, *space]` of the known visits back to `[B, V, C, *space]`, zero where a visit is not known."""
    if isinstance(present, slice) or bool(present.all()):
        return maps.reshape(*shape, *maps.shape[1:])
    full = maps.new_zeros((present.numel(), *maps.shape[1:]))
    return full.index_put((present.nonzero()[:, 0],), maps).reshape(*shape, *maps.shape[1:])
