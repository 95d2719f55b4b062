"""Read slide pyramids in TIFF through tifffile: tiles are found by their offsets and decoded one by one."""

from __future__ import annotations

import re
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np

from polytask.errors import PolytaskError
from polytask.images.safe_files import silence_library
from polytask.images.slide_pyramid import WHITE_PIXEL, SlideLevel, SlidePixels, keep_plausible_mpp
from polytask.images.tiff_directories import check_tiff_directories

MAX_TILE_BYTES = 64 * 1024**2
"""Most bytes that one decoded tile or strip may take."""
MAX_SLIDE_PAGES = 4_096
"""Most pages of a slide: levels, labels and thumbnails. Scanners write about ten."""
TILE_CACHE_BYTES = 16 * 1024**2
"""Bytes of decoded tiles that stay in memory, because neighboring patches share them. The last tile always stays."""
MICRONS_PER_UNIT = {2: 25_400.0, 3: 10_000.0}
"""Code of a resolution unit in TIFF (inch, centimeter) → its length in µm."""
MPP_PATTERN = re.compile(r"\bMPP\s*=\s*([0-9.]+)")


class TiffSlide:
    """A `Slide` that tifffile reads."""

    def __init__(self, path: Path, tiff: Any, pages: list[Any]):
        self.path = path
        self._tiff, self._pages = tiff, pages
        width, height = pages[0].imagewidth, pages[0].imagelength
        self.levels = tuple(
            SlideLevel(p.imagewidth, p.imagelength, (width / p.imagewidth + height / p.imagelength) / 2)
            for p in pages
        )
        self.mpp = _read_tiff_mpp(pages[0])
        self._tiles: OrderedDict[tuple[int, int], SlidePixels] = OrderedDict()
        self._held = 0

    def read(self, level: int, x: int, y: int, width: int, height: int) -> SlidePixels:
        """Read a region; see `Slide`."""
        page, size = self._pages[level], self.levels[level]
        out = np.full((height, width, 3), WHITE_PIXEL, np.uint8)
        left, top = max(0, x), max(0, y)
        right, bottom = min(size.width, x + width), min(size.height, y + height)
        if right <= left or bottom <= top:
            return out
        tall, wide = _find_tile_size(page)
        # -(-a // b) divides and rounds up.
        across = -(-size.width // wide)
        for row in range(top // tall, -(-bottom // tall)):
            for column in range(left // wide, -(-right // wide)):
                pixels = self._decoded(level, row * across + column)
                y0, x0 = row * tall, column * wide
                a, b = max(top, y0), min(bottom, y0 + pixels.shape[0])
                c, d = max(left, x0), min(right, x0 + pixels.shape[1])
                if b > a and d > c:
                    out[a - y : b - y, c - x : d - x] = pixels[a - y0 : b - y0, c - x0 : d - x0]
        return out

    def close(self) -> None:
        """Close the file; see `Slide`."""
        self._tiles.clear()
        self._tiff.close()

    def problem(self) -> PolytaskError | None:
        """Try to decode the first tile of each level; returns the first error, most often a missing codec, or None."""
        try:
            for level in range(len(self._pages)):
                self._decoded(level, 0)
        except PolytaskError as error:
            return error
        return None

    def _decoded(self, level: int, index: int) -> SlidePixels:
        """Return one tile `[rows, columns, 3]` from the cache or the file, without padding beyond the slide."""
        key = (level, index)
        if key not in self._tiles:
            self._tiles[key] = self._decode_tile(self._pages[level], index)
            self._held += self._tiles[key].nbytes
            while self._held > TILE_CACHE_BYTES and len(self._tiles) > 1:
                self._held -= self._tiles.popitem(last=False)[1].nbytes
        self._tiles.move_to_end(key)
        return self._tiles[key]

    def _decode_tile(self, page: Any, index: int) -> SlidePixels:
        """Decode one tile of a page; a tile that was left out is white."""
        tall, wide = _find_tile_size(page)
        count = page.databytecounts[index]
        if not count:  # a tile that was left out
            return np.full((tall, wide, 3), WHITE_PIXEL, np.uint8)
        try:
            with silence_library("tifffile"):
                self._tiff.filehandle.seek(page.dataoffsets[index])
                data = self._tiff.filehandle.read(min(count, MAX_TILE_BYTES))
                array, _, shape = page.decode(data, index, jpegtables=page.jpegtables)
        except Exception as error:  # a damaged tile leads a codec to any error at all
            reason = " ".join(str(error).split()) or type(error).__name__
            raise PolytaskError(
                f"{self.path}: a tile cannot be read ({reason}); export the slide again"
            ) from None
        pixels: SlidePixels = np.asarray(array)[0, : shape[1], : shape[2]]
        pixels = np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels[:, :, :3]
        # Photometric 0 is gray with white as zero.
        return WHITE_PIXEL - pixels if page.photometric == 0 else pixels


def open_tiff_slide(path: Path) -> TiffSlide | PolytaskError:
    """Open the pyramid of a TIFF. Returns the error instead when tifffile cannot decode its tiles.

    Another library may be able to decode them.

    Raises:
        PolytaskError: the file is damaged, or no slide, whoever reads it.
    """
    import tifffile

    tiff = None
    try:
        check_tiff_directories(path, MAX_SLIDE_PAGES)
        with silence_library("tifffile"):
            tiff = tifffile.TiffFile(path)
            pages = _list_pyramid_pages(tiff)
        for page in pages:
            _check_slide_page(path, page)
        slide = TiffSlide(path, tiff, pages)
        if (problem := slide.problem()) is not None:
            tiff.close()
            return problem
        return slide
    except PolytaskError:
        if tiff is not None:
            tiff.close()
        raise
    except Exception as error:  # a damaged TIFF leads its parser to any error at all
        if tiff is not None:
            tiff.close()
        reason = " ".join(str(error).split()) or type(error).__name__
        raise PolytaskError(
            f"{path}: cannot be read as a slide in TIFF ({reason}); export the file again"
        ) from None


def _list_pyramid_pages(tiff: Any) -> list[Any]:
    """List the pages of the pyramid, finest first.

    They are the levels that tifffile finds; where it finds only one, the smaller tiled pages of the same shape.
    """
    pages = [level.pages[0] for level in tiff.series[0].levels]
    if len(pages) == 1:
        first = pages[0].aspage() if hasattr(pages[0], "aspage") else pages[0]
        pages += [p for p in (q.aspage() for q in tiff.pages[1:]) if _is_coarser_level(p, first)]
    # tifffile keeps later pages as light frames without all tags; `aspage` reads the full page.
    whole = [p.aspage() if hasattr(p, "aspage") else p for p in pages]
    return sorted(whole, key=lambda p: -p.imagewidth)


def _is_coarser_level(page: Any, first: Any) -> bool:
    """Whether a page is a coarser level of the first (labels and thumbnails are not tiled)."""
    return (
        bool(page.is_tiled)
        and page.samplesperpixel == first.samplesperpixel
        and page.imagewidth < first.imagewidth
        and abs(page.imagewidth / first.imagewidth * first.imagelength / page.imagelength - 1) < 0.05
    )


def _check_slide_page(path: Path, page: Any) -> None:
    """Refuse a page that is no slide, asks for too much memory or is truncated, before any pixel is read."""
    if page.bitspersample != 8 or page.samplesperpixel not in (1, 3, 4) or page.planarconfig != 1:
        raise PolytaskError(
            f"{path}: {page.samplesperpixel} samples of {page.bitspersample} bits; expected 8-bit color or gray, "
            "interleaved; export it as RGB"
        )
    if page.photometric == 3:
        raise PolytaskError(f"{path}: its colors come from a palette; expected gray or RGB; export it as RGB")
    tall, wide = _find_tile_size(page)
    if tall * wide * page.samplesperpixel > MAX_TILE_BYTES:
        raise PolytaskError(
            f"{path}: its pixels are stored in pieces of {wide}×{tall}; "
            f"expected tiles of at most {MAX_TILE_BYTES >> 20} MiB; "
            "export it as a tiled pyramid"
        )
    tiles = -(-page.imagelength // tall) * -(-page.imagewidth // wide)
    ends = [o + n for o, n in zip(page.dataoffsets, page.databytecounts, strict=True)]
    if len(page.dataoffsets) != tiles or max(ends, default=0) > path.stat().st_size:
        raise PolytaskError(
            f"{path}: truncated: {page.imagewidth}×{page.imagelength} pixels need {tiles} tiles, but the file ends "
            "before the last one; copy it again"
        )


def _find_tile_size(page: Any) -> tuple[int, int]:
    """Return the rows and columns of a tile, or of a strip where the page has no tiles."""
    if page.is_tiled:
        return int(page.tilelength), int(page.tilewidth)
    return int(min(page.rowsperstrip, page.imagelength)), int(page.imagewidth)


def _read_tiff_mpp(page: Any) -> float | None:
    """Read the µm of a pixel from the scanner's description, else from the resolution tags; None if not plausible."""
    if match := MPP_PATTERN.search(page.description or ""):
        try:
            return keep_plausible_mpp(float(match[1]))
        except ValueError:
            return None
    tag, unit = page.tags.get("XResolution"), page.tags.get("ResolutionUnit")
    if tag is None or unit is None or int(unit.value) not in MICRONS_PER_UNIT:
        return None
    over, under = (float(v) for v in tag.value)
    return keep_plausible_mpp(MICRONS_PER_UNIT[int(unit.value)] * under / over) if over else None
