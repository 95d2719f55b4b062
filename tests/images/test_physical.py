"""Whether a file says how large a pixel is."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from polytask.images.file_axes import RASTER_AFFINE
from polytask.images.formats import probe_image_file, read_image_file, write_image_file
from polytask.images.volume import Grid, Volume
from tests.images.dicoms import series
from tests.images.shapes import grid_of, phantom

GREY = np.arange(72, dtype=np.uint8).reshape(8, 9)


def physical(path: Path, dims: int = 2) -> bool:
    assert probe_image_file(path, dims).grid.physical == read_image_file(path, dims).grid.physical
    return read_image_file(path, dims).grid.physical


def test_bare_pictures_have_no_scale_whatever_they_say_of_printing(tmp_path: Path) -> None:
    for name in ("a.png", "a.jpg", "a.tif"):
        Image.fromarray(GREY).save(tmp_path / name, dpi=(300, 300))
        assert not physical(tmp_path / name), name
        assert read_image_file(tmp_path / name, 2).grid.spacing == (1, 1)


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("edge", [1.0, 0.5])
def test_what_we_write_keeps_whether_there_is_a_scale(
    tmp_path: Path, name: str, scale: bool, edge: float
) -> None:
    grid = Grid((8, 9), RASTER_AFFINE @ np.diag([edge, edge, 1, 1]), scale)
    write_image_file(tmp_path / name, Volume(GREY[None], grid))
    assert physical(tmp_path / name) is scale
    assert np.allclose(read_image_file(tmp_path / name, 2).grid.affine, grid.affine)


def test_a_tiff_with_a_sidecar_has_a_scale_unless_it_says_999(tmp_path: Path) -> None:
    for spacing, expected in (([3.0, 0.7, 0.7], True), ([999, 1, 1], False)):
        tifffile.imwrite(tmp_path / "a.tif", GREY)
        (tmp_path / "a.json").write_text(json.dumps({"spacing": spacing}))
        assert physical(tmp_path / "a.tif") is expected


def test_dicom_without_pixel_spacing_has_no_scale(tmp_path: Path) -> None:
    volume = phantom(grid_of("LPS"), "int16")
    one = Volume(volume.array[..., :1], Grid((*volume.grid.shape[:2], 1), volume.grid.affine))
    series(tmp_path / "with", one)
    series(
        tmp_path / "without", one, PixelSpacing=None, ImagePositionPatient=None, ImageOrientationPatient=None
    )
    assert physical(tmp_path / "with")
    assert not physical(tmp_path / "without")


def test_nrrd_and_metaimage_without_spacing_have_no_scale(tmp_path: Path) -> None:
    head = "NRRD0004\ntype: uint8\ndimension: 3\nsizes: 4 3 2\nencoding: raw\n"
    for more, expected in (("", False), ("spacings: 1 1 1\n", True)):
        (tmp_path / "a.nrrd").write_bytes(f"{head}{more}\n".encode() + bytes(24))
        assert physical(tmp_path / "a.nrrd", 3) is expected
    lines = "NDims = 3\nDimSize = 4 3 2\n{}ElementType = MET_UCHAR\nElementDataFile = LOCAL\n"
    for more, expected in (("", False), ("ElementSpacing = 1 1 1\n", True)):
        (tmp_path / "a.mha").write_bytes(lines.format(more).encode() + bytes(24))
        assert physical(tmp_path / "a.mha", 3) is expected
