"""Damaged headers end in one clear line or in an image within the cap; nothing else, whatever the bytes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from polytask.errors import PolytaskError
from polytask.images.formats import probe_image_file, read_image_file, write_image_file
from polytask.images.volume import ImageInfo, Volume
from tests.images.dicoms import series
from tests.images.shapes import grid_of, phantom

CAP = 1 << 20
EDGE = (b"\xff", b"\x00", b"\x7f", b"\x80")
WORDS = (
    b"nan",
    b"-1",
    b"0",
    b"99999999999",
    b"1e400",
    b"inf",
    b"none",
    b"(",
    b"",
    b"../x",
    b"x y",
    b"LIST",
    b"\xff",
)


def _bytes(raw: bytes, rng: np.random.Generator, header: int) -> bytes:
    """A binary header with a few bytes replaced, favoring extremes; now and then the file is cut."""
    out = bytearray(raw)
    for _ in range(int(rng.integers(1, 6))):
        at = int(rng.integers(0, header))
        out[at : at + 1] = EDGE[rng.integers(4)] if rng.random() < 0.5 else bytes([rng.integers(256)])
    return bytes(out[: rng.integers(0, len(out))] if rng.random() < 0.1 else out)


def _text(raw: bytes, rng: np.random.Generator, header: int) -> bytes:
    """A text header with words or whole lines replaced, dropped or doubled."""
    lines, body = raw[:header].split(b"\n"), raw[header:]
    for _ in range(int(rng.integers(1, 4))):
        at = int(rng.integers(0, len(lines)))
        words, kind = lines[at].split(b" "), rng.random()
        if kind < 0.6:
            words[rng.integers(len(words))] = WORDS[rng.integers(len(WORDS))]
            lines[at] = b" ".join(words)
        elif kind < 0.8 and len(lines) > 1:
            del lines[at]
        elif lines:
            lines.insert(at, lines[at])
    out = b"\n".join(lines) + body
    return _bytes(out, rng, header) if rng.random() < 0.3 else out


def _header(raw: bytes, suffix: str) -> int:
    if suffix == ".nii":
        return 348
    return raw.index(b"LOCAL\n") + 6 if suffix == ".mha" else raw.index(b"\n\n") + 2


def _attempt(path: Path, dims: int) -> tuple[ImageInfo, Volume] | str:
    """What both doors give, or the one line with which one of them refuses."""
    try:
        return probe_image_file(path, dims, CAP), read_image_file(path, dims, CAP)
    except PolytaskError as error:
        return str(error)


@pytest.mark.parametrize(("suffix", "mutate"), [(".nii", _bytes), (".nrrd", _text), (".mha", _text)])
@pytest.mark.parametrize("count", [800, pytest.param(20_000, marks=pytest.mark.slow)])
def test_mutated_headers(
    tmp_path: Path, suffix: str, mutate: Callable[..., bytes], count: int, capsys: pytest.CaptureFixture[str]
) -> None:
    path, rng = tmp_path / f"a{suffix}", np.random.default_rng(20)
    write_image_file(path, phantom(grid_of("oblique", (5, 4, 3)), "int16", channels=2))
    raw, refused = path.read_bytes(), 0
    header = _header(raw, suffix)
    for _ in range(count):
        path.write_bytes(mutate(raw, rng, header))
        dims = 2 if rng.random() < 0.2 else 3
        outcome = _attempt(path, dims)
        if isinstance(outcome, str):
            refused += 1
            assert "\n" not in outcome
            assert outcome.startswith(str(path))
            continue
        info, volume = outcome
        assert volume.array.nbytes <= CAP
        assert np.isfinite(volume.grid.affine).all()
        assert abs(np.linalg.det(volume.grid.affine[:3, :3])) > 0
        assert (info.channels, *info.grid.shape) == volume.array.shape
        assert info.dtype == volume.array.dtype
        assert info.grid.dims == dims
    assert count * 0.1 < refused < count * 0.95
    assert capsys.readouterr() == ("", "")


def _pillow(path: Path) -> None:
    from PIL import Image

    Image.fromarray(np.arange(300, dtype=np.uint8).reshape(10, 10, 3)).save(path)


def _tiff(path: Path) -> None:
    write_image_file(path, phantom(grid_of("LPS", (5, 4, 3))))


@pytest.mark.parametrize(("suffix", "make"), [(".png", _pillow), (".jpg", _pillow), (".tif", _tiff)])
def test_mutated_pictures(tmp_path: Path, suffix: str, make: Callable[[Path], None]) -> None:
    path, rng = tmp_path / f"a{suffix}", np.random.default_rng(3)
    make(path)
    raw = path.read_bytes()
    for _ in range(200):
        path.write_bytes(_bytes(raw, rng, len(raw)))
        outcome = _attempt(path, 3 if suffix == ".tif" else 2)
        assert not isinstance(outcome, str) or "\n" not in outcome


def test_mutated_dicom(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    series(tmp_path, phantom(grid_of("LPS", (6, 5, 1))))
    path = next(tmp_path.iterdir())
    raw = path.read_bytes()
    for _ in range(300):
        path.write_bytes(raw[:132] + _bytes(raw[132:], rng, len(raw) - 132))
        outcome = _attempt(path, 3)
        assert not isinstance(outcome, str) or "\n" not in outcome
