"""Whether the numbers of a CT are Hounsfield units (water 0, air -1000), and what they look like where they are not."""

from __future__ import annotations

LOWEST, HIGHEST = -3100.0, 4095.0
"""Numbers of a CT lie between these: the paddings of common scanners, and the end of a scale of 12 bits. Metal on an
extended scale lies above, and so do voxels that were damaged."""
BELOW = -1.0
"""Air, fat and the noise of water go below this."""
NARROW = 10.0
"""The width of what is left after a CT was scaled to 0–1 or to deviations; fat and muscle alone are 100 apart."""


def name_ct_scale(low: float, high: float) -> str:
    """What the numbers are where they are not in Hounsfield units; "" where they are.

    Args:
        low, high: between which nearly all voxels lie (99 %: single odd voxels must not decide).
    """
    if high <= low:
        return f"nearly all voxels are {low:.4g}: there is no CT"
    span = f"values from {low:.4g} to {high:.4g}"
    if high - low <= NARROW:
        return f"{span} are no Hounsfield units: the CT was scaled"
    if low < BELOW:
        return ""
    if high <= 255:
        return f"{span}, none below 0, are no Hounsfield units: a picture of a CT window"
    return f"{span}, none below 0, are no Hounsfield units: stored numbers without their offset"
