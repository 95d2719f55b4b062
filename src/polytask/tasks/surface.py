"""Two masks compared: overlap, volume, distance between surfaces. Millimetres throughout."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.ndimage import binary_erosion, distance_transform_edt

Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
NAN = float("nan")


def dice(drawn: Mask, truth: Mask) -> float:
    """2 |A ∩ B| / (|A| + |B|); 1 when both are empty."""
    total = int(drawn.sum()) + int(truth.sum())
    return 2 * int((drawn & truth).sum()) / total if total else 1.0


def _box(mask: Mask) -> tuple[slice, ...]:
    found = []
    for axis in range(mask.ndim):
        hit = np.flatnonzero(mask.any(tuple(a for a in range(mask.ndim) if a != axis)))
        found.append(slice(int(hit[0]), int(hit[-1]) + 1))
    return tuple(found)


def surface_distances(drawn: Mask, truth: Mask, spacing: Sequence[float]) -> tuple[Floats, Floats]:
    """(from each surface voxel of `drawn` to the surface of `truth`, and the other way). Neither may be empty.

    Surface voxels are those of a mask with a face neighbour outside it; beyond the image everything is outside.
    The distance maps are made on the box around both masks only.
    """
    box = _box(drawn | truth)
    edges = [m & ~binary_erosion(m) for m in (drawn[box], truth[box])]
    maps = [distance_transform_edt(~e, sampling=tuple(spacing)) for e in edges]
    return np.asarray(maps[1][edges[0]], dtype=np.float64), np.asarray(maps[0][edges[1]], dtype=np.float64)


def mask_metrics(
    drawn: Mask, truth: Mask, spacing: Sequence[float], tolerance: float, distances: bool = True
) -> dict[str, float]:
    """Dice, volume and its error (ml; in 2D cm²), surface Dice at `tolerance`, HD95, and whether a mask is empty.

    Both empty: Dice and surface Dice 1, no distance. One of both empty: 0 and 0, HD95 = diagonal of the image.
    """
    unit = float(np.prod(spacing)) / 10.0 ** len(spacing)
    there, found = int(truth.sum()), int(drawn.sum())
    metrics = {
        "dice": dice(drawn, truth),
        "volume": there * unit,
        "volume_error": (found - there) * unit,
        "empty_truth": float(there == 0),
        "empty_answer": float(found == 0),
    }
    if not distances:
        return metrics
    if not there and not found:
        return metrics | {"surface_dice": 1.0, "hd95": NAN}
    if not there or not found:
        diagonal = float(np.linalg.norm(np.asarray(truth.shape) * np.asarray(spacing, np.float64)))
        return metrics | {"surface_dice": 0.0, "hd95": diagonal}
    forth, back = surface_distances(drawn, truth, spacing)
    near = int((forth <= tolerance).sum()) + int((back <= tolerance).sum())
    metrics["surface_dice"] = near / (forth.size + back.size)
    metrics["hd95"] = float(max(np.percentile(forth, 95), np.percentile(back, 95)))
    return metrics
