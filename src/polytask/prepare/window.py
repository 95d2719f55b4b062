"""View a stored array through a window: voxels are copied where they only move, interpolated where they are warped."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import grid_sample, pad

from polytask.array_types import Floats
from polytask.plan.plan_schema import ImagePlan
from polytask.plan.rules.topology import pad_to_strides
from polytask.prepare.geometry_draw import GeometryDraw, interpolate_lattice

WindowBlock = tuple[slice, ...]
MAX_EXACT_FLOAT32 = 2**24
"""Largest number up to which all whole numbers are exact in float32."""


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


def find_view_frame(plan: ImagePlan, shapes: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """Find the size of the whole views of one sample: the plan's view, or no more than its images need of it.

    It depends on the sample alone, so that a prediction is the same whichever samples stand beside it; all visits of a
    sample have one size.

    Args:
        plan: of the image input.
        shapes: sizes of the sample's images, at the spacing of the view.
    """
    assert plan.view is not None
    if plan.padding is None:
        return plan.view
    total = [prod(stride[axis] for stride in plan.strides) for axis in range(plan.dims)]
    largest = [max(column) for column in zip([1] * plan.dims, *shapes, strict=True)]
    return tuple(map(min, pad_to_strides(largest, total), plan.view))


def pad_around(array: Tensor, size: Sequence[int]) -> Tensor:
    """Pad the last axes of an array with zeros to `size`, so that what it holds stays in the middle."""
    gaps = [n - s for n, s in zip(size, array.shape[-len(size) :], strict=True)]
    return pad(array, [v for gap in reversed(gaps) for v in (gap // 2, gap - gap // 2)])


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


class WarpWindow:
    """A window that interpolates: `size` voxels onto an array of `shape`; see `ViewWindow`.

    Args:
        geometry: says where voxels come from.
        origin: position of the window's first voxel, in mm from the middle of the image.
        edge: voxel size in mm.
    """

    def __init__(
        self, geometry: GeometryDraw, origin: Floats, edge: Floats, size: Sequence[int], shape: Sequence[int]
    ):
        self.size = tuple(size)
        places = [origin[a] + np.arange(s) * edge[a] for a, s in enumerate(size)]
        coordinates = map_window_coordinates(geometry, places, edge, shape)
        inside = None
        block = []
        for values, n in zip(coordinates, shape, strict=True):
            low, high = (float(v) for v in torch.aminmax(values))
            first = min(max(int(np.floor(low)), 0), n - 1)
            block.append(slice(first, max(first + 1, min(int(np.ceil(high)) + 1, n))))
            # Voxel 0 reaches from -0.5 to 0.5. No mask is made where the whole window lies inside.
            if low < -0.5 or high > n - 0.5:
                here = (values - (n - 1) / 2).abs_() <= n / 2
                inside = here if inside is None else inside.logical_and_(here)
            # From here on, coordinates count from the beginning of the block.
            if first:
                values.sub_(first)
        self.all_inside = inside is None
        self.inside = torch.ones(self.size, dtype=torch.bool) if inside is None else inside
        self.block = tuple(block)
        self._lengths = [b.stop - b.start for b in block]
        self._coordinates = coordinates
        self._places: tuple[Tensor, Tensor, Tensor] | None = None
        self._index: Tensor | None = None

    def linear(self, values: Tensor) -> Tensor:
        """View an image; see `ViewWindow`.

        In 3D the slices are stacked in one plane, which is sampled twice, and the two results are interpolated: torch's
        2D sampler is vectorized, its 3D sampler is not.
        """
        sampled = self._bilinear(values) if len(self.size) == 2 else self._trilinear(values)
        return sampled if self.all_inside else sampled.mul_(self.inside)

    def nearest(self, values: Tensor) -> Tensor:
        """View labels with the values of the nearest voxels; see `ViewWindow`."""
        if self._index is None:
            # The flat index is computed in floats, so they must hold every index exactly.
            exact = torch.float32 if np.prod(self._lengths) <= MAX_EXACT_FLOAT32 else torch.float64
            index: Tensor | None = None
            for axis, n in enumerate(self._lengths):
                at = torch.round(self._coordinates[axis].to(exact)).clamp_(0, n - 1)
                index = at if index is None else index.mul_(n).add_(at)
            assert index is not None
            self._index = index.to(torch.int32 if exact == torch.float32 else torch.int64).flatten()
        planes = [torch.index_select(plane, 0, self._index) for plane in values.flatten(1)]
        out = (planes[0][None] if len(planes) == 1 else torch.stack(planes)).view(-1, *self.size)
        return out if self.all_inside else out.mul_(self.inside)

    def _bilinear(self, values: Tensor) -> Tensor:
        """Interpolate `[C, rows, columns]` at the coordinates → `[C, *size]`."""
        rows, columns = self._lengths
        grid = torch.stack(
            [_to_sampler_units(self._coordinates[1], columns), _to_sampler_units(self._coordinates[0], rows)],
            dim=-1,
        )
        return _sample_bilinear(values, grid)

    def _trilinear(self, values: Tensor) -> Tensor:
        """Interpolate `[C, slices, rows, columns]` at the coordinates → `[C, *size]`."""
        depth, height, width = self._lengths
        rows = depth * height
        flat = values.reshape(-1, rows, width)
        if self._places is None:
            slice_, height_at, column = self._coordinates
            step = slice_.clamp(0, depth - 1)
            first = torch.floor(step).clamp_(max=max(depth - 2, 0))
            step.sub_(first)
            # Clamped to its own slice first, so that sampling never mixes rows of two slices.
            row = height_at.clamp(0, height - 1).add_(first, alpha=height)
            self._places = (step, _to_sampler_units(row, rows), _to_sampler_units(column, width))
        step, row, column = self._places
        grid = torch.empty((2, *self.size))
        grid[0], grid[1] = column, row
        look = grid.flatten(1, 2).movedim(0, -1)
        near = _sample_bilinear(flat, look)
        if depth > 1:
            # The same places one slice further on: `height` rows, in the sampler's units of 2 / (rows - 1).
            grid[1].add_(2 * height / max(rows - 1, 1))
            near.lerp_(_sample_bilinear(flat, look), step.flatten(0, 1))
        return near.view(-1, *self.size)


def _to_sampler_units(places: Tensor, length: int) -> Tensor:
    """Convert voxels 0 … length − 1 to −1 … 1, the units of `grid_sample`."""
    return places.mul(2 / max(length - 1, 1)).sub_(1)


def _sample_bilinear(values: Tensor, grid: Tensor) -> Tensor:
    """Sample `[C, rows, columns]` at `[h, w, (column, row)]` → `[C, h, w]`; beyond the border its value is repeated."""
    return grid_sample(values[None], grid[None], mode="bilinear", padding_mode="border", align_corners=True)[
        0
    ]


def map_window_coordinates(
    geometry: GeometryDraw, places: Sequence[Floats], edge: Floats, shape: Sequence[int]
) -> Tensor:
    """Compute the source position, in voxels, of every voxel of the window: `[d, *size]`.

    Args:
        places: positions of the window's voxels along each axis, in mm from the middle of the image.
        edge: voxel size in mm.
        shape: of the source array.
    """
    dims = len(places)
    if geometry.lattice is None:
        out = torch.empty((dims, *[len(p) for p in places]))
    else:
        nodes = np.array(geometry.lattice.shape[1:]) - 1
        at = [(p / e + 0.5) * n for p, e, n in zip(places, geometry.extent, nodes, strict=True)]
        in_voxels = geometry.lattice / edge.reshape(-1, *[1] * dims).astype(np.float32)
        out = interpolate_lattice(torch.from_numpy(in_voxels), at)
    # The affine part is a sum of one line per axis, so that no array of all places in mm is needed.
    for axis in range(dims):
        parts = []
        for other, place in enumerate(places):
            line = geometry.matrix[axis, other] * place / edge[axis]
            if other == 0:
                line = line + geometry.shift[axis] / edge[axis] + (shape[axis] - 1) / 2
            form = [-1 if a == other else 1 for a in range(dims)]
            parts.append(torch.from_numpy(line.astype(np.float32)).view(form))
        rest = parts[1] if dims == 2 else parts[1] + parts[2]
        if geometry.lattice is None:
            torch.add(parts[0], rest, out=out[axis])
        else:
            out[axis].add_(parts[0] + rest)
    return out
