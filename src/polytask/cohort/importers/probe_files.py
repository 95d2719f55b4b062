"""Look into image and mask files to learn their form before a header is written for them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import numpy as np

from polytask.errors import PolytaskError
from polytask.images.formats import probe_image_file, read_image_file

SAMPLED_MASKS = 5
"""Number of masks with labels that are opened to find the labels when nobody named them."""


def probe_image_shape(path: Path) -> tuple[Literal[2, 3], int]:
    """Read the form of an image file. Returns (space axes, channels); an image with a single slice counts as 2D."""
    info = probe_image_file(path, 3)
    return (2 if 1 in info.grid.shape else 3), info.channels


def find_mask_labels(paths: Iterable[Path], dims: int) -> list[int]:
    """List the values above 0 in the first few masks that are not empty."""
    labels: set[int] = set()
    looked = 0
    for path in paths:
        values = np.unique(read_image_file(path, dims).array).astype(np.float64)
        if not np.array_equal(values, np.rint(values)):
            raise PolytaskError(
                f"{path}: the mask has values that are not integers; expected labels; write it again with "
                "integers"
            )
        labels |= {int(v) for v in values if v > 0}
        looked += bool((values > 0).any())
        if looked >= SAMPLED_MASKS:
            break
    return sorted(labels)
