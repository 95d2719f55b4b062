"""Read PNG and JPEG, write PNG. Directions follow ITK: columns run to the left, rows to posterior.

Lengths count pixels, unless a PNG that was written here says how large a pixel is. (The print resolution that cameras
and editors store says nothing about the patient.) A palette image keeps its indices and a gray image its stored
numbers, so labels stay labels. Alpha is dropped. The EXIF orientation of a JPEG is not applied, so that image and mask
keep one grid. PNG files written here carry their affine in a text chunk.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from polytask.documents.json_reader import parse_json
from polytask.errors import PolytaskError
from polytask.images.file_axes import RASTER_AFFINE, build_file_grid
from polytask.images.safe_files import write_atomically
from polytask.images.size_limits import check_array_size
from polytask.images.volume import Affine, Array, Grid, ImageInfo, Volume
from polytask.images.voxel_block import make_volume

AFFINE_KEY = "polytask-affine"
UNIT_KEY = "polytask-unit"
"""Key of the unit of the affine, `mm` or `px`. Older PNG files lack it; they are in mm if they have an own affine."""
_MODE_CHANNELS = {
    "1": 1,
    "L": 1,
    "P": 1,
    "PA": 1,
    "LA": 1,
    "I": 1,
    "I;16": 1,
    "I;16B": 1,
    "F": 1,
    "RGB": 3,
    "RGBA": 3,
}
_MODE_TYPES = {"I": "i4", "I;16": "u2", "I;16B": "u2", "F": "f4"}
_GRAY_SPREAD_FACTORS = {
    "L;2": 85,
    "L;4": 17,
}  # Pillow spreads 2- and 4-bit gray over 0..255; the stored numbers are wanted


def probe_raster(path: Path, dims: int, limit: int | None = None) -> ImageInfo:
    """Read grid, channels and type from the header."""
    with _open_raster(path, limit) as image:
        affine, physical = read_grid_notes(image.info)
        grid, _ = build_file_grid(path, (image.height, image.width), affine, dims, physical)
        return ImageInfo(grid, _MODE_CHANNELS[image.mode], _find_raster_type(image))


def read_raster(path: Path, dims: int, limit: int | None = None) -> Volume:
    """Read the pixels as `[1 or 3, rows, columns]`."""
    with _open_raster(path, limit) as image:
        affine, physical = read_grid_notes(image.info)
        return make_volume(path, convert_pillow_image(image), affine, dims, physical)


def write_png(path: Path, volume: Volume) -> None:
    """Write a PNG: one channel as 8- or 16-bit gray, three uint8 channels as RGB; 2D and whole numbers only."""
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    array = volume.array[..., 0] if volume.array.ndim == 4 and volume.array.shape[-1] == 1 else volume.array
    whole = array.dtype.kind in "iub" and array.ndim == 3 and array.shape[0] in (1, 3)
    top = int(array.max()) if whole and array.size else -1
    if not whole or int(array.min()) < 0 or top > (65_535 if array.shape[0] == 1 else 255):
        raise PolytaskError(
            f"{path}: PNG expected 2D whole numbers, 0 to 65535 (RGB: 0 to 255); write .nii.gz or .tif"
        )
    # uint16 stays 16-bit even where 8 bits would do, so that the type survives writing and reading.
    plane = np.moveaxis(
        array.astype(np.uint8 if top < 256 and array.dtype != np.uint16 else np.uint16), 0, -1
    )
    image = Image.fromarray(np.ascontiguousarray(plane[..., 0] if plane.shape[-1] == 1 else plane))
    note = PngInfo()
    for key, text in make_grid_notes(volume.grid).items():
        note.add_text(key, text)
    with write_atomically(path) as file:
        image.save(file, format="PNG", pnginfo=note, compress_level=3)


def make_grid_notes(grid: Grid) -> dict[str, str]:
    """Make the notes about its grid that a picture written here carries: key → text."""
    return {AFFINE_KEY: json.dumps(grid.affine.tolist()), UNIT_KEY: "mm" if grid.physical else "px"}


def read_grid_notes(notes: Mapping[str, Any]) -> tuple[Affine, bool]:
    """Read the notes in a picture. Returns (affine, whether it counts mm)."""
    affine, unit = parse_affine_note(notes.get(AFFINE_KEY)), notes.get(UNIT_KEY)
    return affine, unit == "mm" if unit in ("mm", "px") else not np.array_equal(affine, RASTER_AFFINE)


def parse_affine_note(text: object) -> Affine:
    """Parse the affine that a writer left as JSON; the affine of a bare picture when there is none or it is odd."""
    try:
        affine = (
            np.asarray(parse_json(text, AFFINE_KEY), np.float64) if isinstance(text, str) else RASTER_AFFINE
        )
    except (PolytaskError, ValueError, TypeError, OverflowError):
        return RASTER_AFFINE
    return affine if affine.shape == (4, 4) else RASTER_AFFINE


def convert_pillow_image(image: Any) -> Array:
    """Convert a Pillow image to `[channels, rows, columns]`: the numbers as the file stores them, without alpha."""
    spread = _GRAY_SPREAD_FACTORS.get(_find_raw_mode(image), 1)
    if image.mode in ("PA", "LA", "RGBA"):
        image.load()
        image = image.getchannel(0) if image.mode != "RGBA" else image.convert("RGB")
    array = np.asarray(image)
    if array.dtype == np.bool_:
        array = array.astype(np.uint8)
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    array = array // spread if spread > 1 else array
    return array[None] if array.ndim == 2 else np.moveaxis(array, -1, 0)


@contextmanager
def _open_raster(path: Path, limit: int | None) -> Iterator[Any]:
    """Open an image and check its header; inside the block, every decoder error becomes one line."""
    import warnings

    from PIL import Image

    formats = ["PNG"] if path.name.lower().endswith(".png") else ["JPEG", "MPO"]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # Pillow only warns about an image of absurd size; here the warning is an error.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=formats) as image:
                if image.mode not in _MODE_CHANNELS or _find_raw_mode(image).startswith(
                    ("RGB;16", "RGBA;16")
                ):
                    raise PolytaskError(
                        f"{path}: pixels are {_find_raw_mode(image) or image.mode}; expected gray, palette or 8-bit RGB"
                    )
                if formats == ["PNG"] and getattr(image, "is_animated", False):
                    count = getattr(image, "n_frames", "several")
                    raise PolytaskError(
                        f"{path}: an animation of {count} pictures; expected one picture; write each to its own file"
                    )
                check_array_size(
                    path,
                    (_MODE_CHANNELS[image.mode], image.height, image.width),
                    _find_raster_type(image),
                    limit,
                )
                yield image
    except PolytaskError:
        raise
    except Exception as error:  # Pillow's decoders raise whatever a damaged file leads them to
        reason = " ".join(str(error).split()) or type(error).__name__
        raise PolytaskError(
            f"{path}: cannot be read as {formats[0]} ({reason}); export the file again"
        ) from None


def _find_raw_mode(image: Any) -> str:
    """Return the mode of the pixels inside the file (`L;4`), which Pillow converts to `image.mode` when it decodes."""
    tile = image.tile[0] if getattr(image, "tile", None) else None
    args = tile[3] if tile else ""
    return str(args[0] if isinstance(args, tuple) and args else args or "")


def _find_raster_type(image: Any) -> np.dtype[np.generic]:
    """Return the type of the array that the image will become."""
    return np.dtype(_MODE_TYPES.get(image.mode, "u1"))
