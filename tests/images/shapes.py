"""An asymmetric phantom whose every voxel value tells its place in the world."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from polytask.images.volume import Grid, Volume

SHAPE = (7, 9, 5)
SPACING = (0.8, 1.5, 3.0)
_TURN = Rotation.from_euler("xyz", (12, -20, 33), degrees=True).as_matrix()
DIRECTIONS: dict[str, npt.NDArray[np.float64]] = {
    "RAS": np.diag([1.0, 1, 1]),
    "LPS": np.diag([-1.0, -1, 1]),
    "PIR": np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]]),
    "oblique": _TURN,
    "oblique PIR": _TURN @ np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]]),
}


def grid_of(direction: str, shape: tuple[int, ...] = SHAPE) -> Grid:
    """A grid of anisotropic spacing with its origin off the center."""
    affine = np.eye(4)
    affine[:3, :3] = DIRECTIONS[direction] * SPACING
    affine[:3, 3] = (-31.5, 12.25, 40.0)
    return Grid(shape, affine)


def world(grid: Grid) -> npt.NDArray[np.float64]:
    """World coordinates of all voxels `[*shape, 3]`."""
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), axis=-1)
    d = grid.dims
    return np.asarray(index @ grid.affine[:3, :d].T + grid.affine[:3, 3])


def phantom(grid: Grid, dtype: str = "int16", channels: int = 1) -> Volume:
    """Each channel a different, invertible-looking function of the world place; no symmetry, no equal neighbours."""
    x = world(grid)
    planes = [x @ np.array([3.0, -7.0, 11.0]) * (c + 1) + 100 * c for c in range(channels)]
    values = np.stack(planes)
    if np.dtype(dtype).kind == "u":
        values = values - values.min()
    return Volume(
        np.round(values).astype(dtype) if np.dtype(dtype).kind in "iu" else values.astype(dtype), grid
    )


def same_places(a: Volume, b: Volume, digits: float = 1e-3) -> bool:
    """True when every voxel of `a` is found in `b` at the same world place with the same value."""

    def table(v: Volume) -> npt.NDArray[np.float64]:
        places = np.round(world(v.grid).reshape(-1, 3) / digits).astype(np.int64)
        return np.column_stack([places, v.array.reshape(v.array.shape[0], -1).T.astype(np.float64)])

    one, two = table(a), table(b)
    if one.shape != two.shape:
        return False
    gap, nearest = cKDTree(two[:, :3]).query(one[:, :3])
    return bool(gap.max() <= 3 and len(set(nearest)) == len(one) and (one[:, 3:] == two[nearest, 3:]).all())
