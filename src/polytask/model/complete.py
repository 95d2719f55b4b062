"""Inputs of which nothing is missing, from plain tensors: to measure and to export networks."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from polytask.model.inputs import Inputs


@dataclass(frozen=True)
class Complete:
    """An `Inputs` whose visits and image channels are all there.

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
        """`[B, V]`, all true."""
        return torch.ones_like(self.day, dtype=torch.bool)

    @property
    def channel_known(self) -> dict[str, Tensor]:
        """Per image input `[B, V, 1]`, all true."""
        return dict.fromkeys(self.whole, self.visit_known[..., None])

    @property
    def table_known(self) -> dict[str, Tensor]:
        """Per table input `[B, V, F]`, false where a cell is NaN."""
        return {name: ~values.isnan() for name, values in self.tables.items()}


def known_rows(inputs: Inputs) -> Tensor | slice:
    """Which of the `B·V` visit slots are there: a mask, or for `Complete` inputs everything, as a slice.

    A slice is the same for every input, so that the network has one graph: it can be exported, and copies nothing.
    """
    return slice(None) if isinstance(inputs, Complete) else inputs.visit_known.flatten()
