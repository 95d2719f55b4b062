"""Voxels of encodings that Polytask does not read itself, through the optional SimpleITK."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from polytask.errors import PolytaskError
from polytask.images.volume import Array


def voxels(path: Path, what: str) -> Array:
    """All axes of the file, the fastest first. The caller has checked the header's size."""
    try:
        import SimpleITK as sitk
    except ImportError:
        raise PolytaskError(
            f"{path}: {what} needs SimpleITK; expected raw or gzip voxels; pip install 'polytask[simpleitk]'"
        ) from None
    try:
        image = sitk.ReadImage(str(path))
        return np.asarray(sitk.GetArrayFromImage(image)).T
    except RuntimeError as error:
        said = str(error).strip().splitlines()[-1].strip()
        raise PolytaskError(f"{path}: SimpleITK cannot read it ({said}); export the file again") from None
