"""An image in memory: voxels with the grid that places them in the world."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.generic]
Affine = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Forms:
    """The two placements that a NIfTI file holds, in mm, each with its code (0 = not set)."""

    sform: Affine
    sform_code: int
    qform: Affine
    qform_code: int


@dataclass(frozen=True)
class Grid:
    """Where the voxels lie: `world = affine @ (i, j, k, 1)` in millimetres, RAS+.

    A 2D image has two axes in `shape`; its affine is 4×4 all the same (third column = normal, as long as the file
    says a slice is thick, else 1).

    Args:
        physical: whether the file says how large a pixel is. Where it does not (photographs, bare PNG, JPEG and TIFF),
            lengths count pixels, not millimetres.
        forms: how a NIfTI file said it; files that are written on this very grid say it in the same way.
    """

    shape: tuple[int, ...]
    affine: Affine
    physical: bool = True
    forms: Forms | None = None

    @property
    def dims(self) -> int:
        """2 or 3."""
        return len(self.shape)

    @property
    def spacing(self) -> tuple[float, ...]:
        """Voxel edge per axis, in mm; in pixels where the file does not say how large one is."""
        return tuple(float(v) for v in np.linalg.norm(self.affine[:3, : self.dims], axis=0))

    def told_as(self, physical: bool) -> Grid:
        """The grid with every pixel of edge 1 where lengths count pixels although the file says how large one is."""
        if physical or not self.physical:
            return self
        affine = self.affine.copy()
        affine[:3, : self.dims] /= np.asarray(self.spacing)
        return Grid(self.shape, affine, physical=False)

    def same(self, other: Grid, tolerance: float = 1e-3) -> bool:
        """Same shape, and no corner further apart than `tolerance` voxels."""
        return self.shape == other.shape and bool(self.gap(other) <= tolerance * min(self.spacing))

    def gap(self, other: Grid) -> float:
        """How far the corners lie apart at most, along one axis of the world, for a grid of the same shape."""
        corners = np.array(np.meshgrid(*[(0, n - 1) for n in self.shape], indexing="ij")).reshape(
            self.dims, -1
        )
        points = np.zeros((4, corners.shape[1]))
        points[: self.dims], points[3] = corners, 1
        return float(np.abs(((self.affine - other.affine) @ points)[:3]).max())


@dataclass(frozen=True)
class Volume:
    """Voxels `[C, *space]` on a grid (`grid.shape == array.shape[1:]`)."""

    array: Array
    grid: Grid


@dataclass(frozen=True)
class Info:
    """What a file's header says, known before any voxel is read."""

    grid: Grid
    channels: int
    dtype: np.dtype[np.generic]
