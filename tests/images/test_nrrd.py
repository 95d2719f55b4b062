"""NRRD: spaces, byte orders, detached data, and encodings of others."""

from __future__ import annotations

import bz2
import gzip
import sys
from pathlib import Path

import numpy as np
import pytest

from polytask.errors import PolytaskError
from polytask.images.formats import probe_image_file, read_image_file, write_image_file
from tests.images.shapes import SHAPE, grid_of, phantom, same_places

VOLUME = phantom(grid_of("oblique"))


def _header(
    volume=VOLUME, encoding: str = "raw", space: str = "right-anterior-superior", **more: str
) -> bytes:
    rows = [",".join(repr(float(v)) for v in volume.grid.affine[:3, c]) for c in range(4)]
    fields = {
        "type": "short",
        "dimension": "3",
        "space": space,
        "sizes": "7 9 5",
        "space directions": f"({rows[0]}) ({rows[1]}) ({rows[2]})",
        "endian": "little",
        "encoding": encoding,
        "space origin": f"({rows[3]})",
    } | {k.replace("_", " "): v for k, v in more.items()}
    return ("NRRD0004\n# a comment\n" + "".join(f"{k}: {v}\n" for k, v in fields.items() if v)).encode()


def _data(order: str = "<i2") -> bytes:
    return VOLUME.array[0].astype(order).tobytes("F")


def test_ras_and_las_headers(tmp_path: Path) -> None:
    (tmp_path / "a.nrrd").write_bytes(_header() + b"\n" + _data())
    assert same_places(VOLUME, read_image_file(tmp_path / "a.nrrd"))
    (tmp_path / "b.nrrd").write_bytes(_header(space="LAS") + b"\n" + _data())
    assert np.allclose(
        read_image_file(tmp_path / "b.nrrd").grid.affine, np.diag([-1, 1, 1, 1]) @ VOLUME.grid.affine
    )
    sitk = pytest.importorskip("SimpleITK")
    for name in "ab":
        image = sitk.ReadImage(str(tmp_path / f"{name}.nrrd"))
        place = np.array(image.TransformIndexToPhysicalPoint((1, 2, 3))) * (-1, -1, 1)
        assert place == pytest.approx(
            (read_image_file(tmp_path / f"{name}.nrrd").grid.affine @ [1, 2, 3, 1])[:3], abs=1e-6
        )


def test_big_endian_and_carriage_returns(tmp_path: Path) -> None:
    head = _header(endian="big").replace(b"\n", b"\r\n")
    (tmp_path / "a.nrrd").write_bytes(head + b"\r\n" + _data(">i2"))
    back = read_image_file(tmp_path / "a.nrrd")
    assert back.array.dtype.isnative
    assert same_places(VOLUME, back)


def test_byte_skip(tmp_path: Path) -> None:
    (tmp_path / "a.nrrd").write_bytes(_header(byte_skip="3") + b"\nxyz" + _data())
    (tmp_path / "b.nrrd").write_bytes(_header(byte_skip="-1") + b"\nsome junk" + _data())
    (tmp_path / "c.nrrd").write_bytes(
        _header(byte_skip="3", encoding="gzip") + b"\n" + gzip.compress(b"xyz" + _data())
    )
    for name in "abc":
        assert same_places(VOLUME, read_image_file(tmp_path / f"{name}.nrrd"))


@pytest.mark.parametrize("encoding", ["raw", "gzip"])
def test_detached_data_in_the_same_folder(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a.nhdr").write_bytes(_header(encoding=encoding, data_file="my data.raw"))
    (tmp_path / "my data.raw").write_bytes(_data() if encoding == "raw" else gzip.compress(_data()))
    assert same_places(VOLUME, read_image_file(tmp_path / "a.nhdr"))
    (tmp_path / "my data.raw").unlink()
    with pytest.raises(PolytaskError, match=r"'my data\.raw' is missing"):
        probe_image_file(tmp_path / "a.nhdr")


@pytest.mark.parametrize(
    "name", ["../secret.raw", "/etc/passwd", "sub/x.raw", "..", "LIST", "a%03d.raw 1 5 1", "..\\x"]
)
def test_data_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "secret.raw").write_bytes(_data())
    (tmp_path / "in" / "a.nhdr").write_bytes(_header(data_file=name))
    for function in (probe_image_file, read_image_file):
        with pytest.raises(PolytaskError, match="same folder"):
            function(tmp_path / "in" / "a.nhdr")


