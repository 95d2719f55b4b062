"""Check the sizes that a file's header claims, before memory is taken for them."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from polytask.errors import PolytaskError

MAX_BYTES_VARIABLE = "POLYTASK_MAX_IMAGE_BYTES"
DEFAULT_MAX_IMAGE_BYTES = 4 * 1024**3
MAX_AXIS_LENGTH = 65_535
MAX_IMAGE_CHANNELS = 4_096
MAX_DEFLATE_RATIO = 1_040  # deflate cannot shrink by more than 1032; a larger claim is false


def find_byte_limit(limit: int | None = None) -> int:
    """Return how many bytes one image may take: the argument, else the environment variable, else 4 GiB."""
    if limit is not None:
        return limit
    text = os.environ.get(MAX_BYTES_VARIABLE, "")
    if not text:
        return DEFAULT_MAX_IMAGE_BYTES
    if not text.isdigit() or int(text) == 0:
        raise PolytaskError(
            f"{MAX_BYTES_VARIABLE}={text!r}: expected a whole number of bytes above 0; correct or unset it"
        )
    return int(text)


def check_array_size(
    path: Path, shape: Sequence[int], dtype: np.dtype[np.generic], limit: int | None = None
) -> int:
    """Return the bytes of an array of this shape (channels included) and type; PolytaskError when it is too large."""
    shape_text = "×".join(str(n) for n in shape)
    if any(n < 1 for n in shape):
        raise PolytaskError(
            f"{path}: header claims the shape {shape_text}; expected every axis ≥ 1; the file is damaged"
        )
    if any(n > MAX_AXIS_LENGTH for n in shape):
        raise PolytaskError(
            f"{path}: header claims the shape {shape_text}; expected every axis ≤ {MAX_AXIS_LENGTH}; check the file"
        )
    # Python's whole numbers do not overflow, so a huge claim cannot wrap around to a small size.
    size, cap = math.prod(shape) * dtype.itemsize, find_byte_limit(limit)
    if size > cap:
        raise PolytaskError(
            f"{path}: header claims {shape_text} {dtype.name} = {size / 1e9:.1f} GB; "
            f"expected at most {cap / 1e9:.1f} GB; "
            f"check the file, or raise {MAX_BYTES_VARIABLE}"
        )
    return size


def check_byte_count(path: Path, size: int, limit: int | None = None) -> int:
    """Return `size`; PolytaskError when a file may not ask for so many bytes."""
    cap = find_byte_limit(limit)
    if size > cap:
        raise PolytaskError(
            f"{path}: asks for {size / 1e9:.1f} GB; expected at most {cap / 1e9:.1f} GB; check the file, or raise "
            f"{MAX_BYTES_VARIABLE}"
        )
    return size
