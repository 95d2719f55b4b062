"""Read encodings that Polytask does not read itself, through the optional SimpleITK."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from polytask.errors import PolytaskError
from polytask.images.volume import Array


def read_with_simpleitk(path: Path, encoding: str) -> Array:
    """Read all axes of a file, the fastest first. The caller has checked the size that the header claims.

    Args:
        encoding: in words, for the error when SimpleITK is not installed.
    """
    try:
        import SimpleITK as sitk
    except ImportError:
        raise PolytaskError(
            f"{path}: {encoding} needs SimpleITK; expected raw or gzip voxels; pip install 'polytask[simpleitk]'"
        ) from None
    try:
        image = sitk.ReadImage(str(path))
        # SimpleITK's arrays have the slowest axis first.
        return np.asarray(sitk.GetArrayFromImage(image)).T
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1].strip()
        raise PolytaskError(f"{path}: SimpleITK cannot read it ({reason}); export the file again") from None
