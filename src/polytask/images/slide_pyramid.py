"""A slide as a pyramid of levels, whichever library reads it: its interface, and what is chosen by its sizes alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

SlidePixels = npt.NDArray[np.uint8]
WHITE_PIXEL = 255
PLAUSIBLE_MPP = (0.05, 50.0)
"""Smallest and largest believable µm of a pixel. Many writers store a default of 72 dpi, which would be 353 µm."""


@dataclass(frozen=True)
class SlideLevel:
    """One resolution of a slide: its size in its own pixels, and the finest level's pixels along one of them."""

    width: int
    height: int
    downsample: float


class Slide(Protocol):
    """An open slide. Threads do not share one: each opens its own."""

    @property
    def path(self) -> Path:
        """The file that was opened."""

    @property
    def levels(self) -> tuple[SlideLevel, ...]:
        """The levels of the pyramid, finest first."""

    @property
    def mpp(self) -> float | None:
        """Length in µm of a pixel of the finest level; None when the file does not say."""

    def read(self, level: int, x: int, y: int, width: int, height: int) -> SlidePixels:
        """Read `[height, width, 3]` from (x, y), in the level's own pixels; white outside the slide."""

    def close(self) -> None:
        """Close the file; the slide cannot be read afterward."""


def find_best_level(slide: Slide, downsample: float) -> int:
    """Find the coarsest level that is at least as fine as `downsample` (within 1 %); the finest when none is."""
    fine = [i for i, level in enumerate(slide.levels) if level.downsample <= 1.01 * downsample]
    return max(fine, key=lambda i: slide.levels[i].downsample, default=0)


def keep_plausible_mpp(mpp: float | None) -> float | None:
    """Return the pixel size in µm when a slide may have it, else None."""
    return mpp if mpp is not None and PLAUSIBLE_MPP[0] <= mpp <= PLAUSIBLE_MPP[1] else None
