"""A model is not fed with what it was not made for: one line, before anything is written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from polytask.images.file_axes import RASTER_AFFINE
from polytask.images.formats import read_image_file, write_image_file
from polytask.images.volume import Grid, Volume
from tests.images.dicoms import series
from tests.journeys.clinic_cohort import make_ct_volume
from tests.journeys.run_cli import polytask, run_successfully


@pytest.fixture
def given(tmp_path: Path) -> Path:
    """A plain folder to put images in."""
    folder = tmp_path / "given"
    folder.mkdir()
    return folder


def read_refusal(clinics: Path, given: Path, *more: str) -> str:
    """The complaint of the CT model about what was given; nothing was written."""
    out = given.with_name("out")
    complaint = polytask("predict", clinics / "model", given, "-o", out, *more).complaint
    assert not out.exists()
    return complaint


@pytest.mark.parametrize("planes", [1, 3])
def test_a_flat_picture_is_refused_by_a_3d_model(clinics: Path, given: Path, planes: int) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (planes, 64, 48)).astype(np.uint8)
    write_image_file(given / "x.png", Volume(picture, Grid((64, 48), RASTER_AFFINE)))
    assert "a flat picture (64×48×1), but scan.ct is 3D" in read_refusal(clinics, given)
    assert "flat picture" in read_refusal(clinics, given, "--force"), "only values can be taken as they are"


def test_colors_are_refused_by_a_ct_model(clinics: Path, given: Path) -> None:
    grid = make_ct_volume(1).grid
    colors = np.random.default_rng(0).integers(0, 255, (3, *grid.shape)).astype(np.uint8)
    write_image_file(given / "x.nii.gz", Volume(colors, grid))
    assert "3 values per voxel, but scan.ct is CT with 1" in read_refusal(clinics, given)


def test_a_picture_of_a_ct_is_refused_by_its_values_unless_forced(clinics: Path, given: Path) -> None:
    grid = make_ct_volume(1).grid
    gray = np.random.default_rng(0).integers(0, 255, (1, *grid.shape)).astype(np.uint8)
    write_image_file(given / "x.nii.gz", Volume(gray, grid))
    complaint = read_refusal(clinics, given)
    assert "values are 0 to 254, none below 0, but scan.ct is CT in Hounsfield units" in complaint
    assert "--force" in complaint
    run_successfully("predict", clinics / "model", given, "-o", given.with_name("out"), "--force")


def test_other_units_are_refused(clinics: Path, given: Path) -> None:
    found = make_ct_volume(1)
    write_image_file(given / "x.nii.gz", Volume(found.array.astype(np.float32) / 1e6, found.grid))
    assert "but in training scan.ct had mean" in read_refusal(clinics, given)
    write_image_file(given / "x.nii.gz", Volume(found.array.astype(np.int32) * 1000 + 30_000, found.grid))
    assert "99 % of the training foreground" in read_refusal(clinics, given)
    write_image_file(given / "x.nii.gz", Volume(np.zeros_like(found.array), found.grid))
    assert "all voxels are 0: there is no image" in read_refusal(clinics, given)


def test_another_modality_is_refused(clinics: Path, given: Path) -> None:
    found = make_ct_volume(1)
    series(given / "x", found, Modality="MR")
    assert "a DICOM series of modality MR, but scan.ct is CT" in read_refusal(clinics, given)


def test_meters_for_millimeters_are_warned_of(clinics: Path, given: Path) -> None:
    found = make_ct_volume(1)
    affine = found.grid.affine.copy()
    affine[:3] /= 1000
    write_image_file(given / "x.nii.gz", Volume(found.array, Grid(found.grid.shape, affine)))
    said = run_successfully("predict", clinics / "model", given, "-o", given.with_name("out"))
    assert "check the spacing in its header" in said.out


def test_training_images_are_not_foreign(clinics: Path, tmp_path: Path) -> None:
    said = run_successfully("predict", clinics / "model", clinics / "cohort", "-o", tmp_path / "out")
    assert "spacing" not in said.out
    assert read_image_file(clinics / "cohort/files/01.nii.gz").array.min() == -1000
