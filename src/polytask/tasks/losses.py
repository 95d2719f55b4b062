"""What the criteria share: full precision, a loss per item, smaller targets for deep supervision."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from polytask.tasks.target import Target
from polytask.tasks.task import device_of


def full_precision(output: Tensor | Sequence[Tensor]) -> torch.autocast:
    """Losses run in float32 whatever autocast does around them."""
    return torch.autocast(device_of(output).type, enabled=False)


def absent(output: Tensor | Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """(0, 0) without a graph: the task is not in this step."""
    return torch.zeros((), device=device_of(output)), torch.zeros((), device=device_of(output))


class ItemCriterion(nn.Module):
    """Mean over known items of `loss(output [n, outputs], value [n]) → [n]`, divided by `constant`."""

    def __init__(self, loss: Callable[[Tensor, Tensor], Tensor], constant: float) -> None:
        super().__init__()
        self.loss, self.constant = loss, constant

    def count(self, target: Target, subjects: Sequence[str]) -> Tensor:
        """Known items."""
        return target.known.sum().float()

    def forward(self, output: Tensor, target: Target, subjects: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Items whose value is unknown are left out before anything is computed."""
        known = target.known.bool()
        if not bool(known.any()):
            return absent(output)
        with full_precision(output):
            terms = self.loss(output[known].float(), target.value[known])
            return terms.sum() / self.constant, self.count(target, subjects)

    def update(self) -> None:
        """No state."""


def level_weights(levels: int) -> list[float]:
    """1, ½, ¼, … from the finest level down, summing to 1."""
    raw = [0.5**i for i in range(levels)]
    return [w / sum(raw) for w in raw]


def levels_of(output: Any) -> list[Tensor]:
    """Outputs of a voxel head, finest first, whether or not there is deep supervision."""
    return [output] if isinstance(output, Tensor) else list(output)


def shrink(x: Tensor, space: Sequence[int]) -> Tensor:
    """Nearest voxels of the last axes of `x` on a smaller grid: values are picked, never mixed, so NaN stays put."""
    for i, size in enumerate(space):
        axis = x.ndim - len(space) + i
        full = x.shape[axis]
        if size != full:
            x = x.index_select(axis, torch.arange(size, device=x.device) * full // size)
    return x
