"""Read and write TIFF with any number type; pages are the third axis.

Axes in memory are rows, columns, pages. The spacing comes from the first of these that the file has: the affine that
this module writes, a JSON file beside it with `spacing` in the order pages, rows, columns (the form of nnU-Net), a
description by OME or ImageJ, resolution tags that were not made for printing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from polytask.documents.document_errors import shorten_message
from polytask.documents.json_reader import read_json_object
from polytask.errors import PolytaskError
from polytask.images.file_axes import RASTER_AFFINE, build_file_grid
from polytask.images.raster import AFFINE_KEY, convert_pillow_image, make_grid_notes, read_grid_notes
from polytask.images.safe_files import silence_library, write_atomically
from polytask.images.size_limits import check_array_size
from polytask.images.tiff_directories import check_tiff_directories
from polytask.images.tiff_scale import find_tiff_spacing
from polytask.images.volume import Affine, Array, ImageInfo, Volume
from polytask.images.voxel_block import make_volume

NNUNET_NO_SPACING = 999.0
"""Slice distance that nnU-Net writes for pictures without any scale."""
PLAIN_PHOTOMETRICS = (0, 1, 2, 3)
"""Accepted photometric interpretations: white is zero, black is zero, RGB, palette. CMYK is not: it measures ink."""
YCBCR_PHOTOMETRIC, JPEG_COMPRESSION = 6, 7
"""Codes of YCbCr color (brightness and two color differences) and of JPEG, whose decoder turns YCbCr into RGB."""
MAX_TIFF_PACKING = 4_096  # no codec of TIFF packs more tightly on images


def probe_tiff(path: Path, dims: int, limit: int | None = None) -> ImageInfo:
    """Read grid, channels and type from the header."""
    with _open_tiff_file(path, limit) as (tiff, pages, channels):
        series = tiff.series[0]
        shape = (series.shape[series.axes.index("Y")], series.shape[series.axes.index("X")], pages)
        grid, _ = build_file_grid(path, shape, *_find_tiff_affine(path, tiff, pages, dims))
        return ImageInfo(grid, channels, _find_tiff_type(series.dtype))


def read_tiff(path: Path, dims: int, limit: int | None = None) -> Volume:
    """Read the voxels `[C, rows, columns(, pages)]` without alpha.

    Gray images with white as zero are inverted; masks of one bit keep their bits.
    """
    with _open_tiff_file(path, limit) as (tiff, pages, channels):
        series, turned = tiff.series[0], False
        try:
            array = _arrange_tiff_axes(series.asarray(), series.axes, pages)
        except ValueError as error:
            if "imagecodecs" not in str(error):
                raise
            array = _read_with_pillow(path, pages)
            turned = array.dtype == np.uint8  # Pillow turns white-is-zero itself, for 8 bits and fewer
        array = array[:channels].astype(_find_tiff_type(array.dtype), copy=False)
        white = tiff.pages[0].photometric == 0 and array.dtype.kind == "u"
        if white and turned != (series.dtype.kind != "b"):
            array = (1 if series.dtype.kind == "b" else 256**array.dtype.itemsize - 1) - array
        return make_volume(path, array, *_find_tiff_affine(path, tiff, pages, dims))


def write_tiff(path: Path, volume: Volume) -> None:
    """Write one page per slice, compressed by zlib, with the affine in the description."""
    import tifffile

    array = volume.array if volume.grid.dims == 3 else volume.array[..., None]
    stack = np.ascontiguousarray(array.transpose(3, 1, 2, 0))
    stack = stack.astype(np.uint8) if stack.dtype == np.bool_ else stack
    color = stack.shape[-1] == 3 and stack.dtype == np.uint8
    single = stack.shape[-1] == 1
    with write_atomically(path) as file, silence_library("tifffile"):
        tifffile.imwrite(
            file,
            stack[..., 0] if single else stack,
            photometric="rgb" if color else "minisblack",
            planarconfig=None if single else "contig",
            compression="zlib",
            metadata={"axes": "ZYX" if single else "ZYXS", **make_grid_notes(volume.grid)},
        )


@contextmanager
def _open_tiff_file(path: Path, limit: int | None) -> Iterator[tuple[Any, int, int]]:
    """Open a file and check its size. Gives (file, pages, channels); inside the block, errors become one line."""
    import tifffile

    try:
        check_tiff_directories(path)
        with silence_library("tifffile"), tifffile.TiffFile(path) as tiff:
            yield tiff, *_check_tiff_series(path, tiff, limit)
    except PolytaskError:
        raise
    except Exception as error:  # a damaged TIFF leads its parser to any error at all
        reason = " ".join(str(error).split()) or type(error).__name__
        raise PolytaskError(f"{path}: cannot be read as TIFF ({reason}); export the file again") from None


def _check_tiff_series(path: Path, tiff: Any, limit: int | None) -> tuple[int, int]:
    """Refuse a file that is no single image of plain numbers, or too large. Returns its pages and channels."""
    if len(tiff.series) != 1:
        raise PolytaskError(
            f"{path}: holds {len(tiff.series)} images of different form; expected one; split the file"
        )
    series, page = tiff.series[0], tiff.pages[0]
    if page.photometric not in PLAIN_PHOTOMETRICS and (page.photometric, page.compression) != (
        YCBCR_PHOTOMETRIC,
        JPEG_COMPRESSION,
    ):
        colors = getattr(page.photometric, "name", page.photometric)
        raise PolytaskError(
            f"{path}: its colors are {colors}; expected gray, RGB or a palette; export it as RGB"
        )
    shape = dict(zip(series.axes, series.shape, strict=True))
    channels = shape.get("S", 1) * shape.get("C", 1)
    other_lengths = [n for axis, n in shape.items() if axis not in "SCYX" and n > 1]
    if (
        len(other_lengths) > 1
        or min(shape.get("S", 1), shape.get("C", 1)) > 1
        or series.dtype.kind not in "biuf"
    ):
        raise PolytaskError(
            f"{path}: has the axes {series.axes} {series.shape} {series.dtype}; expected rows, columns, pages and one "
            "channel axis of plain numbers; split the file"
        )
    size = check_array_size(path, series.shape, _find_tiff_type(series.dtype), limit)
    # Even without compression (1), one byte holds eight pixels of one bit.
    if size > path.stat().st_size * (8 if page.compression == 1 else MAX_TIFF_PACKING):
        raise PolytaskError(f"{path}: truncated: header claims {size} bytes of pixels; copy the file again")
    # Extra samples of the types 1 and 2 are alpha; others are channels like any.
    alpha = sum(int(e) in (1, 2) for e in page.extrasamples) if "S" in shape else 0
    return (other_lengths[0] if other_lengths else 1), max(1, channels - alpha)


def _arrange_tiff_axes(array: Array, axes: str, pages: int) -> Array:
    """Bring an array with the named axes (`YXS`, `ZCYX`, …) into the order `[C, rows, columns, pages]`."""
    order = [axes.index(a) for a in "SC" if a in axes]
    other = [i for i, a in enumerate(axes) if a not in "SCYX"]
    moved = array.transpose(*order, *other, axes.index("Y"), axes.index("X"))
    return np.moveaxis(moved.reshape(-1, pages, *moved.shape[-2:]), 1, -1)


def _read_with_pillow(path: Path, pages: int) -> Array:
    """Read with Pillow, page by page, what tifffile lacks a codec for (LZW, JPEG)."""
    from PIL import Image

    with Image.open(path, formats=["TIFF"]) as image:
        planes = []
        for page in range(pages):
            image.seek(page)
            planes.append(convert_pillow_image(image))
    return np.stack(planes, axis=-1)


def _find_tiff_affine(path: Path, tiff: Any, pages: int, dims: int) -> tuple[Affine, int, bool]:
    """Find the affine from the notes or tags of the file. Returns (affine, dims, whether the affine counts mm)."""
    shaped = tiff.shaped_metadata
    if shaped and AFFINE_KEY in shaped[0]:
        affine, physical = read_grid_notes(shaped[0])
        return affine, dims, physical
    spacing = _read_sidecar_spacing(path)
    physical = spacing is not None and spacing[0] != NNUNET_NO_SPACING
    if spacing is None and (spacing := find_tiff_spacing(tiff, pages)) is not None:
        physical = True
    if spacing is None and tiff.is_imagej:
        spacing = [float(tiff.imagej_metadata.get("spacing", 1.0)), 1.0, 1.0]
    if spacing is None:
        return RASTER_AFFINE, dims, False
    return RASTER_AFFINE @ np.diag([spacing[1], spacing[2], spacing[0], 1.0]), dims, physical


def _read_sidecar_spacing(path: Path) -> list[float] | None:
    """Read `spacing` (pages, rows, columns) from `NAME.json` beside `NAME.tif` or `NAME_0000.tif`; None without it."""
    stem = path.name[: path.name.rindex(".")]
    for name in (stem, stem[:-5] if stem[-5:-4] == "_" and stem[-4:].isdigit() else stem):
        file = path.with_name(f"{name}.json")
        if not file.is_file() or file.stat().st_size > 1 << 16:  # not the small file that nnU-Net writes
            continue
        spacing = read_json_object(file, "`spacing` of the image", "correct or remove it").get("spacing")
        if spacing is None:
            continue
        if not isinstance(spacing, list) or len(spacing) not in (2, 3) or not all(map(_is_spacing, spacing)):
            raise PolytaskError(
                f"{file}: spacing is {shorten_message(spacing)}; expected two or three numbers above 0 (pages, "
                "rows, columns); correct or remove it"
            )
        return [1.0, *map(float, spacing)][-3:]
    return None


def _is_spacing(value: object) -> bool:
    """Whether a value of the JSON file can be a voxel edge in mm; `true` is no number here."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e9


def _find_tiff_type(dtype: Any) -> np.dtype[np.generic]:
    """Return the type of the array in memory: native byte order, one-bit pixels as uint8, half floats as float32."""
    file_type = np.dtype(dtype)
    if file_type.kind == "b":
        return np.dtype(np.uint8)
    return np.dtype(np.float32) if file_type.char == "e" else file_type.newbyteorder("=")
