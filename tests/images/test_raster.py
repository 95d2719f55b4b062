"""PNG and JPEG: labels stay labels, color gives three channels, bombs are errors."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from polytask.errors import PolytaskError
from polytask.images.formats import probe_image_file, read_image_file, write_image_file
from polytask.images.volume import Grid, Volume

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 255, (6, 9), np.uint8)
COLOUR = RNG.integers(0, 255, (6, 9, 3), np.uint8)


def test_gray_and_16_bit(tmp_path: Path) -> None:
    deep = GREY.astype(np.uint16) * 257
    for data in (GREY, deep):
        Image.fromarray(data).save(tmp_path / "a.png")
        back, info = read_image_file(tmp_path / "a.png", dims=2), probe_image_file(tmp_path / "a.png", dims=2)
        assert back.array.dtype == data.dtype == info.dtype
        assert (back.array[0] == data).all()
        assert info.grid.shape == back.grid.shape == (6, 9)


def test_palette_keeps_its_indices(tmp_path: Path) -> None:
    image = Image.fromarray(GREY % 4).convert("P")
    image.putdata((GREY % 4).ravel().tolist())
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9])
    image.save(tmp_path / "a.png")
    assert (read_image_file(tmp_path / "a.png", dims=2).array[0] == GREY % 4).all()


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_few_bits_keep_the_stored_numbers(tmp_path: Path, bits: int) -> None:
    """Labels in a 1-, 2- or 4-bit gray file, written byte by byte here."""
    data = GREY[:, :8] % 2**bits
    packed = np.packbits(np.unpackbits(data[..., None], axis=-1)[..., 8 - bits :].reshape(6, -1), axis=1)
    rows = b"".join(b"\0" + row.tobytes() for row in packed)

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", 8, 6, bits, 0, 0, 0, 0)
    (tmp_path / "a.png").write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
    assert (read_image_file(tmp_path / "a.png", dims=2).array[0] == data).all()


def test_color_and_alpha(tmp_path: Path) -> None:
    Image.fromarray(COLOUR).save(tmp_path / "rgb.png")
    Image.fromarray(np.dstack([COLOUR, GREY])).save(tmp_path / "rgba.png")
    Image.fromarray(np.dstack([GREY, GREY // 2])).save(tmp_path / "la.png")
    for name in ("rgb", "rgba"):
        assert (read_image_file(tmp_path / f"{name}.png", dims=2).array == np.moveaxis(COLOUR, -1, 0)).all()
        assert probe_image_file(tmp_path / f"{name}.png", dims=2).channels == 3
    assert (read_image_file(tmp_path / "la.png", dims=2).array[0] == GREY).all()


def test_jpeg_is_not_turned_by_exif(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(GREY).save(tmp_path / "a.jpg", exif=exif, quality=95)
    back = read_image_file(tmp_path / "a.jpg", dims=2)
    assert back.array.shape == (1, 6, 9)
    Image.fromarray(COLOUR).convert("CMYK").save(tmp_path / "b.jpg")
    with pytest.raises(PolytaskError, match="CMYK"):
        probe_image_file(tmp_path / "b.jpg", dims=2)


def test_bare_picture_lies_as_in_itk(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.png")
    grid = read_image_file(tmp_path / "a.png", dims=2).grid
    sitk = pytest.importorskip("SimpleITK")
    image = sitk.ReadImage(str(tmp_path / "a.png"))
    place = np.array([*image.TransformIndexToPhysicalPoint((5, 2)), 0]) * (-1, -1, 1)
    assert image.GetPixel((5, 2)) == GREY[2, 5]
    assert place == pytest.approx((grid.affine @ [2, 5, 0, 1])[:3])


def test_read_as_a_volume_of_one_slice(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.png")
    assert read_image_file(tmp_path / "a.png").array.shape == (1, 6, 9, 1)


def test_what_png_cannot_hold_is_refused(tmp_path: Path) -> None:
    grid = Grid((6, 9), np.eye(4))
    for array in (
        GREY[None] / 2,
        GREY[None].astype(int) - 300,
        GREY[None].astype(int) * 1000,
        np.stack([GREY] * 2),
    ):
        with pytest.raises(PolytaskError, match="PNG expected"):
            write_image_file(tmp_path / "a.png", Volume(array, grid))
    assert not list(tmp_path.iterdir())
    write_image_file(tmp_path / "a.png", Volume(GREY[None].astype(np.int64), grid))
    assert (read_image_file(tmp_path / "a.png", dims=2).array[0] == GREY).all()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("edge", [10_000, 16_000, 60_000])
def test_pixel_bomb(tmp_path: Path, edge: int) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.png")
    raw = bytearray((tmp_path / "a.png").read_bytes())
    raw[16:24] = struct.pack(">II", edge, edge)
    raw[29:33] = struct.pack(">I", zlib.crc32(bytes(raw[12:29])))
    (tmp_path / "a.png").write_bytes(raw)
    for function in (probe_image_file, read_image_file):
        with pytest.raises(PolytaskError, match="bomb"):
            function(tmp_path / "a.png", 2)


def test_truncated_or_no_picture(tmp_path: Path) -> None:
    Image.fromarray(COLOUR).resize((200, 200)).save(tmp_path / "a.png")
    Image.fromarray(COLOUR).resize((200, 200)).save(tmp_path / "a.jpg")
    for name in ("a.png", "a.jpg"):
        whole = (tmp_path / name).read_bytes()
        for content in (whole[: len(whole) // 2], b"", b"text"):
            (tmp_path / name).write_bytes(content)
            with pytest.raises(PolytaskError, match="cannot be read as"):
                read_image_file(tmp_path / name, dims=2)
