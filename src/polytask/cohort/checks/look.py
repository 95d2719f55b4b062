"""One reading of a file, and what the checks keep of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Literal

from polytask.cohort.checks.mask_extent import MaskExtent, NotWholeError, measure_extent
from polytask.cohort.checks.voxel_range import VoxelRange, measure_range
from polytask.errors import PolytaskError
from polytask.images.formats import read
from polytask.images.planes import source_file
from polytask.images.volume import Grid, Volume

Role = Literal["image", "mask", "region", "dose", "slide"]


@dataclass(frozen=True)
class Look:
    """What one reading of a file tells.

    Args:
        extents: per array channel what values occur, how often and where (masks and regions only).
        odd: a value of a mask that is no integer, None when there is none.
        finite: no NaN, no Inf.
        constant: all voxels are equal (images and doses only).
        digest: of the voxels and their shape (images and doses only).
        span: the values of an image or dose.
    """

    grid: Grid
    channels: int
    extents: tuple[MaskExtent, ...] = ()
    odd: float | None = None
    finite: bool = True
    constant: bool = False
    digest: str = ""
    span: VoxelRange | None = None

    @property
    def values(self) -> tuple[frozenset[int], ...]:
        """Per array channel the integer values that occur (masks and regions only)."""
        return tuple(extent.values for extent in self.extents)


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
    if volume.array.size == 0:
        return "it holds no voxel"
    return _look_at_mask(volume) if role in ("mask", "region") else _look_at_image(volume)


def _look_at_mask(volume: Volume) -> Look:
    found = Look(volume.grid, volume.array.shape[0])
    try:
        return replace(found, extents=tuple(measure_extent(plane) for plane in volume.array))
    except NotWholeError as error:
        if isfinite(error.value):
            return replace(found, odd=error.value)
        return replace(found, finite=False)


def _look_at_image(volume: Volume) -> Look:
    span = measure_range(volume.array)
    return Look(
        grid=volume.grid,
        channels=volume.array.shape[0],
        finite=span.finite,
        constant=span.constant,
        digest=span.digest,
        span=span,
    )
