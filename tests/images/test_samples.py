"""Real files, when they are there: `POLYTASK_DATA`, else `../shared/data` beside the repository."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from polytask.errors import PolytaskError
from polytask.images.formats import read_image_file

ROOT = Path(__file__).parents[2]
SAMPLES = Path(os.environ.get("POLYTASK_DATA") or ROOT.parent / "shared" / "data") / "format_samples"
pytestmark = pytest.mark.skipif(not SAMPLES.is_dir(), reason="the samples are not here")
NRRDS = sorted(SAMPLES.rglob("*.nrrd")) if SAMPLES.is_dir() else []
DICOMS = sorted(SAMPLES.rglob("*.dcm")) if SAMPLES.is_dir() else []


@pytest.mark.parametrize("path", NRRDS, ids=lambda p: p.name)
def test_nrrd_as_simpleitk_reads_it(path: Path) -> None:
    sitk = pytest.importorskip("SimpleITK")
    ours, image = read_image_file(path), sitk.ReadImage(str(path))
    voxels = sitk.GetArrayFromImage(image).T
    assert (ours.array == (voxels if voxels.ndim == 4 else voxels[None])).all()
    if image.GetDimension() == 3:
        for index in [(0, 0, 0), (1, 2, 1)]:
            place = np.array(image.TransformIndexToPhysicalPoint(index)) * (-1, -1, 1)
            assert place == pytest.approx((ours.grid.affine @ [*index, 1])[:3], abs=1e-4)


@pytest.mark.parametrize("path", DICOMS, ids=lambda p: p.name)
def test_dicom_files_are_read_or_refused_in_one_line(path: Path) -> None:
    try:
        volume = read_image_file(path)
    except PolytaskError as error:
        line = str(error)
    else:
        line = ""
        assert volume.array.shape[1:] == volume.grid.shape
    assert "\n" not in line


def test_ct_series_as_simpleitk_reads_it(tmp_path: Path) -> None:
    sitk = pytest.importorskip("SimpleITK")
    files = sorted(SAMPLES.rglob("ct-3slice_*.dcm"))
    for file in files:
        (tmp_path / file.name).symlink_to(file)
    ours = read_image_file(tmp_path)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(tmp_path)))
    image = reader.Execute()
    assert (ours.array[0] == sitk.GetArrayFromImage(image).T).all()
    for index in [(0, 0, 0), (200, 10, 2)]:
        place = np.array(image.TransformIndexToPhysicalPoint(index)) * (-1, -1, 1)
        assert place == pytest.approx((ours.grid.affine @ [*index, 1])[:3], abs=1e-3)
