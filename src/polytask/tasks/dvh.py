"""Dose-volume statistics of a structure, and OpenKBP's two scores."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
PERCENT = (99.0, 95.0, 50.0, 5.0, 1.0)
SMALL_VOLUME = 0.1
"""cm³ of the hottest voxels whose lowest dose is the statistic for organs."""


def dose_to_percent(inside: npt.NDArray[np.floating], percent: float) -> float:
    """D_x%: the dose that the hottest `percent` of the structure at least get."""
    return float(np.percentile(inside, 100 - percent))


def dose_to_volume(inside: npt.NDArray[np.floating], cc: float, voxel: float) -> float:
    """D_xcc with voxels of `voxel` mm³, as OpenKBP defines it: at least one voxel, by percentile."""
    hottest = max(1, round(cc * 1000 / voxel))
    return float(np.percentile(inside, max(0.0, 100 - 100 * hottest / inside.size)))


def dvh_statistics(dose: npt.NDArray[np.floating], mask: Mask, spacing: Sequence[float]) -> dict[str, float]:
    """`mean`, `D99`, `D95`, `D50`, `D5`, `D1`, and in 3D `D0.1cc`; nothing for an empty structure."""
    inside = np.asarray(dose, dtype=np.float64)[mask]
    if not inside.size:
        return {}
    found = {"mean": float(inside.mean())} | {f"D{x:g}": dose_to_percent(inside, x) for x in PERCENT}
    if len(spacing) == 3:
        found[f"D{SMALL_VOLUME:g}cc"] = dose_to_volume(inside, SMALL_VOLUME, float(np.prod(spacing)))
    return found


def openkbp_dose_score(
    dose: npt.NDArray[np.floating], predicted: npt.NDArray[np.floating], possible: Mask
) -> float:
    """One patient's part: Σ |dose − predicted| over all voxels / voxels of the possible-dose mask."""
    difference = np.asarray(dose, np.float64) - np.asarray(predicted, np.float64)
    return float(np.abs(difference).sum() / np.asarray(possible, bool).sum())


def openkbp_dvh_differences(
    dose: npt.NDArray[np.floating],
    predicted: npt.NDArray[np.floating],
    structures: Mapping[str, Mask],
    organs: Collection[str],
    targets: Collection[str],
    spacing: Sequence[float],
) -> dict[str, float]:
    """|difference| per `STRUCTURE.STATISTIC` of one patient: organs D0.1cc and mean, targets D99, D95 and D1.

    The DVH score is the mean of these over all patients and statistics. A structure that is missing or empty is
    skipped. The challenge defines its scores at 128³.
    """
    found: dict[str, float] = {}
    for name, mask in structures.items():
        wanted = ("D0.1cc", "mean") if name in organs else ("D99", "D95", "D1") if name in targets else ()
        if not wanted or not np.any(mask):
            continue
        truth, answer = (dvh_statistics(d, np.asarray(mask, bool), spacing) for d in (dose, predicted))
        found |= {f"{name}.{s}": abs(answer[s] - truth[s]) for s in wanted}
    return found
