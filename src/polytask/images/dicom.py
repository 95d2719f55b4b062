"""Read DICOM: one series from a folder, or one file. Axes in memory are columns, rows, slices (rows, columns in 2D).

`folder#SeriesInstanceUID` names one series of a folder that holds several. Stored numbers are converted to real values
with the rescale (or dose grid) factors. MONOCHROME1 is inverted first, so that a larger value is always brighter.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from polytask.errors import PolytaskError
from polytask.images.dicom_stack import Stack, stack_of
from polytask.images.files import quiet
from polytask.images.layout import check_affine, place
from polytask.images.limits import check_size
from polytask.images.volume import Affine, Array, Grid, Info, Volume

DEFLATED = "1.2.840.10008.1.2.1.99"
DIRECTORY = "1.2.840.10008.1.3.10"
_NO_IMAGE = {
    "1.2.840.10008.5.1.4.1.1.66.4": "a DICOM segmentation; convert it to .nii.gz",
    "1.2.840.10008.5.1.4.1.1.66.7": "a DICOM label map; convert it to .nii.gz",
    "1.2.840.10008.5.1.4.1.1.77.1.6": "a whole slide; declare it as a slide",
}


def probe(path: Path, dims: int, limit: int | None = None) -> Info:
    """Read grid, channels and type from the headers. No pixel is read."""
    with _errors(path):
        stack = _stack(path, dims, limit)
        return Info(_grid(path, stack, dims), stack.channels, stack.dtype)


def read(path: Path, dims: int, limit: int | None = None) -> Volume:
    """Read the voxels `[C, columns, rows, slices]`, or `[C, rows, columns]` of one 2D image."""
    with _errors(path):
        stack = _stack(path, dims, limit)
        grid = _grid(path, stack, dims)
        out = np.empty((stack.channels, len(stack.frames), stack.rows, stack.columns), stack.dtype)
        # Grouped by file, so that a file of several frames is decoded once and not once per frame.
        files: dict[Path, list[int]] = {}
        for k, frame in enumerate(stack.frames):
            files.setdefault(frame.file, []).append(k)
        for file, slices in files.items():
            pixels = _pixels(file, stack, 1 + max(stack.frames[k].number for k in slices))
            for k in slices:
                frame = stack.frames[k]
                out[:, k] = stack.real(np.moveaxis(pixels[frame.number], -1, 0), frame)
    return Volume(out[:, 0] if dims == 2 else out.transpose(0, 3, 2, 1), grid)


def read_modality(path: Path) -> str:
    """Return the modality of the series in DICOM's words (`CT`, `MR`, `PT`); "" where the headers do not say."""
    with _errors(path):
        return str(next(iter(headers(path).values())).get("Modality") or "")


def headers(path: Path) -> dict[Path, Any]:
    """Read the header of every DICOM image of the chosen series: file → header, sorted by file name.

    `path` is a file, a folder, or `folder#SeriesInstanceUID`.
    """
    folder, _, wanted = str(path).rpartition("#") if not path.exists() else (str(path), "", "")
    if path.is_file():
        header = _header(path)
        if header is None:
            raise PolytaskError(
                f"{path}: not a DICOM image; expected a DICOM file with pixels; export it again"
            )
        if (kind := _NO_IMAGE.get(str(header.get("SOPClassUID")))) is not None:
            raise PolytaskError(f"{path}: is {kind}; expected an image")
        return {path: header}
    files = sorted(f for f in Path(folder).iterdir() if f.is_file() and not f.name.startswith("."))
    found = {file: header for file in files if (header := _header(file)) is not None}
    found = {f: h for f, h in found.items() if str(h.get("SOPClassUID")) not in _NO_IMAGE}
    if not found:
        raise PolytaskError(
            f"{path}: holds no DICOM image; expected the files of one series; name the folder that holds them"
        )
    series = Counter(str(h.SeriesInstanceUID) for h in found.values())
    if wanted and wanted not in series:
        raise PolytaskError(f"{path}: no such series; the folder holds {_listed(series)}; name one of them")
    if not wanted and len(series) > 1:
        raise PolytaskError(
            f"{path}: holds {len(series)} series: {_listed(series)}; expected one; "
            f"write {path}#SeriesInstanceUID, or move each series to its own folder"
        )
    return {f: h for f, h in found.items() if not wanted or str(h.SeriesInstanceUID) == wanted}


