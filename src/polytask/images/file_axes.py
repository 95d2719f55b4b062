"""Turn the axes of a file into a grid: affine checks, LPS to RAS, and the axis that a 2D image drops."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from polytask.errors import PolytaskError
from polytask.images.volume import Affine, Grid, NiftiPlacements

LPS_TO_RAS: Affine = np.diag([-1.0, -1.0, 1.0, 1.0])
RASTER_AFFINE: Affine = np.array([[0.0, -1, 0, 0], [-1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])


def check_affine(path: Path, affine: Affine) -> Affine:
    """Return the affine as float64; PolytaskError when it is not finite or has no inverse."""
    with np.errstate(all="ignore"):
        affine = np.asarray(affine, np.float64)
        edges = np.linalg.norm(affine[:3, :3], axis=0)
        fine = bool(np.isfinite(affine).all() and np.abs(affine).max() < 1e9 and edges.min() > 1e-9)
        # Unit axes: the determinant then measures the angles only, however small the voxels are.
        fine = fine and abs(float(np.linalg.det(affine[:3, :3] / edges))) > 1e-6
    if not fine:
        raise PolytaskError(
            f"{path}: the affine is not finite or has no inverse; expected three independent voxel axes; "
            "correct the header's orientation and spacing"
        )
    return affine


def build_affine(vectors: Sequence[Affine], origin: Affine) -> Affine:
    """Build the 4×4 affine of two or three axis vectors `[3]`. Two vectors get their unit normal as the third."""
    affine = np.eye(4)
    with np.errstate(all="ignore"):
        if len(vectors) == 2:
            normal = np.cross(vectors[0], vectors[1])
            vectors = [*vectors, normal / np.linalg.norm(normal)]
        affine[:3, :3] = np.stack(vectors, axis=1)
    affine[:3, 3] = origin
    return affine


def build_file_grid(
    path: Path,
    shape: Sequence[int],
    affine: Affine,
    dims: int,
    physical: bool = True,
    forms: NiftiPlacements | None = None,
) -> tuple[Grid, int | None]:
    """Build the grid with `dims` axes for a file's axes, and say which of its three axes is dropped (None for 3D).

    Args:
        path: for error messages.
        shape: two or three space axes of the file.
        affine: RAS affine of those axes.
        dims: 2 or 3; for 2, one of the file's axes must have length 1.
        physical, forms: see `Grid`; forms are left out where the axes that stay are not the file's first two.
    """
    affine = check_affine(path, affine)
    full = (*shape, 1, 1)[: max(3, len(shape))]
    if dims == 3:
        return Grid(full, affine, physical, forms), None
    # The third axis is tried first, because writers store a 2D image as H×W×1.
    single = [axis for axis in (2, 0, 1) if full[axis] == 1]
    if not single:
        said = "×".join(str(n) for n in full)
        raise PolytaskError(f"{path}: holds a volume {said}; expected a 2D image; declare dims: 3")
    order = [axis for axis in range(3) if axis != single[0]]
    flat = affine[:, [*order, single[0], 3]]
    kept = forms if single[0] == 2 else None
    return Grid((full[order[0]], full[order[1]]), flat, physical, kept), single[0]
