"""The target of a task in a batch: its values, and which of them are known."""

from __future__ import annotations

from dataclasses import dataclass, field

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
    that is empty or unknown in an item is skipped. `host` is the same target in host memory, for a target on a device:
    what decides which items are computed is read there, so that nobody waits for the device.
    """

    value: Tensor
    known: Tensor
    region: Tensor | None = None
    structures: Tensor | None = None
    host: Target | None = field(default=None, kw_only=True)

    def to(self, device: torch.device, pinned: bool = False) -> Target:
        """Copy all tensors to another device, through `pinned` memory if the copy shall not hold up the host."""

        def move(x: Tensor | None) -> Tensor | None:
            return None if x is None else copy_to_device(x, device, pinned)

        return Target(
            copy_to_device(self.value, device, pinned),
            copy_to_device(self.known, device, pinned),
            move(self.region),
            move(self.structures),
            host=None if device.type == "cpu" else self.host or self,
        )


def copy_to_device(tensor: Tensor, device: torch.device, pinned: bool = False) -> Tensor:
    """Copy a tensor in host memory to a device without waiting for what runs there.

    A pinned source lets the copy run beside other work; without it the host waits until the tensor has been read.
    """
    return (tensor.pin_memory() if pinned else tensor).to(device, non_blocking=True)
