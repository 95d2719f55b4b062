"""Makes the convolutions of which every network is built, the same in 2D and 3D, and lets layers start small."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import nn

from polytask.tasks.heads_and_losses import Pointwise

CONVOLUTIONS: dict[int, Callable[..., nn.Module]] = {2: nn.Conv2d, 3: nn.Conv3d}


def make_convolution(
    dims: int, inputs: int, outputs: int, stride: Sequence[int] | int = 1, kernel: Sequence[int] | None = None
) -> nn.Module:
    """Make a convolution that keeps the size (divided by `stride`, rounded up): 3×3(×3), or of another odd `kernel`.
    It has no bias: a norm follows."""
    step = stride if isinstance(stride, int) else tuple(stride)
    taps = (3,) * dims if kernel is None else tuple(kernel)
    return CONVOLUTIONS[dims](inputs, outputs, taps, step, padding=tuple(k // 2 for k in taps), bias=False)


def shrink_initial_weights(layer: Pointwise | nn.Linear, factor: float) -> None:
    """Let a layer start with small weights. At zero it would stop the gradient of everything before it."""
    layer.weight.data.mul_(factor)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
