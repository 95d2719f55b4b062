"""What is asked of a sample, and how much of it is known."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Target:
    """A value and what is known of it. Where `known` (or `region`) is 0 the value is never read.

    Legend: N items (a batch's visits or subjects, flattened), K structures or labels.

    | kind | value | known | region |
    |---|---|---|---|
    | classification, ordinal | long `[N]` | bool `[N]` | – |
    | regression | float `[N]` | bool `[N]` | – |
    | multilabel | float `[N, K]` | bool `[N, K]` | – |
    | survival | float `[N, 2]` (time, event) | bool `[N]` | – |
    | segmentation, exclusive | uint8 `[N, *space]` (0 = background, 1..K) | bool `[N, K]` | bool `[N, *space]` |
    | segmentation, overlapping | uint8 `[N, K, *space]` | bool `[N, K]` | bool `[N, *space]` |
    | dose | float `[N, *space]` | bool `[N, 1]` | bool `[N, *space]` |

    In a batch the first axis is `[B]` (subject), `[B, V]` (visit) or `[B, V(, P)]` (voxel).
    `structures`, bool `[N, S, *space]`, stands beside a dose whose loss looks at dose-volume histograms; a structure
    that is empty (or unknown) in an item is skipped there.
    """

    value: Tensor
    known: Tensor
    region: Tensor | None = None
    structures: Tensor | None = None

    def to(self, device: torch.device) -> Target:
        """The same on another device."""

        def move(x: Tensor | None) -> Tensor | None:
            return None if x is None else x.to(device, non_blocking=True)

        return Target(
            self.value.to(device, non_blocking=True),
            self.known.to(device, non_blocking=True),
            move(self.region),
            move(self.structures),
        )
