"""An image in memory: voxels, and the grid that says where they lie in the world."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.generic]
Affine = npt.NDArray[np.float64]


@dataclass(frozen=True)
class NiftiPlacements:
    """The two affines that a NIfTI file holds (sform and qform), in mm, each with its code (0 = not set)."""

    sform: Affine
    sform_code: int
    qform: Affine
    qform_code: int


@dataclass(frozen=True)
class Grid:
    """The position of an image's voxels: `world = affine @ (i, j, k, 1)` in millimeters, RAS+.

    A 2D image has two axes in `shape`, but its affine is 4×4 too. The third column is then the normal, as long as the
    slice is thick according to the file, else of length 1.

    Args:
        shape: voxels along each axis.
        affine: 4×4, from voxel index to world.
        physical: whether the file says how large a pixel is. Where it does not (photographs, bare PNG, JPEG and TIFF),
            lengths count pixels, not millimeters.
        forms: sform and qform of a NIfTI file; files that are written on exactly this grid get the same two.
    """

    shape: tuple[int, ...]
    affine: Affine
    physical: bool = True
    forms: NiftiPlacements | None = None

    @property
    def dims(self) -> int:
        """Number of space axes: 2 or 3."""
        return len(self.shape)

    @property
    def spacing(self) -> tuple[float, ...]:
        """Voxel edge along each axis, in mm; in pixels where the file does not say how large one is."""
        return tuple(float(v) for v in np.linalg.norm(self.affine[:3, : self.dims], axis=0))

    def with_unit(self, physical: bool) -> Grid:
        """Return the grid in the wanted unit: unchanged for mm (`physical`), else with every pixel of edge 1.

        A grid that has no unit of length already counts pixels and is returned unchanged.
        """
        if physical or not self.physical:
            return self
        affine = self.affine.copy()
        affine[:3, : self.dims] /= np.asarray(self.spacing)
        return Grid(self.shape, affine, physical=False)

    def is_same_grid(self, other: Grid, tolerance: float = 1e-3) -> bool:
        """Whether another grid has the same shape, and no corner further away than `tolerance` voxels."""
        return self.shape == other.shape and bool(self.gap(other) <= tolerance * min(self.spacing))

    def gap(self, other: Grid) -> float:
        """Return the largest distance between equal corners of two grids of one shape, along any one world axis."""
        corners = np.array(np.meshgrid(*[(0, n - 1) for n in self.shape], indexing="ij")).reshape(
            self.dims, -1
        )
        points = np.zeros((4, corners.shape[1]))
        points[: self.dims], points[3] = corners, 1
        return float(np.abs(((self.affine - other.affine) @ points)[:3]).max())


@dataclass(frozen=True)
class Volume:
    """An image in memory: voxels `[C, *space]` on a grid (`grid.shape == array.shape[1:]`)."""

    array: Array
    grid: Grid


@dataclass(frozen=True)
class ImageInfo:
    """What the header of an image file says, known before any voxel is read."""

    grid: Grid
    channels: int
    dtype: np.dtype[np.generic]
