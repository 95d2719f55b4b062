"""Slides for tests: glass with squares of tissue at known places, written tile by tile."""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

GLASS, TISSUE = (243, 242, 244), (200, 120, 170)
Places = set[tuple[int, int]]
"""(column, row) of squares that are tissue."""


def pixels(x: int, y: int, edge: int, scale: int, square: int, tissue: Places) -> np.ndarray:
    """`[edge, edge, 3]` at (x, y) of a level whose pixels are `scale` of the finest; squares are aligned to it."""
    at = np.arange(edge) * scale
    columns, rows = (x * scale + at) // square, (y * scale + at) // square
    if columns[0] == columns[-1] and rows[0] == rows[-1]:
        return even(edge, (x + y) % 5, (int(columns[0]), int(rows[0])) in tissue)
    inside = np.zeros((edge, edge), bool)
    for column in set(columns.tolist()):
        for row in set(rows.tolist()):
            if (column, row) in tissue:
                inside |= (rows == row)[:, None] & (columns == column)[None]
    image = np.where(inside[..., None], np.array(TISSUE), np.array(GLASS))
    return (image + grain(edge, (x + y) % 5)).astype(np.uint8)


def grain(edge: int, phase: int) -> np.ndarray:
    """A faint pattern `[edge, edge, 1]`."""
    return ((np.arange(edge)[:, None] * 7 + np.arange(edge)[None] * 3 + phase) % 5 - 2)[..., None]


@cache
def even(edge: int, phase: int, tissue: bool) -> np.ndarray:
    """Pixels that are all tissue or all glass."""
    return (np.array(TISSUE if tissue else GLASS) + grain(edge, phase)).astype(np.uint8)


def write_pyramid(
    path: Path,
    edge: int,
    square: int,
    tissue: Places,
    scales: tuple[int, ...] = (1, 4, 16),
    tile: int = 256,
    mpp: float = 0.5,
    nested: bool = False,
    jpeg: bool = False,
) -> None:
    """A tiled pyramid; only one tile at a time is in memory.

    Args:
        edge: pixels of the finest level; a multiple of tile × the largest scale.
        square: edge of a tissue square in pixels of the finest level.
        nested: levels as SubIFDs instead of pages of their own.
        jpeg: tiles in JPEG, as scanners write them.
    """

    def tiles(scale: int) -> Iterator[np.ndarray | bytes]:
        size = edge // scale
        for top in range(0, size, tile):
            for left in range(0, size, tile):
                image = pixels(left, top, tile, scale, square, tissue)
                if not jpeg:
                    yield image
                    continue
                stream = io.BytesIO()
                Image.fromarray(image).save(stream, "JPEG", quality=95, subsampling=0)
                yield stream.getvalue()

    with tifffile.TiffWriter(path, bigtiff=False) as writer:
        for number, scale in enumerate(scales):
            size = edge // scale
            writer.write(
                tiles(scale),
                shape=(size, size, 3),
                dtype=np.uint8,
                tile=(tile, tile),
                photometric="rgb",
                compression="zlib",
                compressionargs=None if jpeg else {"level": 1},
                subfiletype=int(number > 0),
                subifds=len(scales) - 1 if nested and number == 0 else None,
                resolution=(1e4 / (mpp * scale), 1e4 / (mpp * scale)),
                resolutionunit="CENTIMETER",
                metadata=None,
            )
    if jpeg:  # the tiles are encoded already; tifffile alone would not write them
        with tifffile.TiffFile(path, mode="r+") as tiff:
            for page in tiff.pages:
                page.tags["Compression"].overwrite(7)
                page.tags["PhotometricInterpretation"].overwrite(6)
