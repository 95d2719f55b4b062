"""Turn one slide into a bag as the store keeps it: patches or features, and where on the slide each one lies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from polytask.errors import PolytaskError
from polytask.images.bags import read_bag
from polytask.images.limits import check_bytes
from polytask.images.patches import Cut, extent_of, places, stream, thinned
from polytask.images.slides import opened
from polytask.images.volume import Array
from polytask.plan.plan import SlidePlan


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
class Streamed:
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
class SlideFile:
    """A slide whose patches are found but whose pixels are not read yet. For the fields see `PreparedBag`."""

    patches: Array | Streamed
    coords: Array
    extent: int
    of: int

    def bag(self, path: Path) -> PreparedBag:
        """Read all patches into memory, after a check of their size; `path` names the slide in errors."""
        if not isinstance(self.patches, Streamed):
            return PreparedBag(self.patches, self.coords, self.extent, self.of)
        check_bytes(path, self.patches.nbytes)
        array = np.empty(self.patches.shape, self.patches.dtype)
        for index, row in enumerate(self.patches.rows()):
            array[index] = row
        return PreparedBag(array, self.coords, self.extent, self.of)


def slide_file(path: Path, plan: SlidePlan, where: str) -> SlideFile:
    """Find the patches of one slide as the plan says; a file of features is read at once.

    Args:
        where: subject and input, for error messages.
    """
    if plan.features is not None:
        return _features(path, plan.features, plan.most, where)
    cut = cut_of(plan)
    with opened(path) as slide:
        found, extent = places(slide, cut), extent_of(slide, cut)
    if not len(found):
        raise PolytaskError(
            f"{where}: {path}: no patch with enough tissue; expected one at least; look at the slide, or empty the cell"
        )
    kept = found[thinned(len(found), plan.most)]

    # The slide is opened again here, because its patches are read later, when the bag is written.
    def rows() -> Iterator[Array]:
        with opened(path) as slide:
            for pixels in stream(slide, kept, cut):
                yield pixels.transpose(2, 0, 1)

    shape = (len(kept), 3, cut.patch, cut.patch)
    return SlideFile(Streamed(shape, np.dtype(np.uint8), rows), kept, extent, len(found))


def cut_of(plan: SlidePlan) -> Cut:
    """Make the description of how the plan cuts a slide of pixels into patches."""
    assert plan.patch is not None
    return Cut(plan.patch, plan.mpp, plan.downsample, plan.tissue)


def _features(path: Path, width: int, most: int, where: str) -> SlideFile:
    """Read a bag of features, check their number per patch, and keep at most `most` patches."""
    bag = read_bag(path)
    count = len(bag.features)
    if bag.features.shape[1] != width:
        raise PolytaskError(
            f"{where}: {path}: {bag.features.shape[1]} features a patch; expected the {width} of the plan; compute "
            "them with the network of the other bags"
        )
    kept = thinned(count, most)
    coords = np.full((count, 2), -1, np.int32) if bag.coords is None else bag.coords
    return SlideFile(bag.features[kept], coords[kept], 0, count)
