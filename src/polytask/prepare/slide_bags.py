"""Turn one slide into a bag as the store keeps it: patches or features, and where on the slide each one lies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from polytask.errors import PolytaskError
from polytask.images.bag_files import read_bag
from polytask.images.size_limits import check_byte_count
from polytask.images.slide_patches import (
    PatchSpec,
    choose_even_indices,
    find_patch_extent,
    find_tissue_patches,
    stream_patches,
)
from polytask.images.slides import open_slide
from polytask.images.volume import Array
from polytask.plan.plan_schema import SlidePlan


@dataclass(frozen=True)
class PreparedBag:
    """The bag of one slide: on a memory map of the store, or in memory for a new case.

    Args:
        patches: uint8 `[P, 3, h, w]` colors as in the slide, or float16/float32 `[P, F]` features as in the file.
        coords: int32 `[P, 2]` upper left corners, x and y in pixels of the slide's finest level; −1 where unknown.
        extent: edge of a patch in those pixels; 0 for features.
        of: number of patches of the slide; more than P when the plan keeps fewer.
    """

    patches: Array
    coords: Array
    extent: int
    of: int


@dataclass(frozen=True)
class StreamedArray:
    """An array that is written row by row, so that it is never in memory as a whole."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    rows: Callable[[], Iterator[Array]]

    @property
    def nbytes(self) -> int:
        """Bytes that the array takes on disk."""
        return prod(self.shape) * self.dtype.itemsize

    def write(self, stream: BinaryIO) -> None:
        """Write the array to an open file, in the format of `numpy.save`."""
        header = {
            "descr": np.lib.format.dtype_to_descr(self.dtype),
            "fortran_order": False,
            "shape": self.shape,
        }
        np.lib.format.write_array_header_1_0(stream, header)
        for row in self.rows():
            stream.write(np.ascontiguousarray(row, self.dtype).tobytes())


@dataclass(frozen=True)
class UnreadBag:
    """A slide whose patches are found but whose pixels are not read yet. For the fields see `PreparedBag`."""

    patches: Array | StreamedArray
    coords: Array
    extent: int
    of: int

    def bag(self, path: Path) -> PreparedBag:
        """Read all patches into memory, after a check of their size; `path` names the slide in errors."""
        if not isinstance(self.patches, StreamedArray):
            return PreparedBag(self.patches, self.coords, self.extent, self.of)
        check_byte_count(path, self.patches.nbytes)
        array = np.empty(self.patches.shape, self.patches.dtype)
        for index, row in enumerate(self.patches.rows()):
            array[index] = row
        return PreparedBag(array, self.coords, self.extent, self.of)


def prepare_unread_bag(path: Path, plan: SlidePlan, where: str) -> UnreadBag:
    """Find the patches of one slide as the plan says; a file of features is read at once.

    Args:
        where: subject and input, for error messages.
    """
    if plan.features is not None:
        return _read_feature_bag(path, plan.features, plan.most, where)
    cut = make_patch_spec(plan)
    with open_slide(path) as slide:
        coords, extent = find_tissue_patches(slide, cut), find_patch_extent(slide, cut)
    if not len(coords):
        raise PolytaskError(
            f"{where}: {path}: no patch with enough tissue; expected at least one; "
            "check the slide, or leave its cell empty"
        )
    kept = coords[choose_even_indices(len(coords), plan.most)]

    # The slide is opened again here, because its patches are read later, when the bag is written.
    def rows() -> Iterator[Array]:
        with open_slide(path) as slide:
            for pixels in stream_patches(slide, kept, cut):
                yield pixels.transpose(2, 0, 1)

    shape = (len(kept), 3, cut.patch, cut.patch)
    return UnreadBag(StreamedArray(shape, np.dtype(np.uint8), rows), kept, extent, len(coords))


def make_patch_spec(plan: SlidePlan) -> PatchSpec:
    """Make the description of how the plan cuts a slide of pixels into patches."""
    assert plan.patch is not None
    return PatchSpec(plan.patch, plan.mpp, plan.downsample, plan.tissue)


def _read_feature_bag(path: Path, width: int, most: int, where: str) -> UnreadBag:
    """Read a bag of features, check their number per patch, and keep at most `most` patches."""
    bag = read_bag(path)
    count = len(bag.features)
    if bag.features.shape[1] != width:
        raise PolytaskError(
            f"{where}: {path}: {bag.features.shape[1]} features a patch; expected {width} as in the plan; compute "
            "them with the same network as those of the other slides"
        )
    kept = choose_even_indices(count, most)
    coords = np.full((count, 2), -1, np.int32) if bag.coords is None else bag.coords
    return UnreadBag(bag.features[kept], coords[kept], 0, count)
