"""Open whole slides in one way, whichever library reads them, and read their pixels region by region.

Plain TIFF pyramids (stored or deflated tiles) are read by tifffile, which is always installed; formats of scanners and
JPEG tiles by openslide, which comes with the extra `slides`. A whole slide is never in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from polytask.errors import PolytaskError
from polytask.images.slide_openslide import open_with_openslide
from polytask.images.slide_pyramid import Slide
from polytask.images.slide_tiff import open_tiff_slide

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
    if not path.is_file():
        raise PolytaskError(f"{path}: no such file; expected a whole slide; correct the path")
    if not is_slide(path):
        raise PolytaskError(
            f"{path}: unknown kind of slide; expected one of {', '.join(SLIDE_ENDINGS)}; for precomputed features say "
            "`features: WIDTH` in the header"
        )
    if not path.name.lower().endswith(TIFF_SLIDE_ENDINGS):
        return open_with_openslide(path, None)
    slide_or_error = open_tiff_slide(path)
    return (
        open_with_openslide(path, slide_or_error)
        if isinstance(slide_or_error, PolytaskError)
        else slide_or_error
    )
