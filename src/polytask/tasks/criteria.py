"""What the losses share: full precision, a loss per item, smaller targets for deep supervision."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from polytask.tasks.target import Target


def disable_autocast(output: Tensor | Sequence[Tensor]) -> torch.autocast:
    """Switch autocast off inside a `with` block: losses run in float32, even if the network runs in bf16."""
    return torch.autocast(find_output_device(output).type, enabled=False)


def make_absent_loss(output: Tensor | Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Make the result (0, 0), without gradient, for a task that is absent from this step."""
    return torch.zeros((), device=find_output_device(output)), torch.zeros(
        (), device=find_output_device(output)
    )


class ItemCriterion(nn.Module):
    """The mean over known items of `loss(output [n, outputs], value [n]) → [n]`, divided by `constant`."""

    def __init__(self, loss: Callable[[Tensor, Tensor], Tensor], constant: float) -> None:
        super().__init__()
        self.loss, self.constant = loss, constant

    def count(self, target: Target, subjects: Sequence[str]) -> Tensor:
        """Count the items whose value is known."""
        return target.known.sum().float()

    def forward(self, output: Tensor, target: Target, subjects: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Compute (sum, count) of the loss from `output [N, outputs]`; only known items take part."""
        known = target.known.bool()
        if not bool(known.any()):
            return make_absent_loss(output)
        with disable_autocast(output):
            # Selected before the loss, not masked after it: an unknown value may be anything, and NaN · 0 is NaN.
            terms = self.loss(output[known].float(), target.value[known])
            return terms.sum() / self.constant, self.count(target, subjects)

    def update(self) -> None:
        """Do nothing: this loss has no state."""


def compute_level_weights(levels: int) -> list[float]:
    """Compute the weights of the levels in deep supervision: 1, ½, ¼, … from the finest down, scaled to the sum 1."""
    raw = [0.5**i for i in range(levels)]
    return [w / sum(raw) for w in raw]


def list_output_levels(output: Any) -> list[Tensor]:
    """List the outputs of a voxel head, finest first; a single output without deep supervision becomes a list."""
    return [output] if isinstance(output, Tensor) else list(output)


def shrink_to_grid(x: Tensor, space: Sequence[int]) -> Tensor:
    """Shrink the last axes of `x` to a smaller grid by picking voxels. Values are never mixed: NaN does not spread."""
    for i, size in enumerate(space):
        axis = x.ndim - len(space) + i
        full = x.shape[axis]
        if size != full:
            x = x.index_select(axis, torch.arange(size, device=x.device) * full // size)
    return x


def find_output_device(output: Tensor | Sequence[Tensor]) -> torch.device:
    """Find the device on which an output lies."""
    return output.device if isinstance(output, Tensor) else output[0].device
