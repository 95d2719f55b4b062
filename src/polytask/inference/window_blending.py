"""Sliding windows: the outputs for an image that is larger than one view."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

import torch
from torch import Tensor
from torch.nn.functional import pad

from polytask.prepare.tiles import find_window_starts

WindowForward = Callable[[Tensor], dict[str, Tensor]]
"""`[N, C, *patch]` → task → `[N, K, *patch]`."""


def blend_windows(
    forward: WindowForward, image: Tensor, patch: Sequence[int], overlap: float = 0.5, batch: int = 1
) -> dict[str, Tensor]:
    """Run windows of size `patch` over `image [C, *space]` and blend them → task → `[K, *space]`, float32.

    Windows count with Gaussian weights. An image smaller than the patch is padded with zeros around and cropped back.
    """
    space = image.shape[1:]
    low = [max(0, p - s) // 2 for s, p in zip(space, patch, strict=True)]
    high = [max(0, p - s) - lo for s, p, lo in zip(space, patch, low, strict=True)]
    padded = pad(image, [v for lo, hi in zip(reversed(low), reversed(high), strict=True) for v in (lo, hi)])
    weight = make_gaussian_weights(patch, image.device)
    starts = list(
        product(*[find_window_starts(s, p, overlap) for s, p in zip(padded.shape[1:], patch, strict=True)])
    )
    sums: dict[str, Tensor] = {}
    total = torch.zeros(padded.shape[1:], device=image.device)
    for at in range(0, len(starts), batch):
        places = [
            tuple(slice(o, o + p) for o, p in zip(s, patch, strict=True)) for s in starts[at : at + batch]
        ]
        outputs = forward(torch.stack([padded[(slice(None), *place)] for place in places]))
        for task, values in outputs.items():
            if task not in sums:
                sums[task] = torch.zeros((values.shape[1], *padded.shape[1:]), device=image.device)
            for place, value in zip(places, values.float(), strict=True):
                sums[task][(slice(None), *place)] += value * weight
        for place in places:
            total[place] += weight
    inner = (slice(None), *[slice(lo, lo + s) for lo, s in zip(low, space, strict=True)])
    return {task: (value / total)[inner] for task, value in sums.items()}


def make_gaussian_weights(patch: Sequence[int], device: torch.device) -> Tensor:
    """Make the weights `[*patch]`: a Gaussian whose sigma is an eighth of the patch, never below 1/1000 of its peak."""
    weight = torch.ones((), device=device)
    for axis, size in enumerate(patch):
        x = (torch.arange(size, device=device) - (size - 1) / 2) / (size / 8)
        shape = [1] * len(patch)
        shape[axis] = size
        weight = weight * torch.exp(-0.5 * x**2).reshape(shape)
    # The total is a divisor: in the corners of a large patch the Gaussian alone would be almost 0.
    return weight.clamp(min=1e-3)
