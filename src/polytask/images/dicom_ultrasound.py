"""How large a pixel of an ultrasound picture is: the calibration of its regions, where they agree."""

from __future__ import annotations

from typing import Any

TWO_D, CENTIMETERS = 1, 3
"""`RegionSpatialFormat` of a picture of tissue (not M-mode, spectra or graphs); the physical unit of both its axes."""
NEAR = 0.01
"""Regions whose edges differ by no more than this share have one scale."""
LARGEST = 5.0
"""Millimetres; a larger pixel is no ultrasound's."""


def find_ultrasound_spacing(header: Any) -> list[float] | None:
    """Edges in mm of rows and columns, as `PixelSpacing` has them; None without a calibration, or with several."""
    found = []
    for region in header.get("SequenceOfUltrasoundRegions") or ():
        if region.get("RegionSpatialFormat") != TWO_D:
            continue
        units = (region.get("PhysicalUnitsYDirection"), region.get("PhysicalUnitsXDirection"))
        if units != (CENTIMETERS, CENTIMETERS):
            return None
        deltas = (region.get("PhysicalDeltaY"), region.get("PhysicalDeltaX"))
        found.append([10 * abs(float(delta or 0)) for delta in deltas])
    if not found or any(not 0 < edge <= LARGEST for edges in found for edge in edges):
        return None
    first = found[0]
    same = all(abs(a - b) <= NEAR * b for edges in found for a, b in zip(edges, first, strict=True))
    return first if same else None
