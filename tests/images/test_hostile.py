"""Small files that once hung, took much memory, or were read as something they are not."""

from __future__ import annotations

import io
import os
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from polytask.errors import PolytaskError
from polytask.images.bag_files import read_bag
from polytask.images.formats import FORMATS, probe_image_file, read_image_file, write_image_file
from polytask.images.volume import Grid, Volume
from tests.images.dicoms import series
from tests.images.shapes import grid_of, phantom

SECONDS = 2.0
"""Of the processor, far more than any of these needs now."""


def refused(function: Callable[..., object], *given: object) -> str:
    """The one line with which a file is refused, in little time."""
    began = time.process_time()
    with pytest.raises(PolytaskError) as caught:
        function(*given)
    assert time.process_time() - began < SECONDS
    line = str(caught.value)
    assert "\n" not in line
    return line


@pytest.mark.parametrize("suffix", [e for e in FORMATS if e != "/"])
def test_a_named_pipe_does_not_block(tmp_path: Path, suffix: str) -> None:
    os.mkfifo(tmp_path / f"a{suffix}")
    for function in (probe_image_file, read_image_file):
        assert "is a named pipe" in refused(function, tmp_path / f"a{suffix}")


def program(*steps: bytes) -> bytes:
    """A `.pt` file whose pickle does these steps."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a/data.pkl", b"\x80\x02" + b"".join(steps) + b".")
    return out.getvalue()


DOUBLED = b")" + b"q\x01h\x01h\x01\x86" * 60
"""A tuple with the one before twice in it, 60 times: 2^60 parts."""


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param((b"}", DOUBLED, b"K\x01s"), id="as a key, which is hashed"),
        pytest.param((b"}(", DOUBLED, b"K\x01u"), id="as one of several keys"),
        pytest.param(
            (b"X\x07\x00\x00\x00storagectorch\nFloatStorage\n", DOUBLED, b"N", b"K\x01tQ"),
            id="as a name",
        ),
        pytest.param((b"ctorch._utils\n_rebuild_tensor_v2\n", DOUBLED, b"R"), id="as arguments"),
        pytest.param((b"(" * 50_000, b"t" * 50_000), id="deep"),
        pytest.param((b"K\x010" * 200_000,), id="long"),
        pytest.param((b"K\x01}s",), id="a number as a mapping"),
    ],
)
def test_a_pickle_that_grows_is_refused(tmp_path: Path, steps: tuple[bytes, ...]) -> None:
    path = tmp_path / "a.pt"
    path.write_bytes(program(*steps))
    assert "expected a tensor" in refused(read_bag, path)


def test_a_tensor_does_not_grow_when_it_is_read(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    path = tmp_path / "a.pt"
    torch.save({"features": torch.zeros(1).expand(5_000, 1_000)}, path)
    assert "repeats its numbers" in refused(read_bag, path)
    torch.save({"features": torch.arange(6.0).view(3, 2).T, "note": ("a", 1)}, path)
    assert read_bag(path).features.tolist() == [[0, 2, 4], [1, 3, 5]]


def test_arrays_that_claim_more_than_is_stored(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("features", (10_000, 10_000), "f4", chunks=(100, 100))
    assert "the file stores only 0" in refused(read_bag, tmp_path / "a.h5")
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["features"] = h5py.Empty("f4")
    assert "holds nothing" in refused(read_bag, tmp_path / "b.h5")
    header = {"descr": "<f4", "fortran_order": False, "shape": (10_000, 10_000)}
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(out, header)
    with zipfile.ZipFile(tmp_path / "c.npz", "w") as archive:
        archive.writestr("features.npy", out.getvalue())
    assert "header claims 400000000 bytes of numbers" in refused(read_bag, tmp_path / "c.npz")


@pytest.mark.parametrize("frames", [65_535, 10**9, -3])
@pytest.mark.parametrize("packed", [False, True])
def test_frames_are_counted_before_they_are_made(tmp_path: Path, frames: int, packed: bool) -> None:
    series(tmp_path, phantom(grid_of("LPS", (6, 5, 1))), NumberOfFrames=frames)
    path = next(tmp_path.iterdir())
    if packed:
        raw = path.read_bytes().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.5\0")
        path.write_bytes(raw)
    said = refused(read_image_file, path)
    assert "header claims" in said
    assert said == refused(probe_image_file, path)


def test_many_files_of_many_frames_are_counted_together(tmp_path: Path) -> None:
    volume = Volume(np.zeros((1, 2, 2, 1), np.int16), Grid((2, 2, 1), np.eye(4)))
    for number in range(3):
        series(tmp_path, volume, name=f"s{number}", uid="1.2.3", NumberOfFrames=30_000)
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes() + bytes(30_000 * 8))
    assert "header claims the shape 2×2×90000" in refused(read_image_file, tmp_path)


def test_open_brackets_of_a_header(tmp_path: Path) -> None:
    path = tmp_path / "a.nrrd"
    write_image_file(path, phantom(grid_of("LPS")))
    head, _, body = path.read_bytes().partition(b"\n\n")
    lines = [line for line in head.split(b"\n") if not line.startswith(b"space directions")]
    path.write_bytes(b"\n".join([*lines, b"space directions: " + b"(" * 900_000]) + b"\n\n" + body)
    assert "not a valid NRRD header" in refused(read_image_file, path)


def test_an_unknown_encoding_goes_to_no_other_library(tmp_path: Path) -> None:
    path = tmp_path / "a.nrrd"
    write_image_file(path, phantom(grid_of("LPS")))
    raw = path.read_bytes()
    path.write_bytes(raw.replace(b"encoding: gzip", b"encoding: " + b"9" * 1_000))  # killed the process
    assert "is unknown" in refused(read_image_file, path)
    long = b"encoding: hex\ncontent: " + b"x" * 50_000
    path.write_bytes(raw.replace(b"encoding: gzip", long))
    assert "a field has too many characters" in refused(read_image_file, path)


@pytest.mark.parametrize(
    "dim", [[3, -7, 9, 5], [3, -7, -9, 5], [0, 7, 9, 5], [3, 0, 9, 5], [4, 7, 9, 5, -1], [4, 7, 9, -5, -1]]
)
def test_axes_of_nifti_that_are_no_sizes(tmp_path: Path, dim: list[int]) -> None:
    path = tmp_path / "a.nii"
    write_image_file(path, phantom(grid_of("LPS")))
    raw = bytearray(path.read_bytes())
    raw[40 : 40 + 2 * len(dim)] = np.array(dim, "<i2").tobytes()
    path.write_bytes(raw)
    for function in (probe_image_file, read_image_file):
        assert "expected 1 to 7 axes, each 1 or longer" in refused(function, path)


@pytest.mark.parametrize("suffix", [".nhdr", ".mhd"])
def test_a_link_beside_a_detached_header(tmp_path: Path, suffix: str) -> None:
    whole = tmp_path / ("a.nrrd" if suffix == ".nhdr" else "a.mha")
    write_image_file(whole, phantom(grid_of("LPS")))
    raw = whole.read_bytes()
    if suffix == ".nhdr":
        head, _, body = raw.partition(b"\n\n")
        header = head + b"\ndata file: a.bin\n"
    else:
        at = raw.index(b"LOCAL\n")
        header, body = raw[:at] + b"a.bin\n", raw[at + 6 :]
    folder, other = tmp_path / "here", tmp_path / "there"
    folder.mkdir()
    other.mkdir()
    (folder / f"a{suffix}").write_bytes(header)
    (other / "a.bin").write_bytes(body)
    (folder / "a.bin").symlink_to(other / "a.bin")
    assert "is a link to another folder" in refused(read_image_file, folder / f"a{suffix}")
    (folder / "a.bin").unlink()
    (folder / "b.bin").write_bytes(body)
    (folder / "a.bin").symlink_to("b.bin")
    assert (read_image_file(folder / f"a{suffix}").array == read_image_file(whole).array).all()
    (tmp_path / "link").symlink_to(folder)
    assert read_image_file(tmp_path / f"link/a{suffix}").array.shape == (1, 7, 9, 5)


def test_an_animation_is_no_image(tmp_path: Path) -> None:
    frames = [Image.fromarray(np.full((8, 9), value, np.uint8)) for value in (0, 90, 200)]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:])
    for function in (probe_image_file, read_image_file):
        assert "an animation of 3 pictures" in refused(function, tmp_path / "a.png", 2)


def test_colors_that_are_no_light(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 255, (8, 9, 4), np.uint8), "CMYK").save(tmp_path / "a.tif")
    Image.fromarray(rng.integers(0, 255, (8, 9, 3), np.uint8), "LAB").save(tmp_path / "b.tif")
    assert "its colors are SEPARATED" in refused(read_image_file, tmp_path / "a.tif", 2)
    assert "its colors are CIELAB" in refused(read_image_file, tmp_path / "b.tif", 2)
    assert "expected gray" in refused(probe_image_file, tmp_path / "a.tif", 2)


def test_spacing_beside_a_tiff(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    Image.fromarray(np.zeros((8, 9), np.uint8)).save(path)
    (tmp_path / "a.json").write_text('{"spacing": [2, 3]}')
    assert read_image_file(path, 2).grid.spacing == (2, 3)
    for text in (
        '{"spacing": [2, "x"]}',
        '{"spacing": [0, 1]}',
        '{"spacing": [1e999, 1]}',
        "{",
        '{"spacing": 5}',
    ):
        (tmp_path / "a.json").write_text(text)
        assert str(tmp_path / "a.json") in refused(read_image_file, path, 2)


def test_a_name_that_no_file_can_have() -> None:
    assert "no file can have this name" in refused(read_image_file, "a\0b.nii")
