"""Compares two masks: overlap, volume, distance between surfaces. All lengths are in millimeters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import binary_dilation, distance_transform_edt

from polytask.array_types import NAN, Floats, Mask


def compute_dice_overlap(drawn: Mask, truth: Mask) -> float:
    """Compute Dice, 2 |A ∩ B| / (|A| + |B|); 1 when both masks are empty."""
    total = int(drawn.sum()) + int(truth.sum())
    return 2 * int((drawn & truth).sum()) / total if total else 1.0


def compute_mask_metrics(
    drawn: Mask,
    truth: Mask,
    spacing: Sequence[float],
    tolerance: float,
    distances: bool = True,
    region: Mask | None = None,
) -> dict[str, float]:
    """Compute Dice, volume and its error (ml; in 2D cm²), surface Dice, HD95, and whether a mask is empty.

    If both masks are empty, Dice and surface Dice are 1 and HD95 is NaN. If one is empty, Dice and surface Dice are 0
    and HD95 is the diagonal of the image.

    Args:
        drawn, truth: the whole masks, including the parts that do not count.
        spacing: edges of a voxel. tolerance: distance up to which surfaces agree.
        distances: whether to compute surface Dice and HD95, which take most of the time.
        region: where the masks count (None: everywhere). Volumes and Dice are those inside it; for the surfaces see
            `measure_surface_distances`. If no surface can be judged, surface Dice and HD95 are NaN.
    """
    drawn_inside, truth_inside = (m if region is None else m & region for m in (drawn, truth))
    unit = float(np.prod(spacing)) / 10.0 ** len(spacing)
    answer_voxels, truth_voxels = int(drawn_inside.sum()), int(truth_inside.sum())
    metrics = {
        "dice": compute_dice_overlap(drawn_inside, truth_inside),
        "volume": truth_voxels * unit,
        "volume_error": (answer_voxels - truth_voxels) * unit,
        "empty_truth": float(truth_voxels == 0),
        "empty_answer": float(answer_voxels == 0),
    }
    if not distances:
        return metrics
    if not truth_voxels and not answer_voxels:
        return metrics | {"surface_dice": 1.0, "hd95": NAN}
    if not truth_voxels or not answer_voxels:
        diagonal = float(np.linalg.norm(np.asarray(truth.shape) * np.asarray(spacing, np.float64)))
        return metrics | {"surface_dice": 0.0, "hd95": diagonal}
    forth, back = measure_surface_distances(drawn, truth, spacing, tolerance, region)
    near = int((forth <= tolerance).sum()) + int((back <= tolerance).sum())
    metrics["surface_dice"] = near / (forth.size + back.size) if forth.size + back.size else NAN
    metrics["hd95"] = max((float(np.percentile(d, 95)) for d in (forth, back) if d.size), default=NAN)
    return metrics


def measure_surface_distances(
    drawn: Mask, truth: Mask, spacing: Sequence[float], tolerance: float = 0.0, region: Mask | None = None
) -> tuple[Floats, Floats]:
    """Measure two sets of distances: from each surface voxel of `drawn` to the surface of `truth`, and the other way.

    Neither mask may be empty. A surface voxel is a voxel of a mask with a face neighbor outside the mask; beyond the
    image everything is outside. With a region, distances still run between the surfaces of the whole masks, but only
    from surface voxels inside the region.

    The truth is known inside the region only, and it may end at the border of the region just because nobody drew
    further. So a voxel of the truth whose neighbors outside the truth all lie outside the region is a cut, not a
    surface: nobody knows whether the truth ends there. A surface voxel of `drawn` that is within `tolerance` of a cut
    but not of a surface is left out. For the other voxels the shorter distance, to a cut or a surface, is taken, which
    is the smallest distance they can have.

    Distance maps are computed only in the box around both masks.
    """
    box = _find_padded_box(drawn | truth)
    drawn_box, truth_box = drawn[box], truth[box]
    inside = np.ones(truth_box.shape, bool) if region is None else region[box]
    surface, edge = _find_surface(drawn_box, ~drawn_box), _find_surface(truth_box, ~truth_box)
    known_edge = edge if region is None else edge & (~inside | _find_surface(truth_box, ~truth_box & inside))
    back = _measure_distances(surface, spacing)[known_edge & inside]
    forth = _measure_distances(known_edge, spacing)[surface & inside]
    if region is not None and (cut := edge & ~known_edge).any():
        from_cut = _measure_distances(cut, spacing)[surface & inside]
        decided = (forth <= tolerance) | (from_cut > tolerance)
        forth = np.minimum(forth, from_cut)[decided]
    return forth, back


def _find_padded_box(mask: Mask) -> tuple[slice, ...]:
    """Find the box around a mask, with one more voxel on each side where the image continues."""
    # With this voxel a surface at the side of the box is found by its neighbor outside, as in the whole image.
    box = []
    for axis in range(mask.ndim):
        hit = np.flatnonzero(mask.any(tuple(a for a in range(mask.ndim) if a != axis)))
        box.append(slice(max(0, int(hit[0]) - 1), int(hit[-1]) + 2))
    return tuple(box)


def _find_surface(mask: Mask, outside: Mask) -> Mask:
    """Find the voxels of `mask` that have a face neighbor in `outside` or beyond the array."""
    return np.asarray(mask & binary_dilation(outside, border_value=1), bool)


def _measure_distances(surface: Mask, spacing: Sequence[float]) -> Floats:
    """Measure the distance of every voxel to the nearest voxel of `surface`; infinite if there is none."""
    # Without any zero to measure from, the distance transform returns numbers that mean nothing.
    if not surface.any():
        return np.full(surface.shape, np.inf)
    return np.asarray(distance_transform_edt(~surface, sampling=tuple(spacing)), dtype=np.float64)
