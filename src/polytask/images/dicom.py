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
from polytask.images.dicom_stack import DicomStack, build_dicom_stack
from polytask.images.file_axes import build_file_grid, check_affine
from polytask.images.safe_files import silence_library
from polytask.images.size_limits import check_array_size
from polytask.images.volume import Affine, Array, Grid, ImageInfo, Volume

DEFLATED_SYNTAX_UID = "1.2.840.10008.1.2.1.99"
DICOMDIR_CLASS_UID = "1.2.840.10008.1.3.10"
_NOT_IMAGE_CLASSES = {
    "1.2.840.10008.5.1.4.1.1.66.4": "a DICOM segmentation; convert it to .nii.gz",
    "1.2.840.10008.5.1.4.1.1.66.7": "a DICOM label map; convert it to .nii.gz",
    "1.2.840.10008.5.1.4.1.1.77.1.6": "a whole slide; declare it as a slide",
}


def probe_dicom(path: Path, dims: int, limit: int | None = None) -> ImageInfo:
    """Read grid, channels and type from the headers. No pixel is read."""
    with _convert_dicom_errors(path):
        stack = _load_stack(path, dims, limit)
        return ImageInfo(_build_dicom_grid(path, stack, dims), stack.channels, stack.dtype)


def read_dicom(path: Path, dims: int, limit: int | None = None) -> Volume:
    """Read the voxels `[C, columns, rows, slices]`, or `[C, rows, columns]` of one 2D image."""
    with _convert_dicom_errors(path):
        stack = _load_stack(path, dims, limit)
        grid = _build_dicom_grid(path, stack, dims)
        out = np.empty((stack.channels, len(stack.frames), stack.rows, stack.columns), stack.dtype)
        # Grouped by file, so that a file of several frames is decoded once and not once per frame.
        files: dict[Path, list[int]] = {}
        for k, frame in enumerate(stack.frames):
            files.setdefault(frame.file, []).append(k)
        for file, slices in files.items():
            pixels = _read_pixels(file, stack, 1 + max(stack.frames[k].number for k in slices))
            for k in slices:
                frame = stack.frames[k]
                out[:, k] = stack.to_real_values(np.moveaxis(pixels[frame.number], -1, 0), frame)
    return Volume(out[:, 0] if dims == 2 else out.transpose(0, 3, 2, 1), grid)


def read_dicom_modality(path: Path) -> str:
    """Return the modality of the series in DICOM's words (`CT`, `MR`, `PT`); "" where the headers do not say."""
    with _convert_dicom_errors(path):
        return str(next(iter(read_series_headers(path).values())).get("Modality") or "")


def read_series_headers(path: Path) -> dict[Path, Any]:
    """Read the header of every DICOM image of the chosen series: file → header, sorted by file name.

    `path` is a file, a folder, or `folder#SeriesInstanceUID`.
    """
    folder, _, wanted = str(path).rpartition("#") if not path.exists() else (str(path), "", "")
    if path.is_file():
        header = _read_dicom_header(path)
        if header is None:
            raise PolytaskError(
                f"{path}: not a DICOM image; expected a DICOM file with pixels; export it again"
            )
        if (kind := _NOT_IMAGE_CLASSES.get(str(header.get("SOPClassUID")))) is not None:
            raise PolytaskError(f"{path}: is {kind}; expected an image")
        return {path: header}
    files = sorted(f for f in Path(folder).iterdir() if f.is_file() and not f.name.startswith("."))
    headers = {file: header for file in files if (header := _read_dicom_header(file)) is not None}
    headers = {f: h for f, h in headers.items() if str(h.get("SOPClassUID")) not in _NOT_IMAGE_CLASSES}
    if not headers:
        raise PolytaskError(
            f"{path}: holds no DICOM image; expected the files of one series; name the folder that holds them"
        )
    series = Counter(str(h.SeriesInstanceUID) for h in headers.values())
    if wanted and wanted not in series:
        raise PolytaskError(
            f"{path}: no such series; the folder holds {_format_series_list(series)}; name one of them"
        )
    if not wanted and len(series) > 1:
        raise PolytaskError(
            f"{path}: holds {len(series)} series: {_format_series_list(series)}; expected one; "
            f"write {path}#SeriesInstanceUID, or move each series to its own folder"
        )
    return {f: h for f, h in headers.items() if not wanted or str(h.SeriesInstanceUID) == wanted}


