"""View an array through an affine and elastic transformation: its coordinates serve image, masks and regions alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from polytask.array_types import Floats
from polytask.prepare.geometry_draw import GeometryDraw
from polytask.prepare.lattice_interpolation import interpolate_lattice

MAX_EXACT_FLOAT32 = 2**24
"""Largest number up to which all whole numbers are exact in float32."""


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
