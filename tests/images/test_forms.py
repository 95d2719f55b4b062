"""What a NIfTI file says of its place in sform and qform comes back in every file written on its grid."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from polytask.images.formats import probe_image_file, read_image_file, write_image_file
from polytask.images.geometry import crop_volume, orient_to_ras
from polytask.images.volume import Volume

TURN = np.array([[0.0, -1.5, 0, 12], [2.0, 0, 0, -7], [0, 0, 3.0, 5], [0, 0, 0, 1]])
OTHER = np.array([[2.0, 0, 0, -40], [0, 1.5, 0, 3], [0, 0, 3.0, 9], [0, 0, 0, 1]])


def save(path: Path, sform: np.ndarray, sform_code: int, qform: np.ndarray, qform_code: int) -> None:
    image = nib.Nifti1Image(np.arange(60, dtype=np.int16).reshape(3, 4, 5), None)
    image.set_sform(sform, sform_code)
    image.set_qform(qform, qform_code)
    nib.save(image, path)


@pytest.mark.parametrize(("sform_code", "qform_code"), [(1, 1), (2, 1), (0, 1), (1, 0), (0, 0), (4, 2)])
def test_both_forms_come_back(tmp_path: Path, sform_code: int, qform_code: int) -> None:
    save(tmp_path / "a.nii.gz", TURN, sform_code, OTHER, qform_code)
    volume = read_image_file(tmp_path / "a.nii.gz")
    write_image_file(tmp_path / "b.nii.gz", Volume((volume.array > 3).astype(np.uint8), volume.grid))
    old, new = nib.load(tmp_path / "a.nii.gz").header, nib.load(tmp_path / "b.nii.gz").header
    assert (int(new["sform_code"]), int(new["qform_code"])) == (sform_code, qform_code)
    assert np.allclose(new.get_qform(), old.get_qform(), atol=1e-4)
    assert np.allclose(new.get_best_affine(), old.get_best_affine(), atol=1e-4)
    if sform_code:
        assert np.allclose(new.get_sform(), TURN)
    assert probe_image_file(tmp_path / "b.nii.gz").grid.is_same_grid(volume.grid)


def test_forms_in_meters_are_written_in_millimeters(tmp_path: Path) -> None:
    image = nib.Nifti1Image(np.zeros((3, 4, 5), np.int16), None)
    image.set_sform(TURN @ np.diag([1e-3, 1e-3, 1e-3, 1]), 1)
    image.set_qform(OTHER @ np.diag([1e-3, 1e-3, 1e-3, 1]), 1)
    image.header.set_xyzt_units("meter")
    nib.save(image, tmp_path / "a.nii.gz")
    volume = read_image_file(tmp_path / "a.nii.gz")
    write_image_file(tmp_path / "b.nii.gz", volume)
    new = nib.load(tmp_path / "b.nii.gz").header
    assert new.get_xyzt_units()[0] == "mm"
    assert np.allclose(np.linalg.norm(new.get_qform()[:3, :3], axis=0), (2, 1.5, 3), atol=1e-4)
    assert probe_image_file(tmp_path / "b.nii.gz").grid.is_same_grid(volume.grid)


def test_another_grid_has_no_forms(tmp_path: Path) -> None:
    save(tmp_path / "a.nii.gz", TURN, 1, OTHER, 1)
    volume = read_image_file(tmp_path / "a.nii.gz")
    assert volume.grid.forms is not None
    assert orient_to_ras(volume).grid.forms is None
    cut = crop_volume(volume, (1, 1, 1), (3, 4, 5))
    write_image_file(tmp_path / "b.nii.gz", cut)
    new = nib.load(tmp_path / "b.nii.gz").header
    assert np.allclose(new.get_sform(), cut.grid.affine, atol=1e-4)
    assert np.allclose(new.get_qform(), cut.grid.affine, atol=1e-4)
