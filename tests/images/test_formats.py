"""Every writer and reader keeps voxels on their world coordinates; outside libraries agree."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from polytask.errors import PolytaskError
from polytask.images.formats import (
    FORMATS,
    find_image_ending,
    probe_image_file,
    read_image_file,
    write_image_file,
)
from polytask.images.volume import Grid, Volume
from tests.images.shapes import DIRECTIONS, grid_of, phantom, same_places, world

VOLUMES = (".nii", ".nii.gz", ".nrrd", ".mha", ".tif")
FLAT = (".nii.gz", ".nrrd", ".mha", ".tif", ".png")
INTS = ("uint8", "int8", "int16", "uint16", "int32", "uint32", "int64", "uint64")


@pytest.mark.parametrize("suffix", VOLUMES)
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("channels", [1, 3])
def test_round_trip_keeps_world_places(tmp_path: Path, suffix: str, direction: str, channels: int) -> None:
    volume = phantom(grid_of(direction), channels=channels)
    write_image_file(tmp_path / f"a{suffix}", volume)
    back, info = read_image_file(tmp_path / f"a{suffix}"), probe_image_file(tmp_path / f"a{suffix}")
    assert same_places(volume, back)
    assert back.grid.is_same_grid(volume.grid)
    assert info.grid.is_same_grid(volume.grid)
    assert (info.channels, info.dtype) == (channels, back.array.dtype)
    assert [p.name for p in tmp_path.iterdir()] == [f"a{suffix}"]


@pytest.mark.parametrize("suffix", FLAT)
@pytest.mark.parametrize("direction", ["LPS", "oblique PIR"])
def test_round_trip_2d(tmp_path: Path, suffix: str, direction: str) -> None:
    volume = phantom(grid_of(direction, (7, 9)), "uint16")
    write_image_file(tmp_path / f"a{suffix}", volume)
    back = read_image_file(tmp_path / f"a{suffix}", dims=2)
    assert back.array.shape == (1, 7, 9)
    assert same_places(volume, back)
    assert probe_image_file(tmp_path / f"a{suffix}", dims=2).grid.is_same_grid(volume.grid)


@pytest.mark.parametrize("suffix", VOLUMES)
@pytest.mark.parametrize("dtype", [*INTS, "float32", "float64"])
def test_types_are_kept(tmp_path: Path, suffix: str, dtype: str) -> None:
    volume = phantom(grid_of("LPS"), dtype)
    write_image_file(tmp_path / f"a{suffix}", volume)
    back = read_image_file(tmp_path / f"a{suffix}")
    assert back.array.dtype == np.dtype(dtype)
    assert (back.array == volume.array).all()


@pytest.mark.parametrize("suffix", VOLUMES)
def test_bool_is_stored_as_labels(tmp_path: Path, suffix: str) -> None:
    grid = grid_of("RAS")
    write_image_file(tmp_path / f"a{suffix}", Volume(phantom(grid).array > 50, grid))
    back = read_image_file(tmp_path / f"a{suffix}")
    assert back.array.dtype == np.uint8
    assert (back.array == (phantom(grid).array > 50)).all()


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_simpleitk_sees_the_same(tmp_path: Path, suffix: str, direction: str) -> None:
    sitk = pytest.importorskip("SimpleITK")
    volume = phantom(grid_of(direction))
    write_image_file(tmp_path / f"a{suffix}", volume)
    image = sitk.ReadImage(str(tmp_path / f"a{suffix}"))
    for index in [(0, 0, 0), (6, 0, 0), (0, 8, 0), (0, 0, 4), (3, 5, 2)]:
        place = np.array(image.TransformIndexToPhysicalPoint(index)) * (-1, -1, 1)
        assert place == pytest.approx(world(volume.grid)[index], abs=1e-3)
        assert image.GetPixel(index) == volume.array[(0, *index)]


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha", ".mhd", ".nhdr"])
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("packed", [True, False])
def test_files_of_simpleitk_are_read(tmp_path: Path, suffix: str, direction: str, packed: bool) -> None:
    sitk = pytest.importorskip("SimpleITK")
    volume = phantom(grid_of(direction), "float32")
    affine = np.diag([-1, -1, 1, 1]) @ volume.grid.affine
    image = sitk.GetImageFromArray(volume.array[0].T)
    image.SetSpacing(volume.grid.spacing)
    image.SetDirection((affine[:3, :3] / volume.grid.spacing).ravel())
    image.SetOrigin(affine[:3, 3])
    sitk.WriteImage(image, str(tmp_path / f"a{suffix}"), packed)
    assert same_places(volume, read_image_file(tmp_path / f"a{suffix}"))


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_vector_images_of_simpleitk_give_channels(tmp_path: Path, suffix: str) -> None:
    sitk = pytest.importorskip("SimpleITK")
    volume = phantom(grid_of("LPS"), channels=3)
    sitk.WriteImage(sitk.GetImageFromArray(volume.array.T, isVector=True), str(tmp_path / f"a{suffix}"))
    assert (read_image_file(tmp_path / f"a{suffix}").array == volume.array).all()


def test_endings() -> None:
    assert find_image_ending("A.NII.GZ") == ".nii.gz"
    assert find_image_ending("a.seg.nrrd") == ".nrrd"
    assert find_image_ending("a.gz") is None
    assert all(e == "/" or e.startswith(".") for e in FORMATS)


@pytest.mark.parametrize("name", ["no.nii.gz", "no.xyz", "gone/x.png", "gone#1.2.3"])
def test_missing_file_is_one_line(tmp_path: Path, name: str) -> None:
    for function in (probe_image_file, read_image_file):
        with pytest.raises(PolytaskError, match="no such file") as caught:
            function(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_unknown_ending_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.doc").write_text("hello")
    with pytest.raises(PolytaskError, match=r"unknown image format.*\.nii\.gz"):
        read_image_file(tmp_path / "a.doc")
    with pytest.raises(PolytaskError, match="cannot be written"):
        write_image_file(tmp_path / "a.jpg", phantom(grid_of("RAS")))


@pytest.mark.parametrize("suffix", VOLUMES)
def test_failed_write_leaves_the_old_file(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_image_file(tmp_path / f"a{suffix}", phantom(grid_of("RAS")))
    before = (tmp_path / f"a{suffix}").read_bytes()

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(PolytaskError, match="No space left"):
        write_image_file(tmp_path / f"a{suffix}", phantom(grid_of("LPS")))
    assert (tmp_path / f"a{suffix}").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_writing_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    for suffix in (".nii.gz", ".nrrd", ".mha", ".png"):
        volume = phantom(grid_of("LPS", (6, 7) if suffix == ".png" else (6, 7, 3)), "uint8")
        write_image_file(tmp_path / f"a{suffix}", volume)
        write_image_file(tmp_path / f"b{suffix}", volume)
        assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


def test_limit_is_checked_before_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for suffix in VOLUMES:
        write_image_file(tmp_path / f"a{suffix}", phantom(grid_of("RAS")))
        size = 7 * 9 * 5 * 2
        assert read_image_file(tmp_path / f"a{suffix}", limit=size).array.nbytes == size
        for function in (probe_image_file, read_image_file):
            with pytest.raises(PolytaskError, match="POLYTASK_MAX_IMAGE_BYTES"):
                function(tmp_path / f"a{suffix}", 3, size - 1)
        monkeypatch.setenv("POLYTASK_MAX_IMAGE_BYTES", "100")
        with pytest.raises(PolytaskError, match="expected at most"):
            read_image_file(tmp_path / f"a{suffix}")
        monkeypatch.delenv("POLYTASK_MAX_IMAGE_BYTES")
    monkeypatch.setenv("POLYTASK_MAX_IMAGE_BYTES", "4GB")
    with pytest.raises(PolytaskError, match="whole number of bytes"):
        read_image_file(tmp_path / "a.nii")


def test_volume_where_2d_is_expected(tmp_path: Path) -> None:
    for suffix in VOLUMES:
        write_image_file(
            tmp_path / f"a{suffix}", Volume(np.zeros((1, 3, 4, 5), np.uint8), Grid((3, 4, 5), np.eye(4)))
        )
        with pytest.raises(PolytaskError, match="expected a 2D image"):
            read_image_file(tmp_path / f"a{suffix}", dims=2)
