"""Where on a slide there is tissue: Otsu's threshold on the saturation of a coarse level."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from polytask.errors import PolytaskError
from polytask.images.slides import Pixels, Slide, best_level

BLOCK = 1024
"""Pixels of an edge that are read at a time."""
MOST_CELLS = 1 << 26
DARK = 26
"""A brightest channel below this is ink or a black border: no tissue."""
FAINT, STRONG = 13, 64
"""The threshold stays between 5 % and 25 % saturation: a slide of glass alone has no tissue, and a slide full of
tissue is not split in two."""


@dataclass(frozen=True)
class Mask:
    """bool `[rows, columns]`; a cell spans `cell` pixels of the finest level."""

    tissue: npt.NDArray[np.bool_]
    cell: float


def saturation(pixels: Pixels) -> Pixels:
    """HSV saturation `[h, w]` of `[h, w, 3]` as 0…255; 0 where it is dark."""
    high, low = pixels.max(axis=2).astype(np.int32), pixels.min(axis=2).astype(np.int32)
    return np.where(high >= DARK, 255 * (high - low) // np.maximum(high, 1), 0).astype(np.uint8)


def otsu(values: Pixels) -> int:
    """The t that parts values ≤ t from values > t with the largest variance between the two (Otsu 1979)."""
    share = np.bincount(values.reshape(-1), minlength=256) / max(1, values.size)
    below = np.cumsum(share)
    moment = np.cumsum(share * np.arange(256))
    both = below * (1 - below)
    between = np.divide((moment[-1] * below - moment) ** 2, both, out=np.zeros(256), where=both > 1e-12)
    return int(between.argmax())


def tissue_mask(slide: Slide, cell: float) -> Mask:
    """The mask with cells of about `cell` pixels of the finest level, read block by block."""
    level = best_level(slide, max(1.0, cell))
    size = slide.levels[level]
    pool = max(1, round(cell / size.downsample))
    rows, columns = -(-size.height // pool), -(-size.width // pool)
    if rows * columns > MOST_CELLS:
        raise PolytaskError(
            f"{slide.path}: {size.width}×{size.height} pixels in patches so small make {rows * columns} cells; "
            f"expected at most {MOST_CELLS}; take a larger `patch`, `mpp` or `downsample`"
        )
    found = np.zeros((rows, columns), np.uint8)
    step = max(1, BLOCK // pool)
    for top, left in _blocks(rows, columns, step):
        tall, wide = min(step, rows - top), min(step, columns - left)
        pixels = slide.read(level, left * pool, top * pool, wide * pool, tall * pool)
        if pool > 1:
            mean = pixels.reshape(tall, pool, wide, pool, 3).mean(axis=(1, 3), dtype=np.float32)
            pixels = np.rint(mean).astype(np.uint8)
        found[top : top + tall, left : left + wide] = saturation(pixels)
    return Mask(found > min(max(otsu(found), FAINT), STRONG), pool * size.downsample)


def _blocks(rows: int, columns: int, step: int) -> Iterator[tuple[int, int]]:
    for top in range(0, rows, step):
        for left in range(0, columns, step):
            yield top, left
