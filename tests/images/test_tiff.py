"""TIFF: pages, channels, number types, spacing, codecs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from polytask.errors import PolytaskError
from polytask.images.formats import probe_image_file, read_image_file

RNG = np.random.default_rng(0)
STACK = RNG.integers(0, 60_000, (4, 6, 9)).astype(np.uint16)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "float64", "uint32"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_pages_are_the_third_axis(tmp_path: Path, dtype: str, order: str) -> None:
    tifffile.imwrite(tmp_path / "a.tif", STACK.astype(dtype), photometric="minisblack", byteorder=order)
    back, info = read_image_file(tmp_path / "a.tif"), probe_image_file(tmp_path / "a.tif")
    assert back.array.shape == (1, 6, 9, 4) == (info.channels, *info.grid.shape)
    assert back.array.dtype == np.dtype(dtype) == info.dtype
    assert (back.array[0] == np.moveaxis(STACK.astype(dtype), 0, -1)).all()


def test_pages_one_by_one_by_pillow(tmp_path: Path) -> None:
    pages = [Image.fromarray(p) for p in STACK]
    pages[0].save(tmp_path / "a.tiff", save_all=True, append_images=pages[1:])
    assert (read_image_file(tmp_path / "a.tiff").array[0] == np.moveaxis(STACK, 0, -1)).all()
    with pytest.raises(PolytaskError, match="expected a 2D image"):
        read_image_file(tmp_path / "a.tiff", dims=2)


def test_2d_16_bit(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", STACK[0])
    back = read_image_file(tmp_path / "a.tif", dims=2)
    assert back.array.shape == (1, 6, 9)
    assert (back.array[0] == STACK[0]).all()


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("alpha", [False, True])
def test_color(tmp_path: Path, planar: str, alpha: bool) -> None:
    data = RNG.integers(0, 255, (6, 9, 4 if alpha else 3), np.uint8)
    stored = data if planar == "contig" else np.moveaxis(data, -1, 0)
    extra = {"extrasamples": ["unassalpha"]} if alpha else {}
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", planarconfig=planar, **extra)
    back = read_image_file(tmp_path / "a.tif", dims=2)
    assert probe_image_file(tmp_path / "a.tif", dims=2).channels == 3
    assert (back.array == np.moveaxis(data[..., :3], -1, 0)).all()


@pytest.mark.parametrize("codec", ["tiff_lzw", "tiff_deflate", "tiff_adobe_deflate", "packbits"])
def test_codecs_of_pillow(tmp_path: Path, codec: str) -> None:
    pages = [Image.fromarray(p) for p in STACK]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:], compression=codec)
    assert (read_image_file(tmp_path / "a.tif").array[0] == np.moveaxis(STACK, 0, -1)).all()


def test_bilevel_and_white_is_zero(tmp_path: Path) -> None:
    mask, gray = STACK[0] > 30_000, STACK[0].astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", mask)
    tifffile.imwrite(tmp_path / "b.tif", mask, photometric="minisblack")
    for name in "ab":
        assert (read_image_file(tmp_path / f"{name}.tif", dims=2).array[0] == mask).all()
    tifffile.imwrite(tmp_path / "c.tif", 255 - gray, photometric="miniswhite")
    assert (read_image_file(tmp_path / "c.tif", dims=2).array[0] == gray).all()
    tifffile.imwrite(tmp_path / "d.tif", 65_535 - STACK[0], photometric="miniswhite")
    assert (read_image_file(tmp_path / "d.tif", dims=2).array[0] == STACK[0]).all()


@pytest.mark.parametrize("kind", ["1", "L"])
def test_white_is_zero_through_another_codec(tmp_path: Path, kind: str) -> None:
    """Pillow turns gray and bits by itself; only the gray is wanted so."""
    gray = (STACK[0] > 30_000).astype(np.uint8) * 255 if kind == "1" else STACK[0].astype(np.uint8)
    Image.fromarray(gray).convert(kind).save(tmp_path / "a.tif", compression="tiff_lzw", tiffinfo={262: 0})
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.pages[0].photometric == 0
    with Image.open(tmp_path / "a.tif") as image:
        seen = np.asarray(image).astype(np.uint8)
    assert (read_image_file(tmp_path / "a.tif", dims=2).array[0] == (1 - seen if kind == "1" else seen)).all()


def test_spacing_of_imagej_and_of_a_file_beside(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", STACK, imagej=True, metadata={"spacing": 2.5, "axes": "ZYX"})
    assert read_image_file(tmp_path / "a.tif").grid.spacing == (1, 1, 2.5)
    tifffile.imwrite(tmp_path / "c_0000.tif", STACK, photometric="minisblack")
    (tmp_path / "c.json").write_text(json.dumps({"spacing": [3, 0.5, 0.7]}))
    assert read_image_file(tmp_path / "c_0000.tif").grid.spacing == (0.5, 0.7, 3)


def test_pages_of_different_size_are_refused(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(STACK[0])
        file.write(STACK[0, :3])
    with pytest.raises(PolytaskError, match="2 images of different form"):
        read_image_file(tmp_path / "a.tif")


def test_truncated_and_no_tiff(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", STACK, photometric="minisblack")
    whole = (tmp_path / "a.tif").read_bytes()
    for content in (whole[:300], b"", b"text", b"II*\0" + b"\xff" * 20):
        (tmp_path / "a.tif").write_bytes(content)
        with pytest.raises(PolytaskError, match=r"a\.tif: "):
            read_image_file(tmp_path / "a.tif")
