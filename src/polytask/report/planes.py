"""Cuts through an image, as a radiologist looks at them: the patient's right is at the viewer's left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from polytask.images.geometry import canonical
from polytask.images.volume import Array, Grid, Volume

MARGIN = 0.6
"""Of the size of what is shown, around it."""
SMALLEST = 1 / 2
"""Share of the field of view that is shown at least."""
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Plane:
    """One cut; rows run down to feet or back, columns to the patient's left or back.

    Args:
        name: axial, coronal, sagittal, or "" in 2D. rows, columns: axes of the turned array.
        at: (axis, index) of the cut, None in 2D. flips: axes to mirror. spacing: mm per row and column.
        place: which slice it is, for people; "" in 2D.
    """

    name: str
    rows: int
    columns: int
    at: tuple[int, int] | None
    flips: tuple[int, ...]
    spacing: tuple[float, float]
    place: str = ""

    def cut(self, array: Array, grid: Grid) -> npt.NDArray[Any]:
        """The picture `[rows, columns]` of an array `[*space]` on its own grid."""
        turned: npt.NDArray[Any] = canonical(Volume(array[None], grid)).array[0]
        turned = np.flip(turned, self.flips) if self.flips else turned
        if self.at is not None:
            axis, index = self.at
            turned = np.take(turned, index, axis=axis)
        return turned if self.rows < self.columns else turned.T


def planes(grid: Grid, there: Mask) -> list[Plane]:
    """Axial, coronal and sagittal cuts where most of the mask `[*space]` lies (the middle when it is empty); in 2D
    the image itself."""
    if grid.dims == 2:
        return [_flat(grid)]
    turned = canonical(Volume(there[None], grid))
    mask, spacing = np.flip(turned.array[0], (0, 1, 2)), turned.grid.spacing
    found = []
    for name, axis, rows, columns in (("axial", 2, 1, 0), ("coronal", 1, 2, 0), ("sagittal", 0, 2, 1)):
        counts = mask.sum(tuple(a for a in range(3) if a != axis))
        index = int(np.argmax(counts)) if counts.any() else mask.shape[axis] // 2
        place = place_of(turned.grid, axis, mask.shape[axis] - 1 - index, name)
        edges = (spacing[rows], spacing[columns])
        found.append(Plane(name, rows, columns, (axis, index), (0, 1, 2), edges, place))
    return found


def place_of(grid: Grid, axis: int, index: int, name: str) -> str:
    """A slice of a grid that is turned to RAS: its number from the right, back or feet, and where it lies in mm."""
    middle = [(n - 1) / 2 for n in grid.shape]
    middle[axis] = float(index)
    world = float((grid.affine @ np.array([*middle, 1.0]))[axis])
    text = f"{name}, slice {index + 1} of {grid.shape[axis]}, {'xyz'[axis]} {world:.1f} mm"
    return text.replace("-", "−")


def _flat(grid: Grid) -> Plane:
    """Columns are the axis nearest to right–left; both run to left, back or feet."""
    world = [int(np.argmax(np.abs(grid.affine[:3, a]))) for a in range(2)]
    columns = 0 if world[0] < world[1] else 1
    flips = tuple(a for a in range(2) if grid.affine[world[a], a] > 0)
    spacing = grid.spacing
    return Plane("", 1 - columns, columns, None, flips, (spacing[1 - columns], spacing[columns]))


def window(there: Sequence[Mask], spacing: tuple[float, float]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Rows and columns around what the masks `[rows, columns]` show, with a margin, about square in mm."""
    shape = there[0].shape
    union = np.any(np.stack([np.asarray(t, bool) for t in there]), axis=0)
    if not union.any():
        return (0, shape[0]), (0, shape[1])
    sizes = [n * s for n, s in zip(shape, spacing, strict=True)]
    spans = [np.flatnonzero(union.any(1 - axis)) for axis in (0, 1)]
    longest = max((int(h[-1]) - int(h[0]) + 1) * s for h, s in zip(spans, spacing, strict=True))
    edge = max(longest * (1 + 2 * MARGIN), SMALLEST * max(sizes))
    found = []
    for hit, n, s in zip(spans, shape, spacing, strict=True):
        middle, half = (int(hit[0]) + int(hit[-1]) + 1) / 2, edge / s / 2
        low = max(0, min(round(middle - half), n - round(2 * half)))
        found.append((low, min(n, low + max(1, round(2 * half)))))
    return found[0], found[1]


def show(axes: Any, picture: Array, plane: Plane, **how: Any) -> Any:
    """Draw a cut with square millimetres."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    options = {"cmap": "gray", "interpolation": "nearest", **how}
    return axes.imshow(picture, aspect=plane.spacing[0] / plane.spacing[1], **options)


def zoom(axes: Any, rows: tuple[int, int], columns: tuple[int, int]) -> None:
    """Show these rows and columns only."""
    axes.set(xlim=(columns[0] - 0.5, columns[1] - 0.5), ylim=(rows[1] - 0.5, rows[0] - 0.5))
