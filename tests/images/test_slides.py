"""Slides: tissue is found exactly where it was put, whatever the reader, and never is a whole slide in memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from polytask.errors import PolytaskError
from polytask.images.slide_openslide import OpenSlideSlide
from polytask.images.slide_patches import (
    PatchSpec,
    choose_even_indices,
    find_patch_extent,
    find_tissue_patches,
    stream_patches,
)
from polytask.images.slide_pyramid import find_best_level
from polytask.images.slide_tiff import TiffSlide
from polytask.images.slides import open_slide
from polytask.images.tissue import compute_saturation, find_otsu_threshold, find_tissue
from tests.images.slide_worlds import GLASS, TISSUE, pixels, write_pyramid

SOME = {(1, 0), (2, 0), (1, 1), (3, 3)}
CUT = PatchSpec(patch=64, mpp=1.0, downsample=None, tissue=0.5)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """512², squares of 128 pixels, levels 1, 2 and 4, half a µm a pixel."""
    path = tmp_path / "small.tif"
    write_pyramid(path, 512, 128, SOME, (1, 2, 4), tile=64)
    return path


def corners(path: Path, cut: PatchSpec = CUT) -> set[tuple[int, int]]:
    with open_slide(path) as slide:
        extent = find_patch_extent(slide, cut)
        return {(x // extent, y // extent) for x, y in find_tissue_patches(slide, cut).tolist()}


def test_a_slide_says_its_levels_and_resolution(small: Path) -> None:
    with open_slide(small) as slide:
        assert isinstance(slide, TiffSlide)
        assert [(v.width, v.height, v.downsample) for v in slide.levels] == [
            (512, 512, 1.0),
            (256, 256, 2.0),
            (128, 128, 4.0),
        ]
        assert slide.mpp == pytest.approx(0.5)
        assert [find_best_level(slide, d) for d in (0.5, 1, 1.9, 2, 3, 4, 100)] == [0, 0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize("level", [0, 1, 2])
@pytest.mark.parametrize(("x", "y"), [(0, 0), (37, 91), (-20, 5), (100, 120)])
def test_regions_are_the_pixels_that_were_written(small: Path, level: int, x: int, y: int) -> None:
    size, scale = 512 >> level, 2**level
    written = np.vstack(
        [
            np.hstack([pixels(c, r, 64, scale, 128, SOME) for c in range(0, size, 64)])
            for r in range(0, size, 64)
        ]
    )
    with open_slide(small) as slide:
        found = slide.read(level, x, y, 70, 50)
    frame = np.full((size + 400, size + 400, 3), 255, np.uint8)
    frame[200 : 200 + size, 200 : 200 + size] = written
    assert np.array_equal(found, frame[200 + y : 250 + y, 200 + x : 270 + x])


@pytest.mark.parametrize("nested", [False, True])
def test_tissue_is_found_exactly(tmp_path: Path, nested: bool) -> None:
    path = tmp_path / "slide.tif"
    write_pyramid(path, 512, 128, SOME, (1, 2, 4), tile=64, nested=nested)
    assert corners(path) == SOME


def test_a_patch_is_the_mean_of_what_it_spans(small: Path) -> None:
    with open_slide(small) as slide:
        where = find_tissue_patches(slide, CUT)
        assert where.dtype == np.int32
        cut = list(stream_patches(slide, where, CUT))
    assert [c.shape for c in cut] == [(64, 64, 3)] * 4
    assert all(np.allclose(c.mean(axis=(0, 1)), TISSUE, atol=1) for c in cut)


def test_shrinking_averages_where_no_level_fits(tmp_path: Path) -> None:
    path = tmp_path / "checkered.tif"
    image = np.zeros((256, 256, 3), np.uint8)
    image[::2, ::2] = image[1::2, 1::2] = (240, 120, 160)
    tifffile.imwrite(path, image, tile=(64, 64), photometric="rgb", compression="zlib", metadata=None)
    cut = PatchSpec(32, None, 4.0, 0.5)
    with open_slide(path) as slide:
        patch = next(stream_patches(slide, np.array([[0, 0]], np.int32), cut))
    assert np.allclose(patch[4:-4, 4:-4], [120, 60, 80], atol=2)  # every second pixel would be black or pink


@pytest.mark.parametrize("share", [0.3, 0.6])
def test_half_covered_patches_follow_the_share(small: Path, share: float) -> None:
    wide = PatchSpec(
        patch=128, mpp=1.0, downsample=None, tissue=share
    )  # 256 of the finest pixels: four squares each
    # Squares (1,0) and (1,1) fill half of the first patch; (2,0) and (3,3) a quarter of theirs.
    assert corners(small, wide) == ({(0, 0)} if share < 0.5 else set())


def test_openslide_finds_the_same_in_jpeg_tiles(tmp_path: Path) -> None:
    plain, jpeg = tmp_path / "plain.tif", tmp_path / "jpeg.svs"
    for path in (plain, jpeg):
        write_pyramid(path, 512, 128, SOME, (1, 2, 4), tile=64, jpeg=path == jpeg)
    assert corners(jpeg) == SOME
    with open_slide(plain) as a, open_slide(jpeg) as b:
        assert isinstance(b, OpenSlideSlide)
        assert b.levels == a.levels
        assert b.mpp == pytest.approx(0.5)
        for x, y in ((128, 0), (60, 70), (-30, 480)):
            one, two = a.read(0, x, y, 64, 64).astype(int), b.read(0, x, y, 64, 64).astype(int)
            assert np.abs(one - two).max() <= 12  # JPEG
            assert np.abs(one - two).mean() < 2


def test_jpeg_without_openslide_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "jpeg.tif"
    write_pyramid(path, 256, 128, SOME, (1,), tile=64, jpeg=True)
    monkeypatch.setitem(sys.modules, "openslide", None)
    with (
        pytest.raises(PolytaskError, match=r"other encodings need pip install 'polytask\[slides\]'"),
        open_slide(path),
    ):
        pass


# By hand: of 0,0,0,10,10,200,200,200 the cut above 10 leaves means 4 and 200; shares 5/8 and 3/8: 9003.75, the largest.
def test_otsu_by_hand() -> None:
    assert find_otsu_threshold(np.array([0, 0, 0, 10, 10, 200, 200, 200], np.uint8)) == 10


def test_otsu_is_the_least_variance_within() -> None:
    random = np.random.default_rng(0)
    values = (
        np.concatenate([random.normal(40, 12, 900), random.normal(130, 30, 400)])
        .clip(0, 255)
        .astype(np.uint8)
    )

    def within(t: int) -> float:
        parts = values[values <= t], values[values > t]
        return sum(len(p) * float(p.var()) for p in parts if len(p))

    assert within(find_otsu_threshold(values)) == pytest.approx(min(within(t) for t in range(256)))


def test_saturation_by_hand() -> None:
    line = np.array([[[255, 255, 255], [200, 100, 150], [10, 0, 0], [0, 255, 255]]], np.uint8)
    assert compute_saturation(line).tolist() == [[0, 127, 0, 255]]  # the third is too dark to say


@pytest.mark.parametrize(("color", "tissue"), [(GLASS, False), (TISSUE, True), ((5, 0, 3), False)])
def test_slides_of_one_kind_are_not_split_in_two(
    tmp_path: Path, color: tuple[int, ...], tissue: bool
) -> None:
    path = tmp_path / "even.tif"
    noise = np.random.default_rng(0).integers(-2, 3, (256, 256, 3))
    image = np.clip(np.array(color) + noise, 0, 255).astype(np.uint8)
    tifffile.imwrite(path, image, tile=(64, 64), photometric="rgb", metadata=None)
    with open_slide(path) as slide:
        assert find_tissue(slide, 4).tissue.all() == tissue
        assert find_tissue(slide, 4).tissue.any() == tissue
        assert len(find_tissue_patches(slide, PatchSpec(64, None, 1.0, 0.5))) == (16 if tissue else 0)


def test_thinning_is_even_and_keeps_the_ends() -> None:
    assert choose_even_indices(5, 9).tolist() == [0, 1, 2, 3, 4]
    assert choose_even_indices(9, 3).tolist() == [0, 4, 8]
    assert len(set(choose_even_indices(1000, 999).tolist())) == 999


def test_bad_slides_are_one_line(tmp_path: Path, small: Path) -> None:
    cut = tmp_path / "cut.tif"
    cut.write_bytes(small.read_bytes()[: small.stat().st_size // 2])
    wide = tmp_path / "wide.tif"
    tifffile.imwrite(wide, np.zeros((64, 64, 3), np.uint16), tile=(32, 32), photometric="rgb", metadata=None)
    text = tmp_path / "text.tif"
    text.write_text("no slide")
    other = tmp_path / "bag.npz"
    other.write_bytes(b"")
    cases = {
        tmp_path / "none.tif": "no such file",
        cut: "truncated|cannot be read",
        wide: "16 bits",
        text: "cannot be read",
        other: "say `features: WIDTH`",
    }
    for path, words in cases.items():
        with pytest.raises(PolytaskError, match=words) as found, open_slide(path):
            pass
        assert "\n" not in str(found.value)
        assert str(found.value).startswith(str(path))


def test_what_the_resolution_does_not_allow_is_said(tmp_path: Path, small: Path) -> None:
    with (
        open_slide(small) as slide,
        pytest.raises(PolytaskError, match=r"coarser than the 0\.2 of the header"),
    ):
        find_tissue_patches(slide, PatchSpec(64, 0.2, None, 0.5))
    silent = tmp_path / "silent.tif"
    tifffile.imwrite(silent, np.zeros((64, 64, 3), np.uint8), tile=(32, 32), photometric="rgb", metadata=None)
    with (
        open_slide(silent) as slide,
        pytest.raises(PolytaskError, match="give the slide input a `downsample`"),
    ):
        find_tissue_patches(slide, CUT)


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 700), st.integers(0, 255)), min_size=1, max_size=3), st.floats(0.3, 1)
)
def test_damaged_slides_are_read_or_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int]], kept: float
) -> None:
    path = tmp_path_factory.mktemp("damaged") / "slide.tif"
    write_pyramid(path, 128, 64, {(0, 0)}, (1,), tile=64)
    content = bytearray(path.read_bytes())
    for place, value in changes:
        content[place % len(content)] = value  # the header and the directory
    path.write_bytes(content[: int(kept * len(content))])
    said = ""
    try:
        with open_slide(path) as slide:
            cut = PatchSpec(32, None, 1.0, 0.5)
            assert all(
                p.shape == (32, 32, 3)
                for p in stream_patches(slide, find_tissue_patches(slide, cut)[:8], cut)
            )
    except PolytaskError as error:
        said = str(error)
    assert "\n" not in said


BOUNDED = """
import re, sys
from pathlib import Path
from polytask.images.slide_patches import PatchSpec, find_tissue_patches, stream_patches
from polytask.images.slides import open_slide

