"""Read an image, mask or dose once and keep the facts that the checks need; the voxels are released."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Literal

from polytask.cohort.checks.mask_extent import MaskExtent, NonIntegerMaskError, measure_extent
from polytask.cohort.checks.voxel_range import VoxelRange, measure_voxel_range
from polytask.errors import PolytaskError
from polytask.images.formats import read_image_file
from polytask.images.plane_paths import find_source_file
from polytask.images.volume import Grid, Volume

FileRole = Literal["image", "mask", "region", "dose", "map", "slide"]


@dataclass(frozen=True)
class ImageFacts:
    """Facts of one image, mask or dose file.

    Args:
        extents: per array channel, which values occur, how often and where (only masks and regions).
        odd: a value of a mask that is not an integer; None when there is none.
        finite: whether no voxel is NaN or infinite.
        constant: whether all voxels are equal (only images and doses).
        digest: hash of the voxels and their shape (only images and doses).
        span: range of the values (only images and doses).
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
        """The integer values that occur in each array channel (only masks and regions)."""
        return tuple(extent.values for extent in self.extents)


def inspect_image(path: Path, role: FileRole, dims: int) -> ImageFacts | str:
    """Read a file; returns its facts, or one line that says why it cannot be read ("" = there is no such file).

    Args:
        role: what the file is for; masks and regions are counted, images and doses get a value range.
        dims: space axes, 2 or 3.
    """
    if not find_source_file(path).exists():
        return ""
    try:
        volume = read_image_file(path, dims)
    except PolytaskError as error:
        return str(error).removeprefix(f"{path}: ")
    # Damaged files make the readers raise many things; one bad file must not end the check of all others.
    except (OSError, ValueError, EOFError, MemoryError) as error:
        return f"{type(error).__name__}: {error}".splitlines()[0]
    if volume.array.size == 0:
        return "it holds no voxel"
    return _inspect_mask(volume) if role in ("mask", "region") else _inspect_voxels(volume)


def _inspect_mask(volume: Volume) -> ImageFacts:
    facts = ImageFacts(volume.grid, volume.array.shape[0])
    try:
        return replace(facts, extents=tuple(measure_extent(plane) for plane in volume.array))
    except NonIntegerMaskError as error:
        if isfinite(error.value):
            return replace(facts, odd=error.value)
        return replace(facts, finite=False)


def _inspect_voxels(volume: Volume) -> ImageFacts:
    span = measure_voxel_range(volume.array)
    return ImageFacts(
        grid=volume.grid,
        channels=volume.array.shape[0],
        finite=span.finite,
        constant=span.constant,
        digest=span.digest,
        span=span,
    )
