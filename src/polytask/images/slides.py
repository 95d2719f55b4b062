"""Open whole slides in one way, whichever library reads them, and read their pixels region by region.

Plain TIFF pyramids (stored or deflated tiles) are read by tifffile, which is always installed; formats of scanners and
JPEG tiles by openslide, which comes with the extra `slides`. A whole slide is never in memory.
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

SlidePixels = npt.NDArray[np.uint8]
WHITE_PIXEL = 255
TIFF_SLIDE_ENDINGS = (".tif", ".tiff", ".svs", ".btf", ".tf8")
"""Endings of TIFF files, which tifffile tries before openslide."""
SLIDE_ENDINGS = (
    *TIFF_SLIDE_ENDINGS,
    ".ndpi",
    ".mrxs",
    ".scn",
    ".bif",
    ".vms",
    ".vmu",
    ".svslide",
    ".czi",
    ".dcm",
)
"""All endings of whole slides."""
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


def is_slide(path: Path) -> bool:
    """Whether the file name ends like that of a whole slide."""
    return path.name.lower().endswith(SLIDE_ENDINGS)


@contextmanager
def open_slide(path: Path | str) -> Iterator[Slide]:
    """Open a slide for the time of the block."""
    slide = _choose_slide_reader(Path(path))
    try:
        yield slide
    finally:
        slide.close()


def _choose_slide_reader(path: Path) -> Slide:
    """Open a slide with a library that can read it: openslide, but for TIFF endings tifffile is tried first."""
    from polytask.images.slide_openslide import open_with_openslide
    from polytask.images.slide_tiff import open_tiff_slide

    if not path.is_file():
        raise PolytaskError(f"{path}: no such file; expected a whole slide; mend the path")
    if not is_slide(path):
        raise PolytaskError(
            f"{path}: unknown kind of slide; expected one of {', '.join(SLIDE_ENDINGS)}; for precomputed features say "
            "`features: WIDTH` in the header"
        )
    if not path.name.lower().endswith(TIFF_SLIDE_ENDINGS):
        return open_with_openslide(path, None)
    found = open_tiff_slide(path)
    return open_with_openslide(path, found) if isinstance(found, PolytaskError) else found


def find_best_level(slide: Slide, downsample: float) -> int:
    """Find the coarsest level that is at least as fine as `downsample` (within 1 %); the finest when none is."""
    fine = [i for i, level in enumerate(slide.levels) if level.downsample <= 1.01 * downsample]
    return max(fine, key=lambda i: slide.levels[i].downsample, default=0)


def keep_plausible_mpp(mpp: float | None) -> float | None:
    """Return the pixel size in µm when a slide may have it, else None."""
    return mpp if mpp is not None and PLAUSIBLE_MPP[0] <= mpp <= PLAUSIBLE_MPP[1] else None
