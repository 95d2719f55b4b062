"""How large a pixel of a TIFF is, from files that tifffile and Pillow wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from polytask.images.formats import probe_image_file, read_image_file

GREY = np.arange(72, dtype=np.uint8).reshape(8, 9)
STACK = np.zeros((5, 8, 9), np.uint8)


def spacing_of(path: Path, dims: int = 2) -> tuple[float, ...] | None:
    """The spacing in mm, None without a scale; probing and reading must agree."""
    grid = read_image_file(path, dims).grid
    assert probe_image_file(path, dims).grid.is_same_grid(grid)
    assert probe_image_file(path, dims).grid.physical == grid.physical
    return grid.spacing if grid.physical else None


@pytest.mark.parametrize(
    ("resolution", "unit", "spacing"),
    [
        ((100, 200), "CENTIMETER", (0.05, 0.1)),  # x 100 a cm, y 200 a cm
        ((20_000, 20_000), "CENTIMETER", (0.0005, 0.0005)),
        ((63.5, 63.5), "INCH", (0.4, 0.4)),
        ((50_800, 50_800), "INCH", (0.0005, 0.0005)),
    ],
)
def test_measured_resolutions_are_a_scale(
    tmp_path: Path, resolution: tuple[float, float], unit: Any, spacing: tuple[float, float]
) -> None:
    tifffile.imwrite(tmp_path / "a.tif", GREY, resolution=resolution, resolutionunit=unit, metadata=None)
    assert spacing_of(tmp_path / "a.tif") == pytest.approx(spacing, rel=1e-5)


@pytest.mark.parametrize(
    ("resolution", "unit"),
    [
        ((72, 72), "INCH"), ((96, 96), "INCH"), ((300, 300), "INCH"), ((137, 137), "INCH"), ((1, 1), "INCH"),
        ((28.35, 28.35), "CENTIMETER"), ((118.11, 118.11), "CENTIMETER"), ((37.795, 37.795), "CENTIMETER"),
        ((1, 1), "CENTIMETER"), ((100, 100), "NONE"), ((0, 0), "CENTIMETER"),
    ],
)  # fmt: skip
def test_resolutions_for_printing_are_none(
    tmp_path: Path, resolution: tuple[float, float], unit: Any
) -> None:
    tifffile.imwrite(tmp_path / "a.tif", GREY, resolution=resolution, resolutionunit=unit, metadata=None)
    assert spacing_of(tmp_path / "a.tif") is None
    assert read_image_file(tmp_path / "a.tif", 2).grid.spacing == (1, 1)


def test_pillow_writes_dots_for_printing(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.tif", dpi=(72, 72))
    assert spacing_of(tmp_path / "a.tif") is None


def test_resolution_tags_say_nothing_of_slices(tmp_path: Path) -> None:
    tifffile.imwrite(
        tmp_path / "a.tif", STACK, resolution=(100, 100), resolutionunit="CENTIMETER", metadata=None
    )
    assert spacing_of(tmp_path / "a.tif", 3) is None


@pytest.mark.parametrize(
    ("unit", "factor"), [("um", 1e-3), ("micron", 1e-3), ("\\u00B5m", 1e-3), ("mm", 1.0), ("cm", 10.0)]
)
def test_imagej_says_its_unit(tmp_path: Path, unit: str, factor: float) -> None:
    notes = {"unit": unit, "spacing": 2.0, "axes": "ZYX"}
    tifffile.imwrite(tmp_path / "a.tif", STACK, imagej=True, resolution=(4, 2), metadata=notes)
    assert spacing_of(tmp_path / "a.tif", 3) == pytest.approx((0.5 * factor, 0.25 * factor, 2 * factor))
    tifffile.imwrite(tmp_path / "b.tif", GREY, imagej=True, resolution=(4, 4), metadata={"unit": unit})
    assert spacing_of(tmp_path / "b.tif") == pytest.approx((0.25 * factor, 0.25 * factor))


@pytest.mark.parametrize("notes", [{}, {"unit": "pixel"}, {"unit": "um", "yunit": "mm"}, {"unit": "inch"}])
def test_imagej_without_a_unit_has_no_scale(tmp_path: Path, notes: dict[str, str]) -> None:
    tifffile.imwrite(tmp_path / "a.tif", GREY, imagej=True, resolution=(72, 72), metadata=notes)
    assert spacing_of(tmp_path / "a.tif") is None


def test_ome_says_its_sizes(tmp_path: Path) -> None:
    sizes: dict[str, Any] = {"PhysicalSizeX": 0.25, "PhysicalSizeXUnit": "µm", "PhysicalSizeY": 0.5}
    tifffile.imwrite(tmp_path / "a.ome.tif", GREY, ome=True, metadata={"axes": "YX", **sizes})
    assert spacing_of(tmp_path / "a.ome.tif") == pytest.approx((0.0005, 0.00025))
    depth = {"PhysicalSizeZ": 0.002, "PhysicalSizeZUnit": "mm"}
    tifffile.imwrite(tmp_path / "b.ome.tif", STACK, ome=True, metadata={"axes": "ZYX", **sizes, **depth})
    assert spacing_of(tmp_path / "b.ome.tif", 3) == pytest.approx((0.0005, 0.00025, 0.002))
    tifffile.imwrite(tmp_path / "c.ome.tif", STACK, ome=True, metadata={"axes": "ZYX", **sizes})
    assert spacing_of(tmp_path / "c.ome.tif", 3) is None
    sizes["PhysicalSizeXUnit"] = "pixel"
    tifffile.imwrite(tmp_path / "d.ome.tif", GREY, ome=True, metadata={"axes": "YX", **sizes})
    assert spacing_of(tmp_path / "d.ome.tif") is None
