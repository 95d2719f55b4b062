"""NIfTI: scaling, channels, units, and files that lie."""

from __future__ import annotations

import gzip
import resource
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from polytask.errors import PolytaskError
from polytask.images.formats import probe_image_file, read_image_file
from tests.images.shapes import DIRECTIONS, grid_of, phantom


def _save(path: Path, data: np.ndarray, affine: np.ndarray, **header: object) -> None:
    image = nib.Nifti1Image(data, affine, dtype=data.dtype)
    for name, value in header.items():
        image.header[name] = value
    nib.save(image, path)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
def test_agrees_with_nibabel(tmp_path: Path, direction: str, kind: type) -> None:
    volume = phantom(grid_of(direction), "int32")
    nib.save(kind(volume.array[0], volume.grid.affine, dtype=np.int32), tmp_path / "a.nii.gz")
    ours, theirs = read_image_file(tmp_path / "a.nii.gz"), nib.load(tmp_path / "a.nii.gz")
    assert np.allclose(ours.grid.affine, theirs.affine)
    assert (ours.array[0] == np.asarray(theirs.dataobj)).all()


def test_slope_and_intercept_as_nibabel(tmp_path: Path) -> None:
    image = nib.Nifti1Image(phantom(grid_of("LPS")).array[0], np.eye(4))
    image.header.set_slope_inter(0.25, -7.5)
    nib.save(image, tmp_path / "a.nii")
    raw = bytearray((tmp_path / "a.nii").read_bytes())
    raw[112:120] = np.array([0.25, -7.5], "<f4").tobytes()
    (tmp_path / "a.nii").write_bytes(raw)
    ours = read_image_file(tmp_path / "a.nii")
    assert ours.array.dtype == np.float32 == probe_image_file(tmp_path / "a.nii").dtype
    assert np.allclose(ours.array[0], nib.load(tmp_path / "a.nii").get_fdata(), rtol=1e-6)
    assert np.ptp(ours.array) > 0


def test_big_endian(tmp_path: Path) -> None:
    data = phantom(grid_of("LPS"), "int16").array[0]
    header = nib.Nifti1Header(endianness=">")
    header.set_data_dtype(">i2")
    nib.save(nib.Nifti1Image(data, np.diag([2.0, 2, 2, 1]), header), tmp_path / "a.nii")
    assert (tmp_path / "a.nii").read_bytes()[:4] == b"\x00\x00\x01\x5c"
    back = read_image_file(tmp_path / "a.nii")
    assert back.array.dtype.isnative
    assert (back.array[0] == data).all()


@pytest.mark.parametrize("shape", [(4, 5, 6, 3), (4, 5, 6, 1, 3), (4, 5, 6, 3, 1)])
def test_last_axes_are_channels(tmp_path: Path, shape: tuple[int, ...]) -> None:
    data = np.arange(np.prod(shape), dtype=np.int16).reshape(shape)
    _save(tmp_path / "a.nii.gz", data, np.eye(4))
    back = read_image_file(tmp_path / "a.nii.gz")
    assert probe_image_file(tmp_path / "a.nii.gz").channels == 3
    assert (back.array == np.moveaxis(data.reshape(4, 5, 6, 3), -1, 0)).all()


def test_two_axes_beyond_space_are_refused(tmp_path: Path) -> None:
    _save(tmp_path / "a.nii", np.zeros((2, 2, 2, 2, 2), np.int16), np.eye(4))
    with pytest.raises(PolytaskError, match=r"2×2×2×2×2.*one axis beyond space"):
        read_image_file(tmp_path / "a.nii")


def test_rgb_voxels_are_three_channels(tmp_path: Path) -> None:
    for names in ("RGB", "RGBA"):
        data = np.random.default_rng(0).integers(0, 255, (3, 4, 5, len(names)), np.uint8)
        _save(tmp_path / "a.nii", data.view([(n, "u1") for n in names])[..., 0], np.eye(4))
        assert (read_image_file(tmp_path / "a.nii").array == np.moveaxis(data[..., :3], -1, 0)).all()


def test_units_become_millimeters_as_in_itk(tmp_path: Path) -> None:
    image = nib.Nifti1Image(np.zeros((2, 3, 4), np.uint8), np.diag([1000.0, 2000, 3000, 1]))
    image.header.set_xyzt_units("micron")
    image.set_qform(image.affine, 1)
    nib.save(image, tmp_path / "a.nii")
    assert read_image_file(tmp_path / "a.nii").grid.spacing == pytest.approx((1, 2, 3))
    sitk = pytest.importorskip("SimpleITK")
    assert sitk.ReadImage(str(tmp_path / "a.nii")).GetSpacing() == pytest.approx((1, 2, 3))


def test_flat_nifti_in_any_plane(tmp_path: Path) -> None:
    affine = grid_of("oblique").affine
    for axis in range(3):
        shape = [4, 5, 6]
        shape[axis] = 1
        data = np.arange(np.prod(shape), dtype=np.int16).reshape(shape)
        _save(tmp_path / "a.nii", data, affine)
        flat = read_image_file(tmp_path / "a.nii", dims=2)
        assert (flat.array[0] == data.squeeze(axis)).all()
        kept = [a for a in range(3) if a != axis]
        assert np.allclose(flat.grid.affine[:, [0, 1, 3]], affine[:, [*kept, 3]], atol=1e-5)
        assert abs(np.linalg.det(flat.grid.affine)) > 0.1


