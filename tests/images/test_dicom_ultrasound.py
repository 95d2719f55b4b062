"""Ultrasound written by pydicom: the calibration of its regions is the size of a pixel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from polytask.images.formats import probe_image_file, read_image_file
from polytask.images.volume import Grid, Volume
from tests.images.dicoms import series


def region(x: float = 0.02, y: float = 0.03, units: int = 3, form: int = 1) -> Dataset:
    """One calibrated region, centimeters a pixel."""
    found = Dataset()
    found.RegionSpatialFormat, found.RegionDataType = form, 1
    found.RegionLocationMinX0, found.RegionLocationMinY0 = 0, 0
    found.RegionLocationMaxX1, found.RegionLocationMaxY1 = 8, 7
    found.PhysicalUnitsXDirection = found.PhysicalUnitsYDirection = units
    found.PhysicalDeltaX, found.PhysicalDeltaY = x, y
    return found


def spacing_of(folder: Path, regions: list[Dataset], **tags: Any) -> tuple[float, ...] | None:
    """Rows and columns in mm of a picture with these regions; None without a scale."""
    one = Volume(np.arange(72, dtype=np.int16).reshape(1, 9, 8, 1), Grid((9, 8, 1), np.eye(4)))
    bare: dict[str, Any] = {
        "PixelSpacing": None,
        "ImagePositionPatient": None,
        "ImageOrientationPatient": None,
    }
    series(folder, one, SequenceOfUltrasoundRegions=Sequence(regions), Modality="US", **{**bare, **tags})
    grid = read_image_file(folder, 2).grid
    assert probe_image_file(folder, 2).grid.is_same_grid(grid)
    return grid.spacing if grid.physical else None


def test_a_calibration_in_centimeters_is_the_size_of_a_pixel(tmp_path: Path) -> None:
    assert spacing_of(tmp_path / "one", [region()]) == pytest.approx((0.3, 0.2))
    assert spacing_of(tmp_path / "down", [region(0.02, -0.03)]) == pytest.approx((0.3, 0.2))
    assert spacing_of(tmp_path / "two", [region(), region(0.0201)]) == pytest.approx((0.3, 0.2))
    traces = [region(1.0, 1.0, units=4, form=3), region(), region(0.5, 0.1, form=2)]
    assert spacing_of(tmp_path / "traces", traces) == pytest.approx((0.3, 0.2))


@pytest.mark.parametrize(
    "regions",
    [
        [],
        [region(units=0)],
        [region(0, 0)],
        [region(), region(0.05)],
        [region(form=2)],
        [region(1.0)],
    ],
    ids=["none", "no-unit", "zero", "several", "m-mode", "huge"],
)
def test_what_is_no_calibration_leaves_pixels(tmp_path: Path, regions: list[Dataset]) -> None:
    assert spacing_of(tmp_path / "a", regions) is None


def test_the_pixel_spacing_comes_first(tmp_path: Path) -> None:
    assert spacing_of(tmp_path / "a", [region()], PixelSpacing=[0.7, 0.6]) == pytest.approx((0.7, 0.6))
