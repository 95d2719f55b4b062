"""The registry of image formats, and reading and writing of any registered format by the ending of its path."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from polytask.errors import PolytaskError
from polytask.images import dicom, metaimage, nifti, nrrd, raster, tiff
from polytask.images.files import require_plain_file
from polytask.images.planes import describe_plane, split_plane, take_plane
from polytask.images.volume import Info, Volume


@dataclass(frozen=True)
class Format:
    """The functions of one image format.

    Args:
        name: for people.
        probe: (path, dims, byte limit) → what the header says.
        read: (path, dims, byte limit) → voxels on their grid.
        write: (path, volume); None where the format is only read.
    """

    name: str
    probe: Callable[[Path, int, int | None], Info]
    read: Callable[[Path, int, int | None], Volume]
    write: Callable[[Path, Volume], None] | None = None


FOLDER = "/"  # a DICOM series: a folder, or folder#SeriesInstanceUID
_JPEG = Format("JPEG", raster.probe, raster.read)
_TIFF = Format("TIFF", tiff.probe, tiff.read, tiff.write)
_DICOM = Format("DICOM series", dicom.probe, dicom.read)
_NIFTI = Format("NIfTI", nifti.probe, nifti.read, nifti.write)

FORMATS: dict[str, Format] = {
    ".nii.gz": _NIFTI,
    ".nii": _NIFTI,
    ".nrrd": Format("NRRD", nrrd.probe, nrrd.read, nrrd.write),
    ".nhdr": Format("NRRD, detached header", nrrd.probe, nrrd.read),
    ".mha": Format("MetaImage", metaimage.probe, metaimage.read, metaimage.write),
    ".mhd": Format("MetaImage, detached header", metaimage.probe, metaimage.read),
    ".png": Format("PNG", raster.probe, raster.read, raster.write),
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".tif": _TIFF,
    ".tiff": _TIFF,
    ".dcm": _DICOM,
    ".ima": _DICOM,
    FOLDER: _DICOM,
}


def ending(path: str | Path) -> str | None:
    """Return the registered ending of a path (`.nii.gz`; `/` for a DICOM folder); None when there is none."""
    path = split_plane(Path(path))[0]
    folder = str(path).rpartition("#")[0]
    if path.is_dir() or (folder and not path.exists() and Path(folder).is_dir()):
        return FOLDER
    name = path.name.lower()
    return max((e for e in FORMATS if name.endswith(e)), key=len, default=None)


def probe(path: str | Path, dims: int = 3, limit: int | None = None) -> Info:
    """Read grid, channels and type from the header alone. For the arguments see `read_image_file`.

    A gzip stream is inflated only when its trailer does not fit the header.
    """
    asked = Path(path)
    path, plane = split_plane(asked)
    with _readable(path):
        require_plain_file(path)
        info = _format(path).probe(path, dims, limit)
    return info if plane is None else describe_plane(asked, info, plane)


def read(path: str | Path, dims: int = 3, limit: int | None = None) -> Volume:
    """Read the voxels `[C, *space]` of an image, on their grid.

    The array may be a view in the file's memory order.

    Args:
        path: a file or a DICOM folder. `file.nii.gz#2` is plane 2 of a file of several, as `[1, *space]`.
        dims: number of space axes, 2 or 3.
        limit: bytes the image may take (default 4 GiB, see `size_limits`).
    """
    asked = Path(path)
    path, plane = split_plane(asked)
    with _readable(path):
        require_plain_file(path)
        volume = _format(path).read(path, dims, limit)
    return volume if plane is None else take_plane(asked, volume, plane)


def write(path: str | Path, volume: Volume) -> None:
    """Write a volume in the format that the ending names, whole or not at all."""
    path = Path(path)
    found = FORMATS.get(ending(path) or "")
    if found is None or found.write is None:
        known = ", ".join(e for e, f in FORMATS.items() if f.write)
        raise PolytaskError(f"{path}: this ending cannot be written; expected one of {known}; rename it")
    found.write(path, volume)


def _format(path: Path) -> Format:
    """Find the format of a path by its ending. A file without a known ending may still be DICOM by its content."""
    found = ending(path)
    if found is None and path.exists():
        with path.open("rb") as file:
            found = ".dcm" if file.read(132)[128:] == b"DICM" else None
    if found != FOLDER and not path.exists():
        raise PolytaskError(f"{path}: no such file; expected an image; mend the path")
    if found is None:
        known = ", ".join(e for e in FORMATS if e != FOLDER)
        raise PolytaskError(
            f"{path}: unknown image format; expected one of {known} or a DICOM folder; convert it"
        )
    return FORMATS[found]


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn disk errors and a lack of memory into one line that names the file."""
    try:
        yield
    except OSError as error:
        raise PolytaskError(f"{path}: cannot be read ({error.strerror or error}); check the file") from None
    except ValueError as error:
        if "null byte" not in str(error):
            raise
        raise PolytaskError(f"{str(path)!r}: no file can have this name; mend the path") from None
    except MemoryError:
        raise PolytaskError(
            f"{path}: does not fit into memory; expected a smaller image; free memory"
        ) from None
