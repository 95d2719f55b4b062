"""Find the tissue on a slide with Otsu's threshold on the color saturation of a coarse level."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from polytask.errors import PolytaskError
from polytask.images.slide_pyramid import Slide, SlidePixels, find_best_level

TISSUE_BLOCK_PIXELS = 1024
"""About how many pixels along an edge are read at a time."""
MAX_TISSUE_CELLS = 1 << 26
MIN_TISSUE_BRIGHTNESS = 26
"""A pixel whose brightest channel is below this is ink or a black border, not tissue."""
MIN_TISSUE_THRESHOLD, MAX_TISSUE_THRESHOLD = 13, 64
"""The threshold stays between these (5 % and 25 % saturation). So a slide of glass alone has no tissue, and a slide
full of tissue is not split in two."""


@dataclass(frozen=True)
class Mask:
    """Which cells of a slide are tissue, bool `[rows, columns]`; a cell spans `cell` pixels of the finest level."""

    tissue: npt.NDArray[np.bool_]
    cell: float


def compute_saturation(pixels: SlidePixels) -> SlidePixels:
    """Compute the HSV saturation `[h, w]` of `[h, w, 3]` as 0…255; 0 where the pixel is dark."""
    # int32, because 255 * (high - low) does not fit into uint8.
    high, low = pixels.max(axis=2).astype(np.int32), pixels.min(axis=2).astype(np.int32)
    return np.where(high >= MIN_TISSUE_BRIGHTNESS, 255 * (high - low) // np.maximum(high, 1), 0).astype(
        np.uint8
    )


def find_otsu_threshold(values: SlidePixels) -> int:
    """Find the t for which the groups of values ≤ t and values > t have the largest variance between them (Otsu 1979).

    Args:
        values: any shape, 0…255.
    """
    share = np.bincount(values.reshape(-1), minlength=256) / max(1, values.size)
    below = np.cumsum(share)
    moment = np.cumsum(share * np.arange(256))
    both = below * (1 - below)
    # Where all values lie on one side there is no variance between two groups: 0, not a division by zero.
    between = np.divide((moment[-1] * below - moment) ** 2, both, out=np.zeros(256), where=both > 1e-12)
    return int(between.argmax())


def find_tissue(slide: Slide, cell: float) -> Mask:
    """Make the tissue mask of a slide, with cells of about `cell` pixels of the finest level; read block by block."""
    level = find_best_level(slide, max(1.0, cell))
    size = slide.levels[level]
    pool = max(1, round(cell / size.downsample))
    rows, columns = -(-size.height // pool), -(-size.width // pool)
    if rows * columns > MAX_TISSUE_CELLS:
        raise PolytaskError(
            f"{slide.path}: {size.width}×{size.height} pixels in patches this small make {rows * columns} "
            f"tissue cells; expected at most {MAX_TISSUE_CELLS}; take a larger `patch`, `mpp` or `downsample`"
        )
    saturation = np.zeros((rows, columns), np.uint8)
    step = max(1, TISSUE_BLOCK_PIXELS // pool)
    for top, left in _list_block_corners(rows, columns, step):
        # At the far borders a block reaches beyond the slide; `read` fills it with white, which is no tissue.
        tall, wide = min(step, rows - top), min(step, columns - left)
        pixels = slide.read(level, left * pool, top * pool, wide * pool, tall * pool)
        if pool > 1:
            mean = pixels.reshape(tall, pool, wide, pool, 3).mean(axis=(1, 3), dtype=np.float32)
            pixels = np.rint(mean).astype(np.uint8)
        saturation[top : top + tall, left : left + wide] = compute_saturation(pixels)
    return Mask(
        saturation > min(max(find_otsu_threshold(saturation), MIN_TISSUE_THRESHOLD), MAX_TISSUE_THRESHOLD),
        pool * size.downsample,
    )


def _list_block_corners(rows: int, columns: int, step: int) -> Iterator[tuple[int, int]]:
    """Yield the upper left corner (row, column) of each block of `step` × `step` cells."""
    for top in range(0, rows, step):
        for left in range(0, columns, step):
            yield top, left
