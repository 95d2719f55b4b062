"""The target of a task in a batch: its values, and which of them are known."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Target:
    """Values and which of them are known. Where `known` (or `region`) is False the value is never read.

    N is the number of items (the visits or subjects of a batch, flattened), K the number of structures or labels.

    | kind | value | known | region |
    |---|---|---|---|
    | classification, ordinal | long `[N]` | bool `[N]` | – |
    | regression | float `[N]` | bool `[N]` | – |
    | multilabel | float `[N, K]` | bool `[N, K]` | – |
    | survival | float `[N, 2]` (time, event) | bool `[N]` | – |
    | segmentation, exclusive | uint8 `[N, *space]` (0 = background, 1..K) | bool `[N, K]` | bool `[N, *space]` |
    | segmentation, overlapping | uint8 `[N, K, *space]` | bool `[N, K]` | bool `[N, *space]` |
    | dose | float `[N, *space]` | bool `[N, 1]` | bool `[N, *space]` |

    In a batch the first axes are `[B]` (subject level), `[B, V]` (visit level) or `[B, V(, P)]` (voxel level).
    `structures`, bool `[N, S, *space]`, is given with a dose whose loss compares dose-volume histograms; a structure
    that is empty or unknown in an item is skipped.
    """

    value: Tensor
    known: Tensor
    region: Tensor | None = None
    structures: Tensor | None = None

    def to(self, device: torch.device) -> Target:
        """Copy all tensors to another device."""

        def move(x: Tensor | None) -> Tensor | None:
            return None if x is None else x.to(device, non_blocking=True)

        return Target(
            self.value.to(device, non_blocking=True),
            self.known.to(device, non_blocking=True),
            move(self.region),
            move(self.structures),
        )
