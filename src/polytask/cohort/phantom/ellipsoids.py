"""Ellipsoids on a lattice of voxels. Each shape is a formula that is evaluated only in the box that it fills."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from polytask.array_types import Mask
from polytask.images.volume import Grid

Floats = npt.NDArray[np.float32]
ByteArray = npt.NDArray[np.uint8]
Point = tuple[float, float, float]
FIELD_OF_VIEW_MM = 192.0
"""Edge length of the image in mm, for any number of voxels."""


@dataclass(frozen=True)
class Ellipsoid:
    """An ellipsoid: center and semi-axes along x (right), y (front), z (up), as shares of the field of view."""

    center: Point
    radii: Point


@dataclass(frozen=True)
class Lattice:
    """The voxels of an image in patient coordinates.

    Args:
        grid: place of the image in the world.
        axes: per array axis, the patient coordinate of each voxel along it, as a share of the field of view.
        which: per array axis, the patient axis that it follows (0 = x, 1 = y, 2 = z).
        edge: mean edge length of a voxel, as a share of the field of view.
    """

    grid: Grid
    axes: tuple[Floats, ...]
    which: tuple[int, ...]
    edge: float

    def coordinate(self, axis: int) -> Floats:
        """Return patient coordinate `axis` of every voxel, in a shape that broadcasts over the image."""
        place = self.which.index(axis)
        return _lay_along_axis(self.axes[place], place, len(self.axes))


def make_lattice(dims: int, size: int, thick: bool, shift: Point, origin: Point) -> Lattice:
    """Make a lattice with `size` voxels across the field of view.

    A 2D image is coronal: rows run down the patient, columns from the patient's right to the left. Its file places
    it in the world's x and y, as for any picture. A 3D image is an isotropic cube in RAS order or, if `thick`, in LPS
    order with slices 1.5 times as thick.

    Args:
        dims: space axes, 2 or 3.
        shift: how far the patient lies off center, as shares of the field of view.
        origin: world coordinates of the center of the field of view, in mm.
    """
    h = FIELD_OF_VIEW_MM / size
    if dims == 2:
        steps = 0.5 - (np.arange(size) + 0.5) / size
        centered = h * (size - 1) / 2
        flat = np.array(
            [[0, -h, 0, origin[0] + centered], [-h, 0, 0, origin[1] + centered], [0, 0, 1, 0], [0, 0, 0, 1]]
        )
        axes = (_to_float32(steps - shift[2]), _to_float32(steps - shift[0]))
        return Lattice(Grid((size, size), flat), axes, (2, 0), 1 / size)
    spacing = (h, h, 1.5 * h) if thick else (h, h, h)
    shape = (size, size, round(size / 1.5)) if thick else (size, size, size)
    signs = (-1, -1, 1) if thick else (1, 1, 1)
    affine, coordinates = np.eye(4), []
    for axis, (n, edge, sign) in enumerate(zip(shape, spacing, signs, strict=True)):
        affine[axis, axis] = sign * edge
        affine[axis, 3] = origin[axis] - sign * edge * (n - 1) / 2
        coordinates.append(
            _to_float32(sign * (np.arange(n) - (n - 1) / 2) * edge / FIELD_OF_VIEW_MM - shift[axis])
        )
    return Lattice(Grid(shape, affine), tuple(coordinates), (0, 1, 2), sum(spacing) / 3 / FIELD_OF_VIEW_MM)


def measure_signed_distance(
    voxel_lattice: Lattice, shape: Ellipsoid, margin: float | None = None
) -> tuple[tuple[slice, ...], Floats]:
    """Measure the signed distance to the surface (negative inside), as a share of the field of view.

    The distance is a first-order approximation; it is exact in sign and at the surface.

    Returns:
        (box, distance): the box of voxels that are at most `margin` away from the box of the shape (None = all
        voxels), and the distance at each of them.
    """
    box, offsets, radii = [], [], []
    for place, (axis, values) in enumerate(zip(voxel_lattice.which, voxel_lattice.axes, strict=True)):
        radius = shape.radii[axis]
        gap = values - np.float32(shape.center[axis])
        near = np.flatnonzero(np.abs(gap) <= radius + margin) if margin is not None else np.arange(len(gap))
        part = slice(int(near[0]), int(near[-1]) + 1) if len(near) else slice(0, 0)
        box.append(part)
        offsets.append(_lay_along_axis(gap[part], place, len(voxel_lattice.axes)))
        radii.append(np.float32(radius))
    k0 = np.sqrt(_sum_arrays([(o / r) ** 2 for o, r in zip(offsets, radii, strict=True)]))
    k1 = np.sqrt(_sum_arrays([(o / r**2) ** 2 for o, r in zip(offsets, radii, strict=True)]))
    # At the center k0 and k1 are 0 and the formula would be 0/0; the true distance there is −min(radii).
    center = k1 < 1e-6
    k1[center] = 1
    distance = k0 * (k0 - 1) / k1
    distance[center] = -min(radii)
    return tuple(box), distance


def fill_ellipsoids(voxel_lattice: Lattice, shapes: Sequence[Ellipsoid]) -> Mask:
    """Return a mask `[*space]` of the voxels whose center lies in any of the shapes."""
    mask = np.zeros(voxel_lattice.grid.shape, bool)
    for shape in shapes:
        box, gap = measure_signed_distance(voxel_lattice, shape, margin=0.0)
        mask[box] |= gap < 0
    return mask


def paint_ellipsoid(image: Floats, voxel_lattice: Lattice, shape: Ellipsoid, value: float) -> None:
    """Blend `value` into an image, in place; voxels at the surface are mixed, so that small shapes do not vanish."""
    box, gap = measure_signed_distance(voxel_lattice, shape, margin=voxel_lattice.edge)
    share = np.clip(0.5 - gap / np.float32(voxel_lattice.edge), 0, 1)
    image[box] += share * (np.float32(value) - image[box])


def _to_float32(values: npt.NDArray[np.floating]) -> Floats:
    return np.asarray(values, np.float32)


def _lay_along_axis(values: Floats, place: int, dims: int) -> Floats:
    """Reshape a vector so that it lies along array axis `place` of `dims` axes and broadcasts over the others."""
    return values.reshape([-1 if axis == place else 1 for axis in range(dims)])


def _sum_arrays(parts: Sequence[Floats]) -> Floats:
    total = parts[0] + parts[1]
    for part in parts[2:]:
        total = total + part
    return np.asarray(total, np.float32)
