"""Whole slides: one way to open a pyramid, whichever library reads it, and pixels region by region.

Plain TIFF pyramids (stored or deflated tiles) are read by tifffile, which is always there; scanners' formats and JPEG
tiles by openslide, which comes with the extra `slides`. Nothing ever holds a whole slide.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from polytask.errors import PolytaskError

Pixels = npt.NDArray[np.uint8]
WHITE = 255
PLAIN = (".tif", ".tiff", ".svs", ".btf", ".tf8")
"""Endings of TIFF, in which tifffile can look first."""
ENDINGS = (*PLAIN, ".ndpi", ".mrxs", ".scn", ".bif", ".vms", ".vmu", ".svslide", ".czi", ".dcm")
"""Endings of whole slides."""
PLAUSIBLE = (0.05, 50.0)
"""µm a pixel of a slide may have; 72 dpi, which many writers put down, is 353 µm and says nothing."""


@dataclass(frozen=True)
class Level:
    """One resolution: its size in its own pixels, and how many pixels of the finest level one of them spans."""

    width: int
    height: int
    downsample: float


class Slide(Protocol):
    """An open slide. Not shared by threads: each opens its own."""

    @property
    def path(self) -> Path:
        """The file."""

    @property
    def levels(self) -> tuple[Level, ...]:
        """Finest first."""

    @property
    def mpp(self) -> float | None:
        """µm of a pixel of the finest level, None when the file does not say."""

    def read(self, level: int, x: int, y: int, width: int, height: int) -> Pixels:
        """`[height, width, 3]` from (x, y) in the level's own pixels; white outside the slide."""

    def close(self) -> None:
        """Let go of the file."""


def is_slide(path: Path) -> bool:
    """Whether the ending is one of a whole slide."""
    return path.name.lower().endswith(ENDINGS)


@contextmanager
def opened(path: Path | str) -> Iterator[Slide]:
    """The slide, open inside the block."""
    slide = _open(Path(path))
    try:
        yield slide
    finally:
        slide.close()


def _open(path: Path) -> Slide:
    from polytask.images.slide_openslide import open_with_openslide
    from polytask.images.slide_tiff import open_tiff

    if not path.is_file():
        raise PolytaskError(f"{path}: no such file; expected a whole slide; mend the path")
    if not is_slide(path):
        raise PolytaskError(
            f"{path}: unknown kind of slide; expected one of {', '.join(ENDINGS)}; for precomputed features say "
            "`features: WIDTH` in the header"
        )
    if not path.name.lower().endswith(PLAIN):
        return open_with_openslide(path, None)
    found = open_tiff(path)
    return open_with_openslide(path, found) if isinstance(found, PolytaskError) else found


def best_level(slide: Slide, downsample: float) -> int:
    """The coarsest level that is still at least as fine as `downsample` (within 1 %); the finest when none is."""
    fine = [i for i, level in enumerate(slide.levels) if level.downsample <= 1.01 * downsample]
    return max(fine, key=lambda i: slide.levels[i].downsample, default=0)


def believable(mpp: float | None) -> float | None:
    """A pixel size that a slide may have, else None."""
    return mpp if mpp is not None and PLAUSIBLE[0] <= mpp <= PLAUSIBLE[1] else None
