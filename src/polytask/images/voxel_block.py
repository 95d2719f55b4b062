"""Read voxels that a file stores as one block of numbers, plain or deflated: shared by NIfTI, NRRD and MetaImage."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from polytask.errors import PolytaskError
from polytask.images.compressed_streams import count_inflated_bytes, inflate_into
from polytask.images.file_axes import build_file_grid
from polytask.images.simpleitk import read_with_simpleitk
from polytask.images.size_limits import (
    MAX_DEFLATE_RATIO,
    MAX_IMAGE_CHANNELS,
    check_array_size,
    find_byte_limit,
)
from polytask.images.volume import Affine, Array, ImageInfo, NiftiPlacements, Volume


@dataclass(frozen=True)
class VoxelBlock:
    """How a file stores its voxels.

    Args:
        source: the file that a person named, for error messages.
        data: the file with the voxels, the same or beside it.
        dtype: in the byte order of the file.
        shape: two or three space axes, the fastest first.
        affine: RAS, of those axes.
        channels: numbers per voxel.
        interleaved: the channel axis is the fastest; else it is the slowest.
        keep: channels that are read (RGBA keeps 3).
        deflated: the block is a gzip or zlib stream.
        skip: bytes of the file before the block; -1 = the block ends the file.
        offset: bytes inside the (inflated) block before the voxels.
        foreign: an encoding that only SimpleITK reads, in words.
        slope: with `inter`, the real value is `slope · stored + inter`; None = as stored.
        physical, forms: see `Grid`; how large a voxel is, and how a NIfTI file said it.
    """

    source: Path
    data: Path
    dtype: np.dtype[np.generic]
    shape: tuple[int, ...]
    affine: Affine
    channels: int = 1
    interleaved: bool = False
    keep: int = 0
    deflated: bool = False
    skip: int = 0
    offset: int = 0
    foreign: str = ""
    slope: float | None = None
    inter: float = 0.0
    physical: bool = True
    forms: NiftiPlacements | None = None

    @property
    def size(self) -> int:
        """Bytes that the voxels take, not compressed."""
        return math.prod(self.shape) * self.channels * self.dtype.itemsize

    @property
    def result(self) -> np.dtype[np.generic]:
        """Type of the array in memory: float32 when scaled, else the stored type in native byte order."""
        return np.dtype(np.float32) if self.slope is not None else self.dtype.newbyteorder("=")


def describe_block(block: VoxelBlock, dims: int, limit: int | None = None) -> ImageInfo:
    """Return what the header says, after all checks that need no voxel: size, affine, and whether the file is whole.

    Args:
        dims: 2 or 3.
        limit: bytes that the image may take, see `size_limits`.
    """
    if not 1 <= block.channels <= MAX_IMAGE_CHANNELS:
        raise PolytaskError(
            f"{block.source}: header claims {block.channels} channels; expected 1 to {MAX_IMAGE_CHANNELS}; check "
            "the file"
        )
    wider = max(block.dtype, block.result, key=lambda d: d.itemsize)
    check_array_size(block.source, (*block.shape, block.channels), wider, limit)
    grid, _ = build_file_grid(block.source, block.shape, block.affine, dims, block.physical, block.forms)
    held = block.data.stat().st_size
    # A compressed file can hold more voxels than bytes, but not more than its codec can pack.
    room = (held - max(block.skip, 0)) * (MAX_DEFLATE_RATIO if block.deflated or block.foreign else 1)
    if block.offset < 0 or block.offset > find_byte_limit(limit) or block.offset + block.size > room:
        raise _make_truncation_error(block, f"the file is {held} bytes")
    return ImageInfo(grid, block.keep or block.channels, block.result)


def verify_block(block: VoxelBlock, dims: int, limit: int | None = None) -> ImageInfo:
    """Do `describe_block`, and check that a compressed stream holds as many bytes as the header claims.

    The stream is inflated only when its trailer says otherwise.
    """
    info = describe_block(block, dims, limit)
    if block.deflated:
        needed = block.offset + block.size
        with block.data.open("rb") as file:
            held = count_inflated_bytes(block.source, file, max(block.skip, 0), needed)
        if held < needed:
            raise _make_truncation_error(block, f"the stream ends after {max(held - block.offset, 0)} bytes")
    return info


def convert_to_file_order(volume: Volume) -> Array:
    """Convert a volume to `[C, *three axes]`, in a type and byte order that every format can store (little endian)."""
    array = volume.array if volume.grid.dims == 3 else volume.array[..., None]
    if array.dtype == np.bool_:
        array = array.astype(np.uint8)
    elif array.dtype == np.float16:
        array = array.astype(np.float32)
    if array.dtype.kind not in "iuf":
        raise ValueError(f"voxels of type {array.dtype.name} cannot be stored")
    return array.astype(array.dtype.newbyteorder("<"), copy=False)


def load_block(block: VoxelBlock, dims: int, limit: int | None = None) -> Volume:
    """Read the voxels `[C, *space]`. The array may be a view in the file's own memory order."""
    describe_block(block, dims, limit)
    if block.foreign:
        voxels = read_with_simpleitk(block.source, block.foreign)
        array = (
            voxels
            if block.interleaved
            else voxels[None]
            if block.channels == 1
            else np.moveaxis(voxels, -1, 0)
        )
        if array.shape != (block.channels, *block.shape):
            raise _make_truncation_error(block, f"SimpleITK finds {'×'.join(map(str, voxels.shape))}")
        return make_volume(block.source, array, block.affine, dims, block.physical, block.forms)
    flat = np.empty(block.size // block.dtype.itemsize, block.dtype)
    view: Any = flat.view(np.uint8)
    with block.data.open("rb") as file:
        if block.deflated:
            file.seek(max(block.skip, 0))
            byte_count = inflate_into(block.source, file, block.offset, memoryview(view))
        else:
            file.seek(block.data.stat().st_size - block.size if block.skip < 0 else block.skip + block.offset)
            byte_count = file.readinto(view)
    if byte_count < block.size:
        raise _make_truncation_error(block, f"the stream ends after {byte_count} bytes")
    if not flat.dtype.isnative:
        flat = flat.byteswap(inplace=True).view(flat.dtype.newbyteorder("="))
    # Files store the first axis fastest: Fortran order gives the array without copying it.
    if block.interleaved:
        array = flat.reshape((block.channels, *block.shape), order="F")
    else:
        array = np.moveaxis(flat.reshape((*block.shape, block.channels), order="F"), -1, 0)
    if block.keep:
        array = array[: block.keep]
    if block.slope is not None:
        array = _scale_values(array, block.slope, block.inter)
    return make_volume(block.source, array, block.affine, dims, block.physical, block.forms)


def make_volume(
    source: Path,
    array: Array,
    affine: Affine,
    dims: int,
    physical: bool = True,
    forms: NiftiPlacements | None = None,
) -> Volume:
    """Make a volume with `dims` axes of an array `[C, *two or three file axes]`.

    Args:
        source: for error messages.
        affine: RAS, of the file's axes.
        physical, forms: see `Grid`.
    """
    grid, dropped = build_file_grid(source, array.shape[1:], affine, dims, physical, forms)
    while array.ndim < 4:
        array = array[..., None]
    if dropped is not None:
        array = array.squeeze(dropped + 1)
    return Volume(array, grid)


def _scale_values(array: Any, slope: float, inter: float) -> Array:
    """Compute `slope · array + inter` as float32; the arithmetic is in float64, slab by slab to save memory."""
    out = np.empty_like(array, np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        for k in range(array.shape[-1]):
            out[..., k] = array[..., k] * np.float64(slope) + inter
    return out


def _make_truncation_error(block: VoxelBlock, actual: str) -> PolytaskError:
    """Make the error for a file with fewer voxels than its header claims; `actual` says what was there instead."""
    shape_text = "×".join(str(n) for n in (*block.shape, block.channels))
    return PolytaskError(
        f"{block.source}: truncated: header claims {shape_text} {block.dtype.name} = {block.size} bytes, but {actual}; "
        "copy the file again"
    )
