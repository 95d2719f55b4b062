"""Find the pixel size of an ultrasound picture from the calibration of its regions, where they agree."""

from __future__ import annotations

from typing import Any

TISSUE_REGION_FORMAT, DICOM_CENTIMETERS = 1, 3
"""DICOM codes: the `RegionSpatialFormat` of a picture of tissue (not M-mode, spectra or graphs), and the unit cm."""
SAME_SCALE_TOLERANCE = 0.01
"""Regions whose pixel sizes differ by no more than this share count as having one scale."""
MAX_ULTRASOUND_PIXEL = 5.0
"""Largest believable pixel size of an ultrasound picture, in millimeters."""


def find_ultrasound_spacing(header: Any) -> list[float] | None:
    """Return the distance in mm between rows and between columns, in the order of DICOM's `PixelSpacing`.

    None without a calibration, or where regions have different ones.
    """
    spacings = []
    for region in header.get("SequenceOfUltrasoundRegions") or ():
        if region.get("RegionSpatialFormat") != TISSUE_REGION_FORMAT:
            continue
        units = (region.get("PhysicalUnitsYDirection"), region.get("PhysicalUnitsXDirection"))
        if units != (DICOM_CENTIMETERS, DICOM_CENTIMETERS):
            return None
        deltas = (region.get("PhysicalDeltaY"), region.get("PhysicalDeltaX"))
        # Deltas are in cm. Only the size counts: the sign says in which direction the axis runs.
        spacings.append([10 * abs(float(delta or 0)) for delta in deltas])
    if not spacings or any(not 0 < edge <= MAX_ULTRASOUND_PIXEL for edges in spacings for edge in edges):
        return None
    first = spacings[0]
    same = all(
        abs(a - b) <= SAME_SCALE_TOLERANCE * b
        for edges in spacings
        for a, b in zip(edges, first, strict=True)
    )
    return first if same else None