def _claim(shape: tuple[int, ...], code: int, bits: int) -> bytes:
    header = nib.Nifti1Header()
    header.set_data_shape(shape)
    header["datatype"], header["bitpix"], header["vox_offset"], header["magic"] = code, bits, 352, b"n+1"
    header.set_sform(np.eye(4), 1)
    return header.binaryblock + bytes(4)


def _refused(path: Path, *words: str) -> None:
    """Both doors refuse with one line, without taking memory."""
    for function in (probe_image_file, read_image_file):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with pytest.raises(PolytaskError) as caught:
            function(path)
        message = str(caught.value)
        assert message.startswith(str(path))
        assert "\n" not in message
        assert all(word in message for word in words), message
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB


def test_header_that_claims_27_gb(tmp_path: Path) -> None:
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(_claim((1500, 1500, 1500), 64, 64)))
    assert (tmp_path / "a.nii.gz").stat().st_size < 150
    _refused(tmp_path / "a.nii.gz", "1500×1500×1500", "float64", "27.0 GB")


def test_claim_below_the_cap_that_no_gzip_can_hold(tmp_path: Path) -> None:
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(_claim((800, 800, 800), 64, 64)))
    _refused(tmp_path / "a.nii.gz", "truncated")


def test_gzip_bomb_is_not_inflated_beyond_its_claim(tmp_path: Path) -> None:
    bomb = gzip.compress(_claim((2, 2, 2), 2, 8) + b"\x07" * 8 + bytes(300_000_000), 6)
    (tmp_path / "a.nii.gz").write_bytes(bomb)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert (read_image_file(tmp_path / "a.nii.gz").array == 7).all()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


@pytest.mark.parametrize("keep", [0.3, 0.9, 0.999])
def test_truncated(tmp_path: Path, keep: float) -> None:
    data = np.random.default_rng(0).integers(0, 1000, (20, 20, 20)).astype(np.int16)
    for name in ("a.nii.gz", "a.nii"):
        _save(tmp_path / name, data, np.eye(4))
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole[: int(len(whole) * keep)])
        _refused(tmp_path / name, "truncated")


def test_flipped_bit_in_a_gzip_stream(tmp_path: Path) -> None:
    _save(
        tmp_path / "a.nii.gz",
        np.random.default_rng(0).integers(0, 9, (20, 20, 20)).astype(np.int16),
        np.eye(4),
    )
    raw = bytearray((tmp_path / "a.nii.gz").read_bytes())
    raw[len(raw) // 2] ^= 16
    (tmp_path / "a.nii.gz").write_bytes(raw)
    with pytest.raises(PolytaskError, match="damaged"):
        read_image_file(tmp_path / "a.nii.gz")


def test_members_of_a_gzip_file_are_one_stream(tmp_path: Path) -> None:
    data = phantom(grid_of("LPS")).array[0]
    _save(tmp_path / "a.nii", data, np.eye(4))
    raw = (tmp_path / "a.nii").read_bytes()
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(raw[:500]) + gzip.compress(raw[500:]))
    assert (read_image_file(tmp_path / "a.nii.gz").array[0] == data).all()
    assert probe_image_file(tmp_path / "a.nii.gz").grid.shape == data.shape


@pytest.mark.parametrize(
    "content", [b"", b"subject,visit\n1,2\n", b"\x1f\x8b\x08garbage", gzip.compress(b"text" * 500, mtime=0)]
)
def test_what_is_no_nifti(tmp_path: Path, content: bytes) -> None:
    for name in ("a.nii.gz", "a.nii"):
        (tmp_path / name).write_bytes(content)
        _refused(tmp_path / name, "expected" if content[:2] != b"\x1f\x8b" else "")


@pytest.mark.parametrize("row", [(0, 0, 0, 0), (np.nan, 0, 0, 0), (0, 1, 0, 0), (np.inf, 0, 0, 0)])
def test_affine_without_inverse(tmp_path: Path, row: tuple[float, ...]) -> None:
    _save(tmp_path / "a.nii", np.zeros((2, 3, 4), np.uint8), np.eye(4))
    raw = bytearray((tmp_path / "a.nii").read_bytes())
    raw[280:296] = np.array(row, "<f4").tobytes()  # srow_x
    (tmp_path / "a.nii").write_bytes(raw)
    _refused(tmp_path / "a.nii", "affine")


def test_complex_voxels_are_refused(tmp_path: Path) -> None:
    _save(tmp_path / "a.nii", np.zeros((2, 3, 4), np.complex64), np.eye(4))
    _refused(tmp_path / "a.nii", "complex64")


def test_folder_named_like_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.nii.gz").mkdir()
    _refused(tmp_path / "a.nii.gz", "no DICOM")