@pytest.mark.parametrize("first", [True, False])
def test_axis_that_is_not_space_gives_channels(tmp_path: Path, first: bool) -> None:
    volume = phantom(grid_of("PIR"), channels=4)
    rows = [f"({','.join(repr(float(v)) for v in volume.grid.affine[:3, c])})" for c in range(3)]
    words, sizes = (["none", *rows], "4 7 9 5") if first else ([*rows, "none"], "7 9 5 4")
    head = _header(volume, dimension="4", sizes=sizes, space_directions=" ".join(words))
    data = volume.array if first else np.moveaxis(volume.array, 0, -1)
    (tmp_path / "a.nrrd").write_bytes(head + b"\n" + data.tobytes("F"))
    assert same_places(volume, read_image_file(tmp_path / "a.nrrd"))


def test_header_without_directions_has_spacings(tmp_path: Path) -> None:
    head = _header(space="", space_directions="", space_origin="", spacings="0.5 1.5 3")
    (tmp_path / "a.nrrd").write_bytes(head + b"\n" + _data())
    assert np.allclose(read_image_file(tmp_path / "a.nrrd").grid.affine, np.diag([-0.5, -1.5, 3, 1]))


def test_plane_in_a_plane(tmp_path: Path) -> None:
    data = np.arange(6, dtype=np.int16).reshape(2, 3)
    head = b"NRRD0004\ntype: short\ndimension: 2\nspace dimension: 2\nsizes: 2 3\nencoding: raw\nendian: little\n"
    (tmp_path / "a.nrrd").write_bytes(
        head + b"space directions: (0.5,0) (0,2)\nspace origin: (1,1)\n\n" + data.tobytes("F")
    )
    back = read_image_file(tmp_path / "a.nrrd", dims=2)
    assert (back.array[0] == data).all()
    assert back.grid.spacing == (0.5, 2)


def test_other_encodings_go_through_simpleitk(tmp_path: Path) -> None:
    pytest.importorskip("SimpleITK")
    text = " ".join(map(str, VOLUME.array[0].ravel("F")))
    (tmp_path / "a.nrrd").write_bytes(_header(encoding="ascii") + b"\n" + text.encode())
    assert same_places(VOLUME, read_image_file(tmp_path / "a.nrrd"))


def test_without_simpleitk_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "SimpleITK", None)
    (tmp_path / "a.nrrd").write_bytes(_header(encoding="bzip2") + b"\n" + bz2.compress(_data()))
    assert probe_image_file(tmp_path / "a.nrrd").grid.shape == SHAPE
    with pytest.raises(PolytaskError, match=r"bzip2 needs SimpleITK.*polytask\[simpleitk\]"):
        read_image_file(tmp_path / "a.nrrd")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"type": "block"}, "not a number type"),
        ({"sizes": "7 9"}, "3 dimensions but 2 sizes"),
        ({"sizes": ""}, "'sizes' is missing"),
        ({"sizes": "9000 9000 9000"}, "1458.0 GB"),
        ({"sizes": "7 9 50"}, "truncated"),
        ({"space directions": "(1,0,0) (1,0,0) (0,0,1)"}, "no inverse"),
        ({"space directions": "(1,0,0) (0,nan,0) (0,0,1)"}, "not finite"),
    ],
)
def test_wrong_headers(tmp_path: Path, change: dict[str, str], said: str) -> None:
    (tmp_path / "a.nrrd").write_bytes(_header(**change) + b"\n" + _data())
    for function in (probe_image_file, read_image_file):
        with pytest.raises(PolytaskError, match=said):
            function(tmp_path / "a.nrrd")


def test_truncated(tmp_path: Path) -> None:
    write_image_file(tmp_path / "a.nrrd", VOLUME)
    whole = (tmp_path / "a.nrrd").read_bytes()
    (tmp_path / "a.nrrd").write_bytes(whole[:-40])
    for function in (probe_image_file, read_image_file):
        with pytest.raises(PolytaskError, match="truncated"):
            function(tmp_path / "a.nrrd")
