"""Find the pixel size of a TIFF: from a description by OME or ImageJ, or from resolution tags not made for printing."""

from __future__ import annotations

import re
from typing import Any

MILLIMETERS_BY_UNIT_NAME = {
    "nm": 1e-6, "um": 1e-3, "µm": 1e-3, "μm": 1e-3, "micron": 1e-3, "microns": 1e-3, "micrometer": 1e-3, "mm": 1.0,
    "millimeter": 1.0, "cm": 10.0, "centimeter": 10.0, "m": 1000.0, "inch": 25.4, "in": 25.4,
}  # fmt: skip
"""Name of a unit in OME or ImageJ → its length in millimeters."""
PRINT_RESOLUTIONS = (
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
"""Dots per inch that programs write by default, without any measurement."""
MAX_PRINT_RESOLUTION = 9600
"""Dots per inch of the finest printers and film scanners. Whole numbers above it come from microscopes."""
PRINT_TOLERANCE = 0.005
"""A resolution that differs by no more than this share from one for printing counts as that one, rounded."""
PLAUSIBLE_PIXEL_SIZES = (1e-5, 5.0)
"""Smallest and largest pixel size of a medical picture, in millimeters."""
TIFF_INCH, TIFF_CENTIMETER = 2, 3
_OME_PIXELS_PATTERN = re.compile(r"<(?:\w+:)?Pixels\b[^>]*>", re.S)


def find_tiff_spacing(tiff: Any, pages: int) -> list[float] | None:
    """Find the distance in mm between pages, rows and columns; None where the file only says how to print it.

    Args:
        tiff: an open `tifffile.TiffFile`.
        pages: number of pages; plain resolution tags say nothing about the distance between several.
    """
    if tiff.is_ome:
        return _keep_plausible_edges(_read_ome_spacing(tiff.ome_metadata or "", pages))
    if tiff.is_imagej:
        return _keep_plausible_edges(_read_imagej_spacing(tiff, pages))
    return _keep_plausible_edges(_read_tag_spacing(tiff.pages[0])) if pages == 1 else None


def _read_ome_spacing(text: str, pages: int) -> list[float] | None:
    """Read `PhysicalSizeX`, `Y` and `Z` of OME's description; in µm where no unit is named."""
    match = _OME_PIXELS_PATTERN.search(text)
    attributes = dict(re.findall(r'(PhysicalSize[XYZ](?:Unit)?)\s*=\s*"([^"]*)"', match[0])) if match else {}
    edges = []
    for axis in "ZYX" if pages > 1 else "YX":
        unit = MILLIMETERS_BY_UNIT_NAME.get(attributes.get(f"PhysicalSize{axis}Unit", "µm").strip())
        value = _parse_positive_number(attributes.get(f"PhysicalSize{axis}"))
        if unit is None or value is None:
            return None
        edges.append(value * unit)
    return edges if pages > 1 else [1.0, *edges]


def _read_imagej_spacing(tiff: Any, pages: int) -> list[float] | None:
    """Read ImageJ's scale: pixels per unit from the tags, the unit from the description.

    Slices are one unit apart unless the description says otherwise.
    """
    notes = tiff.imagej_metadata or {}
    name = str(notes.get("unit", "")).replace("\\u00B5", "µ").strip().lower()
    unit, page = MILLIMETERS_BY_UNIT_NAME.get(name), tiff.pages[0]
    if unit is None or "yunit" in notes or "zunit" in notes:
        return None
    if unit == MILLIMETERS_BY_UNIT_NAME["inch"] and pages == 1:
        return _read_tag_spacing(page, unit)
    x, y = _read_resolution(page, "XResolution"), _read_resolution(page, "YResolution")
    depth = _parse_positive_number(notes.get("spacing", 1.0))
    return None if x is None or y is None or depth is None else [depth * unit, unit / y, unit / x]


def _read_tag_spacing(page: Any, unit: float | None = None) -> list[float] | None:
    """Read the resolution tags, in pixels per inch or centimeter; None for resolutions that were made for printing.

    Those are whole numbers of dots per inch, and the defaults of common programs, also where they are stored per
    centimeter.

    Args:
        unit: in mm; from the tag `ResolutionUnit` when None.
    """
    if unit is None:
        # Inch is the default of the standard for a file without this tag.
        tag = page.tags.get("ResolutionUnit")
        unit = {TIFF_INCH: 25.4, TIFF_CENTIMETER: 10.0}.get(int(tag.value) if tag is not None else TIFF_INCH)
    x, y = _read_resolution(page, "XResolution"), _read_resolution(page, "YResolution")
    if unit is None or x is None or y is None:
        return None
    for dots in (x * 25.4 / unit, y * 25.4 / unit):
        printed = any(abs(dots - usual) <= PRINT_TOLERANCE * usual for usual in PRINT_RESOLUTIONS)
        if printed or (
            unit == MILLIMETERS_BY_UNIT_NAME["inch"]
            and dots <= MAX_PRINT_RESOLUTION
            and abs(dots - round(dots)) < 1e-6
        ):
            return None
    return [1.0, unit / y, unit / x]


def _read_resolution(page: Any, name: str) -> float | None:
    """Read a resolution tag as a number above 0; None where it is missing or no such number."""
    tag = page.tags.get(name)
    value = tag.value if tag is not None else None
    if isinstance(value, tuple) and len(value) == 2:
        return float(value[0]) / float(value[1]) if value[0] and value[1] else None
    return _parse_positive_number(value)


def _parse_positive_number(value: Any) -> float | None:
    """Convert a value to a finite number above 0; None for anything else."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if 0 < number < float("inf") else None


def _keep_plausible_edges(edges: list[float] | None) -> list[float] | None:
    """Return the edges if they are plausible for a pixel of a medical picture, else None."""
    low, high = PLAUSIBLE_PIXEL_SIZES
    return edges if edges is not None and all(low <= e <= high for e in edges[1:]) else None
