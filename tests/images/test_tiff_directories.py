"""The chain of directories of a TIFF is walked in bounded time, and sound files of every form pass."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile

from polytask.errors import PolytaskError
from polytask.images.formats import probe_image_file, read_image_file
from polytask.images.slides import open_slide
from polytask.images.tiff_directories import (
    check_tiff_directories,
    read_directory_format,
    walk_tiff_directories,
)
from tests.images.slide_worlds import write_pyramid

STACK = np.random.default_rng(0).integers(0, 255, (5, 8, 9), np.uint8)


def find_links(path: Path) -> tuple[list[int], list[int]]:
    """Where each directory lies, and where each says which one follows."""
    with path.open("rb") as file:
        form = read_directory_format(file)
        assert form is not None
        found = list(walk_tiff_directories(file))
    places = [offset for offset, _ in found]
    return places, [at + form.number.size + len(entries) * form.entry.size for at, entries in found]


def put(path: Path, at: int, raw: bytes) -> None:
    """Overwrite bytes of a file."""
    data = bytearray(path.read_bytes())
    data[at : at + len(raw)] = raw
    path.write_bytes(data)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
def test_every_form_of_a_sound_file_passes(tmp_path: Path, order: str, big: bool) -> None:
    path = tmp_path / "a.tif"
    options = {"photometric": "minisblack", "byteorder": order, "bigtiff": big}
    tifffile.imwrite(path, STACK, **options)  # type: ignore[arg-type]
    check_tiff_directories(path)
    with tifffile.TiffFile(path) as tiff:
        assert find_links(path)[0] == [page.offset for page in tiff.pages]
        assert len(tiff.pages) == 5
    with pytest.raises(PolytaskError, match="has more than 4 pages"):
        check_tiff_directories(path, max_pages=4)


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("back", [0, 2, 4])
def test_pages_that_lead_back_are_refused(tmp_path: Path, big: bool, back: int) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, STACK, photometric="minisblack", bigtiff=big)
    places, links = find_links(path)
    put(path, links[-1], struct.pack("<Q" if big else "<I", places[back]))
    for function in (probe_image_file, read_image_file):
        with pytest.raises(PolytaskError, match="after page 5 an earlier page follows again"):
            function(path)


def test_a_slide_whose_pages_lead_back_is_refused(tmp_path: Path) -> None:
    """An empty directory that leads to the first: tifffile makes a new page at each turn, for ever."""
    path = tmp_path / "a.svs"
    write_pyramid(path, 64, 16, {(0, 0)}, scales=(1, 4), tile=16)
    places, links = find_links(path)
    end = len(path.read_bytes())
    path.write_bytes(path.read_bytes() + struct.pack("<HI", 0, places[0]))
    put(path, links[-1], struct.pack("<I", end))
    with pytest.raises(PolytaskError, match="an earlier page follows again"), open_slide(path):
        pass


def test_a_directory_named_a_million_times_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    count = 100_000
    inner = struct.pack("<HHHIII", 1, 256, 3, 1, 9, 0)
    values = struct.pack("<I", 26) * count
    path.write_bytes(b"II*\0" + struct.pack("<IHHHIII", 8, 1, 330, 4, count, 44, 0) + inner + values)
    with pytest.raises(PolytaskError, match="page 1 has 100000 pages inside"):
        read_image_file(path)


def test_many_tags_and_values_told_again_and_again_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(b"II*\0" + struct.pack("<IH", 8, 5_000) + bytes(12 * 5_000 + 4))
    with pytest.raises(PolytaskError, match=r"page 1 has 4\d+ tags"):
        check_tiff_directories(path)
    pages, size = 300, 1 << 20
    links = b"".join(struct.pack("<HHHIII", 1, 270, 2, size, 4_096, 8 + 18 * k) for k in range(1, pages))
    path.write_bytes(b"II*\0" + struct.pack("<I", 8) + links.ljust(size + 8_192, b" "))
    with pytest.raises(PolytaskError, match="describe more than the file holds"):
        check_tiff_directories(path)


@pytest.mark.parametrize(
    "raw", [b"", b"II", b"II*\0\x08\0\0\0", b"II+\0\x08\0\0\0", b"XX*\0\x08\0\0\0", b"MM\0*" + b"\xff" * 60]
)
def test_what_is_no_tiff_is_left_to_the_library(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "a.tif").write_bytes(raw)
    check_tiff_directories(tmp_path / "a.tif")
    with pytest.raises(PolytaskError, match=r"cannot be read as TIFF|holds 0 images"):
        read_image_file(tmp_path / "a.tif")
