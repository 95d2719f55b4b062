"""View a stored array through a window: voxels are copied where they only move, interpolated where they are warped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from polytask.prepare.geometry_draw import GeometryDraw
from polytask.prepare.warp_window import WarpWindow

WindowBlock = tuple[slice, ...]


class ViewWindow(Protocol):
    """A window of `size` voxels onto an array, under the geometry of a subject. Places outside the array become 0.

    Only the part `block` of the array is read, so that a small window of a large memory map stays cheap.
    """

    block: WindowBlock
    inside: Tensor
    """bool `[*size]`: which voxels of the window lie inside the array."""

    def linear(self, values: Tensor) -> Tensor:
        """View an image: float `[C, *block]` → `[C, *size]`, interpolated where needed."""

    def nearest(self, values: Tensor) -> Tensor:
        """View labels: any type `[C, *block]` → `[C, *size]`, with values of the nearest voxels."""


def find_centered_start(shape: Sequence[int], size: Sequence[int]) -> tuple[int, ...]:
    """Find the first voxel of a window of `size` in the middle of `shape`; negative where the window is larger."""
    return tuple((n - s) // 2 if n >= s else -((s - n) // 2) for n, s in zip(shape, size, strict=True))


def make_view_window(
    geometry: GeometryDraw,
    shape: Sequence[int],
    spacing: Sequence[float],
    size: Sequence[int],
    center: Sequence[int] | None,
) -> ViewWindow:
    """Make the window onto an array of `shape`.

    Args:
        geometry: of the subject; with flips only, voxels are copied.
        spacing: voxel edges in mm.
        size: voxels of the window.
        center: the source voxel in the middle of the window (None: the middle of the image). A center too near the
            border is moved inward until the window lies within the image.
    """
    lower = find_centered_start(shape, size)
    middle = None if center is None else _move_inside(center, size, shape)
    if geometry.plain:
        if middle is not None:
            # The center is a voxel of the stored array; a flip takes index m to n - 1 - m.
            turned = [n - 1 - m if f else m for m, n, f in zip(middle, shape, geometry.flips, strict=True)]
            lower = tuple(
                min(max(m - s // 2, 0), n - s) if n > s else lo
                for m, s, n, lo in zip(turned, size, shape, lower, strict=True)
            )
        return CopyWindow(lower, size, shape, geometry.flips)
    edge = np.asarray(spacing, np.float64)
    half = (np.asarray(shape) - 1) / 2
    if middle is None:
        origin = (np.asarray(lower) - half) * edge
    else:
        origin = geometry.find_place_of((np.asarray(middle) - half) * edge) - (np.asarray(size) // 2) * edge
    return WarpWindow(geometry, origin, edge, size, shape)


def _move_inside(center: Sequence[int], size: Sequence[int], shape: Sequence[int]) -> tuple[int, ...]:
    """Move a center inward until a window of `size` around it lies within `shape`; the middle where it is larger."""
    return tuple(
        min(max(c, s // 2), n - s + s // 2) if n > s else n // 2
        for c, s, n in zip(center, size, shape, strict=True)
    )


class CopyWindow:
    """A window that copies voxels exactly: slices, flips and zero padding."""

    def __init__(
        self, lower: Sequence[int], size: Sequence[int], shape: Sequence[int], flips: Sequence[bool]
    ):
        self.size = tuple(size)
        block, place = [], []
        for lo, s, n, flip in zip(lower, size, shape, flips, strict=True):
            first, last = max(lo, 0), max(min(lo + s, n), max(lo, 0))
            # `first` and `last` count in the flipped array; the block is read from the stored one.
            block.append(slice(n - last, n - first) if flip else slice(first, last))
            place.append(slice(first - lo, last - lo))
        self.block: WindowBlock = tuple(block)
        self.place = tuple(place)
        self.turned = [axis - len(flips) for axis, flip in enumerate(flips) if flip]
        self.inside = torch.zeros(self.size, dtype=torch.bool)
        self.inside[self.place] = True

    def linear(self, values: Tensor) -> Tensor:
        """View an image or labels (here the same); see `ViewWindow`."""
        turned = values.flip(self.turned) if self.turned else values
        if tuple(turned.shape[1:]) == self.size:
            return turned
        out = values.new_zeros((values.shape[0], *self.size))
        out[(slice(None), *self.place)] = turned
        return out

    nearest = linear
