"""Computes dose-volume statistics of a structure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from polytask.array_types import Mask

DVH_PERCENTS = (99.0, 95.0, 50.0, 5.0, 1.0)
"""The percentages x for which D_x is given."""
HOTTEST_VOLUME = 0.1
"""Volume in cm³ of the hottest voxels; the lowest dose among them is the statistic for organs."""


def compute_percent_dose(inside: npt.NDArray[np.floating], percent: float) -> float:
    """Compute D_x%: the dose that the hottest `percent` of the structure receives at least."""
    return float(np.percentile(inside, 100 - percent))


def compute_volume_dose(inside: npt.NDArray[np.floating], cc: float, voxel: float) -> float:
    """Compute D_xcc for voxels of `voxel` mm³ as OpenKBP defines it: by percentile, with at least one voxel."""
    hottest = max(1, round(cc * 1000 / voxel))
    return float(np.percentile(inside, max(0.0, 100 - 100 * hottest / inside.size)))


def compute_dvh_statistics(
    dose: npt.NDArray[np.floating], mask: Mask, spacing: Sequence[float]
) -> dict[str, float]:
    """Compute `mean`, `D99`, `D95`, `D50`, `D5`, `D1`, and in 3D `D0.1cc`; an empty dict for an empty structure."""
    inside = np.asarray(dose, dtype=np.float64)[mask]
    if not inside.size:
        return {}
    statistics = {"mean": float(inside.mean())} | {
        f"D{x:g}": compute_percent_dose(inside, x) for x in DVH_PERCENTS
    }
    if len(spacing) == 3:
        statistics[f"D{HOTTEST_VOLUME:g}cc"] = compute_volume_dose(
            inside, HOTTEST_VOLUME, float(np.prod(spacing))
        )
    return statistics
