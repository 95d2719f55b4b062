"""The registry of image formats, and reading and writing of any registered format by the ending of its path."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from polytask.errors import PolytaskError
from polytask.images import dicom, metaimage, nifti, nrrd, raster, tiff
from polytask.images.plane_paths import describe_plane, split_plane_path, take_plane
from polytask.images.safe_files import refuse_special_file
from polytask.images.volume import ImageInfo, Volume


@dataclass(frozen=True)
class ImageFormat:
    """The functions of one image format.

    Args:
        name: for people.
        probe: (path, dims, byte limit) → what the header says.
        read: (path, dims, byte limit) → voxels on their grid.
        write: (path, volume); None where the format is only read.
    """

    name: str
    probe: Callable[[Path, int, int | None], ImageInfo]
    read: Callable[[Path, int, int | None], Volume]
    write: Callable[[Path, Volume], None] | None = None


DICOM_FOLDER = "/"  # a DICOM series: a folder, or folder#SeriesInstanceUID
_JPEG_FORMAT = ImageFormat("JPEG", raster.probe_raster, raster.read_raster)
_TIFF_FORMAT = ImageFormat("TIFF", tiff.probe_tiff, tiff.read_tiff, tiff.write_tiff)
_DICOM_FORMAT = ImageFormat("DICOM series", dicom.probe_dicom, dicom.read_dicom)
_NIFTI_FORMAT = ImageFormat("NIfTI", nifti.probe_nifti, nifti.read_nifti, nifti.write_nifti)

FORMATS: dict[str, ImageFormat] = {
    ".nii.gz": _NIFTI_FORMAT,
    ".nii": _NIFTI_FORMAT,
    ".nrrd": ImageFormat("NRRD", nrrd.probe_nrrd, nrrd.read_nrrd, nrrd.write_nrrd),
    ".nhdr": ImageFormat("NRRD, detached header", nrrd.probe_nrrd, nrrd.read_nrrd),
    ".mha": ImageFormat(
        "MetaImage", metaimage.probe_metaimage, metaimage.read_metaimage, metaimage.write_metaimage
    ),
    ".mhd": ImageFormat("MetaImage, detached header", metaimage.probe_metaimage, metaimage.read_metaimage),
    ".png": ImageFormat("PNG", raster.probe_raster, raster.read_raster, raster.write_png),
    ".jpg": _JPEG_FORMAT,
    ".jpeg": _JPEG_FORMAT,
    ".tif": _TIFF_FORMAT,
    ".tiff": _TIFF_FORMAT,
    ".dcm": _DICOM_FORMAT,
    ".ima": _DICOM_FORMAT,
    DICOM_FOLDER: _DICOM_FORMAT,
}


def find_image_ending(path: str | Path) -> str | None:
    """Return the registered ending of a path (`.nii.gz`; `/` for a DICOM folder); None when there is none."""
    path = split_plane_path(Path(path))[0]
    folder = str(path).rpartition("#")[0]
    if path.is_dir() or (folder and not path.exists() and Path(folder).is_dir()):
        return DICOM_FOLDER
    name = path.name.lower()
    return max((e for e in FORMATS if name.endswith(e)), key=len, default=None)


def probe_image_file(path: str | Path, dims: int = 3, limit: int | None = None) -> ImageInfo:
    """Read grid, channels and type from the header alone. For the arguments see `read_image_file`.

    A gzip stream is inflated only when its trailer does not fit the header.
    """
    asked = Path(path)
    path, plane = split_plane_path(asked)
    with _convert_read_errors(path):
        refuse_special_file(path)
        info = _find_format(path).probe(path, dims, limit)
    return info if plane is None else describe_plane(asked, info, plane)


def read_image_file(path: str | Path, dims: int = 3, limit: int | None = None) -> Volume:
    """Read the voxels `[C, *space]` of an image, on their grid.

    The array may be a view in the file's memory order.

    Args:
        path: a file or a DICOM folder. `file.nii.gz#2` is plane 2 of a file of several, as `[1, *space]`.
        dims: number of space axes, 2 or 3.
        limit: bytes the image may take (default 4 GiB, see `size_limits`).
    """
    asked = Path(path)
    path, plane = split_plane_path(asked)
    with _convert_read_errors(path):
        refuse_special_file(path)
        volume = _find_format(path).read(path, dims, limit)
    return volume if plane is None else take_plane(asked, volume, plane)


def write_image_file(path: str | Path, volume: Volume) -> None:
    """Write a volume in the format that the ending names, whole or not at all."""
    path = Path(path)
    image_format = FORMATS.get(find_image_ending(path) or "")
    if image_format is None or image_format.write is None:
        known = ", ".join(e for e, f in FORMATS.items() if f.write)
        raise PolytaskError(f"{path}: this ending cannot be written; expected one of {known}; rename it")
    image_format.write(path, volume)


def _find_format(path: Path) -> ImageFormat:
    """Find the format of a path by its ending. A file without a known ending may still be DICOM by its content."""
    ending = find_image_ending(path)
    if ending is None and path.exists():
        with path.open("rb") as file:
            ending = ".dcm" if file.read(132)[128:] == b"DICM" else None
    if ending != DICOM_FOLDER and not path.exists():
        raise PolytaskError(f"{path}: no such file; expected an image; correct the path")
    if ending is None:
        known = ", ".join(e for e in FORMATS if e != DICOM_FOLDER)
        raise PolytaskError(
            f"{path}: unknown image format; expected one of {known} or a DICOM folder; convert it"
        )
    return FORMATS[ending]


@contextmanager
def _convert_read_errors(path: Path) -> Iterator[None]:
    """Turn disk errors and a lack of memory into one line that names the file."""
    try:
        yield
    except OSError as error:
        raise PolytaskError(f"{path}: cannot be read ({error.strerror or error}); check the file") from None
    except ValueError as error:
        if "null byte" not in str(error):
            raise
        raise PolytaskError(f"{str(path)!r}: no file can have this name; correct the path") from None
    except MemoryError:
        raise PolytaskError(
            f"{path}: does not fit into memory; expected a smaller image; free memory"
        ) from None
