"""Slices through an image in radiological view: the patient's right is at the viewer's left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from polytask.array_types import Mask
from polytask.images.geometry import orient_to_ras
from polytask.images.volume import Array, Grid, Volume

ZOOM_MARGIN = 0.6
"""Margin around the shown structures, as a share of their size."""
MIN_VIEW_SHARE = 1 / 2
"""Smallest share of the field of view that is shown."""


@dataclass(frozen=True)
class ViewPlane:
    """One slice; rows run down to the feet or the back, columns to the patient's left or back.

    Args:
        name: axial, coronal, sagittal, or "" in 2D. rows, columns: axes of the array in canonical orientation.
        at: (axis, index) of the slice, None in 2D. flips: axes to mirror. spacing: mm per row and column.
        place: text that says which slice it is; "" in 2D.
    """

    name: str
    rows: int
    columns: int
    at: tuple[int, int] | None
    flips: tuple[int, ...]
    spacing: tuple[float, float]
    place: str = ""

    def cut(self, array: Array, grid: Grid) -> npt.NDArray[Any]:
        """Cut the slice `[rows, columns]` out of an array `[*space]` that lies on `grid`."""
        turned: npt.NDArray[Any] = orient_to_ras(Volume(array[None], grid)).array[0]
        turned = np.flip(turned, self.flips) if self.flips else turned
        if self.at is not None:
            axis, index = self.at
            turned = np.take(turned, index, axis=axis)
        return turned if self.rows < self.columns else turned.T


def choose_view_planes(grid: Grid, target_mask: Mask) -> list[ViewPlane]:
    """Choose the axial, coronal and sagittal slices with the largest area of the mask `[*space]`.

    An empty mask gives the middle slices; a 2D grid gives one plane, the image itself.
    """
    if grid.dims == 2:
        return [_make_flat_plane(grid)]
    turned = orient_to_ras(Volume(target_mask[None], grid))
    mask, spacing = np.flip(turned.array[0], (0, 1, 2)), turned.grid.spacing
    planes = []
    for name, axis, rows, columns in (("axial", 2, 1, 0), ("coronal", 1, 2, 0), ("sagittal", 0, 2, 1)):
        counts = mask.sum(tuple(a for a in range(3) if a != axis))
        index = int(np.argmax(counts)) if counts.any() else mask.shape[axis] // 2
        # The mask was mirrored above, so the index is counted back to the orientation of the grid.
        place = describe_slice(turned.grid, axis, mask.shape[axis] - 1 - index, name)
        edges = (spacing[rows], spacing[columns])
        planes.append(ViewPlane(name, rows, columns, (axis, index), (0, 1, 2), edges, place))
    return planes


def describe_slice(grid: Grid, axis: int, index: int, name: str) -> str:
    """Describe a slice of a grid in RAS orientation: its number from the left, back or feet, and its position in mm."""
    middle = [(n - 1) / 2 for n in grid.shape]
    middle[axis] = float(index)
    world = float((grid.affine @ np.array([*middle, 1.0]))[axis])
    text = f"{name}, slice {index + 1} of {grid.shape[axis]}, {'xyz'[axis]} {world:.1f} mm"
    return text.replace("-", "−")


def _make_flat_plane(grid: Grid) -> ViewPlane:
    """Make the plane of a 2D image: columns are the axis nearest to right–left; both axes run to left, back or feet."""
    world = [int(np.argmax(np.abs(grid.affine[:3, a]))) for a in range(2)]
    columns = 0 if world[0] < world[1] else 1
    flips = tuple(a for a in range(2) if grid.affine[world[a], a] > 0)
    spacing = grid.spacing
    return ViewPlane("", 1 - columns, columns, None, flips, (spacing[1 - columns], spacing[columns]))


def choose_zoom_ranges(
    target_masks: Sequence[Mask], spacing: tuple[float, float]
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Choose the ranges of rows and columns around the masks `[rows, columns]`, with a margin, about square in mm."""
    shape = target_masks[0].shape
    union = np.any(np.stack([np.asarray(t, bool) for t in target_masks]), axis=0)
    if not union.any():
        return (0, shape[0]), (0, shape[1])
    sizes = [n * s for n, s in zip(shape, spacing, strict=True)]
    spans = [np.flatnonzero(union.any(1 - axis)) for axis in (0, 1)]
    longest = max((int(h[-1]) - int(h[0]) + 1) * s for h, s in zip(spans, spacing, strict=True))
    edge = max(longest * (1 + 2 * ZOOM_MARGIN), MIN_VIEW_SHARE * max(sizes))
    ranges = []
    for hit, n, s in zip(spans, shape, spacing, strict=True):
        middle, half = (int(hit[0]) + int(hit[-1]) + 1) / 2, edge / s / 2
        # Shifted instead of cut off at the border, so that the field of view stays square.
        low = max(0, min(round(middle - half), n - round(2 * half)))
        ranges.append((low, min(n, low + max(1, round(2 * half)))))
    return ranges[0], ranges[1]


def show_cut(axes: Any, picture: Array, plane: ViewPlane, **how: Any) -> Any:
    """Draw a slice so that a millimeter has the same length in both directions."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    options = {"cmap": "gray", "interpolation": "nearest", **how}
    return axes.imshow(picture, aspect=plane.spacing[0] / plane.spacing[1], **options)


def zoom_axes(axes: Any, rows: tuple[int, int], columns: tuple[int, int]) -> None:
    """Limit the axes to these rows and columns."""
    # Pixels are centered on whole numbers, so their edges lie half a pixel further out.
    axes.set(xlim=(columns[0] - 0.5, columns[1] - 0.5), ylim=(rows[1] - 0.5, rows[0] - 0.5))
