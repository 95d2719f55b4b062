"""Read the slide formats of scanners through openslide, when the extra `slides` is installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from polytask.errors import PolytaskError
from polytask.images.slide_pyramid import WHITE_PIXEL, SlideLevel, SlidePixels, keep_plausible_mpp

OPENSLIDE_INSTALL = "pip install 'polytask[slides]'"


class OpenSlideSlide:
    """A `Slide` that openslide reads."""

    def __init__(self, path: Path, slide: Any):
        self.path, self._slide = path, slide
        self.levels = tuple(
            SlideLevel(int(w), int(h), float(d))
            for (w, h), d in zip(slide.level_dimensions, slide.level_downsamples, strict=True)
        )
        self.mpp = _read_openslide_mpp(dict(slide.properties))

    def read(self, level: int, x: int, y: int, width: int, height: int) -> SlidePixels:
        """See `Slide`. Regions that the scanner left out are transparent in openslide, and become white here."""
        import openslide

        # openslide wants the corner in pixels of the finest level, but the size in pixels of this level.
        scale = self.levels[level].downsample
        try:
            region = self._slide.read_region((round(x * scale), round(y * scale)), level, (width, height))
        except openslide.OpenSlideError as error:
            raise PolytaskError(
                f"{self.path}: a region cannot be read ({error}); export the slide again"
            ) from None
        rgba = np.asarray(region)
        pixels: SlidePixels = np.where(rgba[:, :, 3:] > 0, rgba[:, :, :3], np.uint8(WHITE_PIXEL))
        return pixels

    def close(self) -> None:
        """Close the file; see `Slide`."""
        self._slide.close()


def open_with_openslide(path: Path, tiff_error: PolytaskError | None) -> OpenSlideSlide:
    """Open a slide with openslide.

    Args:
        tiff_error: what tifffile said when it was tried before. It is raised again when openslide fails too, with a
            hint when openslide is not installed. None when tifffile was not tried.
    """
    try:
        import openslide
    except (ImportError, OSError):
        if tiff_error is not None:
            raise PolytaskError(
                f"{str(tiff_error).rpartition('; ')[0]}; other encodings need {OPENSLIDE_INSTALL}"
            ) from None
        raise PolytaskError(
            f"{path}: this scanner format needs openslide; expected the extra `slides`; {OPENSLIDE_INSTALL}"
        ) from None
    try:
        return OpenSlideSlide(path, openslide.OpenSlide(str(path)))
    except openslide.OpenSlideError as error:
        if tiff_error is not None:
            raise tiff_error from None
        reason = " ".join(str(error).split())
        raise PolytaskError(
            f"{path}: openslide cannot read it ({reason}); expected a whole slide; export the file again"
        ) from None


def _read_openslide_mpp(properties: dict[str, str]) -> float | None:
    """Read the µm of a pixel from the slide's properties; None where they are missing or not plausible."""
    try:
        return keep_plausible_mpp(float(properties["openslide.mpp-x"]))
    except (KeyError, ValueError):
        return None