def _format_series_list(series: Counter[str]) -> str:
    """List the first four series of a folder with their numbers of files, for an error message."""
    shown = ", ".join(f"{uid} ({n} files)" for uid, n in sorted(series.items())[:4])
    return shown + (", …" if len(series) > 4 else "")


def _read_dicom_header(file: Path) -> Any:
    """Read a header without its pixels; None for a file that is no DICOM image. Deflated files are refused unread."""
    from pydicom import dcmread
    from pydicom.filereader import read_file_meta_info

    with file.open("rb") as stream:
        marked = stream.read(132)[128:] == b"DICM"
    if not marked and file.suffix.lower() in (".dcm", ".ima"):
        raise PolytaskError(f"{file}: not a DICOM file although its name says so; export it again")
    if not marked:
        return None
    with _convert_dicom_errors(file):
        meta = read_file_meta_info(file)
        # pydicom would inflate such a file as a whole, without any limit on its size.
        if meta.get("TransferSyntaxUID") == DEFLATED_SYNTAX_UID:
            raise PolytaskError(
                f"{file}: deflated transfer syntax; expected one that is not; convert it, e.g. with dcmconv +te"
            )
        if meta.get("MediaStorageSOPClassUID") == DICOMDIR_CLASS_UID:
            return None
        header = dcmread(file, stop_before_pixels=True)
    if "Rows" not in header or "SeriesInstanceUID" not in header:
        return None
    return header


def _load_stack(path: Path, dims: int, limit: int | None) -> DicomStack:
    """Read the headers and order them as one stack, after checking its size and number of slices."""
    stack = build_dicom_stack(path, read_series_headers(path), limit)
    shape = (stack.rows, stack.columns, len(stack.frames), stack.channels)
    # At least four bytes a voxel are counted: the conversion to real values needs more than the stored type.
    check_array_size(path, shape, np.dtype(np.float32) if stack.dtype.itemsize < 4 else stack.dtype, limit)
    if dims == 2 and len(stack.frames) > 1:
        raise PolytaskError(f"{path}: holds {len(stack.frames)} slices; expected a 2D image; declare dims: 3")
    return stack


def _build_dicom_grid(path: Path, stack: DicomStack, dims: int) -> Grid:
    """Make the grid of a stack; in 2D the axes change places, because arrays are `[rows, columns]` there."""
    affine: Affine = check_affine(path, stack.affine)
    if dims == 2:
        return Grid((stack.rows, stack.columns), affine[:, [1, 0, 2, 3]], stack.measured)
    return build_file_grid(path, (stack.columns, stack.rows, len(stack.frames)), affine, 3, stack.measured)[0]


def _read_pixels(file: Path, stack: DicomStack, frames: int) -> Array:
    """Decode all frames of one file as `[frames, rows, columns, channels]`; at least `frames` of them are expected."""
    from pydicom import dcmread

    with _convert_dicom_errors(file):
        pixels: Array = np.asarray(dcmread(file).pixel_array)
    wanted = (stack.rows, stack.columns, stack.channels)
    if pixels.size % int(np.prod(wanted)) or pixels.size < frames * int(np.prod(wanted)):
        raise PolytaskError(
            f"{file}: its pixels do not match Rows × Columns of the header; export the file again"
        )
    return pixels.reshape(-1, *wanted)


@contextmanager
def _convert_dicom_errors(path: Path) -> Iterator[None]:
    """Turn any error of pydicom into one line that names the file, and drop its warnings."""
    try:
        with silence_library("pydicom"):
            yield
    except PolytaskError:
        raise
    except Exception as error:  # pydicom converts values on access, so a damaged file can raise anything
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise PolytaskError(
            f"{path}: damaged or unsupported DICOM ({reason}); export the file again"
        ) from None
