"""MetaImage: byte orders, data beside the header, channels, and wrong headers."""

from __future__ import annotations

import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

from polytask.errors import PolytaskError
from polytask.images.formats import probe_image_file, read_image_file, write_image_file
from tests.images.shapes import grid_of, phantom, same_places

VOLUME = phantom(grid_of("oblique PIR"))
DATA = VOLUME.array[0].tobytes("F")


def _header(data: str = "LOCAL", **more: str) -> bytes:
    affine = np.diag([-1, -1, 1, 1]) @ VOLUME.grid.affine
    spacing = VOLUME.grid.spacing
    fields = {
        "ObjectType": "Image",
        "NDims": "3",
        "BinaryData": "True",
        "BinaryDataByteOrderMSB": "False",
        "CompressedData": "False",
        "TransformMatrix": " ".join(repr(float(v)) for v in (affine[:3, :3] / spacing).T.ravel()),
        "Offset": " ".join(repr(float(v)) for v in affine[:3, 3]),
        "ElementSpacing": " ".join(map(repr, spacing)),
        "DimSize": "7 9 5",
        "ElementType": "MET_SHORT",
    } | more
    return "".join(f"{k} = {v}\n" for k, v in (fields | {"ElementDataFile": data}).items() if v).encode()


def test_local_data(tmp_path: Path) -> None:
    (tmp_path / "a.mha").write_bytes(_header() + DATA)
    assert same_places(VOLUME, read_image_file(tmp_path / "a.mha"))


def test_big_endian(tmp_path: Path) -> None:
    (tmp_path / "a.mha").write_bytes(
        _header(BinaryDataByteOrderMSB="True") + VOLUME.array[0].astype(">i2").tobytes("F")
    )
    assert same_places(VOLUME, read_image_file(tmp_path / "a.mha"))


@pytest.mark.parametrize("size", ["0", "-1", "12"])
def test_data_file_with_its_own_header(tmp_path: Path, size: str) -> None:
    (tmp_path / "a.mhd").write_bytes(_header("a.raw", HeaderSize=size))
    (tmp_path / "a.raw").write_bytes((b"" if size == "0" else bytes(12)) + DATA)
    assert same_places(VOLUME, read_image_file(tmp_path / "a.mhd"))


def test_compressed_data_beside_the_header(tmp_path: Path) -> None:
    (tmp_path / "a.mhd").write_bytes(_header("a.zraw", CompressedData="True"))
    (tmp_path / "a.zraw").write_bytes(zlib.compress(DATA))
    assert same_places(VOLUME, read_image_file(tmp_path / "a.mhd"))
    (tmp_path / "a.zraw").write_bytes(zlib.compress(DATA)[:-60])
    with pytest.raises(PolytaskError, match="truncated"):
        read_image_file(tmp_path / "a.mhd")


def test_fourth_axis_gives_channels(tmp_path: Path) -> None:
    volume = phantom(grid_of("LPS"), channels=4)
    more = {
        "NDims": "4",
        "DimSize": "7 9 5 4",
        "TransformMatrix": " ".join(map(str, np.eye(4).ravel())),
        "Offset": "1 2 3 0",
        "ElementSpacing": "0.8 1.5 3 1",
    }
    (tmp_path / "a.mha").write_bytes(_header(**more) + np.moveaxis(volume.array, 0, -1).tobytes("F"))
    back = read_image_file(tmp_path / "a.mha")
    assert (back.array == volume.array).all()
    assert back.grid.spacing == pytest.approx((0.8, 1.5, 3))


@pytest.mark.parametrize("name", ["../a.raw", "/etc/passwd", "sub/a.raw"])
def test_data_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "a.raw").write_bytes(DATA)
    (tmp_path / "in" / "a.mhd").write_bytes(_header(name))
    with pytest.raises(PolytaskError, match="same folder"):
        read_image_file(tmp_path / "in" / "a.mhd")


@pytest.mark.parametrize("name", ["LIST", "LIST 2D", "a%03d.raw 1 5 1"])
def test_several_data_files_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.mhd").write_bytes(_header(name))
    with pytest.raises(PolytaskError, match="several files"):
        probe_image_file(tmp_path / "a.mhd")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"ElementType": "MET_OTHER"}, "not a number type"),
        ({"DimSize": "7 9"}, "NDims 3 with 2 sizes"),
        ({"DimSize": ""}, "'dimsize' is missing"),
        ({"DimSize": "9000 9000 9000"}, "1458.0 GB"),
        ({"DimSize": "7 9 50"}, "truncated"),
        ({"TransformMatrix": "1 0 0 1 0 0 0 0 1"}, "no inverse"),
        ({"TransformMatrix": "1 0 0 1"}, "4 numbers; expected 9"),
        ({"ElementSpacing": "1 0 1"}, "no inverse"),
        ({"ElementNumberOfChannels": "0"}, "0 channels"),
    ],
)
def test_wrong_headers(tmp_path: Path, change: dict[str, str], said: str) -> None:
    (tmp_path / "a.mha").write_bytes(_header(**change) + DATA)
    for function in (probe_image_file, read_image_file):
        with pytest.raises(PolytaskError, match=said):
            function(tmp_path / "a.mha")


def test_what_is_no_metaimage(tmp_path: Path) -> None:
    for content in (b"", b"hello\n", b"\x00" * 1000, b"NDims = 3\n"):
        (tmp_path / "a.mha").write_bytes(content)
        with pytest.raises(PolytaskError, match="not a MetaImage"):
            read_image_file(tmp_path / "a.mha")


def test_text_voxels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = " ".join(map(str, VOLUME.array[0].ravel("F")))
    (tmp_path / "a.mha").write_bytes(_header(BinaryData="False") + text.encode() + b"\n")
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "SimpleITK", None)
        with pytest.raises(PolytaskError, match=r"polytask\[simpleitk\]"):
            read_image_file(tmp_path / "a.mha")
    pytest.importorskip("SimpleITK")
    assert same_places(VOLUME, read_image_file(tmp_path / "a.mha"))


def test_written_file_is_one_file_of_little_endian_zlib(tmp_path: Path) -> None:
    write_image_file(tmp_path / "a.mha", VOLUME)
    raw = (tmp_path / "a.mha").read_bytes()
    head, body = raw.split(b"LOCAL\n", 1)
    assert b"CompressedData = True" in head
    assert zlib.decompress(body) == DATA
