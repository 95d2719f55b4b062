"""Paths that name part of a file or folder: `scan.nii.gz#2` is plane 2 of a 4-D file, `folder#UID` a DICOM series."""

from __future__ import annotations

import re
from pathlib import Path

from polytask.errors import PolytaskError
from polytask.images.volume import ImageInfo, Volume

_PLANE_PATTERN = re.compile(r"(?P<file>.*\.[A-Za-z0-9.]+)#(?P<plane>\d{1,4})", re.S)


def split_plane_path(path: Path) -> tuple[Path, int | None]:
    """Split a path into (file, plane). Planes count from 0; None where the path names a whole file."""
    match = _PLANE_PATTERN.fullmatch(str(path))
    # A file whose own name ends like `scan.nii#2` is taken as it is.
    if match is None or path.exists():
        return path, None
    return Path(match["file"]), int(match["plane"])


def find_source_file(path: Path) -> Path:
    """Return the file or folder on disk that a path names, or names a part of."""
    file, plane = split_plane_path(path)
    if plane is not None:
        return file
    folder = str(path).rpartition("#")[0]
    return Path(folder) if folder and not path.exists() and Path(folder).is_dir() else path


def make_plane_path(path: Path, plane: int) -> Path:
    """Make the path that names one plane of a 4-D file."""
    return path.with_name(f"{path.name}#{plane}")


def take_plane(path: Path, volume: Volume, plane: int) -> Volume:
    """Take one plane `[1, *space]` out of a volume."""
    _check_plane_number(path, volume.array.shape[0], plane)
    return Volume(volume.array[plane : plane + 1], volume.grid)


def describe_plane(path: Path, info: ImageInfo, plane: int) -> ImageInfo:
    """Reduce what a header says about a file to one of its planes."""
    _check_plane_number(path, info.channels, plane)
    return ImageInfo(info.grid, 1, info.dtype)


def _check_plane_number(path: Path, planes: int, plane: int) -> None:
    """Refuse the number of a plane that the file does not have."""
    if plane >= planes:
        raise PolytaskError(
            f"{path}: the file holds {planes} plane{'s' * (planes != 1)}, counted from 0; expected one of them; "
            "correct the number behind #"
        )
