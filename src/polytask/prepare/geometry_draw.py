"""Draw the random geometry of a subject, in millimeters: flips, rotation, scale, shift and a coarse elastic lattice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from polytask.array_types import Floats
from polytask.plan.plan_schema import AugmentationPlan

LATTICE_NODES = 8
"""Number of nodes of the elastic lattice along each axis."""
THICK_SLICE_RATIO = 3.0
"""When slices are this many times thicker than pixels, images are rotated around the slice axis only."""


@dataclass(frozen=True)
class GeometryDraw:
    """A drawn geometry: says which source voxel each voxel of the augmented image comes from.

    `source = matrix @ place + shift + elastic(place)`; places are in mm from the middle of the image.

    Args:
        matrix: `[d, d]`, flips included.
        shift: `[d]` in mm.
        lattice: `[d, g, …]` displacements in mm at the nodes of the elastic lattice, or None.
        extent: `[d]` in mm; the lattice spans this size around the middle.
        flips: for each axis, whether `matrix` reverses it.
        plain: whether there are only flips, so that voxels are copied and not interpolated.
    """

    matrix: Floats
    shift: Floats
    lattice: npt.NDArray[np.float32] | None
    extent: Floats
    flips: tuple[bool, ...]
    plain: bool

    def find_place_of(self, source: Floats) -> Floats:
        """Find the place in the augmented image that comes from `source`; the elastic part is ignored."""
        return np.asarray(np.linalg.solve(self.matrix, source - self.shift))


def make_identity_draw(dims: int) -> GeometryDraw:
    """Make the geometry that moves nothing."""
    return GeometryDraw(np.eye(dims), np.zeros(dims), None, np.ones(dims), (False,) * dims, True)


def draw_geometry(
    random: np.random.Generator, strength: AugmentationPlan, extent: Sequence[float], spacing: Sequence[float]
) -> GeometryDraw:
    """Draw the geometry of one subject.

    The same numbers are taken from `random` whatever they decide and whatever the image's size, so that images of
    different sizes move in the same way.

    Args:
        random: the subject's generator.
        strength: from the plan.
        extent: size in mm of the subject's largest image of this input.
        spacing: of its voxels, for elastic displacements and for thick slices.
    """
    dims = len(extent)
    chances = random.random(2 + dims)
    angles = random.uniform(-1, 1, 3) * np.deg2rad(strength.rotate)
    # Uniform in the logarithm: an image shrinks as often as it grows by the same factor.
    scale = float(np.exp(random.uniform(-1, 1) * np.log1p(strength.scale)))
    shift = random.uniform(-1, 1, dims) * strength.translate * np.asarray(extent)
    amplitude = float(random.random())
    nodes = random.standard_normal((dims, *[LATTICE_NODES] * dims)).astype(np.float32)

    # All numbers are drawn by now; what follows only decides which of them are used.
    allowed = find_flips(strength, dims)
    flips = tuple(bool(a and c < 0.5) for a, c in zip(allowed, chances[2:], strict=True))
    moves = chances[0] < strength.probability and max(strength.rotate, strength.scale, strength.translate) > 0
    bends = chances[1] < strength.probability and strength.elastic > 0
    mirror = np.diag(np.where(flips, -1.0, 1.0))
    matrix = _make_rotation(angles, spacing) @ mirror * scale if moves else mirror
    reach = amplitude * strength.elastic * np.asarray(spacing, np.float32)
    lattice = nodes * reach.reshape(-1, *[1] * dims).astype(np.float32) if bends else None
    return GeometryDraw(
        matrix=matrix,
        shift=shift if moves else np.zeros(dims),
        lattice=lattice,
        extent=np.asarray(extent, np.float64),
        flips=flips,
        plain=not moves and not bends,
    )


def find_flips(strength: AugmentationPlan, dims: int) -> tuple[bool, ...]:
    """Find whether images with this number of axes may be flipped, axis by axis: `[dims]`."""
    flips = strength.flip_2d if dims == 2 and strength.flip_2d is not None else strength.flip
    return (*flips, *[False] * dims)[:dims]


def _make_rotation(angles: Floats, spacing: Sequence[float]) -> Floats:
    """Make the rotation matrix `[d, d]` from an angle around each axis; in 2D from the first angle only."""
    if len(spacing) == 2:
        cos, sin = np.cos(angles[0]), np.sin(angles[0])
        return np.array([[cos, -sin], [sin, cos]])
    thick = int(np.argmax(spacing))
    matrix = np.eye(3)
    for axis in range(3):
        if max(spacing) / min(spacing) >= THICK_SLICE_RATIO and axis != thick:
            continue
        first, second = (a for a in range(3) if a != axis)
        turn = np.eye(3)
        cos, sin = np.cos(angles[axis]), np.sin(angles[axis])
        turn[first, first] = turn[second, second] = cos
        turn[first, second], turn[second, first] = -sin, sin
        matrix = turn @ matrix
    return matrix


def interpolate_lattice(values: Tensor, places: Sequence[npt.NDArray[np.float64]]) -> Tensor:
    """Interpolate `values [C, *small]` at `places` → `[C, *[len(p) for p in places]]`.

    The last axis is interpolated first, so that the largest step, at the end, works on whole slabs of memory.

    Args:
        places: positions in voxels along each axis; beyond the border, its value is repeated.
    """
    for axis in reversed(range(1, len(places))):
        low, weight = _find_lower_nodes(places[axis], values.shape[axis + 1])
        index = torch.from_numpy(low)
        high = values.index_select(axis + 1, (index + 1).clamp_(max=values.shape[axis + 1] - 1))
        shape = [-1 if a == axis + 1 else 1 for a in range(values.dim())]
        values = values.index_select(axis + 1, index).lerp_(high, torch.from_numpy(weight).view(shape))
    # Slice by slice into the result: `index_select` would copy the whole, largest array twice.
    low, weight = _find_lower_nodes(places[0], values.shape[1])
    last = values.shape[1] - 1
    out = values.new_empty((values.shape[0], len(low), *values.shape[2:]))
    for at, (first, share) in enumerate(zip(low.tolist(), weight.tolist(), strict=True)):
        torch.lerp(values[:, first], values[:, min(first + 1, last)], share, out=out[:, at])
    return out


def _find_lower_nodes(
    places: npt.NDArray[np.float64], length: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Find the node below each place, and how far the place is toward the next node (0 to 1)."""
    inside = np.clip(places, 0, length - 1)
    low = np.minimum(np.floor(inside).astype(np.int64), max(length - 2, 0))
    return low, (inside - low).astype(np.float32)
