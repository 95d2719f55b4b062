"""Ellipsoids on a lattice of voxels: all geometry of the phantom is analytic, evaluated in the box it fills."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from polytask.images.volume import Grid

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Point = tuple[float, float, float]
FIELD = 192.0
"""Edge of the image in mm, however many voxels it has."""


@dataclass(frozen=True)
class Ellipsoid:
    """Centre and semi-axes along x (to the right), y (to the front), z (up), as shares of the field of view."""

    centre: Point
    radii: Point


@dataclass(frozen=True)
class Lattice:
    """The voxels of an image in the patient's own coordinates.

    Args:
        grid: where the image lies in the world.
        axes: per array axis the patient coordinate of each voxel, as a share of the field of view.
        which: per array axis the patient axis it follows (0 = x, 1 = y, 2 = z).
        edge: mean voxel edge, as a share of the field of view.
    """

    grid: Grid
    axes: tuple[Floats, ...]
    which: tuple[int, ...]
    edge: float

    def coordinate(self, axis: int) -> Floats:
        """Patient coordinate `axis` of every voxel, in a shape that broadcasts over the image."""
        place = self.which.index(axis)
        return _along(self.axes[place], place, len(self.axes))


def lattice(dims: int, size: int, thick: bool, shift: Point, origin: Point) -> Lattice:
    """A lattice of `size` voxels across the field of view.

    A 2D image is coronal: rows run down the patient, columns from the right to the left; its file places it as
    pictures are, in the world's x and y. A 3D image is an isotropic cube in RAS order or, when `thick`, in LPS order
    with slices 1.5 times as thick.

    Args:
        shift: how far the patient lies off centre, as shares of the field of view.
        origin: world coordinates of the centre of the field of view, in mm.
    """
    h = FIELD / size
    if dims == 2:
        steps = 0.5 - (np.arange(size) + 0.5) / size
        centred = h * (size - 1) / 2
        flat = np.array(
            [[0, -h, 0, origin[0] + centred], [-h, 0, 0, origin[1] + centred], [0, 0, 1, 0], [0, 0, 0, 1]]
        )
        axes = (_floats(steps - shift[2]), _floats(steps - shift[0]))
        return Lattice(Grid((size, size), flat), axes, (2, 0), 1 / size)
    spacing = (h, h, 1.5 * h) if thick else (h, h, h)
    shape = (size, size, round(size / 1.5)) if thick else (size, size, size)
    signs = (-1, -1, 1) if thick else (1, 1, 1)
    affine, coordinates = np.eye(4), []
    for axis, (n, edge, sign) in enumerate(zip(shape, spacing, signs, strict=True)):
        affine[axis, axis] = sign * edge
        affine[axis, 3] = origin[axis] - sign * edge * (n - 1) / 2
        coordinates.append(_floats(sign * (np.arange(n) - (n - 1) / 2) * edge / FIELD - shift[axis]))
    return Lattice(Grid(shape, affine), tuple(coordinates), (0, 1, 2), sum(spacing) / 3 / FIELD)


def distance(
    room: Lattice, shape: Ellipsoid, margin: float | None = None
) -> tuple[tuple[slice, ...], Floats]:
    """Signed distance to the surface (negative inside), first order, as a share of the field of view.

    Returns:
        the box of voxels no further than `margin` from the shape's own box (None = all), and the distance there.
    """
    box, offsets, radii = [], [], []
    for place, (axis, values) in enumerate(zip(room.which, room.axes, strict=True)):
        radius = shape.radii[axis]
        gap = values - np.float32(shape.centre[axis])
        near = np.flatnonzero(np.abs(gap) <= radius + margin) if margin is not None else np.arange(len(gap))
        part = slice(int(near[0]), int(near[-1]) + 1) if len(near) else slice(0, 0)
        box.append(part)
        offsets.append(_along(gap[part], place, len(room.axes)))
        radii.append(np.float32(radius))
    k0 = np.sqrt(_total([(o / r) ** 2 for o, r in zip(offsets, radii, strict=True)]))
    k1 = np.sqrt(_total([(o / r**2) ** 2 for o, r in zip(offsets, radii, strict=True)]))
    centre = k1 < 1e-6
    k1[centre] = 1
    found = k0 * (k0 - 1) / k1
    found[centre] = -min(radii)
    return tuple(box), found


def filled(room: Lattice, shapes: Sequence[Ellipsoid]) -> Mask:
    """Voxels whose centre lies in any of the shapes, `[*space]`."""
    mask = np.zeros(room.grid.shape, bool)
    for shape in shapes:
        box, gap = distance(room, shape, margin=0.0)
        mask[box] |= gap < 0
    return mask


def paint(image: Floats, room: Lattice, shape: Ellipsoid, value: float) -> None:
    """Blend `value` into the image in place; edge voxels take their share, so that nothing small is lost."""
    box, gap = distance(room, shape, margin=room.edge)
    share = np.clip(0.5 - gap / np.float32(room.edge), 0, 1)
    image[box] += share * (np.float32(value) - image[box])


def _floats(values: npt.NDArray[np.floating]) -> Floats:
    return np.asarray(values, np.float32)


def _along(values: Floats, place: int, dims: int) -> Floats:
    """A vector laid along array axis `place` of `dims`."""
    return values.reshape([-1 if axis == place else 1 for axis in range(dims)])


def _total(parts: Sequence[Floats]) -> Floats:
    total = parts[0] + parts[1]
    for part in parts[2:]:
        total = total + part
    return np.asarray(total, np.float32)
