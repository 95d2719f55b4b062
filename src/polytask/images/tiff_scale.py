"""Find the pixel size of a TIFF: from a description by OME or ImageJ, or from resolution tags not made for printing."""

from __future__ import annotations

import re
from typing import Any

UNITS = {
    "nm": 1e-6, "um": 1e-3, "µm": 1e-3, "μm": 1e-3, "micron": 1e-3, "microns": 1e-3, "micrometer": 1e-3, "mm": 1.0,
    "millimeter": 1.0, "cm": 10.0, "centimeter": 10.0, "m": 1000.0, "inch": 25.4, "in": 25.4,
}  # fmt: skip
"""Name of a unit in OME or ImageJ → its length in millimeters."""
PRINTED = (
    72,
    75,
    90,
    96,
    100,
    120,
    144,
    150,
    180,
    200,
    240,
    250,
    266,
    300,
    350,
    360,
    400,
    480,
    600,
    720,
    800,
    1200,
    2400,
)
"""Dots per inch that programs write by default, although nobody measured anything."""
FINEST = 9600
"""Dots per inch of the finest printers and film scanners. Whole numbers above it come from microscopes."""
NEAR = 0.005
"""A resolution that differs by no more than this share from one for printing counts as that one, rounded."""
RANGE = (1e-5, 5.0)
"""Smallest and largest pixel size of a medical picture, in millimeters."""
INCH, CENTIMETER = 2, 3
_PIXELS = re.compile(r"<(?:\w+:)?Pixels\b[^>]*>", re.S)


def find_tiff_spacing(tiff: Any, pages: int) -> list[float] | None:
    """Find the distance in mm between pages, rows and columns; None where the file only says how to print it.

    Args:
        tiff: an open `tifffile.TiffFile`.
        pages: number of pages; plain resolution tags say nothing about the distance between several.
    """
    if tiff.is_ome:
        return _checked(_by_ome(tiff.ome_metadata or "", pages))
    if tiff.is_imagej:
        return _checked(_by_imagej(tiff, pages))
    return _checked(_by_tags(tiff.pages[0])) if pages == 1 else None


def _by_ome(text: str, pages: int) -> list[float] | None:
    """Read `PhysicalSizeX`, `Y` and `Z` of OME's description; in µm where no unit is named."""
    found = _PIXELS.search(text)
    said = dict(re.findall(r'(PhysicalSize[XYZ](?:Unit)?)\s*=\s*"([^"]*)"', found[0])) if found else {}
    edges = []
    for axis in "ZYX" if pages > 1 else "YX":
        unit = UNITS.get(said.get(f"PhysicalSize{axis}Unit", "µm").strip())
        value = _number(said.get(f"PhysicalSize{axis}"))
        if unit is None or value is None:
            return None
        edges.append(value * unit)
    return edges if pages > 1 else [1.0, *edges]


def _by_imagej(tiff: Any, pages: int) -> list[float] | None:
    """Read ImageJ's scale: pixels per unit from the tags, the unit from the description.

    Slices are one unit apart unless the description says otherwise.
    """
    notes = tiff.imagej_metadata or {}
    name = str(notes.get("unit", "")).replace("\\u00B5", "µ").strip().lower()
    unit, page = UNITS.get(name), tiff.pages[0]
    if unit is None or "yunit" in notes or "zunit" in notes:
        return None
    if unit == UNITS["inch"] and pages == 1:
        return _by_tags(page, unit)
    x, y = _resolution(page, "XResolution"), _resolution(page, "YResolution")
    depth = _number(notes.get("spacing", 1.0))
    return None if x is None or y is None or depth is None else [depth * unit, unit / y, unit / x]


def _by_tags(page: Any, unit: float | None = None) -> list[float] | None:
    """Read the resolution tags, in pixels per inch or centimeter; None for resolutions that were made for printing.

    Those are whole numbers of dots per inch, and the defaults of common programs, also where they are stored per
    centimeter.

    Args:
        unit: in mm; from the tag `ResolutionUnit` when None.
    """
    if unit is None:
        # Inch is the default of the standard for a file without this tag.
        tag = page.tags.get("ResolutionUnit")
        unit = {INCH: 25.4, CENTIMETER: 10.0}.get(int(tag.value) if tag is not None else INCH)
    x, y = _resolution(page, "XResolution"), _resolution(page, "YResolution")
    if unit is None or x is None or y is None:
        return None
    for dots in (x * 25.4 / unit, y * 25.4 / unit):
        printed = any(abs(dots - usual) <= NEAR * usual for usual in PRINTED)
        if printed or (unit == UNITS["inch"] and dots <= FINEST and abs(dots - round(dots)) < 1e-6):
            return None
    return [1.0, unit / y, unit / x]


def _resolution(page: Any, name: str) -> float | None:
    """Read a resolution tag as a number above 0; None where it is missing or odd."""
    tag = page.tags.get(name)
    value = tag.value if tag is not None else None
    if isinstance(value, tuple) and len(value) == 2:
        return float(value[0]) / float(value[1]) if value[0] and value[1] else None
    return _number(value)


def _number(value: object) -> float | None:
    """Convert a value to a finite number above 0; None for anything else."""
    try:
        found = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return found if 0 < found < float("inf") else None


def _checked(edges: list[float] | None) -> list[float] | None:
    """Return the edges when a pixel of a medical picture can have them, else None."""
    low, high = RANGE
    return edges if edges is not None and all(low <= e <= high for e in edges[1:]) else None
