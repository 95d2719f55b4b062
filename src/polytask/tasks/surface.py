"""Two masks compared: overlap, volume, distance between surfaces. Millimetres throughout."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.ndimage import binary_dilation, distance_transform_edt

Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
NAN = float("nan")


def dice(drawn: Mask, truth: Mask) -> float:
    """2 |A ∩ B| / (|A| + |B|); 1 when both are empty."""
    total = int(drawn.sum()) + int(truth.sum())
    return 2 * int((drawn & truth).sum()) / total if total else 1.0


def mask_metrics(
    drawn: Mask,
    truth: Mask,
    spacing: Sequence[float],
    tolerance: float,
    distances: bool = True,
    region: Mask | None = None,
) -> dict[str, float]:
    """Dice, volume and its error (ml; in 2D cm²), surface Dice at `tolerance`, HD95, and whether a mask is empty.

    Both empty: Dice and surface Dice 1, no distance. One of both empty: 0 and 0, HD95 = diagonal of the image.

    Args:
        drawn, truth: whole masks, also where they do not count.
        region: where they count (None: everywhere). Volumes and Dice are those inside it; of the surfaces see
            `surface_distances`. Where no surface can be judged, surface Dice and HD95 are NaN.
    """
    here, there = (m if region is None else m & region for m in (drawn, truth))
    unit = float(np.prod(spacing)) / 10.0 ** len(spacing)
    found, true = int(here.sum()), int(there.sum())
    metrics = {
        "dice": dice(here, there),
        "volume": true * unit,
        "volume_error": (found - true) * unit,
        "empty_truth": float(true == 0),
        "empty_answer": float(found == 0),
    }
    if not distances:
        return metrics
    if not true and not found:
        return metrics | {"surface_dice": 1.0, "hd95": NAN}
    if not true or not found:
        diagonal = float(np.linalg.norm(np.asarray(truth.shape) * np.asarray(spacing, np.float64)))
        return metrics | {"surface_dice": 0.0, "hd95": diagonal}
    forth, back = surface_distances(drawn, truth, spacing, tolerance, region)
    near = int((forth <= tolerance).sum()) + int((back <= tolerance).sum())
    metrics["surface_dice"] = near / (forth.size + back.size) if forth.size + back.size else NAN
    metrics["hd95"] = max((float(np.percentile(d, 95)) for d in (forth, back) if d.size), default=NAN)
    return metrics


def surface_distances(
    drawn: Mask, truth: Mask, spacing: Sequence[float], tolerance: float = 0.0, region: Mask | None = None
) -> tuple[Floats, Floats]:
    """(from each surface voxel of `drawn` to the surface of `truth`, and the other way). Neither may be empty.

    Surface voxels are those of a mask with a face neighbour outside it; beyond the image everything is outside. With a
    region, distances still run between the surfaces of the whole masks, and only surface voxels inside it are asked.

    The truth is told inside the region only, and may end at its border because nobody drew on: a voxel of the truth
    whose neighbours outside it all lie outside the region is a cut, no surface. Nobody knows whether the truth ends
    there or goes on. So a surface voxel of `drawn` within `tolerance` of a cut only is left out, and the distance of
    the others is the least they can have.

    The distance maps are made on the box around both masks only.
    """
    box = _find_box(drawn | truth)
    mine, true = drawn[box], truth[box]
    inside = np.ones(true.shape, bool) if region is None else region[box]
    surface, edge = _find_surface(mine, ~mine), _find_surface(true, ~true)
    told = edge if region is None else edge & (~inside | _find_surface(true, ~true & inside))
    back = _measure_distances(surface, spacing)[told & inside]
    forth = _measure_distances(told, spacing)[surface & inside]
    if region is not None and (cut := edge & ~told).any():
        from_cut = _measure_distances(cut, spacing)[surface & inside]
        decided = (forth <= tolerance) | (from_cut > tolerance)
        forth = np.minimum(forth, from_cut)[decided]
    return forth, back


def _find_box(mask: Mask) -> tuple[slice, ...]:
    """The box around a mask with a voxel to spare where the image goes on."""
    found = []
    for axis in range(mask.ndim):
        hit = np.flatnonzero(mask.any(tuple(a for a in range(mask.ndim) if a != axis)))
        found.append(slice(max(0, int(hit[0]) - 1), int(hit[-1]) + 2))
    return tuple(found)


def _find_surface(mask: Mask, outside: Mask) -> Mask:
    """Voxels of `mask` with a face neighbour in `outside` or beyond the array."""
    return np.asarray(mask & binary_dilation(outside, border_value=1), bool)


def _measure_distances(surface: Mask, spacing: Sequence[float]) -> Floats:
    """Distance of every voxel to the nearest one of `surface`; infinite where there is none."""
    if not surface.any():
        return np.full(surface.shape, np.inf)
    return np.asarray(distance_transform_edt(~surface, sampling=tuple(spacing)), dtype=np.float64)
