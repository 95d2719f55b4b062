"""Tell whether the numbers of a CT are Hounsfield units (water 0, air -1000), and if not, what they probably are."""

from __future__ import annotations

LOWEST_CT_VALUE, HIGHEST_CT_VALUE = -3100.0, 4095.0
"""Numbers of a CT lie between these two: the padding value of common scanners, and the end of a 12-bit scale. Metal on
an extended scale lies above, and so do damaged voxels."""
BELOW_WATER_HU = -1.0
"""A CT in Hounsfield units has values below this: air, fat and the noise of water."""
SCALED_CT_WIDTH = 10.0
"""A CT with a smaller range of values was scaled, to 0–1 or to standard deviations. In Hounsfield units, fat and muscle
alone are 100 apart."""


def describe_odd_ct_scale(low: float, high: float) -> str:
    """Say in words what is wrong when the numbers are not Hounsfield units; "" when they are.

    Args:
        low, high: the range in which 99 % of the voxels lie (not all of them: single odd voxels must not decide).
    """
    if high <= low:
        return f"nearly all voxels are {low:.4g}: the image is empty"
    span = f"values from {low:.4g} to {high:.4g}"
    # The width is checked before the sign: values scaled to standard deviations go below 0 too.
    if high - low <= SCALED_CT_WIDTH:
        return f"{span} are not Hounsfield units: the CT was scaled"
    if low < BELOW_WATER_HU:
        return ""
    if high <= 255:
        return f"{span}, none below 0, are not Hounsfield units: a picture of a CT window"
    return f"{span}, none below 0, are not Hounsfield units: stored numbers without their offset"
