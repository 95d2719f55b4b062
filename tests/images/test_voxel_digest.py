"""The digest of an image: the same for the same voxels, whatever the file; another for another image."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from polytask.images.formats import read_image_file, write_image_file
from polytask.images.volume import Grid, Volume
from polytask.images.voxel_digest import digest_array, digest_voxels

SHAPE = (9, 7, 5)


@pytest.fixture
def volume() -> Volume:
    array = np.random.default_rng(0).integers(-1000, 1000, (1, *SHAPE)).astype(np.int16)
    affine = np.diag([-0.7, -0.7, 2.5, 1.0])
    affine[:3, 3] = 30, 20, -10
    return Volume(array, Grid(SHAPE, affine))


def test_name_compression_format_and_number_type_do_not_change_it(volume: Volume, tmp_path: Path) -> None:
    files = [tmp_path / n for n in ("a.nii.gz", "renamed.nii", "b.nrrd", "c.mha")]
    for path in files:
        write_image_file(path, volume)
    assert len({path.read_bytes() for path in files}) == 4
    found = {digest_voxels(read_image_file(path, dims=3)) for path in files}
    found.add(digest_voxels(Volume(volume.array.astype(np.float64), volume.grid)))
    assert found == {digest_voxels(volume)}


def test_the_order_in_which_a_file_stores_its_axes_does_not_change_it(volume: Volume, tmp_path: Path) -> None:
    image = nib.Nifti1Image(volume.array[0], volume.grid.affine)  # type: ignore[no-untyped-call]
    turned = image.as_reoriented(np.array([[2, -1], [0, 1], [1, 1]]))  # type: ignore[no-untyped-call]
    nib.save(turned, tmp_path / "turned.nii.gz")  # type: ignore[attr-defined]
    again = read_image_file(tmp_path / "turned.nii.gz", dims=3)
    assert again.grid.shape != volume.grid.shape
    assert digest_voxels(again) == digest_voxels(volume)


def test_a_file_that_lost_its_spacing_still_shows_the_same(volume: Volume) -> None:
    plain = Volume(volume.array, Grid(SHAPE, np.diag([-1.0, -1.0, 1.0, 1.0])))
    assert digest_voxels(plain) == digest_voxels(volume)


def test_one_other_voxel_is_another_image(volume: Volume) -> None:
    other = volume.array.copy()
    other[0, 4, 3, 2] += 1
    assert digest_voxels(Volume(other, volume.grid)) != digest_voxels(volume)
    flat = volume.array.reshape(1, 7, 9, 5)
    assert digest_array(flat) != digest_array(volume.array), "the shape counts"


def test_an_empty_image_shows_nobody(volume: Volume) -> None:
    assert digest_voxels(Volume(np.zeros_like(volume.array), volume.grid)) is None
    assert digest_voxels(Volume(np.full_like(volume.array, -1000), volume.grid)) is None


def test_pictures_and_bags_have_one_too() -> None:
    random = np.random.default_rng(1)
    picture = Volume(random.integers(0, 255, (3, 8, 6)).astype(np.uint8), Grid((8, 6), np.eye(4)))
    assert digest_voxels(picture) == digest_voxels(Volume(picture.array.astype(np.float32), picture.grid))
    bag = random.normal(size=(4, 6)).astype(np.float16)
    assert digest_array(bag) == digest_array(bag.astype(np.float32))
    assert digest_array(np.array([[0.0, 1.0]])) == digest_array(np.array([[-0.0, 1.0]]))
