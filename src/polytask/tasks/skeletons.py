"""Center lines of masks by thinning that keeps the topology, and clDice, the metric that compares them. No torch."""

from __future__ import annotations

from functools import cache
from itertools import product

import numpy as np

from polytask.array_types import Mask

Offsets = np.ndarray[tuple[int, int], np.dtype[np.int64]]


def compute_centerline_dice(drawn: Mask, truth: Mask, region: Mask | None = None) -> float:
    """Compute clDice (Shit, CVPR 2021): the harmonic mean of the shares of each center line inside the other mask.

    It is 1 if both masks are empty and 0 if one of them is. With a region, only the parts of center lines in it count;
    they are those of the whole masks, which do not end where the region does.
    """
    if not drawn.any() or not truth.any():
        return float(drawn.any() == truth.any())
    inside = np.ones(truth.shape, bool) if region is None else region
    drawn_line, true_line = thin_mask(drawn) & inside, thin_mask(truth) & inside
    if not drawn_line.any() or not true_line.any():
        return float(drawn_line.any() == true_line.any())
    precision = float((drawn_line & truth).sum() / drawn_line.sum())
    sensitivity = float((true_line & drawn).sum() / true_line.sum())
    total = precision + sensitivity
    return 2 * precision * sensitivity / total if total else 0.0


def thin_mask(mask: Mask) -> Mask:
    """Thin a mask, 2D or 3D, to lines one voxel wide; it keeps as many parts, holes and tunnels as it had.

    Layer by layer, voxels at the border are removed whose removal changes no topology (simple points), unless they are
    the end of a line. Voxels that are removed together are never neighbors, so that none of them changes the other.
    """
    dims = mask.ndim
    # The border of zeros gives every voxel all its neighbors.
    thinned = np.pad(np.asarray(mask, bool), 1)
    around, center = _list_offsets(dims), (3**dims - 1) // 2
    neighbors = np.delete(around, center, axis=0)
    faces = neighbors[np.abs(neighbors).sum(1) == 1]
    while True:
        places = np.argwhere(thinned)
        at_border = ~thinned[tuple((places[:, None] + faces).transpose(2, 0, 1))].all(1)
        layer, removed = places[at_border], 0
        for parity in product((0, 1), repeat=dims):
            candidates = layer[(layer % 2 == parity).all(1)]
            local = thinned[tuple((candidates[:, None] + neighbors).transpose(2, 0, 1))]
            loose = candidates[(local.sum(1) > 1) & find_simple_points(local, dims)]
            thinned[tuple(loose.T)] = False
            removed += len(loose)
        if not removed:
            return np.asarray(thinned[(slice(1, -1),) * dims])


def find_simple_points(local: Mask, dims: int) -> Mask:
    """Find the voxels whose removal changes no topology `[N]`, from their neighbors `[N, 3^dims − 1]` in C order.

    That is so if the neighbors in the mask hang together (also across corners), and the neighbors outside the mask that
    touch the voxel with a face hang together through faces, within the neighbors that touch it with more than a corner
    (in 2D with a face or a corner). Bertrand and Malandain (1994).
    """
    offsets = np.delete(_list_offsets(dims), (3**dims - 1) // 2, axis=0)
    apart = np.abs(offsets[:, None] - offsets[None])
    steps = np.abs(offsets).sum(1)
    is_face, is_near = steps == 1, steps < 3
    touches_by_face = (apart.sum(2) == 1) & is_near[:, None] & is_near[None]
    inside = _hang_together(local, local, apart.max(2) == 1)
    outside = ~local
    return inside & _hang_together(outside & is_face, outside & is_near, touches_by_face)


def _hang_together(parts: Mask, ways: Mask, touches: Mask) -> Mask:
    """Whether all `parts` `[N, M]` can be reached from one of them along `ways`; false where there is no part."""
    reached = np.zeros_like(parts)
    rows = np.flatnonzero(parts.any(1))
    reached[rows, parts[rows].argmax(1)] = True
    while True:
        further = reached | ((reached.astype(np.float32) @ touches.astype(np.float32) > 0) & ways)
        if (further == reached).all():
            return np.asarray(parts.any(1) & ~(parts & ~reached).any(1))
        reached = further


@cache
def _list_offsets(dims: int) -> Offsets:
    """List the places of a voxel and its neighbors, in the order of C."""
    return np.array(list(product((-1, 0, 1), repeat=dims)), np.int64)
