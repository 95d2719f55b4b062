"""Sizes are checked from the header, before memory is taken."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from polytask.errors import PolytaskError

ENV = "POLYTASK_MAX_IMAGE_BYTES"
DEFAULT_BYTES = 4 * 1024**3
MAX_AXIS = 65_535
MAX_CHANNELS = 4_096
DEFLATE_RATIO = 1_040  # deflate cannot shrink by more than 1032; a claim beyond it is a lie


def byte_limit(limit: int | None = None) -> int:
    """The most bytes one image may take: the argument, else the environment, else 4 GiB."""
    if limit is not None:
        return limit
    text = os.environ.get(ENV, "")
    if not text:
        return DEFAULT_BYTES
    if not text.isdigit() or int(text) == 0:
        raise PolytaskError(f"{ENV}={text!r}: expected a whole number of bytes above 0; mend or unset it")
    return int(text)


def check_size(
    path: Path, shape: Sequence[int], dtype: np.dtype[np.generic], limit: int | None = None
) -> int:
    """Bytes of an array `shape` (channels included) of `dtype`; PolytaskError when a file may not ask for them."""
    said = "×".join(str(n) for n in shape)
    if any(n < 1 for n in shape):
        raise PolytaskError(
            f"{path}: header claims the shape {said}; expected every axis ≥ 1; the file is damaged"
        )
    if any(n > MAX_AXIS for n in shape):
        raise PolytaskError(
            f"{path}: header claims the shape {said}; expected every axis ≤ {MAX_AXIS}; check the file"
        )
    size, cap = math.prod(shape) * dtype.itemsize, byte_limit(limit)
    if size > cap:
        raise PolytaskError(
            f"{path}: header claims {said} {dtype.name} = {size / 1e9:.1f} GB; expected at most {cap / 1e9:.1f} GB; "
            f"check the file, or raise {ENV}"
        )
    return size


def check_bytes(path: Path, size: int, limit: int | None = None) -> int:
    """`size` bytes, or PolytaskError when a file may not ask for so many."""
    cap = byte_limit(limit)
    if size > cap:
        raise PolytaskError(
            f"{path}: asks for {size / 1e9:.1f} GB; expected at most {cap / 1e9:.1f} GB; check the file, or raise {ENV}"
        )
    return size
