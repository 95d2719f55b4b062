"""How large a pixel of a TIFF is: by OME's or ImageJ's description, or by resolution tags not made for printing."""

from __future__ import annotations

import re
from typing import Any

UNITS = {
    "nm": 1e-6, "um": 1e-3, "µm": 1e-3, "μm": 1e-3, "micron": 1e-3, "microns": 1e-3, "micrometer": 1e-3, "mm": 1.0,
    "millimeter": 1.0, "cm": 10.0, "centimeter": 10.0, "m": 1000.0, "inch": 25.4, "in": 25.4,
}  # fmt: skip
"""Millimetres of a unit, by its names in OME and ImageJ."""
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
"""Dots an inch that programs write when nobody measured anything."""
FINEST = 9600
"""Dots an inch of the finest printers and film scanners; whole numbers above are microscopes'."""
NEAR = 0.005
"""A resolution within this share of one for printing is that one, rounded."""
RANGE = (1e-5, 5.0)
"""Millimetres that a pixel of a medical picture can have."""
INCH, CENTIMETER = 2, 3
_PIXELS = re.compile(r"<(?:\w+:)?Pixels\b[^>]*>", re.S)


def find_tiff_spacing(tiff: Any, pages: int) -> list[float] | None:
    """Edges in mm of pages, rows and columns; None where the file does not say, or only how to print it.

    Args:
        tiff: an open `tifffile.TiffFile`.
        pages: of a stack; resolution tags say nothing of their distance.
    """
    if tiff.is_ome:
        return _checked(_by_ome(tiff.ome_metadata or "", pages))
    if tiff.is_imagej:
        return _checked(_by_imagej(tiff, pages))
    return _checked(_by_tags(tiff.pages[0])) if pages == 1 else None


def _by_ome(text: str, pages: int) -> list[float] | None:
    """`PhysicalSizeX` and its kin; µm where no unit is named."""
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
    """Pixels per unit in the tags, the unit in the description; slices are one unit apart unless it says else."""
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
    """Resolution in pixels per inch or centimetre. Dots for printing are not believed: whole ones an inch, and those
    that programs write by default, also when they are told per centimetre."""
    if unit is None:
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
    """A resolution tag as a number above 0."""
    tag = page.tags.get(name)
    value = tag.value if tag is not None else None
    if isinstance(value, tuple) and len(value) == 2:
        return float(value[0]) / float(value[1]) if value[0] and value[1] else None
    return _number(value)


def _number(value: object) -> float | None:
    """A number above 0; None for anything else."""
    try:
        found = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return found if 0 < found < float("inf") else None


def _checked(edges: list[float] | None) -> list[float] | None:
    """Edges that a pixel of a medical picture can have."""
    low, high = RANGE
    return edges if edges is not None and all(low <= e <= high for e in edges[1:]) else None
