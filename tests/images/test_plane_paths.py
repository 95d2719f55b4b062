"""Planes of a 4-D file, and series of a folder, as paths of their own."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from polytask.errors import PolytaskError
from polytask.images.formats import find_image_ending, probe_image_file, read_image_file
from polytask.images.plane_paths import find_source_file, make_plane_path, split_plane_path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Three planes that differ; the axes have different lengths."""
    array = np.arange(3 * 60, dtype=np.int16).reshape(3, 5, 4, 3).transpose(1, 2, 3, 0)
    nib.save(nib.Nifti1Image(array, np.diag([2.0, 3.0, 4.0, 1.0])), tmp_path / "a.nii.gz")
    return tmp_path / "a.nii.gz"


def test_a_plane_has_the_grid_of_its_file(file: Path) -> None:
    whole = read_image_file(file, 3)
    for plane in range(3):
        path = make_plane_path(file, plane)
        assert (split_plane_path(path), find_source_file(path), find_image_ending(path)) == (
            (file, plane),
            file,
            ".nii.gz",
        )
        found = read_image_file(path, 3)
        assert np.array_equal(found.array, whole.array[plane : plane + 1])
        assert found.grid.is_same_grid(whole.grid)
        assert (probe_image_file(path, 3).channels, probe_image_file(path, 3).grid.shape) == (1, (5, 4, 3))


@pytest.mark.parametrize("look", [read_image_file, probe_image_file])
def test_a_plane_that_is_not_there_is_named(file: Path, look: object) -> None:
    with pytest.raises(PolytaskError, match=r"a\.nii\.gz#3: the file holds 3 planes, counted from 0"):
        look(Path(f"{file}#3"), 3)  # type: ignore[operator]
    with pytest.raises(PolytaskError, match="no such file"):
        look(file.with_name("b.nii.gz#0"), 3)  # type: ignore[operator]


def test_names_that_only_look_like_planes(tmp_path: Path) -> None:
    (tmp_path / "a.nii#2").write_bytes(b"")
    assert split_plane_path(tmp_path / "a.nii#2") == (tmp_path / "a.nii#2", None)
    assert split_plane_path(tmp_path / "b.nii#two") == (tmp_path / "b.nii#two", None)
    assert split_plane_path(tmp_path / "folder#2") == (tmp_path / "folder#2", None)