small, large = map(Path, sys.argv[1:])
cut = PatchSpec(256, None, 2.0, 0.5)

def peak():  # of this process alone; getrusage would count the one that started it
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])

def run(path):
    with open_slide(path) as slide:
        found = find_tissue_patches(slide, cut)
        total = sum(int(p.sum()) for p in stream_patches(slide, found, cut))
    return found, total

run(small)  # imports and buffers
before = peak()
found, total = run(large)
grown = peak() - before
with open_slide(large) as slide:
    whole = slide.read(0, 0, 0, 8192, 8192)
print(grown, peak() - before, total, *found.reshape(-1).tolist())
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak memory from /proc")
def test_a_large_slide_is_cut_in_little_memory(tmp_path: Path) -> None:
    square = 512
    random = np.random.default_rng(3)
    grid = [(c, r) for c in range(16) for r in range(16)]
    tissue = {grid[i] for i in random.choice(256, 60, replace=False).tolist()}
    small, large = tmp_path / "small.tif", tmp_path / "large.tif"
    write_pyramid(small, 1024, square, {(1, 1)}, (1, 4))
    write_pyramid(large, 8192, square, tissue)
    done = subprocess.run(
        [sys.executable, "-c", BOUNDED, str(small), str(large)], capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stderr[-2000:]
    grown, at_once, total, *flat = map(int, done.stdout.split())
    assert {(x // square, y // square) for x, y in zip(flat[::2], flat[1::2], strict=True)} == tissue
    assert total == pytest.approx(60 * 256 * 256 * sum(TISSUE), rel=0.01)
    assert at_once > 180 * 1024, "the measure sees a whole slide in memory"
    assert grown < 48 * 1024, f"{grown / 1024:.0f} MiB more for a slide of 192 MiB"
