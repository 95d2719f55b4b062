"""Draw and apply random changes of an image's intensity: noise, blur, brightness, contrast, gamma, low resolution.

The arithmetic in torch is elementwise and sums go through numpy, so results do not depend on the number of threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from polytask.plan.plan_schema import AugmentationPlan
from polytask.prepare.geometry_draw import interpolate_lattice


@dataclass(frozen=True)
class IntensityDraw:
    """The drawn changes of one image, the same for all its views.

    Args:
        noise: standard deviation of added noise; 0 = none.
        blur: standard deviation of a Gaussian, in voxels; 0 = none.
        brightness, contrast, gamma: one factor per channel; 1 = unchanged.
        resolution: share of the voxels that is kept along each axis; 1 = all.
    """

    noise: float
    blur: float
    brightness: tuple[float, ...]
    contrast: tuple[float, ...]
    gamma: tuple[float, ...]
    resolution: float


def draw_intensity(random: np.random.Generator, strength: AugmentationPlan, channels: int) -> IntensityDraw:
    """Draw the changes of one image: each operation with the plan's probability, with a strength up to the plan's."""
    chance = random.random(6) < strength.probability
    unit = random.random(3)
    factors = random.uniform(-1, 1, (3, channels))

    def factor(row: int, limit: float) -> tuple[float, ...]:
        spread = factors[row] * np.log1p(limit) if chance[2 + row] and limit > 0 else np.zeros(channels)
        return tuple(float(f) for f in np.exp(spread))

    return IntensityDraw(
        noise=float(unit[0] * strength.noise) if chance[0] else 0.0,
        blur=float(unit[1] * strength.blur) if chance[1] else 0.0,
        brightness=factor(0, strength.brightness),
        contrast=factor(1, strength.contrast),
        gamma=factor(2, strength.gamma),
        resolution=1 - float(unit[2] * (1 - strength.low_resolution))
        if chance[5] and strength.low_resolution
        else 1.0,
    )


def drop_channels(random: np.random.Generator, known: Sequence[bool], probability: float) -> tuple[bool, ...]:
    """Drop each known channel with `probability`, but never the last one. Returns which channels stay known."""
    chances, keep = random.random(len(known)), int(random.integers(max(1, sum(known))))
    # The channel that would be kept is drawn even when it is not needed: later draws must not depend on it.
    left = [k and c >= probability for k, c in zip(known, chances, strict=True)]
    if any(known) and not any(left):
        left[[i for i, k in enumerate(known) if k][keep]] = True
    return tuple(bool(v) for v in left)


def apply_intensity(
    image: Tensor, drawn: IntensityDraw, channel_of: Sequence[int], noise: torch.Generator
) -> Tensor:
    """Change `image [planes, *space]` as drawn, in place where possible.

    Args:
        image: normalized planes.
        drawn: the changes.
        channel_of: the channel of each plane.
        noise: generator of the noise voxels.
    """
    if drawn.resolution < 1:
        image = _lower_resolution(image, drawn.resolution)
    if drawn.blur > 0:
        image = blur_image(image, drawn.blur)
    for plane, channel in zip(image, channel_of, strict=True):
        bright, contrast, gamma = drawn.brightness[channel], drawn.contrast[channel], drawn.gamma[channel]
        if gamma != 1:
            _apply_gamma(plane, gamma)
        if contrast != 1:
            mean = float(plane.numpy().mean(dtype=np.float64))
            plane.mul_(contrast * bright).add_(mean * (1 - contrast) * bright)
        elif bright != 1:
            plane.mul_(bright)
    # Noise comes last, so that blur, gamma and contrast do not change its strength.
    if drawn.noise > 0:
        image.add_(torch.randn(image.shape, generator=noise), alpha=drawn.noise)
    return image


def blur_image(image: Tensor, sigma: float) -> Tensor:
    """Blur with a Gaussian of `sigma` voxels, in place.

    Neighbors exchange at most a quarter of their difference at a time, as often as the width asks for.
    """
    times = max(1, int(np.ceil(sigma**2 / 0.5)))
    # Each pass adds a variance of 2 · weight along an axis, so all passes together add sigma².
    weight = sigma**2 / (2 * times)
    for _ in range(times):
        for axis in range(1, image.dim()):
            n = image.shape[axis]
            if n < 2:
                continue
            step = (image.narrow(axis, 1, n - 1) - image.narrow(axis, 0, n - 1)).mul_(weight)
            image.narrow(axis, 0, n - 1).add_(step)
            image.narrow(axis, 1, n - 1).sub_(step)
    return image


def _apply_gamma(plane: Tensor, gamma: float) -> None:
    """Apply a power law between the plane's own darkest and brightest value, in place."""
    low, high = (float(v) for v in torch.aminmax(plane))
    if high - low > 1e-6:
        plane.sub_(low).mul_(1 / (high - low)).clamp_(0, 1).pow_(gamma).mul_(high - low).add_(low)


def _lower_resolution(image: Tensor, share: float) -> Tensor:
    """Lower the resolution: keep this share of the voxels (nearest), then interpolate back to the old size (linear)."""
    size = image.shape[1:]
    small = [max(1, round(n * share)) for n in size]
    coarse = interpolate(image[None], small, mode="nearest")[0]
    return interpolate_lattice(
        coarse, [(np.arange(n) + 0.5) * s / n - 0.5 for n, s in zip(size, small, strict=True)]
    )