def _listed(series: Counter[str]) -> str:
    """List the first four series of a folder with their numbers of files, for an error message."""
    shown = ", ".join(f"{uid} ({n} files)" for uid, n in sorted(series.items())[:4])
    return shown + (", …" if len(series) > 4 else "")


def _header(file: Path) -> Any:
    """Read a header without its pixels; None for a file that is no DICOM image. Deflated files are refused unread."""
    from pydicom import dcmread
    from pydicom.filereader import read_file_meta_info

    with file.open("rb") as stream:
        marked = stream.read(132)[128:] == b"DICM"
    if not marked and file.suffix.lower() in (".dcm", ".ima"):
        raise PolytaskError(f"{file}: not a DICOM file although its name says so; export it again")
    if not marked:
        return None
    with _errors(file):
        meta = read_file_meta_info(file)
        # pydicom would inflate such a file as a whole, without any limit on its size.
        if meta.get("TransferSyntaxUID") == DEFLATED:
            raise PolytaskError(
                f"{file}: deflated transfer syntax; expected one that is not; convert it, e.g. with dcmconv +te"
            )
        if meta.get("MediaStorageSOPClassUID") == DIRECTORY:
            return None
        header = dcmread(file, stop_before_pixels=True)
    if "Rows" not in header or "SeriesInstanceUID" not in header:
        return None
    return header


def _stack(path: Path, dims: int, limit: int | None) -> Stack:
    """Read the headers and order them as one stack, after checking its size and number of slices."""
    stack = stack_of(path, headers(path), limit)
    shape = (stack.rows, stack.columns, len(stack.frames), stack.channels)
    # At least four bytes a voxel are counted: the conversion to real values needs more than the stored type.
    check_size(path, shape, np.dtype(np.float32) if stack.dtype.itemsize < 4 else stack.dtype, limit)
    if dims == 2 and len(stack.frames) > 1:
        raise PolytaskError(f"{path}: holds {len(stack.frames)} slices; expected a 2D image; declare dims: 3")
    return stack


def _grid(path: Path, stack: Stack, dims: int) -> Grid:
    """Make the grid of a stack; in 2D the axes change places, because arrays are `[rows, columns]` there."""
    affine: Affine = check_affine(path, stack.affine)
    if dims == 2:
        return Grid((stack.rows, stack.columns), affine[:, [1, 0, 2, 3]], stack.measured)
    return place(path, (stack.columns, stack.rows, len(stack.frames)), affine, 3, stack.measured)[0]


def _pixels(file: Path, stack: Stack, frames: int) -> Array:
    """Decode all frames of one file as `[frames, rows, columns, channels]`; at least `frames` of them are expected."""
    from pydicom import dcmread

    with _errors(file):
        pixels: Array = np.asarray(dcmread(file).pixel_array)
    wanted = (stack.rows, stack.columns, stack.channels)
    if pixels.size % int(np.prod(wanted)) or pixels.size < frames * int(np.prod(wanted)):
        raise PolytaskError(
            f"{file}: its pixels do not match Rows × Columns of the header; export the file again"
        )
    return pixels.reshape(-1, *wanted)


@contextmanager
def _errors(path: Path) -> Iterator[None]:
    """Turn any error of pydicom into one line that names the file, and drop its warnings."""
    try:
        with quiet("pydicom"):
            yield
    except PolytaskError:
        raise
    except Exception as error:  # pydicom converts values on access, so a damaged file can raise anything
        said = " ".join(str(error).split())[:200] or type(error).__name__
        raise PolytaskError(f"{path}: damaged or unsupported DICOM ({said}); export the file again") from None
