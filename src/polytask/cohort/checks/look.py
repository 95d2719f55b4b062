"""One reading of a file, and what the checks keep of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from polytask.errors import PolytaskError
from polytask.images.formats import read
from polytask.images.planes import source_file
from polytask.images.volume import Array, Grid

Role = Literal["image", "mask", "region", "dose", "slide"]


@dataclass(frozen=True)
class Look:
    """What one reading of a file tells.

    Args:
        values: per array channel the integer values that occur (masks only).
        odd: a value of a mask that is no integer, None when there is none.
        finite: no NaN, no Inf.
        constant: all voxels are equal.
        digest: of the voxels and their shape.
    """

    grid: Grid
    channels: int
    values: tuple[frozenset[int], ...] = ()
    odd: float | None = None
    finite: bool = True
    constant: bool = False
    digest: str = ""


def look(path: Path, role: Role, dims: int) -> Look | str:
    """Read a file, or say in one line why not."""
    if not source_file(path).exists():
        return ""
    try:
        volume = read(path, dims)
    except PolytaskError as error:
        return str(error).removeprefix(f"{path}: ")
    except (OSError, ValueError, EOFError, MemoryError) as error:
        return f"{type(error).__name__}: {error}".splitlines()[0]
    array = volume.array
    if array.size == 0:
        return "it holds no voxel"
    finite = array.dtype.kind in "biu" or bool(np.isfinite(array).all())
    if role in ("mask", "region"):
        planes = [_values(plane) for plane in array] if finite else []
        odd = next((o for _, o in planes if o is not None), None)
        values = tuple(v for v, _ in planes)
        return Look(volume.grid, array.shape[0], values, odd, finite)
    constant = bool((array == array.reshape(-1)[0]).all())
    digest = hashlib.blake2b(np.ascontiguousarray(array).data, digest_size=16)
    digest.update(f"{array.dtype} {array.shape}".encode())
    return Look(volume.grid, array.shape[0], (), None, finite, constant, digest.hexdigest())


def _values(plane: Array) -> tuple[frozenset[int], float | None]:
    """Integer values of a mask, and one value that is none."""
    if plane.dtype.kind in "bu" and plane.dtype.itemsize == 1:
        return frozenset(np.flatnonzero(np.bincount(plane.reshape(-1), minlength=1)).tolist()), None
    whole = plane
    if plane.dtype.kind == "f":
        whole = np.rint(plane)
        if bool((off := whole != plane).any()):
            return frozenset(), float(plane[off][0])
    low, high = int(whole.min()), int(whole.max())
    if high - low < 1 << 16:
        counts = np.bincount((whole - low).astype(np.int64).reshape(-1))
        return frozenset((np.flatnonzero(counts) + low).tolist()), None
    return frozenset(int(v) for v in np.unique(whole)), None
