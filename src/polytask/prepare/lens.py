"""Looking at a stored array through a window: copied where voxels only move, interpolated where they are warped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from polytask.prepare.geometry import Geometry
from polytask.prepare.warp import Warp

Block = tuple[slice, ...]


class Lens(Protocol):
    """A window of `size` voxels onto an array, of which it needs only `block`. Outside the array all is 0."""

    block: Block
    inside: Tensor
    """bool `[*size]`: inside the array."""

    def linear(self, values: Tensor) -> Tensor:
        """float `[C, *block]` → `[C, *size]`."""

    def nearest(self, values: Tensor) -> Tensor:
        """Any type `[C, *block]` → `[C, *size]`."""


def centred(shape: Sequence[int], size: Sequence[int]) -> tuple[int, ...]:
    """First voxel of the window of `size` in the middle of `shape`; negative where the window is larger."""
    return tuple((n - s) // 2 if n >= s else -((s - n) // 2) for n, s in zip(shape, size, strict=True))


def lens_on(
    geometry: Geometry,
    shape: Sequence[int],
    spacing: Sequence[float],
    size: Sequence[int],
    centre: Sequence[int] | None,
) -> Lens:
    """The lens onto an array of `shape`, around the source voxel `centre` (None: the middle of the image).

    A centre too near the border is moved inwards until the window lies within the image.
    """
    lower = centred(shape, size)
    middle = None if centre is None else _moved_in(centre, size, shape)
    if geometry.plain:
        if middle is not None:
            turned = [n - 1 - m if f else m for m, n, f in zip(middle, shape, geometry.flips, strict=True)]
            lower = tuple(
                min(max(m - s // 2, 0), n - s) if n > s else lo
                for m, s, n, lo in zip(turned, size, shape, lower, strict=True)
            )
        return Copy(lower, size, shape, geometry.flips)
    edge = np.asarray(spacing, np.float64)
    half = (np.asarray(shape) - 1) / 2
    if middle is None:
        origin = (np.asarray(lower) - half) * edge
    else:
        origin = geometry.back((np.asarray(middle) - half) * edge) - (np.asarray(size) // 2) * edge
    return Warp(geometry, origin, edge, size, shape)


def _moved_in(centre: Sequence[int], size: Sequence[int], shape: Sequence[int]) -> tuple[int, ...]:
    return tuple(
        min(max(c, s // 2), n - s + s // 2) if n > s else n // 2
        for c, s, n in zip(centre, size, shape, strict=True)
    )


class Copy:
    """Slices, flips and zero padding: exact."""

    def __init__(
        self, lower: Sequence[int], size: Sequence[int], shape: Sequence[int], flips: Sequence[bool]
    ):
        self.size = tuple(size)
        block, place = [], []
        for lo, s, n, flip in zip(lower, size, shape, flips, strict=True):
            first, last = max(lo, 0), max(min(lo + s, n), max(lo, 0))
            block.append(slice(n - last, n - first) if flip else slice(first, last))
            place.append(slice(first - lo, last - lo))
        self.block: Block = tuple(block)
        self.place = tuple(place)
        self.turned = [axis - len(flips) for axis, flip in enumerate(flips) if flip]
        self.inside = torch.zeros(self.size, dtype=torch.bool)
        self.inside[self.place] = True

    def linear(self, values: Tensor) -> Tensor:
        """See `Lens`."""
        turned = values.flip(self.turned) if self.turned else values
        if tuple(turned.shape[1:]) == self.size:
            return turned
        out = values.new_zeros((values.shape[0], *self.size))
        out[(slice(None), *self.place)] = turned
        return out

    nearest = linear
